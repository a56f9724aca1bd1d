//! Unit tests of `stream`.

use super::budget::WakeBudget;
use super::*;
use crate::config::Reservation;
use crate::ppm_time::MILLION;
use disktime_units::Share;

const W: i128 = 27_000_000 * MILLION;

fn stream(percent: u32, period_ms: u64) -> Stream {
    let reservation = Reservation {
        share: Share::from_percent(percent),
        period: Nanos::from_millis(period_ms),
    };
    let config = StreamConfig {
        reservation: Some(reservation),
        ..StreamConfig::BEST_EFFORT
    };
    Stream::new(config, QueueOrder::Sweep)
}

#[test]
fn a_budget_below_w_competes_one_period_later() {
    let mut stream = stream(50, 100);
    stream.deadline = Nanos::from_millis(100);
    stream.budget = scaled(Nanos::from_millis(30));
    let demand = stream.current_demand(W);
    assert_eq!(
        (demand.deadline, demand.budget),
        (Nanos::from_millis(100), stream.budget)
    );
    stream.budget = scaled(Nanos::from_millis(10));
    let demand = stream.current_demand(W);
    assert_eq!(demand.deadline, Nanos::from_millis(200));
    assert_eq!(demand.budget, scaled(Nanos::from_millis(60)));
}

#[test]
fn a_budget_competes_as_soon_as_it_reaches_w_and_not_a_period_later() {
    let mut stream = stream(50, 100);
    stream.deadline = Nanos::from_millis(100);
    // Missing are 50 ms, which one period brings, and then one unit more.
    stream.budget = W - scaled(Nanos::from_millis(50));
    let demand = stream.current_demand(W);
    assert_eq!(
        (demand.deadline, demand.budget),
        (Nanos::from_millis(200), W)
    );
    stream.budget -= 1;
    let demand = stream.current_demand(W);
    assert_eq!(demand.deadline, Nanos::from_millis(300));
    assert_eq!(demand.budget, W - 1 + scaled(Nanos::from_millis(50)));
}

#[test]
fn an_idle_disk_costs_a_stream_no_more_than_it_is_behind_and_no_more_than_the_idle_time() {
    let mut stream = stream(50, 100);
    stream.deadline = Nanos::from_millis(100);
    // At 50 ms the line is at 25 ms, so it is 15 ms behind.
    let now = Nanos::from_millis(50);
    stream.budget = scaled(Nanos::from_millis(40));
    assert!(stream.forfeit(Nanos::from_millis(10), now));
    assert_eq!(stream.budget, scaled(Nanos::from_millis(30)));
    assert!(stream.forfeit(Nanos::from_millis(10), now));
    assert_eq!(stream.budget, scaled(Nanos::from_millis(25)));
    assert!(!stream.forfeit(Nanos::from_millis(10), now));
    // Ahead of the line it gets nothing for it.
    stream.budget = scaled(Nanos::from_millis(20));
    assert!(!stream.forfeit(Nanos::from_millis(10), now));
    assert_eq!(stream.budget, scaled(Nanos::from_millis(20)));
}

#[test]
fn a_remainder_is_truncated_on_waking_and_keeps_its_deadline() {
    let mut stream = stream(50, 100);
    stream.deadline = Nanos::from_millis(100);
    stream.budget = scaled(Nanos::from_millis(20));
    let held = WakeBudget::Held {
        budget: scaled(Nanos::from_millis(5)),
        deadline: Nanos::from_millis(100),
    };
    assert_eq!(stream.if_woken(Nanos::from_millis(90), W), held);
    assert_eq!(
        stream.if_woken(Nanos::from_millis(100), W),
        WakeBudget::Fresh
    );
}

#[test]
fn a_debt_is_repaid_by_idle_time_only() {
    let mut stream = stream(50, 100);
    stream.deadline = Nanos::from_millis(100);
    stream.budget = -scaled(Nanos::from_millis(75));
    let after = |ms| stream.if_woken(Nanos::from_millis(ms), W);
    let held = |ms: i128, deadline| WakeBudget::Held {
        budget: ms * 1_000_000 * MILLION,
        deadline: Nanos::from_millis(deadline),
    };
    assert_eq!(after(50), held(-75, 100));
    assert_eq!(after(150), held(-25, 200));
    assert_eq!(after(250), held(25, 300));
    assert_eq!(after(300), WakeBudget::Fresh);
}
