//! The times between two tries, and what people read of them.

use super::FoldRetry;
use disktime_engine::IoError;

#[test]
fn the_time_between_two_tries_doubles_up_to_a_minute() {
    let mut retry = None;
    let mut waits = Vec::new();
    for _ in 0..40 {
        let mut next = FoldRetry::after(retry, Some(IoError::Io));
        let mut ticks = 1;
        while !next.tick() {
            ticks += 1;
        }
        waits.push(ticks);
        retry = Some(next);
    }
    assert_eq!(waits[..7], [1, 2, 4, 8, 16, 32, 60]);
    assert!(waits[7..].iter().all(|ticks| *ticks == 60));
}

#[test]
fn the_problem_names_the_cause() {
    let once = FoldRetry::after(None, Some(IoError::NoSpace));
    assert!(once.problem().contains("no space on the disk, once"));
    let twice = FoldRetry::after(Some(once), None);
    assert!(twice.problem().contains("damaged, 2 times"));
    assert!(twice.problem().contains("in 2 s"));
}
