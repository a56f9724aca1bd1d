//! A server and its clients in virtual time, which drive a `Scheduler` as its documentation says.
//!
//! Everything is derived from one seed. The world keeps books of its own (busy time, time with
//! nothing queued, disk time received by each stream at each instant) from what it sees from
//! outside, so that the scheduler's counters are checked against something.
//!
//! Each test file uses a part of it.
#![allow(dead_code)]

pub mod books;
pub mod clients;
pub mod devices;
pub mod mixes;
pub mod random;
pub mod world;

#[allow(unused_imports)]
pub use clients::{Behaviour, ClientConfig, Pattern, Think};
#[allow(unused_imports)]
pub use devices::{Device, ServiceTimes, ToyHdd};
#[allow(unused_imports)]
pub use random::Rng;
#[allow(unused_imports)]
pub use world::World;

use disktime_scheduler::{
    Limit, PolicyKind, RequestOrder, Reservation, SchedulerConfig, SeekCurve, StreamConfig,
    SwitchingAccount,
};
use disktime_units::{Nanos, Share};

/// Milliseconds.
pub const fn ms(value: u64) -> Nanos {
    Nanos::from_millis(value)
}

/// Seconds.
pub const fn secs(value: u64) -> Nanos {
    Nanos::from_secs(value)
}

/// A disk on which seeks cost nothing and requests go one at a time, account (a).
pub fn plain_disk(worst_case: Nanos) -> SchedulerConfig {
    SchedulerConfig {
        policy: PolicyKind::Fahrrad,
        worst_case,
        switch_cost: Nanos::ZERO,
        worst_seek: Nanos::ZERO,
        seek_curve: SeekCurve::default(),
        has_seeks: false,
        switching: SwitchingAccount::Served,
        order: RequestOrder::Sweep,
        max_in_flight: 1,
        merge_limit_bytes: 0,
    }
}

/// The toy hard disk of the design, on that account.
pub fn toy_hdd(switching: SwitchingAccount) -> SchedulerConfig {
    let curve = devices::toy_seek_curve();
    let switch_cost = curve.mean(devices::DISK_BYTES) + Nanos(devices::TURN.0 / 2);
    SchedulerConfig {
        policy: PolicyKind::Fahrrad,
        worst_case: devices::WORST_CASE,
        switch_cost,
        worst_seek: devices::WORST_SEEK + devices::TURN,
        seek_curve: curve,
        has_seeks: true,
        switching,
        order: RequestOrder::Sweep,
        max_in_flight: 1,
        merge_limit_bytes: 256 << 10,
    }
}

/// b5 with c = 1.5.
pub const RESERVED: SwitchingAccount = SwitchingAccount::Reserved {
    factor_percent: 150,
};

/// A reservation in parts per million.
pub fn reserved(share_ppm: u32, period: Nanos) -> StreamConfig {
    StreamConfig {
        reservation: Some(Reservation {
            share: Share(share_ppm),
            period,
        }),
        ..StreamConfig::BEST_EFFORT
    }
}

/// The same with a limit.
pub fn limited(config: StreamConfig, percent: u32, period: Nanos) -> StreamConfig {
    let share = Share::from_percent(percent);
    StreamConfig {
        limit: Some(Limit { share, period }),
        ..config
    }
}

/// What the switching account takes for these periods, in parts per million, rounded up.
pub fn switching_ppm(config: &SchedulerConfig, periods: &[Nanos]) -> u64 {
    let SwitchingAccount::Reserved { factor_percent } = config.switching else {
        return 0;
    };
    let cost = config.switch_cost.0 * u64::from(factor_percent) / 100;
    let each = periods.iter().map(|p| (cost * 1_000_000).div_ceil(p.0));
    each.sum()
}
