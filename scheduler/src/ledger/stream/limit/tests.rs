//! Unit tests of the limit's account.

use super::*;
use crate::config::{Limit, Reservation, StreamConfig};
use crate::queue::QueueOrder;
use disktime_units::Share;

#[test]
fn an_overrun_of_a_limit_is_carried_and_unused_limit_is_not() {
    let limit = Limit {
        share: Share::from_percent(20),
        period: Nanos::from_millis(100),
    };
    let config = StreamConfig {
        limit: Some(limit),
        ..StreamConfig::BEST_EFFORT
    };
    let mut stream = Stream::new(config, QueueOrder::Sweep);
    let per_period = scaled(Nanos::from_millis(20));
    stream.refill_limit(Nanos::ZERO);
    assert_eq!(
        (stream.limit.budget, stream.limit.end),
        (per_period, Nanos::from_millis(100))
    );
    stream.use_limit(Nanos::from_millis(25), Nanos::from_millis(99));
    assert_eq!(stream.limit_left(), -scaled(Nanos::from_millis(5)));
    assert!(stream.is_at_limit());
    stream.refill_limit(Nanos::from_millis(100));
    assert_eq!(stream.limit_left(), scaled(Nanos::from_millis(15)));
    stream.refill_limit(Nanos::from_millis(950));
    assert_eq!(
        (stream.limit.budget, stream.limit.end),
        (per_period, Nanos::from_millis(1000))
    );
}

#[test]
fn a_limit_that_changes_gives_no_period_again() {
    let limited = |percent, millis| StreamConfig {
        limit: Some(Limit {
            share: Share::from_percent(percent),
            period: Nanos::from_millis(millis),
        }),
        ..StreamConfig::BEST_EFFORT
    };
    let mut stream = Stream::new(limited(20, 100), QueueOrder::Sweep);
    stream.begin_limit_if_new(Nanos::ZERO);
    stream.use_limit(Nanos::from_millis(15), Nanos::from_millis(10));
    // 30 ms instead of 20 in a period that goes on, then 3 ms in one that ends earlier, of which 15
    // are used already: nothing is left, and no debt. Raised again it has what it had before.
    for (percent, millis, left, end) in [
        (30, 100, 15, 100),
        (30, 10, 0, 60),
        (0, 10, 0, 60),
        (30, 100, 15, 60),
    ] {
        stream.reconfigure(limited(percent, millis), Nanos::from_millis(50), 0);
        assert_eq!(
            (stream.limit.budget, stream.limit.end),
            (left * 1_000_000_000_000, Nanos::from_millis(end))
        );
    }
}

/// 10 % of 100 ms, of which 35 ms were used: the debt of 25 ms is repaid by three periods.
#[test]
fn a_debt_to_the_limit_holds_back_for_whole_periods() {
    let mut stream = Stream::new(
        StreamConfig {
            limit: Some(Limit {
                share: Share::from_percent(10),
                period: Nanos::from_millis(100),
            }),
            ..StreamConfig::BEST_EFFORT
        },
        QueueOrder::Sweep,
    );
    stream.begin_limit(Nanos::ZERO);
    assert!(!stream.is_at_limit());
    stream.use_limit(Nanos::from_millis(35), Nanos::from_millis(50));
    assert!(stream.is_at_limit());
    assert_eq!(stream.limit_release(), Nanos::from_millis(300));
    stream.refill_limit(Nanos::from_millis(299));
    assert!(stream.is_at_limit());
    stream.refill_limit(Nanos::from_millis(300));
    assert_eq!(stream.limit_left(), scaled(Nanos::from_millis(5)));
    stream.return_limit(Nanos::from_millis(3));
    assert_eq!(stream.limit_left(), scaled(Nanos::from_millis(8)));
}

#[test]
fn periods_that_end_at_the_limit_are_met() {
    let reservation = Reservation {
        share: Share::from_percent(10),
        period: Nanos::from_millis(100),
    };
    let config = StreamConfig {
        reservation: Some(reservation),
        ..StreamConfig::BEST_EFFORT
    };
    for (at_ms, met) in [(99, 0), (100, 1), (199, 1), (200, 2), (350, 3)] {
        let mut stream = Stream::new(config, QueueOrder::Sweep);
        stream.deadline = Nanos::from_millis(100);
        stream.count_limited_periods(Nanos::from_millis(at_ms));
        assert_eq!(stream.counters().deadlines_met, met, "{at_ms} ms");
    }
}

#[test]
fn the_first_period_of_a_limit_begins_when_it_is_given() {
    let limit = Limit {
        share: Share::from_percent(10),
        period: Nanos::from_millis(100),
    };
    let config = StreamConfig {
        limit: Some(limit),
        ..StreamConfig::BEST_EFFORT
    };
    let mut stream = Stream::new(config, QueueOrder::Sweep);
    stream.begin_limit(Nanos::from_millis(50));
    assert_eq!(stream.limit.end, Nanos::from_millis(150));
    // Without a limit nothing begins.
    let mut unlimited = Stream::new(StreamConfig::BEST_EFFORT, QueueOrder::Sweep);
    unlimited.begin_limit_if_new(Nanos::from_millis(50));
    assert_eq!(unlimited.limit.end, Nanos::ZERO);
}
