//! What the scheduler is told of a disk, and what streams are entitled to.

use super::devices::{self, DISK_BYTES};
use disktime_scheduler::{
    IocostClass, IocostConfig, IocostModel, IocostQos, Limit, OverlapConfig, PolicyKind,
    RequestOrder, Reservation, SchedulerConfig, SeekCurve, StreamConfig, SwitchingAccount,
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

/// Every policy, `iocost` with costs and latencies of a disk that takes a millisecond a request.
pub fn every_policy() -> Vec<PolicyKind> {
    let class = IocostClass {
        random: ms(1),
        sequential: Nanos::from_micros(100),
        per_mib: ms(8),
    };
    let iocost = PolicyKind::Iocost(IocostConfig {
        model: IocostModel {
            read: class,
            write: class,
        },
        qos: IocostQos {
            percentile_ppm: 950_000,
            read_latency: ms(20),
            write_latency: ms(20),
            vrate_min_percent: 10,
            vrate_max_percent: 1_000,
        },
    });
    PolicyKind::all().into_iter().chain([iocost]).collect()
}

/// A disk on which seeks cost nothing and requests go one at a time; the served stream pays.
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
        overlap: OverlapConfig::NONE,
    }
}

/// The toy hard disk of the design, on that account.
pub fn toy_hdd(switching: SwitchingAccount) -> SchedulerConfig {
    let curve = devices::toy_seek_curve();
    SchedulerConfig {
        switch_cost: curve.mean(DISK_BYTES) + Nanos(devices::TURN.0 / 2),
        worst_seek: devices::WORST_SEEK + devices::TURN,
        seek_curve: curve,
        has_seeks: true,
        switching,
        merge_limit_bytes: 256 << 10,
        ..plain_disk(devices::WORST_CASE)
    }
}

/// The switching account with c = 1.5, as admission reckons.
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

/// The sixth of the toy hard disk in which stream `index` lives.
pub fn region(index: usize) -> (u64, u64) {
    region_of(DISK_BYTES, index)
}

/// The same of another disk.
pub fn region_of(disk_bytes: u64, index: usize) -> (u64, u64) {
    let sixth = disk_bytes / 6 / 4096 * 4096;
    let start = index as u64 % 6 * sixth;
    (start, start + sixth)
}
