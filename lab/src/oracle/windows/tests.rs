//! Unit tests of `windows`.

use super::*;

#[test]
fn shortfalls_are_counted_at_whole_periods() {
    let mut windows = Windows::new(500_000, Nanos(100));
    windows.begin(Nanos(1_000));
    // 30 of 50 in the first period, 20 late; then 60, so 10 ahead; then nothing in the third.
    windows.receive(Nanos(1_000), Nanos(1_030), Nanos(30));
    windows.receive(Nanos(1_100), Nanos(1_180), Nanos(80));
    windows.end(Nanos(1_300));
    let worst = windows.worst();
    assert_eq!(worst.periods, 3);
    assert_eq!(worst.from_start, 40 * MILLION);
    assert_eq!(worst.inside, 50 * MILLION);
}

#[test]
fn a_service_across_an_end_counts_up_to_it() {
    let mut windows = Windows::new(500_000, Nanos(100));
    windows.begin(Nanos(0));
    windows.receive(Nanos(80), Nanos(130), Nanos(50));
    windows.end(Nanos(130));
    assert_eq!(windows.worst().from_start, 30 * MILLION);
}
