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
