//! A part of the soak in every run of the tests: some hundred sets of streams against the
//! adversary. The command `soak` runs as many as one likes.

use disktime_benches::soak::{self, Account, Totals};

fn all_hold(account: Account, seeds: std::ops::Range<u64>, requests: u64) {
    let mut totals = Totals::default();
    for seed in seeds {
        let outcome = soak::run(seed, Some(account), requests);
        assert!(
            outcome.violations.is_empty(),
            "seed {seed}, {requests} requests: {:#?}",
            outcome.violations
        );
        totals.add(&outcome);
    }
    println!("{account:?}:\n{totals}");
    // The bounds are tight, and the sets are to get near them; else they do not test much.
    assert!(totals.periods > 10_000 && totals.unspent.ratio > 0.5);
}

#[test]
fn the_promise_holds_under_the_adversary_when_the_served_pays() {
    all_hold(Account::Served, 0..2_000, 5_000);
}

#[test]
fn the_promise_holds_under_the_adversary_with_the_switching_account() {
    all_hold(Account::Reserved, 0..2_000, 5_000);
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    for seed in 0..20 {
        let (one, other) = (soak::run(seed, None, 2_000), soak::run(seed, None, 2_000));
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }
}

/// A reservation that began while a stream in grace had put aside what it was owed; a budget that
/// fell below W in a shortage; a return seek that no stream could pay; clients that get their
/// answers late; a service that was in flight at a change.
#[test]
fn sets_that_broke_something_once_hold() {
    for seed in [27_920, 25_974, 8_256, 14_014, 13_342] {
        let outcome = soak::run(seed, None, 25_000);
        assert!(
            outcome.violations.is_empty(),
            "seed {seed}: {:#?}",
            outcome.violations
        );
    }
}
