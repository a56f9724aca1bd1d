//! Lending, taking back, debts, and streams that leave.

use super::super::clock::WHOLE_RATE;
use super::*;

const MS: i128 = 1_000_000 * WHOLE_RATE;

fn id(slot: u32) -> StreamId {
    StreamId::for_test(slot)
}

/// A period of 10 ms that ends at that device time, with vrate 1.
fn period(number: u64, vnow: i128) -> Period {
    let now = Nanos(u64::try_from(vnow / WHOLE_RATE).expect("a time"));
    Period {
        number,
        now,
        began: now - Nanos::from_millis(10),
        length: 10 * MS,
        rate: WHOLE_RATE,
        min: MS,
        low: 2 * MS,
        target: 5 * MS,
    }
}

/// Two streams with weights of 3 and 1 that begin 5 ms behind 100 ms.
fn three_to_one() -> Shares {
    let mut shares = Shares::default();
    for (slot, weight) in [(0, 750_000), (1, 250_000)] {
        let account = shares.activate(id(slot), weight * FINER);
        account.begins(95 * MS, Nanos::from_millis(90), 0);
    }
    shares
}

#[test]
fn a_request_takes_of_its_streams_time_what_it_costs_divided_by_its_share() {
    let mut shares = three_to_one();
    let cost = Nanos::from_millis(3);
    let due = |shares: &mut Shares, slot| shares.due(id(slot), cost, 100 * MS, 2 * MS);
    assert_eq!(due(&mut shares, 0), 99 * MS, "3 ms of three quarters are 4");
    assert_eq!(due(&mut shares, 1), 107 * MS, "3 ms of a quarter are 12");
    shares.pay(id(0), cost, Nanos::ZERO, 100 * MS, 0);
    assert_eq!(due(&mut shares, 0), 103 * MS);
}

#[test]
fn what_one_does_not_use_is_lent_to_one_that_waits_and_taken_back_when_needed() {
    let mut shares = three_to_one();
    // The first used 1 ms of the 10 and has 8 ms saved; the second waits.
    shares.account(id(0)).vtime = 92 * MS;
    shares.account(id(0)).used = absolute(Nanos::from_millis(1));
    let result = shares.divide(&period(0, 100 * MS), 100 * MS, |one| one == id(1));
    assert!(result.short);
    // 3 ms beyond the target, of three quarters of the device.
    assert_eq!(result.given_up, 3 * MS * 3 / 4);
    // To end the next period with 5 ms saved, having 5 now, it needs 10 % of all.
    let part =
        |shares: &mut Shares, slot| shares.account(id(slot)).inuse as f64 / shares.inuse_sum as f64;
    assert!((part(&mut shares, 0) - 0.1).abs() < 0.001);
    assert!((part(&mut shares, 1) - 0.9).abs() < 0.001);
    // 2 ms would take 20 of its time: it takes back half of its weight, and has to wait no longer.
    let due = shares.due(id(0), Nanos::from_millis(2), 100 * MS, 2 * MS);
    assert!(due <= 100 * MS, "{}", due - 100 * MS);
    assert!(part(&mut shares, 0) > 0.39);
}

#[test]
fn nobody_lends_while_nobody_is_short() {
    let mut shares = three_to_one();
    for slot in [0, 1] {
        shares.account(id(slot)).vtime = 90 * MS;
    }
    let result = shares.divide(&period(0, 100 * MS), 100 * MS, |_| false);
    assert!(!result.short);
    for slot in [0, 1] {
        let account = shares.account(id(slot));
        assert_eq!(account.inuse, account.active);
        assert_eq!(account.vtime, 95 * MS, "what was saved beyond 5 ms is gone");
    }
}

#[test]
fn what_is_merged_beyond_the_budget_is_a_debt_that_is_paid_first() {
    let mut shares = three_to_one();
    let (first, merged) = (Nanos::from_millis(3), Nanos::from_millis(6));
    shares.pay(id(0), first, merged, 100 * MS, 0);
    assert_eq!(shares.account(id(0)).vtime, 99 * MS);
    assert_eq!(shares.account(id(0)).debt, absolute(merged));
    // 1 ms of saved time pays three quarters of a millisecond.
    let due = shares.due(id(0), first, 100 * MS, 2 * MS);
    assert!(due > 100 * MS);
    assert_eq!(
        shares.account(id(0)).debt,
        absolute(Nanos::from_micros(5_250))
    );
    // 7 ms later all of it is paid, and its weight is its own again.
    let due = shares.due(id(0), first, 107 * MS, 2 * MS);
    assert_eq!(shares.account(id(0)).debt, 0);
    assert_eq!(due, 111 * MS);
}

#[test]
fn a_stream_without_requests_for_a_period_takes_no_part() {
    let mut shares = three_to_one();
    shares.note_use(id(1), 1);
    let (given_up, lagging) = shares.expire(&period(1, 103 * MS), 103 * MS, |_| false);
    // 8 ms were saved, 3 more than the target, at three quarters.
    assert_eq!(given_up, 3 * MS * 3 / 4);
    assert!(!lagging);
    assert!(!shares.is_active(id(0)) && shares.is_active(id(1)));
    // Alone, its time passes as the device's.
    let due = shares.due(id(1), Nanos::from_millis(3), 103 * MS, 2 * MS);
    assert_eq!(due, 98 * MS);
}

#[test]
fn a_request_in_flight_since_before_the_period_lags() {
    let mut shares = three_to_one();
    shares.pay(id(0), Nanos::from_millis(12), Nanos::ZERO, 100 * MS, 0);
    let lags =
        |shares: &mut Shares, number, vnow| shares.expire(&period(number, vnow), vnow, |_| false).1;
    assert!(!lags(&mut shares, 1, 103 * MS));
    assert!(lags(&mut shares, 1, 106 * MS));
    shares.complete(id(0));
    assert!(!lags(&mut shares, 1, 106 * MS));
}
