//! Unit tests of `mixes`.

use super::*;
use crate::Scheduling;
use crate::setup::DriveSetup;

#[test]
fn shares_leave_room_for_the_switching_account_and_no_more() {
    let facts = DiskFacts::of(&DriveSetup::papers()).expect("the papers' drive");
    let second = Nanos::from_secs(1);
    for mix in MIXES {
        for scheduling in [Scheduling::SERVED, Scheduling::ACCOUNT] {
            let switching = scheduling.switching();
            let taken = facts.switching_share(switching, &mix.periods(second));
            let sum: f64 = mix.shares(&facts, second, switching).iter().sum();
            let all = sum + taken;
            assert!(
                all <= 1.0 && all > 0.9999,
                "{}: {sum} + {taken}",
                mix.name()
            );
            assert_eq!(taken > 0.0, scheduling == Scheduling::ACCOUNT);
        }
    }
}
