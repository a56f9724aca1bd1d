//! A message that repeats for ever is written once a second, with the number suppressed.

use super::*;

#[test]
fn after_the_burst_one_message_a_second_is_allowed_with_the_number_suppressed() {
    let mut throttle = LogThrottle::default();
    let start = Nanos::from_secs(7);
    let first = (0..1000).filter_map(|_| throttle.allow(start));
    assert_eq!(first.collect::<Vec<_>>(), [0; DEFAULT_BURST as usize]);
    let steps = (0..3000).map(|step| start + Nanos::from_millis(step));
    let later: Vec<u64> = steps.filter_map(|now| throttle.allow(now)).collect();
    assert_eq!(later, [968 + 1000, 999]);
}

#[test]
fn after_a_quiet_minute_a_burst_is_allowed_again() {
    let mut throttle = LogThrottle::with_burst(3);
    let mut written = |at_secs| {
        let now = Nanos::from_secs(at_secs);
        (0..9).filter_map(|_| throttle.allow(now)).count()
    };
    assert_eq!(written(5), 3);
    assert_eq!(written(65), 1, "59 s without one");
    assert_eq!(written(126), 3);
    assert_eq!(written(127), 1);
}

#[test]
fn what_was_suppressed_is_due_when_a_message_is_allowed_again() {
    let mut throttle = LogThrottle::with_burst(1);
    let start = Nanos::from_secs(7);
    assert_eq!((throttle.allow(start), throttle.due()), (Some(0), None));
    assert_eq!(throttle.allow(start + Nanos::from_millis(3)), None);
    let due = start + INTERVAL;
    assert_eq!(throttle.due(), Some(due));
    assert_eq!((throttle.allow(due), throttle.due()), (Some(1), None));
}
