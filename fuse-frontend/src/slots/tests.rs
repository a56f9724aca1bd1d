//! Unit tests of `slots`.

use super::*;

fn slot(unique: u64, buffer_bytes: u32) -> Slot {
    let len_bytes = 512;
    Slot {
        ticket: Ticket::Unique(unique),
        len_bytes,
        buffer_bytes,
        range: (0, 0),
        sought: Sought::Data,
    }
}

#[test]
fn there_is_room_for_a_number_and_for_a_number_of_bytes() {
    let mut slots = Slots::default();
    let handles: Vec<u64> = (0..REQUESTS_MAX as u64)
        .map(|unique| {
            assert!(slots.have_room());
            slots.insert(slot(unique, 4096))
        })
        .collect();
    assert!(!slots.have_room());
    for (unique, handle) in handles.into_iter().enumerate() {
        assert_eq!(slots.remove(handle), slot(unique as u64, 4096));
    }
    assert_eq!(slots.count(), 0);
    let large: Vec<u64> = (0..256)
        .map(|unique| slots.insert(slot(unique, 1 << 20)))
        .collect();
    assert!(!slots.have_room());
    slots.remove(large[77]);
    assert!(slots.have_room());
}
