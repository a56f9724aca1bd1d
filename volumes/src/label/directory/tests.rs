//! Unit tests of `directory`: one false number at a time, each with the checksum that a program
//! which wrote it would have given it.

use super::*;

const MIB: u64 = 1 << 20;

fn inside(kind: u32) -> Entry {
    Entry::describe(kind, true, Place::Inside, &[7; 20])
}

fn outside(kind: u32, offsets: [u64; 2], room_bytes: u64) -> Entry {
    let rooms = Rooms::new(offsets, room_bytes);
    Entry::describe(kind, false, Place::Outside(rooms), &[7; 20])
}

fn encoded(entries: &[Entry]) -> Vec<u8> {
    let mut entries = entries.to_vec();
    arrange(&mut entries, 0);
    let mut bytes = Vec::new();
    entries.iter().for_each(|entry| entry.encode(&mut bytes));
    bytes
}

fn is_taken(entries: &[Entry]) -> bool {
    decode(&encoded(entries), 0).is_some()
}

/// The entry of a section outside with the number at `at` replaced.
fn changed(at: usize, number: u64) -> Vec<u8> {
    let mut bytes = encoded(&[outside(1, [MIB, 5 * MIB], 4 * MIB)]);
    bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
    bytes
}

#[test]
fn an_entry_with_one_false_number_is_refused() {
    let is_taken = |bytes: &[u8]| decode(bytes, 0).is_some();
    assert!(is_taken(&encoded(&[inside(1)])));
    assert!(is_taken(&changed(8, 20)), "as it was");
    // A longer section than there may be; one that fills its half, and one that does not fit.
    assert!(!is_taken(&changed(8, MAX_SECTION_BYTES + 1)));
    assert!(is_taken(&changed(8, 2 * MIB)));
    assert!(!is_taken(&changed(8, 2 * MIB + 1)));
    let longest = [MIB, MIB + 2 * MAX_SECTION_BYTES];
    let mut bytes = encoded(&[outside(1, longest, 2 * MAX_SECTION_BYTES)]);
    bytes[8..16].copy_from_slice(&MAX_SECTION_BYTES.to_le_bytes());
    assert!(is_taken(&bytes), "the longest there may be");
    let mut bytes = encoded(&[inside(1)]);
    bytes[8..16].copy_from_slice(&(MAX_SECTION_BYTES + 1).to_le_bytes());
    assert!(!is_taken(&bytes));
    let mut nothing = changed(40, 0);
    nothing[8..16].fill(0);
    assert!(!is_taken(&nothing), "no room for nothing");
    // Rooms far beyond any disk, of a size that no two halves have, and none at all.
    assert!(!is_taken(&changed(32, 1 << 62)));
    assert!(is_taken(&changed(32, (1 << 62) - MIB)));
    assert!(!is_taken(&changed(40, 3 * MIB)));
    assert!(!is_taken(&changed(40, 2 * MAX_SECTION_BYTES + 2 * MIB)));
    assert!(!is_taken(&changed(40, 0)));
    // What is reserved.
    for at in [20, 23, 48, 63] {
        let mut bytes = encoded(&[inside(1)]);
        bytes[at] = 1;
        assert!(!is_taken(&bytes), "reserved byte {at}");
    }
    // Flags: an unknown one, and the second half of a section that has none.
    for flags in [8, SECOND_HALF] {
        let mut bytes = encoded(&[inside(1)]);
        bytes[4] |= flags as u8;
        assert!(!is_taken(&bytes), "flags {flags}");
    }
    // A section inside has neither a second room nor a size of rooms.
    for at in [32, 40] {
        let mut bytes = encoded(&[inside(1)]);
        bytes[at] = 1;
        assert!(!is_taken(&bytes), "number at {at}");
    }
}

#[test]
fn kinds_ascend_and_sections_inside_lie_where_they_are_put() {
    assert!(is_taken(&[inside(1), inside(2)]));
    assert!(!is_taken(&[inside(1), inside(1)]));
    assert!(!is_taken(&[inside(2), inside(1)]));
    let mut shifted = encoded(&[inside(1), inside(2)]);
    shifted[ENTRY_BYTES + 24] += 8;
    assert!(decode(&shifted, 0).is_none());
}

#[test]
fn rooms_lie_apart_and_behind_the_first_mebibyte() {
    let one = outside(1, [MIB, 5 * MIB], 4 * MIB);
    assert!(is_taken(&[one, outside(2, [9 * MIB, 13 * MIB], 4 * MIB)]));
    assert!(!is_taken(&[one, outside(2, [8 * MIB, 13 * MIB], 4 * MIB)]));
    assert!(!is_taken(&[outside(1, [MIB, 4 * MIB], 4 * MIB)]));
    assert!(!is_taken(&[outside(1, [0, 5 * MIB], 4 * MIB)]));
    assert!(!is_taken(&[outside(1, [MIB + 4096, 6 * MIB], 4 * MIB)]));
}

#[test]
fn rooms_are_the_same_only_with_both_places_and_their_size() {
    let rooms = Rooms::new([MIB, 5 * MIB], 4 * MIB);
    assert!(rooms.are_where(&rooms.turned()));
    assert!(!rooms.are_where(&Rooms::new([MIB, 9 * MIB], 4 * MIB)));
    assert!(!rooms.are_where(&Rooms::new([MIB, 5 * MIB], 2 * MIB)));
}
