//! Unit tests of `sparingly`.

use super::*;

#[test]
fn what_happens_for_ever_is_said_once_a_second_with_its_number() {
    let mut sparingly = Sparingly::default();
    let start = Nanos::from_secs(7);
    let first = (0..1000).filter_map(|_| sparingly.say(start));
    assert_eq!(first.collect::<Vec<_>>(), [0; SENTENCES as usize]);
    let steps = (0..3000).map(|step| start + Nanos::from_millis(step));
    let later: Vec<u64> = steps.filter_map(|now| sparingly.say(now)).collect();
    assert_eq!(later, [968 + 1000, 999]);
}
