//! Unit tests of `last_change`.

use super::*;

#[test]
fn every_change_moves_the_time_on_whatever_the_clock_does() {
    let last = LastChange::at(100);
    let seen = last.clone();
    let after = |clock| {
        last.changed(clock);
        seen.since_1970_ns()
    };
    assert_eq!(
        [250, 250, 90, 251, 400].map(after),
        [250, 251, 252, 253, 400]
    );
}
