//! Unit tests of `stream`.

use super::*;
use crate::config::{Limit, Reservation};
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
fn a_remainder_is_truncated_on_waking_and_keeps_its_deadline() {
    let mut stream = stream(50, 100);
    stream.deadline = Nanos::from_millis(100);
    stream.budget = scaled(Nanos::from_millis(20));
    let held = Virtual::Held {
        budget: scaled(Nanos::from_millis(5)),
        deadline: Nanos::from_millis(100),
    };
    assert_eq!(stream.if_woken(Nanos::from_millis(90), W), held);
    assert_eq!(stream.if_woken(Nanos::from_millis(100), W), Virtual::Fresh);
}

#[test]
fn a_debt_is_repaid_by_idle_time_only() {
    let mut stream = stream(50, 100);
    stream.deadline = Nanos::from_millis(100);
    stream.budget = -scaled(Nanos::from_millis(75));
    let after = |ms| stream.if_woken(Nanos::from_millis(ms), W);
    let held = |ms: i128, deadline| Virtual::Held {
        budget: ms * 1_000_000 * MILLION,
        deadline: Nanos::from_millis(deadline),
    };
    assert_eq!(after(50), held(-75, 100));
    assert_eq!(after(150), held(-25, 200));
    assert_eq!(after(250), held(25, 300));
    assert_eq!(after(300), Virtual::Fresh);
}

#[test]
fn an_overrun_of_a_limit_is_carried_and_unused_limit_is_not() {
    let mut stream = stream(10, 100);
    stream.config.limit = Some(Limit {
        share: Share::from_percent(20),
        period: Nanos::from_millis(100),
    });
    let per_period = scaled(Nanos::from_millis(20));
    stream.roll_limit(Nanos::ZERO);
    assert_eq!(
        (stream.limit_budget, stream.limit_end),
        (per_period, Nanos::from_millis(100))
    );
    stream.limit_budget = -scaled(Nanos::from_millis(5));
    assert!(stream.is_at_limit());
    stream.roll_limit(Nanos::from_millis(100));
    assert_eq!(stream.limit_budget, scaled(Nanos::from_millis(15)));
    stream.roll_limit(Nanos::from_millis(950));
    assert_eq!(
        (stream.limit_budget, stream.limit_end),
        (per_period, Nanos::from_millis(1000))
    );
}
