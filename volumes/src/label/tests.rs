//! Unit tests of `label`.

use super::*;

#[test]
fn the_space_of_a_label_grows_by_two_rooms_when_its_table_lies_outside() {
    let space = |count: usize| {
        let names: Vec<String> = (0..count).map(|at| format!("{at:0128}")).collect();
        space_bytes(names.iter().map(String::as_str)) >> 20
    };
    assert_eq!(space(0), 1);
    assert_eq!(space(2848), 1);
    // Each room has two halves of 1 MiB; then of 2 MiB.
    assert_eq!(space(2849), 1 + 2 * 2);
    assert_eq!(space(MAX_VDISKS), 1 + 2 * 4);
}

#[test]
fn the_other_half_of_a_room_is_used_next() {
    let rooms = Rooms::new([8 << 20, 16 << 20], 4 << 20);
    assert_eq!([0, 1].map(|copy| rooms.replica_offset(copy) >> 20), [8, 16]);
    let turned = rooms.turned();
    assert_eq!(
        [0, 1].map(|copy| turned.replica_offset(copy) >> 20),
        [10, 18]
    );
    assert!(turned.are_where(&rooms) && turned.turned() == rooms);
    assert!(rooms.hold(2 << 20) && !rooms.hold((2 << 20) + 1));
    assert_eq!(rooms.ranges(), [(8 << 20, 12 << 20), (16 << 20, 20 << 20)]);
}

/// The newest whole copy counts, wherever it lies, also where only a part of the disk's first
/// megabyte is at hand.
#[test]
fn the_recorded_size_is_that_of_the_newest_whole_copy() {
    let copy = |size_bytes: u64, generation| {
        let label = samples::label(
            size_bytes,
            size_bytes,
            Vec::new(),
            Place::Inside,
            Vec::new(),
        );
        samples::version1(&label, generation)
    };
    let head = |copies: [Option<Vec<u8>>; 2]| {
        let mut head = vec![0; 1 << 20];
        for (offset, copy) in COPY_OFFSETS
            .iter()
            .zip(copies)
            .filter_map(|(at, copy)| Some((*at as usize, copy?)))
        {
            head[offset..offset + copy.len()].copy_from_slice(&copy);
        }
        head
    };
    let (small, large) = (64 << 20, 128 << 20);
    let both = |first, second| head([Some(copy(small, first)), Some(copy(large, second))]);
    assert_eq!(recorded_size_bytes(&both(7, 8)), Some(large));
    assert_eq!(recorded_size_bytes(&both(8, 7)), Some(small));
    let mut torn = both(7, 8);
    torn[COPY_OFFSETS[1] as usize + 40] ^= 1;
    assert_eq!(recorded_size_bytes(&torn), Some(small));
    let first_only = &both(7, 8)[..COPY_OFFSETS[1] as usize];
    assert_eq!(recorded_size_bytes(first_only), Some(small));
    assert_eq!(
        recorded_size_bytes(&head([None, Some(copy(large, 1))])),
        Some(large)
    );
    assert_eq!(recorded_size_bytes(&[0; 1 << 20]), None);
    assert_eq!(recorded_size_bytes(&[]), None);
}

/// Only what a first formatting that crashed leaves may be written over without asking.
#[test]
fn only_the_first_generation_is_a_remnant_of_formatting() {
    let block = |generation: u64| {
        let mut block = MAGIC.to_vec();
        block.resize(24, 0xFF);
        block.extend(generation.to_le_bytes());
        block
    };
    assert!(is_first_generation_remnant(&block(1)));
    assert!(!is_first_generation_remnant(&block(2)));
    assert!(!is_first_generation_remnant(&block(1)[..31]));
    let mut other = block(1);
    other[0] ^= 1;
    assert!(!is_first_generation_remnant(&other));
    assert!(!is_first_generation_remnant(&[]));
}
