//! A single damaged bit is healed from the other copy, whichever bit it is.

use super::image::{Image, MIB, small};
use super::{find, refuse_overwritten};
use crate::label::{Label, Place};

/// Flips each bit of `ranges`, which belong to copy `damaged`.
fn each_bit(label: &Label, damaged: usize, ranges: &[(u64, u64)]) {
    let mut image = Image::with(label);
    let mut tried = 0;
    for (start, len) in ranges {
        for bit in start * 8..(start + len) * 8 {
            image.flip(bit);
            let copies = image.copies();
            assert!(copies[damaged].is_err(), "bit {bit} was not noticed");
            refuse_overwritten(image.head(), &copies).expect("it is our label");
            let found = find(copies).expect("the other copy is whole");
            assert_eq!((&found.label, found.copy), (label, 1 - damaged));
            let healing = found.healing.expect("one copy is damaged");
            assert!(healing.message.contains(&format!("copy {damaged} of")));
            // Writing 512 KiB for each of them would take long.
            if tried % 64 == 0 {
                assert_eq!(image.healed().as_ref(), Some(label));
                image.flip(bit);
                assert!(image.copies()[damaged].is_err(), "bit {bit} was not healed");
            }
            image.flip(bit);
            tried += 1;
        }
    }
    assert!(find(image.copies()).is_some_and(|found| found.healing.is_none()));
}

#[test]
fn every_bit_of_a_copy_and_of_its_sections_outside_is_healed() {
    for outside in [false, true] {
        let label = small(outside);
        let copy_bytes = label.encode().into_copy().len() as u64;
        assert_eq!(copy_bytes, 4096);
        for damaged in [0, 1] {
            let mut ranges = vec![(damaged as u64 * (512 << 10), copy_bytes)];
            ranges.push(([8 * MIB, 12 * MIB][damaged], 140));
            if let Place::Outside(rooms) = label.table_place() {
                ranges.push((rooms.replica_offset(damaged), 2 * (32 + 8 + 24)));
            }
            each_bit(&label, damaged, &ranges);
        }
    }
}

#[test]
fn damage_to_both_copies_is_not_guessed_at() {
    let label = small(true);
    let mut image = Image::with(&label);
    // In copy 0's replica of the table, and in the header of copy 1.
    image.flip(4 * MIB * 8);
    image.flip((512 << 10) * 8 + 1000);
    let copies = image.copies();
    assert!(copies.iter().all(Result::is_err) && find(copies).is_none());
}

#[test]
fn a_file_system_that_was_made_over_copy_0_is_not_healed_away() {
    let label = small(false);
    for magic_survives in [true, false] {
        let mut image = Image::with(&label);
        if !magic_survives {
            image.at(0, 1024).fill(0);
        }
        image.at(1024 + 0x38, 2).copy_from_slice(&[0x53, 0xEF]);
        let copies = image.copies();
        let refused = refuse_overwritten(image.head(), &copies).expect_err("ext2");
        let words = refused.to_string();
        assert!(
            words.contains("an ext2 file system was written over"),
            "{words}"
        );
    }
    // Erased, it is healed.
    let mut image = Image::with(&label);
    image.at(0, 512 << 10).fill(0);
    refuse_overwritten(image.head(), &image.copies()).expect("nothing is there");
    assert_eq!(image.healed(), Some(label));
}
