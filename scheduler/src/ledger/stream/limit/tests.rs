//! Unit tests of the limit's account.

use super::*;
use crate::config::{Limit, StreamConfig};
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
