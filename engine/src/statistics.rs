//! What is shown of a disk: its counters over the last second, the last ten, and since the start,
//! and the distributions of queue time and service time per stream.
//!
//! Windows are differences of cumulative counters: a reading is kept every 100 ms of activity, at
//! most [`READINGS`] of them. Requests in flight are charged when they complete, so a window can be
//! off by one request at each end.

use disktime_disks::DiskProperties;
use disktime_scheduler::{DiskCounters, Scheduler, StreamConfig, StreamCounters, StreamId};
use disktime_units::{Nanos, Share};
use hdrhistogram::Histogram;
use std::collections::VecDeque;

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
    streams: Vec<StreamCounters>,
}

/// Distributions of one stream since the start, in nanoseconds.
#[derive(Debug, Clone)]
struct Times {
    queue: Histogram<u64>,
    service: Histogram<u64>,
}

/// Keeps what the report needs.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    readings: VecDeque<Reading>,
    times: Vec<Times>,
}

/// Percentiles of a distribution.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// How many were measured.
    pub count: u64,
    /// The median.
    pub p50: Nanos,
    /// 99 of 100 took at most this.
    pub p99: Nanos,
    /// 999 of 1000 took at most this.
    pub p99_9: Nanos,
    /// The longest.
    pub max: Nanos,
}

/// Counters over one window.
#[derive(Debug, Clone, Copy, Default)]
pub struct Window<T> {
    /// How long it really was.
    pub elapsed: Nanos,
    /// What was counted in it.
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
    /// What it got.
    pub windows: Windows<StreamCounters>,
    /// From arrival to dispatch.
    pub queue_time: Percentiles,
    /// From dispatch to completion.
    pub service_time: Percentiles,
}

/// What happened on a disk.
#[derive(Debug, Clone)]
pub struct LoopReport {
    /// The disk's counters.
    pub windows: Windows<DiskCounters>,
    /// Its streams, by number.
    pub streams: Vec<StreamReport>,
    /// W.
    pub worst_case: Nanos,
    /// Unspent time beyond which a deadline counts as missed.
    pub unspent_bound: Nanos,
    /// The share that the switching account is filled with.
    pub switching_share: Share,
    /// On a paced disk: requests whose real I/O took longer than the model, and all requests.
    pub pacing_overruns: (u64, u64),
}

impl Statistics {
    pub(crate) fn add_stream(&mut self) {
        let histogram = || {
            Histogram::new_with_bounds(1_000, LONGEST, 2).expect("the bounds are valid constants")
        };
        self.times.push(Times {
            queue: histogram(),
            service: histogram(),
        });
    }

    /// Takes a reading if the last is old enough. Called at the start of each turn, so that a
    /// pause ends with a reading of what was before it.
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
        let streams = 0..scheduler.stream_count() as u32;
        reading
            .streams
            .extend(streams.map(|id| scheduler.stream_counters(StreamId(id))));
        self.readings.push_back(reading);
    }

    pub(crate) fn record(&mut self, stream: StreamId, queued: Nanos, service: Nanos) {
        let times = &mut self.times[stream.0 as usize];
        times.queue.saturating_record(queued.0.max(1));
        times.service.saturating_record(service.0.max(1));
    }

    pub(crate) fn report(
        &self,
        now: Nanos,
        scheduler: &Scheduler,
        properties: &DiskProperties,
        pacing_overruns: (u64, u64),
    ) -> LoopReport {
        let disk_now = scheduler.disk_counters(now);
        let stream = |index: usize| {
            let id = StreamId(index as u32);
            let counters = scheduler.stream_counters(id);
            StreamReport {
                config: scheduler.stream_config(id),
                windows: self.windows(
                    now,
                    counters,
                    |reading| reading.streams.get(index).copied().unwrap_or_default(),
                    stream_difference,
                ),
                queue_time: percentiles(&self.times[index].queue),
                service_time: percentiles(&self.times[index].service),
            }
        };
        LoopReport {
            windows: self.windows(now, disk_now, |reading| reading.disk, disk_difference),
            streams: (0..scheduler.stream_count()).map(stream).collect(),
            worst_case: properties.worst_case,
            unspent_bound: scheduler.unspent_bound(),
            switching_share: scheduler.switching_share(),
            pacing_overruns,
        }
    }

    fn windows<T: Copy + Default>(
        &self,
        now: Nanos,
        counters: T,
        of: impl Fn(&Reading) -> T,
        difference: impl Fn(T, T) -> T,
    ) -> Windows<T> {
        let window = |length: Nanos| {
            let start = now.saturating_sub(length);
            let before = self
                .readings
                .iter()
                .rev()
                .find(|reading| reading.at <= start);
            match before.or(self.readings.front()) {
                Some(reading) => Window {
                    elapsed: now.saturating_sub(reading.at),
                    counters: difference(counters, of(reading)),
                },
                None => Window {
                    elapsed: now,
                    counters,
                },
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
}

fn percentiles(histogram: &Histogram<u64>) -> Percentiles {
    if histogram.is_empty() {
        return Percentiles::default();
    }
    Percentiles {
        count: histogram.len(),
        p50: Nanos(histogram.value_at_quantile(0.5)),
        p99: Nanos(histogram.value_at_quantile(0.99)),
        p99_9: Nanos(histogram.value_at_quantile(0.999)),
        max: Nanos(histogram.max()),
    }
}

fn stream_difference(now: StreamCounters, then: StreamCounters) -> StreamCounters {
    StreamCounters {
        reserved: now.reserved - then.reserved,
        spare: now.spare - then.spare,
        waited: now.waited - then.waited,
        deadlines_met: now.deadlines_met - then.deadlines_met,
        deadlines_missed: now.deadlines_missed - then.deadlines_missed,
        requests: now.requests - then.requests,
        dispatches: now.dispatches - then.dispatches,
        unspent_max: now.unspent_max,
        unspent_last: now.unspent_last,
    }
}

fn disk_difference(now: DiskCounters, then: DiskCounters) -> DiskCounters {
    DiskCounters {
        busy: now.busy - then.busy,
        waiting: now.waiting - then.waiting,
        charged: now.charged - then.charged,
        switching: now.switching - then.switching,
        switches: now.switches - then.switches,
        dispatches: now.dispatches - then.dispatches,
        overruns: now.overruns - then.overruns,
        longest: now.longest,
    }
}
