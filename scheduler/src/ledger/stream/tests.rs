//! Unit tests of `stream`.

use super::budget::WakeBudget;
use super::periods::PeriodTerms;
use super::*;
use crate::config::Reservation;
use crate::ppm_time::MILLION;
use disktime_units::Share;
use proptest::prelude::*;

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

#[test]
fn a_demand_of_w_or_more_and_one_of_best_effort_is_postponed_by_nothing() {
    let mut many = stream(50, 100);
    many.deadline = Nanos::from_millis(100);
    many.budget = scaled(Nanos::from_millis(120));
    let demand = many.current_demand(W);
    let own = (demand.deadline, demand.budget);
    assert_eq!(own, (many.deadline, many.budget));
    let mut best_effort = Stream::new(StreamConfig::BEST_EFFORT, QueueOrder::Sweep);
    best_effort.deadline = Nanos::from_millis(7);
    best_effort.budget = -1;
    let demand = best_effort.current_demand(W);
    assert_eq!((demand.deadline, demand.budget), (Nanos::from_millis(7), 0));
}

#[test]
fn the_lag_is_the_budget_in_time_of_the_share_less_the_deadline() {
    let mut stream = stream(50, 100);
    stream.deadline = Nanos::from_millis(100);
    stream.budget = scaled(Nanos::from_millis(30));
    assert_eq!(stream.lag(), -40_000_000);
    stream.budget = scaled(Nanos::from_millis(60));
    assert_eq!(stream.lag(), 20_000_000);
    stream.deadline = Nanos::MAX;
    stream.budget = -scaled(Nanos::MAX);
    assert_eq!(stream.lag(), i64::MIN);
    stream.budget = scaled(Nanos::MAX);
    stream.deadline = Nanos::ZERO;
    assert_eq!(stream.lag(), i64::MAX);
}

#[test]
fn a_debt_changes_the_account_when_whole_periods_have_repaid_it() {
    let mut stream = stream(50, 100);
    stream.deadline = Nanos::from_millis(100);
    stream.grace_until = Nanos::MAX;
    stream.budget = -scaled(Nanos::from_millis(75));
    assert_eq!(stream.active_until(W), Nanos::from_millis(200));
    stream.grace_until = Nanos::from_millis(150);
    assert_eq!(stream.active_until(W), Nanos::from_millis(150));
}

/// Active at 50 ms of its first 100, with the line at 25 ms; then 20 % of 200 ms.
#[test]
fn a_new_entitlement_keeps_what_was_taken_in_advance_and_nothing_else() {
    let now = Nanos::from_millis(50);
    let new = *stream(20, 200).config();
    let after = |state, budget_ms: i64, deadline_ms| {
        let mut stream = stream(50, 100);
        stream.state = state;
        stream.deadline = Nanos::from_millis(deadline_ms);
        stream.budget = i128::from(budget_ms) * 1_000_000 * MILLION;
        stream.reconfigure(new, now, W);
        let budget_ms = stream.budget / (1_000_000 * MILLION);
        (budget_ms, stream.deadline)
    };
    let fresh_period = Nanos::from_millis(250);
    let active = StreamState::Active;
    assert_eq!(after(active, 10, 100), (40 - 15, fresh_period));
    assert_eq!(after(active, 40, 100), (40, fresh_period));
    assert_eq!(after(active, -10, 100), (40 - 35, fresh_period));
    let idle = StreamState::IdleHeld;
    assert_eq!(after(idle, -10, 100), (40 - 35, fresh_period));
    // Idle and not ahead: it wakes with a whole budget.
    assert_eq!(after(idle, 26, 100), (0, now));
    assert_eq!(after(StreamState::IdleFresh, 50, 50), (0, now));
    // The debt of an idle stream is repaid by the time that has passed: 10 ms is left of it.
    assert_eq!(after(idle, -60, 40), (40 - 55, fresh_period));

    let mut best_effort = Stream::new(StreamConfig::BEST_EFFORT, QueueOrder::Sweep);
    best_effort.state = StreamState::Active;
    best_effort.reconfigure(new, now, W);
    assert_eq!(best_effort.deadline, fresh_period);
    assert_eq!(best_effort.budget, scaled(Nanos::from_millis(40)));
}

proptest! {
    /// An idle stream is fresh when `held_until` says so; before, it holds what it left with.
    #[test]
    fn an_idle_stream_is_held_until_it_would_wake_fresh(
        percent in 1u32..=100,
        period_ms in 30u64..500,
        budget_us in -2_000_000i64..500_000,
    ) {
        let mut stream = stream(percent, period_ms);
        stream.deadline = Nanos::from_millis(10_000);
        let most = stream.budget_per_period();
        stream.budget = (i128::from(budget_us) * 1000 * MILLION).min(most);
        let until = stream.held_until(W);
        prop_assert_eq!(stream.if_woken(until, W), WakeBudget::Fresh);
        let held = |at: Nanos| matches!(stream.if_woken(at, W), WakeBudget::Held { .. });
        if stream.budget >= 0 {
            prop_assert!(held(until - Nanos(1)));
        } else {
            let last_end = until - stream.period();
            prop_assert!(last_end >= stream.deadline && held(last_end));
        }
    }

    /// A jump over many periods changes what one end after the other does.
    #[test]
    fn many_periods_end_as_one_after_the_other(
        percent in 1u32..=100,
        budget_ms in -500i64..300,
        bound_ms in 0i64..100,
        jump_ms in 0u64..3_000,
        busy: bool,
        served: bool,
    ) {
        let milli = |ms: i64| i128::from(ms) * 1_000_000 * MILLION;
        let make = || {
            let mut stream = stream(percent, 100);
            stream.deadline = Nanos::from_millis(100);
            stream.budget = milli(budget_ms);
            stream.in_flight = usize::from(busy);
            stream
        };
        let terms = PeriodTerms {
            bound: milli(bound_ms),
            served_since: served.then_some(Nanos::from_millis(60)),
        };
        let end = Nanos::from_millis(100 + jump_ms);
        let (mut jumped, mut stepped) = (make(), make());
        jumped.end_periods(terms, end);
        while stepped.deadline <= end {
            let next = stepped.deadline;
            stepped.end_periods(terms, next);
        }
        prop_assert_eq!(jumped.budget, stepped.budget);
        prop_assert_eq!(jumped.deadline, stepped.deadline);
        prop_assert_eq!(jumped.books().deadline(), stepped.deadline);
        let counted = |stream: &Stream| {
            let counters = stream.counters;
            (counters.deadlines_met, counters.deadlines_missed, counters.unspent_max)
        };
        prop_assert_eq!(counted(&jumped), counted(&stepped));
    }
}

/// At 50 ms of a period of 100 the line is at 25 ms.
#[test]
fn an_idle_stream_is_refined_to_what_it_would_wake_with() {
    let now = Nanos::from_millis(50);
    let refined = |budget_ms: u64| {
        let mut stream = stream(50, 100);
        stream.deadline = Nanos::from_millis(100);
        stream.budget = scaled(Nanos::from_millis(budget_ms));
        let state = stream.idle_state(now, W);
        (stream.refine(now, W), stream.budget, state)
    };
    let held = |ms| scaled(Nanos::from_millis(ms));
    let (changed, budget, state) = refined(26);
    assert_eq!((changed, budget), (Some(true), held(25)));
    assert_eq!(state, StreamState::IdleHeld);
    assert_eq!(refined(20).0, Some(false));
    let (fresh, budget, state) = refined(40);
    assert_eq!((fresh, budget), (None, held(40)));
    assert_eq!(state, StreamState::IdleFresh);
}

#[test]
fn unspent_budget_of_exactly_the_bound_is_no_miss() {
    let end = |budget: i128| {
        let mut stream = stream(50, 100);
        stream.deadline = Nanos::from_millis(100);
        stream.in_flight = 1;
        stream.budget = budget;
        let terms = PeriodTerms {
            bound: W,
            served_since: None,
        };
        stream.end_periods(terms, Nanos::from_millis(100));
        (
            stream.counters.deadlines_met,
            stream.counters.deadlines_missed,
        )
    };
    assert_eq!(end(W), (1, 0));
    assert_eq!(end(W + 1), (0, 1));
}
