//! Compares the model of a drive with service times measured on the real one.
//!
//! Parameters that are not known of a drive are fitted to the first half of its trace, and the
//! model is judged on the second half; and the other way round, so that the result does not depend
//! on the choice of the half. A drive whose overheads are given is judged without a fit, on the
//! whole trace.

use super::cache_fit::measured_hits;
use super::drives::{Drive, OverheadSource};
use super::fit::fit_overheads;
use super::model::{HddModel, Served};
use super::parameters::{
    CommandOverheads, HddError, HddParameters, ReadAheadPolicy, ReadBefore, WriteInvalidation,
};
use super::trace::{MeasuredRequest, demerit_percent, mean_ms, replay_served};
use crate::Operation;
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use serde::Serialize;
use std::fmt::Write as _;
use std::ops::Range;

/// A measured trace against the model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TraceReport {
    /// Requests in the trace.
    pub requests: usize,
    /// Requests on which the figures below were taken: all, or the second half where the first
    /// was used for fitting.
    pub judged_requests: usize,
    /// Mean of the measured service times.
    pub measured_mean_ms: f64,
    /// Mean of the model's.
    pub modelled_mean_ms: f64,
    /// RMS horizontal distance of the two cumulative distributions in % of the measured mean.
    pub demerit_percent: f64,
    /// The same over the whole trace, the part used for fitting included.
    pub whole_trace_demerit_percent: f64,
    /// The same of the first half, for a model that was fitted to the second.
    pub swapped_demerit_percent: Option<f64>,
    /// The demerit between replays of the model with the platter at different angles, mean of a few
    /// pairs: the trace does not record the platter's phase, so a smaller demerit is chance.
    pub chance_percent: f64,
    /// Whether overheads, bus rate, cache and write cache were fitted to the first half of this
    /// trace, because the drive's parameters do not give them.
    pub fitted_to_first_half: bool,
    /// Reads and writes separately.
    pub kinds: Vec<KindReport>,
    /// The two distributions of service time side by side.
    pub distribution: Vec<QuantilePoint>,
    /// Reads that came from the cache.
    pub cached_reads: CachedReads,
    /// The drive was modelled with its write cache on.
    pub write_cache: bool,
    /// The overheads used.
    pub overheads_ms: CommandOverheads,
    /// The bus rate used, in units of 10⁶ bytes a second.
    pub bus_mb_per_s: Option<f64>,
    /// The cache used.
    pub cache: CacheReport,
}

/// One kind of request, measured and modelled.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindReport {
    /// Reads or writes.
    pub kind: &'static str,
    /// Number of judged requests.
    pub requests: usize,
    /// Mean of the measured service times.
    pub measured_mean_ms: f64,
    /// Mean of the model's.
    pub modelled_mean_ms: f64,
    /// Demerit of this kind in % of its own measured mean.
    pub demerit_percent: f64,
}

/// A point of the two distributions: this part of the judged requests took at most this time.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct QuantilePoint {
    /// Part of the requests in per cent.
    pub percent: u32,
    /// On the real drive.
    pub measured_ms: f64,
    /// In the model.
    pub modelled_ms: f64,
}

/// Points of the distribution that is reported.
const PERCENTS: [u32; 13] = [1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99];

/// Pairs of replays for `chance_percent`.
const CHANCE_PAIRS: u64 = 4;

/// How many of the judged reads the cache served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CachedReads {
    /// By the measured time: too short for the medium.
    pub measured: usize,
    /// In the model.
    pub modelled: usize,
    /// In both.
    pub both: usize,
}

/// What the modelled cache does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct CacheReport {
    /// Segments.
    pub segments: u32,
    /// Sectors of a segment.
    pub segment_sectors: u32,
    /// When it reads ahead.
    pub read_ahead: ReadAheadPolicy,
    /// Whether read-ahead stops when the segment is full.
    pub read_ahead_keeps: bool,
    /// Bound on read-ahead, where it is not the segment.
    pub read_ahead_sectors: Option<u32>,
    /// Which sectors of the track before the first one it keeps.
    pub read_before: ReadBefore,
    /// What a write makes stale.
    pub write_invalidates: WriteInvalidation,
    /// Whether written sectors can be read from it.
    pub reads_hit_writes: bool,
}

impl CacheReport {
    fn of(parameters: &HddParameters) -> CacheReport {
        CacheReport {
            segments: parameters.cache_segments,
            segment_sectors: parameters.seg_sectors,
            read_ahead: parameters.read_ahead,
            read_ahead_keeps: parameters.read_ahead_keeps,
            read_ahead_sectors: parameters.read_ahead_sectors,
            read_before: parameters.read_before,
            write_invalidates: parameters.write_invalidates,
            reads_hit_writes: parameters.reads_hit_writes,
        }
    }

    fn describe(&self) -> String {
        let mut text = format!(
            "{} segments of {} sectors; ",
            self.segments, self.segment_sectors
        );
        text += match self.read_ahead {
            ReadAheadPolicy::Always => "reads on after every read",
            ReadAheadPolicy::Sequential => "reads on after a sequential read",
            ReadAheadPolicy::Never => "does not read on",
        };
        if self.read_ahead != ReadAheadPolicy::Never {
            text += if self.read_ahead_keeps {
                " until the segment is full"
            } else {
                " over what was asked for"
            };
            if let Some(sectors) = self.read_ahead_sectors {
                let _ = write!(text, ", {sectors} sectors at most");
            }
            text += match self.read_before {
                ReadBefore::Nothing => "",
                ReadBefore::Passing => ", and keeps what passes before",
                ReadBefore::Track => ", and takes the track from its start",
            };
        }
        text += match self.write_invalidates {
            WriteInvalidation::Overlap => "; a write makes stale what it overwrites",
            WriteInvalidation::Segment => "; a write makes the segment stale",
            WriteInvalidation::All => "; a write makes the cache stale",
        };
        if self.reads_hit_writes {
            text += "; what was written can be read from it";
        }
        text
    }
}

/// Compares with a trace. Parameters that the drive does not give are fitted to its first half
/// first. The whole drive is modelled, whatever size is served, as the trace was measured on it.
pub(super) fn judge(drive: &Drive, trace: &[MeasuredRequest]) -> Result<TraceReport, HddError> {
    let half = trace.len() / 2;
    let fitted_to_first_half = drive.overheads != OverheadSource::Given && half > 0;
    let mut parameters = drive.parameters.clone();
    let mut swapped_demerit_percent = None;
    if fitted_to_first_half {
        parameters = fit_overheads(&drive.published, &trace[..half])?;
        let other = Comparison::new(fit_overheads(&drive.published, &trace[half..])?, trace)?;
        swapped_demerit_percent = Some(other.demerit_percent(0..half));
    }
    let comparison = Comparison::new(parameters, trace)?;
    let judged = if fitted_to_first_half { half } else { 0 }..trace.len();
    let parameters = &comparison.parameters;
    Ok(TraceReport {
        requests: trace.len(),
        judged_requests: judged.len(),
        measured_mean_ms: mean_ms(comparison.measured[judged.clone()].iter().copied()),
        modelled_mean_ms: mean_ms(comparison.modelled[judged.clone()].iter().copied()),
        demerit_percent: comparison.demerit_percent(judged.clone()),
        whole_trace_demerit_percent: comparison.demerit_percent(0..trace.len()),
        swapped_demerit_percent,
        chance_percent: comparison.chance_percent(trace, judged.clone())?,
        fitted_to_first_half,
        kinds: comparison.kinds(trace, judged.clone()),
        distribution: comparison.distribution(judged.clone()),
        cached_reads: comparison.cached_reads(trace, judged),
        write_cache: parameters.write_cache,
        overheads_ms: parameters.overhead_ms.unwrap_or_default(),
        bus_mb_per_s: parameters.bus_mb_per_s,
        cache: CacheReport::of(parameters),
    })
}

/// A trace and one replay of it.
struct Comparison {
    parameters: HddParameters,
    measured: Vec<Nanos>,
    modelled: Vec<Nanos>,
    served: Vec<Served>,
}

impl Comparison {
    fn new(parameters: HddParameters, trace: &[MeasuredRequest]) -> Result<Comparison, HddError> {
        let replayed = replay_served(&mut HddModel::new(&parameters)?, trace, None)?;
        let (modelled, served) = replayed.into_iter().unzip();
        Ok(Comparison {
            parameters,
            measured: trace.iter().map(|request| request.service).collect(),
            modelled,
            served,
        })
    }

    fn demerit_percent(&self, part: Range<usize>) -> f64 {
        demerit_percent(&self.measured[part.clone()], &self.modelled[part])
    }

    fn chance_percent(
        &self,
        trace: &[MeasuredRequest],
        part: Range<usize>,
    ) -> Result<f64, HddError> {
        let mut model = HddModel::new(&self.parameters)?;
        let mut times = |seed: u64| {
            let served = replay_served(&mut model, trace, Some(SplitMix64::new(seed)))?;
            let times = served[part.clone()].iter().map(|(time, _)| *time);
            Ok::<Vec<Nanos>, HddError>(times.collect())
        };
        let mut sum = 0.0;
        for pair in 0..CHANCE_PAIRS {
            sum += demerit_percent(&times(2 * pair)?, &times(2 * pair + 1)?);
        }
        Ok(sum / CHANCE_PAIRS as f64)
    }

    fn distribution(&self, part: Range<usize>) -> Vec<QuantilePoint> {
        let sorted = |times: &[Nanos]| {
            let mut times = times.to_vec();
            times.sort_unstable();
            times
        };
        let (measured, modelled) = (
            sorted(&self.measured[part.clone()]),
            sorted(&self.modelled[part]),
        );
        let quantile = |times: &[Nanos], percent: u32| {
            let index = times.len() * percent as usize / 100;
            times.get(index).map_or(0.0, |time| time.as_millis_f64())
        };
        let point = |percent| QuantilePoint {
            percent,
            measured_ms: quantile(&measured, percent),
            modelled_ms: quantile(&modelled, percent),
        };
        PERCENTS.map(point).to_vec()
    }

    fn kinds(&self, trace: &[MeasuredRequest], part: Range<usize>) -> Vec<KindReport> {
        let kinds = [("reads", Operation::Read), ("writes", Operation::Write)];
        let mut reports = Vec::new();
        for (kind, operation) in kinds {
            let of_kind = part
                .clone()
                .filter(|index| trace[*index].operation == operation);
            let (measured, modelled): (Vec<Nanos>, Vec<Nanos>) = of_kind
                .map(|index| (self.measured[index], self.modelled[index]))
                .unzip();
            if measured.is_empty() {
                continue;
            }
            reports.push(KindReport {
                kind,
                requests: measured.len(),
                measured_mean_ms: mean_ms(measured.iter().copied()),
                modelled_mean_ms: mean_ms(modelled.iter().copied()),
                demerit_percent: demerit_percent(&measured, &modelled),
            });
        }
        reports
    }

    fn cached_reads(&self, trace: &[MeasuredRequest], part: Range<usize>) -> CachedReads {
        let hits = measured_hits(&self.parameters, trace);
        let mut cached = CachedReads {
            measured: 0,
            modelled: 0,
            both: 0,
        };
        for index in part {
            let modelled = self.served[index] == Served::FromCache;
            cached.measured += usize::from(hits[index]);
            cached.modelled += usize::from(modelled);
            cached.both += usize::from(modelled && hits[index]);
        }
        cached
    }
}

impl TraceReport {
    pub(super) fn render_into(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\nmeasured trace: {} requests", self.requests)?;
        if self.fitted_to_first_half {
            writeln!(
                out,
                "  overheads and cache were fitted to its first half; judged on the other {} \
                 requests",
                self.judged_requests
            )?;
        }
        writeln!(out, "  measured mean  {:.3} ms", self.measured_mean_ms)?;
        writeln!(out, "  modelled mean  {:.3} ms", self.modelled_mean_ms)?;
        writeln!(
            out,
            "  demerit        {:.2} % of the measured mean (whole trace {:.2} %)",
            self.demerit_percent, self.whole_trace_demerit_percent
        )?;
        writeln!(
            out,
            "  by chance      {:.2} %, two replays of the model with the platter at other angles",
            self.chance_percent
        )?;
        if let Some(percent) = self.swapped_demerit_percent {
            writeln!(
                out,
                "  the other way round, fitted to the second half: {percent:.2} % on the first"
            )?;
        }
        for kind in &self.kinds {
            writeln!(
                out,
                "  {:6} {:6} requests, measured {:.3} ms, modelled {:.3} ms, demerit {:.2} %",
                kind.kind,
                kind.requests,
                kind.measured_mean_ms,
                kind.modelled_mean_ms,
                kind.demerit_percent
            )?;
        }
        writeln!(out, "  at most       measured   modelled")?;
        for point in &self.distribution {
            writeln!(
                out,
                "  {:3} %      {:8.3} ms {:8.3} ms",
                point.percent, point.measured_ms, point.modelled_ms
            )?;
        }
        let cached = self.cached_reads;
        writeln!(
            out,
            "  reads from the cache: measured {}, modelled {}, the same {}",
            cached.measured, cached.modelled, cached.both
        )?;
        writeln!(out, "  cache: {}", self.cache.describe())?;
        let cached = if self.write_cache { "on" } else { "off" };
        writeln!(out, "  write cache {cached}")?;
        if let Some(rate) = self.bus_mb_per_s {
            writeln!(out, "  bus {rate:.2} MB/s")?;
        }
        for (name, [after_read, after_write]) in self.overheads_ms.pairs() {
            writeln!(
                out,
                "  overhead {name:10}  {after_read:.3} ms after a read, {after_write:.3} after a \
                 write"
            )?;
        }
        if let Some(ms) = self.overheads_ms.read_stream {
            writeln!(out, "  overhead of a cached read that goes on  {ms:.3} ms")?;
        }
        Ok(())
    }
}
