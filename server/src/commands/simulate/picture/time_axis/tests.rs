//! Unit tests of `time_axis`.

use super::*;

#[test]
fn ticks_are_round_and_reach_the_end() {
    assert_eq!(round_ticks(60.0), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
    assert_eq!(round_ticks(1.0).len(), 11);
    let axis = TimeAxis::new(Nanos::from_secs(7200), 100.0, 300.0);
    assert_eq!((axis.unit, axis.x(Nanos::from_secs(3600))), ("min", 200.0));
}
