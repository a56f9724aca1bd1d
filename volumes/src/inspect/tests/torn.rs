//! Writes of an update that are torn at any sector leave the old table or the new one.

use super::image::{DISK_BYTES, Image, MIB, crowded, small, vdisk};
use super::{find, is_unfinished_format};
use crate::label::{Draft, Label, Place, Step, Update, Uuid, samples};
use crate::space::{VdiskSpec, reconcile, without};

const SECTOR_BYTES: usize = 512;
/// Longer writes are torn at every 4 KiB only.
const LONG_BYTES: usize = 64 << 10;

/// Runs an update, and shows `check` the image with each write torn at each boundary, from the
/// front and from the back. The number is that of the steps that are done.
fn at_each_tear(image: &mut Image, update: Update, mut check: impl FnMut(&mut Image, usize)) {
    for (number, step) in update.enumerate() {
        let Step::Write {
            offset_bytes,
            bytes,
        } = step
        else {
            continue;
        };
        let before = image.at(offset_bytes, bytes.len()).to_vec();
        let step = if bytes.len() > LONG_BYTES {
            8 * SECTOR_BYTES
        } else {
            SECTOR_BYTES
        };
        for cut in (0..=bytes.len()).step_by(step) {
            for front_first in [true, false] {
                let torn = image.at(offset_bytes, bytes.len());
                torn.copy_from_slice(&before);
                let written = if front_first {
                    0..cut
                } else {
                    cut..bytes.len()
                };
                torn[written.clone()].copy_from_slice(&bytes[written]);
                check(image, number);
            }
        }
        image.at(offset_bytes, bytes.len()).copy_from_slice(&bytes);
    }
}

/// Whatever is torn, the label is the old or the new one; the new one from the moment that its
/// first copy is durable.
fn tear(image: &mut Image, old: &Label, new: &Label, first: usize) {
    let update = Update::change(new, first).expect("it fits");
    let steps: Vec<Step> = update.clone().collect();
    let last_write = steps.len() - 2;
    assert!(steps.len() >= 5 && steps[0] == Step::Flush && steps[last_write + 1] == Step::Flush);
    let mut seen = [0, 0];
    at_each_tear(image, update, |image, number| {
        let found = find(image.copies()).expect("a label is there");
        let is_new = found.label == *new;
        assert!(
            is_new || found.label == *old,
            "neither the old nor the new label"
        );
        assert!(is_new || number < last_write, "the new label was lost");
        seen[usize::from(is_new)] += 1;
    });
    assert!(seen[0] > 0 && seen[1] > 0);
    assert_eq!(image.healed().as_ref(), Some(new));
    // A copy that is being healed may be torn as well.
    at_each_tear(image, Update::heal(new, 1 - first), |image, _| {
        let found = find(image.copies()).expect("a label is there");
        assert_eq!(found.label, *new);
    });
}

fn spec(name: &str, mebibytes: u64) -> VdiskSpec {
    VdiskSpec {
        name: name.to_owned(),
        size_bytes: mebibytes * MIB,
        maps_holes: false,
        history_bytes: None,
        history_off: false,
        log_disk: None,
    }
}

fn planned(label: &Label, specs: &[VdiskSpec]) -> Label {
    let plan = reconcile(label, specs).expect("it fits");
    plan.label().clone().following(label)
}

fn removed(label: &Label, name: &str) -> Label {
    without(label, name).expect("it is there").following(label)
}

#[test]
fn an_update_can_be_torn_anywhere() {
    for outside in [false, true] {
        let label = small(outside);
        let created = planned(&label, &[spec(&"n".repeat(128), 1)]);
        tear(&mut Image::with(&label), &label, &created, 0);
        tear(&mut Image::with(&label), &label, &removed(&label, "a"), 0);
    }
}

#[test]
fn a_table_that_moves_outside_and_back_can_be_torn_anywhere() {
    let empty = crowded();
    let one = planned(&empty, &[spec("one", 1)]);
    let Place::Outside(rooms) = one.table_place() else {
        panic!("the table should lie outside");
    };
    let two = planned(&one, &[spec("two", 2)]);
    let Place::Outside(turned) = two.table_place() else {
        panic!("the table should lie outside");
    };
    assert_eq!(
        rooms.ranges(),
        turned.ranges(),
        "the rooms are large enough"
    );
    assert_ne!(rooms.replica_offset(0), turned.replica_offset(0));
    let back = removed(&two, "two");
    let none = removed(&back, "one");
    assert_eq!(none.table_place(), Place::Inside);
    let mut image = Image::with(&empty);
    for (old, new) in [(&empty, &one), (&one, &two), (&two, &back), (&back, &none)] {
        tear(&mut image, old, new, 0);
    }
}

#[test]
fn an_upgrade_can_be_torn_anywhere() {
    for counted in [0, 1] {
        let label = |vdisks| samples::label(DISK_BYTES, 3 * MIB, vdisks, Place::Inside, Vec::new());
        let newer = samples::version1(&label(vec![vdisk("a", 1), vdisk("b", 2)]), 5);
        let older = samples::version1(&label(vec![vdisk("a", 1)]), 4);
        let copies = if counted == 0 {
            [&newer[..], &older[..]]
        } else {
            [&older[..], &newer[..]]
        };
        let old = Draft::decode(&newer).and_then(Draft::finish).expect("v1");
        let new = planned(&old, &[spec("c", 1)]);
        assert_eq!((old.version(), new.version()), (1, 2));
        let mut image = Image::with_copies(copies);
        let found = find(image.copies()).expect("a label is there");
        assert!(found.healing.is_none(), "version 1 was not left alone");
        tear(&mut image, &old, &new, 1 - counted);
    }
}

#[test]
fn a_format_can_be_torn_anywhere() {
    let empty = Label::empty(Uuid::from_bytes([2; 16]), DISK_BYTES, true);
    let label = empty.clone().following(&empty);
    let update = Update::format(&label, 1).expect("it fits");
    let mut image = Image::blank();
    at_each_tear(&mut image, update.clone(), |image, _| {
        match find(image.copies()) {
            Some(found) => assert_eq!(found.label, label),
            None => assert!(
                image.head().iter().all(|byte| *byte == 0)
                    || is_unfinished_format(image.head(), &[0; 512])
            ),
        }
    });
    assert_eq!(image.healed().as_ref(), Some(&label));
    // Over another label, it is that one or the new one.
    let old = small(true);
    let label = Label::empty(Uuid::from_bytes([3; 16]), DISK_BYTES, false).following(&old);
    let mut image = Image::with(&old);
    at_each_tear(
        &mut image,
        Update::format(&label, 1).expect("it fits"),
        |image, _| {
            let found = find(image.copies()).expect("a label is there");
            assert!(found.label == label || found.label == old);
        },
    );
    assert_eq!(image.healed().as_ref(), Some(&label));
}
