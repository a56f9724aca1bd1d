//! Finds a drive's command overheads, its bus rate, its kind of read-ahead and whether its write
//! cache was on, in a measured trace.
//!
//! The mechanics (geometry, seeks, rotation) are given by the drive's parameters; what they do not
//! tell is the time of the electronics and what the cache does. A request that the cache serves
//! takes overhead and bus and nothing else, so its overhead is the median of what was measured
//! less the bus, which a few requests taken for the wrong kind do not move. Reads from the medium
//! are a matter of rotation, so their overhead is searched by the demerit of those reads alone: no
//! figure can make up for the error of another kind.
//!
//! Fit on one part of a trace and judge on another; the fit has no say over the mechanics.

use super::model::HddModel;
use super::parameters::{
    CommandOverheads, DEFAULT_BUS_MB_PER_S, HddError, HddParameters, ReadAheadPolicy, SECTOR_BYTES,
};
use super::trace::{MeasuredRequest, demerit_percent, replay_with_hits};
use crate::Operation;
use disktime_units::Nanos;

/// Steps of the search for the overhead of reads from the medium, in ms.
const STEPS_MS: [f64; 4] = [0.2, 0.05, 0.02, 0.01];
/// Bound on the steps of one width.
const MOST_STEPS: usize = 50;
/// A kind with fewer requests than this keeps what it has.
const FEWEST_REQUESTS: usize = 10;

/// The parameters with the overheads, the bus rate, the read-ahead policy and the write cache that
/// fit `trace` best. What the parameters already say of these is kept as a starting point only.
///
/// # Errors
/// If the parameters are wrong or the trace does not fit the drive.
pub fn fit_overheads(
    parameters: &HddParameters,
    trace: &[MeasuredRequest],
) -> Result<HddParameters, HddError> {
    let mut best: Option<(f64, HddParameters)> = None;
    let policies = [ReadAheadPolicy::Always, ReadAheadPolicy::Sequential];
    for (policy, write_cache) in policies
        .into_iter()
        .flat_map(|policy| [(policy, true), (policy, false)])
    {
        let mut candidate = parameters.clone();
        (candidate.read_ahead, candidate.write_cache) = (policy, write_cache);
        candidate.bus_mb_per_s = bus_rate(trace).or(candidate.bus_mb_per_s);
        let demerit = fit_with_policy(&mut candidate, trace)?;
        if best.as_ref().is_none_or(|(least, _)| demerit < *least) {
            best = Some((demerit, candidate));
        }
    }
    best.map(|(_, parameters)| parameters)
        .ok_or_else(|| HddError::new("there was nothing to fit the overheads to"))
}

fn fit_with_policy(
    parameters: &mut HddParameters,
    trace: &[MeasuredRequest],
) -> Result<f64, HddError> {
    // The kinds do not depend on the overheads but for requests on the edge; twice is enough.
    for _ in 0..2 {
        fit_cached(parameters, trace)?;
        for after in [0, 1] {
            fit_read_miss(parameters, trace, after)?;
        }
    }
    let times = replay_with_hits(&mut HddModel::new(parameters)?, trace)?;
    let measured: Vec<Nanos> = trace.iter().map(|request| request.service).collect();
    let modelled: Vec<Nanos> = times.iter().map(|(time, _)| *time).collect();
    Ok(demerit_percent(&measured, &modelled))
}

/// Medians for the three kinds that take overhead and bus alone.
fn fit_cached(parameters: &mut HddParameters, trace: &[MeasuredRequest]) -> Result<(), HddError> {
    let rate = parameters.bus_mb_per_s.unwrap_or(DEFAULT_BUS_MB_PER_S);
    let served = replay_with_hits(&mut HddModel::new(parameters)?, trace)?;
    let quarter_turn_ms = 15_000.0 / parameters.rpm * parameters.time_scale;
    let mut rests: [Vec<f64>; 6] = Default::default();
    for (index, (request, (_, hit))) in trace.iter().zip(&served).enumerate() {
        let kind = match (request.operation, hit) {
            (Operation::Read, true) => 0,
            (Operation::Write, true) if parameters.write_cache => 1,
            (Operation::Write, false) if parameters.write_cache => 2,
            _ => continue,
        };
        let bus_ms = request.len_bytes as f64 / rate / 1e3;
        let rest_ms = request.service.as_millis_f64() - bus_ms;
        // What waited for the platter was not served by the cache, whatever the model thinks.
        if rest_ms < quarter_turn_ms {
            rests[2 * kind + follows_write(trace, index)].push(rest_ms);
        }
    }
    let overheads = parameters.overhead_ms.get_or_insert_default();
    let pairs = [
        &mut overheads.read_hit,
        &mut overheads.write_hit,
        &mut overheads.write_miss,
    ];
    for (pair, rests) in pairs.into_iter().zip(rests.chunks_exact_mut(2)) {
        let medians = [median(&mut rests[0]), median(&mut rests[1])];
        for after in [0, 1] {
            // A kind too rare after one operation borrows from the same kind after the other.
            if let Some(value) = medians[after].or(medians[1 - after]) {
                pair[after] = (value.max(0.0) * 1e3).round() / 1e3;
            }
        }
    }
    Ok(())
}

fn median(values: &mut [f64]) -> Option<f64> {
    if values.len() < FEWEST_REQUESTS {
        return None;
    }
    values.sort_by(f64::total_cmp);
    Some(values[values.len() / 2])
}

fn follows_write(trace: &[MeasuredRequest], index: usize) -> usize {
    usize::from(index > 0 && trace[index - 1].operation == Operation::Write)
}

/// Descends to the least demerit of the reads from the medium after a read (0) or a write (1).
fn fit_read_miss(
    parameters: &mut HddParameters,
    trace: &[MeasuredRequest],
    after: usize,
) -> Result<(), HddError> {
    let Some(mut least) = read_miss_demerit(parameters, trace, after)? else {
        return Ok(());
    };
    for step in STEPS_MS {
        for _ in 0..MOST_STEPS {
            let before = least;
            for change in [step, -step] {
                let mut candidate = parameters.clone();
                let value = &mut candidate.overhead_ms.get_or_insert_default().read_miss[after];
                *value = ((*value + change).max(0.0) * 1e3).round() / 1e3;
                let demerit = read_miss_demerit(&candidate, trace, after)?;
                if let Some(demerit) = demerit.filter(|demerit| *demerit < least) {
                    (*parameters, least) = (candidate, demerit);
                    break;
                }
            }
            if least >= before {
                break;
            }
        }
    }
    Ok(())
}

fn read_miss_demerit(
    parameters: &HddParameters,
    trace: &[MeasuredRequest],
    after: usize,
) -> Result<Option<f64>, HddError> {
    let served = replay_with_hits(&mut HddModel::new(parameters)?, trace)?;
    let mut measured = Vec::new();
    let mut modelled = Vec::new();
    for (index, (request, (time, hit))) in trace.iter().zip(&served).enumerate() {
        let missed = request.operation == Operation::Read && !hit;
        if missed && follows_write(trace, index) == after {
            measured.push(request.service);
            modelled.push(*time);
        }
    }
    if measured.len() < FEWEST_REQUESTS {
        return Ok(None);
    }
    Ok(Some(demerit_percent(&measured, &modelled)))
}

/// The bus rate by what fast requests of two lengths differ in: these come from or go to the
/// cache. Writes are preferred, for an immediately reported write is never anything else.
fn bus_rate(trace: &[MeasuredRequest]) -> Option<f64> {
    let rate = |operation: Operation| {
        let fast = |sectors: u64| {
            let alike = |request: &&MeasuredRequest| {
                request.operation == operation && request.len_bytes == sectors * SECTOR_BYTES
            };
            let mut times: Vec<u64> = trace
                .iter()
                .filter(alike)
                .map(|request| request.service.0)
                .collect();
            times.sort_unstable();
            // The tenth part is among the fast ones and not the luck of one measurement.
            (times.len() >= 50).then(|| times[times.len() / 10])
        };
        let known: Vec<(u64, u64)> = [2, 4, 8, 16, 32, 64, 128]
            .into_iter()
            .filter_map(|sectors| fast(sectors).map(|time| (sectors, time)))
            .collect();
        let ((short, short_time), (long, long_time)) = (known.first()?, known.last()?);
        let nanos = long_time
            .checked_sub(*short_time)
            .filter(|nanos| *nanos > 0)?;
        Some(((long - short) * SECTOR_BYTES) as f64 * 1e3 / nanos as f64)
    };
    let plausible = |rate: &f64| (1.0..2_000.0).contains(rate);
    let found = rate(Operation::Write).filter(plausible);
    let found = found.or_else(|| rate(Operation::Read).filter(plausible))?;
    Some((found * 100.0).round() / 100.0)
}

impl CommandOverheads {
    /// The figures as pairs, for reports.
    pub fn pairs(&self) -> [(&'static str, [f64; 2]); 4] {
        [
            ("read hit", self.read_hit),
            ("read miss", self.read_miss),
            ("write hit", self.write_hit),
            ("write miss", self.write_miss),
        ]
    }
}
