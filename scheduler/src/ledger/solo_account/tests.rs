//! Unit tests of `solo_account`.

use super::*;

fn us(micros: u64) -> Nanos {
    Nanos::from_micros(micros)
}

fn finished(solo: Nanos, was_alone: bool) -> Finished {
    Finished {
        solo,
        debit: solo,
        is_read: true,
        is_write: false,
        was_alone,
    }
}

/// An account with one request of 71 us in the disk since 0.
fn account() -> SoloAccount {
    let mut account = SoloAccount::default();
    account.becomes_busy(Nanos::ZERO);
    let solo = account.admit(us(3), us(71));
    account.debit(Nanos::ZERO, solo, true, false);
    account
}

#[test]
fn alone_it_is_charged_the_time_that_passed() {
    assert_eq!(account().charge(us(90), finished(us(71), true)), us(90));
    assert_eq!(account().charge(us(50), finished(us(71), true)), us(50));
}

#[test]
fn a_write_alone_is_charged_its_price_at_least() {
    let write = Finished {
        is_read: false,
        is_write: true,
        ..finished(us(71), true)
    };
    assert_eq!(account().charge(us(15), write), us(71));
    assert_eq!(account().charge(us(90), write), us(90));
}

#[test]
fn beside_others_it_is_charged_its_price_but_no_more_than_passed() {
    assert_eq!(account().charge(us(500), finished(us(71), false)), us(71));
    assert_eq!(account().charge(us(60), finished(us(71), false)), us(60));
}

#[test]
fn waiting_in_the_queue_is_not_charged_as_time_alone() {
    let mut account = SoloAccount::default();
    account.becomes_busy(Nanos::ZERO);
    let solo = account.admit(us(3), us(71));
    account.debit(us(400), solo, true, false);
    assert_eq!(account.charge(us(471), finished(us(71), true)), us(71));
}

#[test]
fn wrong_prices_are_corrected_from_the_time_alone() {
    let mut account = SoloAccount::default();
    let mut now = Nanos::ZERO;
    for _ in 0..100 {
        account.becomes_busy(now);
        let solo = account.admit(us(3), us(71));
        account.debit(now, solo, true, false);
        now += Nanos(us(71).0 * 4 / 5);
        account.charge(now, finished(solo, true));
        account.becomes_empty(now);
    }
    assert_eq!(account.correction_ppm(), 800_000);
    assert_eq!(account.debit(now, us(100), true, false), us(80));
    assert_eq!(
        account.debit(now, us(100), true, true),
        us(100),
        "of reads only"
    );
}

#[test]
fn one_that_was_let_go_in_its_gap_is_told_when_it_returns() {
    let mut account = account();
    account.charge(us(71), finished(us(71), true));
    account.becomes_empty(us(71));
    account.let_go(us(171));
    assert!(account.becomes_busy(us(180)));
    account.becomes_empty(us(200));
    assert!(!account.becomes_busy(us(210)), "once");
}

#[test]
fn gaps_are_taken_once() {
    let mut account = account();
    account.charge(us(71), finished(us(71), true));
    account.becomes_empty(us(71));
    assert_eq!(account.take_gap(us(75)), us(4));
    assert_eq!(account.take_gap(us(75)), Nanos::ZERO);
    account.close_gap();
    assert_eq!(account.take_gap(us(95)), Nanos::ZERO);
    account.open_gap(us(100));
    assert_eq!(account.take_gap(us(101)), us(1));
}
