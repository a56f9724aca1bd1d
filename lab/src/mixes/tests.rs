//! Unit tests of `mixes`.

use super::*;
use crate::setup::DriveSetup;

#[test]
fn shares_leave_room_for_the_switching_account_and_no_more() {
    let facts = DiskFacts::of(&DriveSetup::papers()).expect("the papers' drive");
    let second = Nanos::from_secs(1);
    for mix in MIXES {
        let sum: f64 = mix
            .shares(&facts, second, SwitchingAccount::Served)
            .iter()
            .sum();
        assert!(sum <= 1.0 && sum > 0.9999, "{}: {sum}", mix.name());
        let taken = facts.switching_share(FACTOR_PERCENT, &mix.periods(second));
        let left: f64 = mix.shares(&facts, second, ACCOUNT).iter().sum();
        assert!((left + taken - 1.0).abs() < 1e-4 && left + taken <= 1.0);
    }
}
