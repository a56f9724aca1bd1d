//! The measurements of one client while it runs. Their memory is bounded: a histogram of two or
//! three significant digits and some counters, however many requests there are.

use crate::report::{ClientReport, Latencies, VdiskLoad};
use crate::workload::{Client, Workload};
use crate::{ClientMachine, Operation};
use disktime_units::Nanos;
use hdrhistogram::Histogram;

/// Latencies above an hour count as an hour in percentiles; the maximum is exact.
const LONGEST: u64 = 3_600_000_000_000;

/// With more clients than this, histograms have two significant digits: 35 KiB instead of 270 KiB
/// each.
const MANY_CLIENTS: usize = 1000;

/// A histogram of latencies in nanoseconds.
#[derive(Debug, Clone)]
pub(crate) struct LatencyHistogram {
    histogram: Histogram<u64>,
    max: Nanos,
}

impl LatencyHistogram {
    /// A histogram of `digits` significant digits, 2 or 3. It starts small and grows with the
    /// latencies.
    pub(crate) fn new(digits: u8) -> LatencyHistogram {
        let histogram =
            Histogram::new(digits).expect("hdrhistogram accepts two and three significant digits");
        LatencyHistogram {
            histogram,
            max: Nanos::ZERO,
        }
    }

    #[inline]
    pub(crate) fn record(&mut self, latency: Nanos) {
        let recorded = self.histogram.record(latency.0.clamp(1, LONGEST));
        debug_assert!(recorded.is_ok(), "a growing histogram takes every value");
        self.max = self.max.max(latency);
    }

    pub(crate) fn at_quantile(&self, quantile: f64) -> Option<Nanos> {
        // The bucket's upper end can exceed the largest value in it.
        let bucket = Nanos(self.histogram.value_at_quantile(quantile)).min(self.max);
        (!self.histogram.is_empty()).then_some(bucket)
    }

    pub(crate) fn reset(&mut self) {
        self.histogram.reset();
        self.max = Nanos::ZERO;
    }

    fn add(&mut self, other: &LatencyHistogram) {
        let added = self.histogram.add(&other.histogram);
        debug_assert!(added.is_ok(), "a growing histogram takes every value");
        self.max = self.max.max(other.max);
    }

    fn latencies(&self) -> Option<Latencies> {
        Some(Latencies {
            p50: self.at_quantile(0.5)?,
            p90: self.at_quantile(0.9)?,
            p99: self.at_quantile(0.99)?,
            p99_9: self.at_quantile(0.999)?,
            max: self.max,
        })
    }
}

/// The measurements of one client.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    /// Throughput is measured from here …
    start: Nanos,
    /// … to here; latencies and counts to the end of the run.
    stop: Nanos,
    latencies: LatencyHistogram,
    requests: u64,
    bytes: u64,
    errors: u64,
    window_requests: u64,
    window_bytes: u64,
}

impl Meter {
    pub(crate) fn new(client: &Client, workload: &Workload) -> Meter {
        let duration = workload.duration;
        let digits = if workload.clients.len() > MANY_CLIENTS {
            2
        } else {
            3
        };
        Meter {
            start: client.start.min(duration),
            stop: client.stop.min(duration),
            latencies: LatencyHistogram::new(digits),
            requests: 0,
            bytes: 0,
            errors: 0,
            window_requests: 0,
            window_bytes: 0,
        }
    }

    /// The run ended early: throughput is measured up to here.
    pub(crate) fn end_at(&mut self, now: Nanos) {
        self.stop = self.stop.min(now);
        self.start = self.start.min(now);
    }

    /// A request is completed within the duration of the run.
    #[inline]
    pub(crate) fn completed(&mut self, now: Nanos, operation: &Operation, success: bool) {
        if !success {
            self.errors += 1;
            return;
        }
        self.requests += 1;
        self.bytes += operation.len_bytes;
        self.latencies
            .record(now.saturating_sub(operation.arrived_at));
        if now <= self.stop {
            self.window_requests += 1;
            self.window_bytes += operation.len_bytes;
        }
    }

    pub(crate) fn report(&self, client: &Client, machine: &ClientMachine) -> ClientReport {
        let seconds = self.stop.saturating_sub(self.start).as_secs_f64();
        let per_second = |count: u64| {
            if seconds > 0.0 {
                count as f64 / seconds
            } else {
                0.0
            }
        };
        ClientReport {
            name: client.name.clone(),
            vdisk: client.vdisk.clone(),
            iops: per_second(self.window_requests),
            bytes_per_second: per_second(self.window_bytes),
            latency: self.latencies.latencies(),
            requests: self.requests,
            errors: self.errors,
            delayed: machine.delayed(),
            longest_delay: machine.longest_delay(),
        }
    }

    /// The sum of several clients.
    pub(crate) fn report_together(meters: &[&Meter], duration: Nanos) -> VdiskLoad {
        let seconds = duration.as_secs_f64();
        let per_second = |count: u64| {
            if seconds > 0.0 {
                count as f64 / seconds
            } else {
                0.0
            }
        };
        let mut latencies: Option<LatencyHistogram> = None;
        for meter in meters {
            match &mut latencies {
                Some(together) => together.add(&meter.latencies),
                None => latencies = Some(meter.latencies.clone()),
            }
        }
        VdiskLoad {
            iops: per_second(meters.iter().map(|meter| meter.requests).sum()),
            bytes_per_second: per_second(meters.iter().map(|meter| meter.bytes).sum()),
            latency: latencies.and_then(|latencies| latencies.latencies()),
        }
    }
}
