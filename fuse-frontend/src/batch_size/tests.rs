//! Unit tests of `batch_size`.

use super::*;

/// How many turns it takes to read `waiting` requests, and how many reads find an empty device.
fn read_all(batch_size: &mut ReadBatchSize, mut waiting: usize) -> (u32, u32) {
    let (mut turns, mut empty) = (0, 0);
    while waiting > 0 {
        turns += 1;
        let wanted = batch_size.requests();
        if wanted <= waiting {
            waiting -= wanted;
            batch_size.was_full();
        } else {
            empty += 1;
            batch_size.ended_after(waiting);
            waiting = 0;
        }
    }
    (turns, empty)
}

#[test]
fn single_requests_cost_few_empty_reads_and_many_cost_few_turns() {
    let mut batch_size = ReadBatchSize::default();
    for _ in 0..100 {
        read_all(&mut batch_size, 1);
    }
    let empty: u32 = (0..1000).map(|_| read_all(&mut batch_size, 1).1).sum();
    assert!((1..=1000 / 16).contains(&empty), "{empty}");
    read_all(&mut batch_size, 100);
    for _ in 0..100 {
        let (turns, _) = read_all(&mut batch_size, 32);
        assert!(turns <= 2, "{turns}");
    }
    (0..20).for_each(|_| batch_size.was_full());
    assert_eq!(batch_size.requests(), REQUESTS_MAX);
}
