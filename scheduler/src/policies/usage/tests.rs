//! Unit tests of `usage`.

use super::*;

const SLOT: Nanos = Nanos::from_millis(50);

#[test]
fn usage_fades_by_a_tenth_per_slot_and_is_gone_after_twenty() {
    let mut usage = Usage::default();
    usage.add(Nanos::from_millis(10), SLOT, 1_000);
    let mut at = |ms| usage.at(Nanos::from_millis(ms), SLOT);
    assert_eq!(at(49), 1_000_000_000);
    assert_eq!(at(50), 900_000_000);
    assert_eq!(at(100), 810_000_000);
    assert_eq!(at(950), WEIGHTS_PPM[19] as u128 * 1_000);
    assert_eq!(at(1_000), 0);
}

#[test]
fn a_long_pause_forgets_everything() {
    let mut usage = Usage::default();
    usage.add(Nanos::from_millis(10), SLOT, 7);
    assert_eq!(usage.at(Nanos::from_secs(3600), SLOT), 0);
    usage.add(Nanos::from_secs(3600), SLOT, 7);
    assert_eq!(usage.at(Nanos::from_secs(3600), SLOT), 7_000_000);
}
