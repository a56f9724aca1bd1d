//! Unit tests of `in_flight`.

use super::*;

fn request(unique: u64, buffer_bytes: u32) -> InFlightRequest {
    InFlightRequest {
        reply_to: ReplyTo::Device(unique),
        len_bytes: 512,
        buffer_bytes,
        range: (0, 0),
        target: SeekTarget::Data,
        opened: OpenedFile::default(),
    }
}

#[test]
fn the_number_of_requests_and_of_bytes_is_bounded() {
    let mut in_flight = InFlightTable::default();
    let handles: Vec<u64> = (0..REQUESTS_MAX as u64)
        .map(|unique| {
            assert!(in_flight.has_room());
            in_flight.insert(request(unique, 4096))
        })
        .collect();
    assert!(!in_flight.has_room());
    for (unique, handle) in handles.into_iter().enumerate() {
        assert_eq!(in_flight.remove(handle), request(unique as u64, 4096));
    }
    assert_eq!(in_flight.count(), 0);
    let large: Vec<u64> = (0..256)
        .map(|unique| in_flight.insert(request(unique, 1 << 20)))
        .collect();
    assert!(!in_flight.has_room());
    in_flight.remove(large[77]);
    assert!(in_flight.has_room());
}
