//! The statistics of a disk: counters over the last second, the last ten, and since the start, and
//! the distributions of queue time and service time of each stream.
//!
//! Windows are differences of cumulative counters: a reading is kept every 100 ms of activity, at
//! most [`READINGS`] of them, and values between two readings are interpolated. Requests in flight
//! are charged when they complete, so a window can be off by one request at each end.

use disktime_disks::{DiskProperties, PacingReport};
use disktime_scheduler::{
    DiskCounters, OccupancyReading, Scheduler, Slowdown, StreamConfig, StreamCounters, StreamId,
    StreamMap,
};
use disktime_units::{Nanos, Share};
use hdrhistogram::Histogram;
use std::collections::{BTreeMap, VecDeque};

const INTERVAL: Nanos = Nanos::from_millis(100);
/// Enough for ten seconds.
const READINGS: usize = 104;
/// The windows that are reported.
const WINDOWS: [Nanos; 2] = [Nanos::from_secs(1), Nanos::from_secs(10)];
/// Times above an hour are recorded as an hour.
const LONGEST: u64 = 3_600_000_000_000;

/// Counters at one moment.
#[derive(Debug, Clone, Default)]
struct Reading {
    at: Nanos,
    disk: DiskCounters,
    /// In the order of the identities.
    streams: Vec<(StreamId, StreamCounters)>,
}

impl Reading {
    /// The stream's counters: nothing if it was not there yet.
    fn of(&self, stream: StreamId) -> StreamCounters {
        let found = self.streams.binary_search_by_key(&stream, |(id, _)| *id);
        found.map_or_else(|_| StreamCounters::default(), |at| self.streams[at].1)
    }
}

/// Distributions of one stream since the start, in nanoseconds.
#[derive(Debug, Clone)]
struct Times {
    queue: Histogram<u64>,
    service: Histogram<u64>,
}

/// Readings and distributions for the report.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    readings: VecDeque<Reading>,
    times: StreamMap<Times>,
}

/// Percentiles of a distribution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// How many were measured.
    pub count: u64,
    /// The median.
    pub p50: Nanos,
    /// 90 % took at most this.
    pub p90: Nanos,
    /// 99 % took at most this.
    pub p99: Nanos,
    /// 99.9 % took at most this.
    pub p99_9: Nanos,
    /// The longest.
    pub max: Nanos,
}

/// Counters over one window.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window<T> {
    /// Its real length.
    pub elapsed: Nanos,
    /// The counts in it.
    pub counters: T,
}

/// Over the last second, the last ten seconds, and since the start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Windows<T> {
    /// The last second.
    pub last_1s: Window<T>,
    /// The last ten seconds.
    pub last_10s: Window<T>,
    /// Since the start.
    pub total: Window<T>,
}

/// One stream's part of the report.
#[derive(Debug, Clone)]
pub struct StreamReport {
    /// What it is entitled to.
    pub config: StreamConfig,
    /// What it received.
    pub windows: Windows<StreamCounters>,
    /// From arrival to dispatch.
    pub queue_time: Percentiles,
    /// From dispatch to completion.
    pub service_time: Percentiles,
    /// What it received in solo time, on a disk that overlaps requests.
    pub solo: Option<SoloReport>,
}

/// What a stream received in solo time since the start: what it would have needed alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoloReport {
    /// Received.
    pub received: Nanos,
    /// How long it had requests queued or in flight.
    pub backlogged: Nanos,
    /// What its requests take alone compared with their prices, in parts per million.
    pub price_correction_ppm: u64,
}

/// The statistics of a disk.
#[derive(Debug, Clone)]
pub struct LoopReport {
    /// The disk's counters.
    pub windows: Windows<DiskCounters>,
    /// The streams that there are, removed ones with requests left included.
    pub streams: BTreeMap<StreamId, StreamReport>,
    /// W.
    pub worst_case: Nanos,
    /// Unspent time beyond which a deadline counts as missed.
    pub unspent_bound: Nanos,
    /// The share of time that fills the switching account.
    pub switching_share: Share,
    /// How well a paced disk kept to its model's times.
    pub pacing: Option<PacingReport>,
    /// How full a disk is that overlaps requests.
    pub occupancy: Option<OccupancyReading>,
    /// How much slower it is than its prices say, if it is.
    pub slowdown: Option<Slowdown>,
}

impl Statistics {
    pub(crate) fn add_stream(&mut self, id: StreamId) {
        let histogram = || {
            Histogram::new_with_bounds(1_000, LONGEST, 2).expect("the bounds are valid constants")
        };
        let times = Times {
            queue: histogram(),
            service: histogram(),
        };
        self.times.insert(id, times);
    }

    /// Keeps the distributions of the streams that `keeps` accepts.
    pub(crate) fn retain(&mut self, keeps: impl Fn(StreamId) -> bool) {
        self.times.retain(keeps);
    }

    /// Takes a reading if the last one is old enough. Called at the start of each turn, so that a
    /// pause ends with a reading of the counters before it.
    pub(crate) fn sample(&mut self, now: Nanos, scheduler: &Scheduler) {
        if self
            .readings
            .back()
            .is_some_and(|last| now < last.at + INTERVAL)
        {
            return;
        }
        let mut reading = if self.readings.len() == READINGS {
            self.readings.pop_front().unwrap_or_default()
        } else {
            Reading::default()
        };
        reading.at = now;
        reading.disk = scheduler.disk_counters(now);
        reading.streams.clear();
        let streams = scheduler.streams();
        reading
            .streams
            .extend(streams.map(|id| (id, scheduler.stream_counters(id))));
        self.readings.push_back(reading);
    }

    pub(crate) fn record(&mut self, stream: StreamId, queued: Nanos, service: Nanos) {
        if let Some(times) = self.times.get_mut(stream) {
            times.queue.saturating_record(queued.0.max(1));
            times.service.saturating_record(service.0.max(1));
        }
    }

    pub(crate) fn report(
        &self,
        now: Nanos,
        scheduler: &Scheduler,
        properties: &DiskProperties,
        pacing: Option<PacingReport>,
    ) -> LoopReport {
        let disk_now = scheduler.disk_counters(now);
        let occupancy = scheduler.occupancy();
        let stream = |id: StreamId| {
            let counters = scheduler.stream_counters(id);
            let times = self.times.get(id);
            let solo = occupancy.map(|_| SoloReport {
                received: scheduler.solo_time(id),
                backlogged: scheduler.backlogged(id),
                price_correction_ppm: scheduler.price_correction_ppm(id),
            });
            let report = StreamReport {
                config: scheduler.asked_config(id),
                windows: self.windows(now, counters, |reading| reading.of(id)),
                queue_time: times
                    .map_or_else(Percentiles::default, |times| percentiles(&times.queue)),
                service_time: times
                    .map_or_else(Percentiles::default, |times| percentiles(&times.service)),
                solo,
            };
            (id, report)
        };
        LoopReport {
            windows: self.windows(now, disk_now, |reading| reading.disk),
            streams: scheduler.streams().map(stream).collect(),
            worst_case: properties.worst_case,
            unspent_bound: scheduler.unspent_bound(),
            switching_share: scheduler.switching_share(),
            pacing,
            occupancy,
            slowdown: scheduler.slowdown(),
        }
    }

    fn windows<T: Counters>(
        &self,
        now: Nanos,
        counters: T,
        of: impl Fn(&Reading) -> T,
    ) -> Windows<T> {
        let window = |length: Nanos| {
            let elapsed = length.min(now);
            let then = self.counters_at(now - elapsed, now, counters, &of);
            Window {
                elapsed,
                counters: counters.since(then),
            }
        };
        Windows {
            last_1s: window(WINDOWS[0]),
            last_10s: window(WINDOWS[1]),
            total: Window {
                elapsed: now,
                counters,
            },
        }
    }

    /// The counters at `start`, interpolated between the readings on both sides of it. As the first
    /// turn after a pause takes a reading, no count after the pause is put before it.
    fn counters_at<T: Counters>(
        &self,
        start: Nanos,
        now: Nanos,
        counters: T,
        of: &impl Fn(&Reading) -> T,
    ) -> T {
        let after = self.readings.partition_point(|reading| reading.at <= start);
        let (from, before) = match after.checked_sub(1).map(|index| &self.readings[index]) {
            Some(reading) => (reading.at, of(reading)),
            None => (Nanos::ZERO, T::default()),
        };
        let (to, next) = match self.readings.get(after) {
            Some(reading) => (reading.at, of(reading)),
            None => (now, counters),
        };
        let span = to.saturating_sub(from).0.max(1);
        before.plus_part(next.since(before), start.saturating_sub(from).0, span)
    }
}

/// Counters that only grow, or that keep their value.
trait Counters: Copy + Default {
    /// The counts after `then`.
    fn since(self, then: Self) -> Self;
    /// These plus `part / whole` of `more`.
    fn plus_part(self, more: Self, part: u64, whole: u64) -> Self;
}

/// `part / whole` of a count.
fn part_of(count: u64, part: u64, whole: u64) -> u64 {
    let value = u128::from(count) * u128::from(part) / u128::from(whole);
    u64::try_from(value).unwrap_or(count)
}

/// A completion can be earlier than a reading that still counted its request as busy, so a counter
/// may step back by less than that request; such a difference counts as 0.
macro_rules! growing_counters {
    (
        $type:ty,
        times: [$($time:ident),*],
        counts: [$($count:ident),*],
        kept: [$($kept:ident),*]
    ) => {
        impl Counters for $type {
            fn since(self, then: Self) -> Self {
                Self {
                    $($time: self.$time.saturating_sub(then.$time),)*
                    $($count: self.$count.saturating_sub(then.$count),)*
                    $($kept: self.$kept,)*
                }
            }

            fn plus_part(self, more: Self, part: u64, whole: u64) -> Self {
                Self {
                    $($time: self.$time + Nanos(part_of(more.$time.0, part, whole)),)*
                    $($count: self.$count + part_of(more.$count, part, whole),)*
                    $($kept: self.$kept,)*
                }
            }
        }
    };
}

growing_counters!(
    StreamCounters,
    times: [reserved, spare, waited],
    counts: [deadlines_met, deadlines_missed, requests, dispatches],
    kept: [unspent_max, unspent_last]
);
growing_counters!(
    DiskCounters,
    times: [busy, waiting, charged, charged_to_removed, switching, focused, paused],
    counts: [switches, dispatches, overruns, pauses],
    kept: [longest]
);

fn percentiles(histogram: &Histogram<u64>) -> Percentiles {
    if histogram.is_empty() {
        return Percentiles::default();
    }
    Percentiles {
        count: histogram.len(),
        p50: Nanos(histogram.value_at_quantile(0.5)),
        p90: Nanos(histogram.value_at_quantile(0.9)),
        p99: Nanos(histogram.value_at_quantile(0.99)),
        p99_9: Nanos(histogram.value_at_quantile(0.999)),
        max: Nanos(histogram.max()),
    }
}
