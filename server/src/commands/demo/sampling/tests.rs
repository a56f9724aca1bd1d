//! Unit tests of `sampling`.

use super::*;

#[test]
fn readings_are_in_phase_with_the_periods() {
    let origin = Nanos(7);
    assert_eq!(next_reading(Nanos(7), origin), origin + EVERY);
    let late = origin + Nanos(EVERY.0 + 1_000);
    assert_eq!(next_reading(late, origin), origin + Nanos(2 * EVERY.0));
    let early = origin + Nanos(2 * EVERY.0 - 1_000);
    assert_eq!(next_reading(early, origin), origin + Nanos(3 * EVERY.0));
    assert_eq!(PERIOD.0 % EVERY.0, 0);
}
