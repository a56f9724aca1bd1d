//! What the status says of disks that overlap requests, from what their loops counted.

use disktime_engine::{LoopReport, Slowdown, StreamReport};
use disktime_observe::{DiskOverlap, SlowerDisk, SoloTime, Windows};
use disktime_units::{Nanos, Share};

/// Of a disk; `None` if it does one request at a time.
pub(crate) fn disk_overlap(counted: &LoopReport) -> Option<DiskOverlap> {
    let occupancy = counted.occupancy?;
    let windows = &counted.windows;
    let share = |focused: Nanos, elapsed: Nanos| {
        let share = focused.0 as f64 / elapsed.0.max(1) as f64;
        (share * 1e6).round() / 1e6
    };
    let now = windows.total.elapsed;
    Some(DiskOverlap {
        occupancy_bound_ms: occupancy.bound.as_millis_f64(),
        occupancy_ms: occupancy.filled.as_millis_f64(),
        occupancy_most_ms: occupancy.most.as_millis_f64(),
        drain_ms: occupancy.drain.as_millis_f64(),
        focus_share: Windows {
            last_1s: share(windows.last_1s.counters.focused, windows.last_1s.elapsed),
            last_10s: share(windows.last_10s.counters.focused, windows.last_10s.elapsed),
            total: share(windows.total.counters.focused, now),
        },
        slower_than_priced: counted.slowdown.map(|slowdown| slower(slowdown, now)),
    })
}

fn slower(slowdown: Slowdown, now: Nanos) -> SlowerDisk {
    SlowerDisk {
        latency_factor: slowdown.latency_ppm as f64 / 1e6,
        occupancy_factor: slowdown.occupancy_ppm as f64 / 1e6,
        since_ms: now.saturating_sub(slowdown.since).as_millis_f64(),
    }
}

/// Of a stream; `None` if its disk does one request at a time.
pub(crate) fn solo_time(stream: &StreamReport) -> Option<SoloTime> {
    let solo = stream.solo?;
    let reservation = stream.config.reservation;
    Some(SoloTime::new(
        solo.received,
        solo.backlogged,
        reservation.map_or(Share::ZERO, |reservation| reservation.share),
        solo.price_correction_ppm,
    ))
}
