//! Finds a drive's command overheads, its bus rate, what its cache does and whether its write cache
//! was on, in a measured trace.
//!
//! The drive's parameters give the mechanics (geometry, seeks, rotation); they do not give the time
//! of the electronics and what the cache does. A request that the cache serves takes the overhead
//! and the bus time and nothing else, so its overhead is the median of the measured times less the
//! bus time; a few misclassified requests do not move a median. For requests that the medium
//! serves, the model's mean is fitted to the measured one, class by class, over replays with the
//! platter at different angles: so no figure compensates the error of another class, and none
//! depends on one replay's phase.
//!
//! Fit on one part of a trace and judge on another; the fit never changes the mechanics.

use super::bus_fit::{bus_rate, turn_ms};
use super::cache_fit::{fit_cache, measured_hits, rest_ms};
use super::model::{HddModel, Served};
use super::parameters::{CommandOverheads, HddError, HddParameters};
use super::trace::{MeasuredRequest, demerit_percent, replay_served};
use crate::Operation;
use disktime_random::SplitMix64;
use disktime_units::Nanos;

/// A class with fewer requests than this keeps its overhead.
const FEWEST_REQUESTS: usize = 10;
/// Replays over which a mean is taken.
const REPLAYS: u64 = 4;
/// Bound on the steps towards the measured mean.
const MOST_STEPS: usize = 6;
/// A difference of means below this ends the steps.
const ENOUGH_MS: f64 = 0.003;
/// A demerit smaller by this factor is not due to chance.
const CLEARLY_BETTER: f64 = 0.8;
/// Part of the requests left out of a mean at either end, as outliers such as retries.
const TRIMMED: f64 = 0.02;

/// A class of requests that the medium serves.
#[derive(Debug, Clone, Copy)]
struct MediumClass {
    operation: Operation,
    served: Served,
    /// After a read (0) or a write (1).
    after: usize,
}

/// The parameters with the overheads, the bus rate, the cache and the write cache that fit `trace`
/// best. The values in `parameters` are the starting point only.
///
/// # Errors
/// If the parameters are wrong or the trace does not fit the drive.
pub(super) fn fit_overheads(
    parameters: &HddParameters,
    trace: &[MeasuredRequest],
) -> Result<HddParameters, HddError> {
    let mut fitted = parameters.clone();
    fitted.bus_mb_per_s = bus_rate(parameters, trace).or(fitted.bus_mb_per_s);
    if let Some(write_cache) = write_cache(&fitted, trace) {
        fitted.write_cache = write_cache;
    }
    fit_cache(&mut fitted, trace)?;
    // The classes depend on the overheads only for requests on their border; two rounds are enough.
    for _ in 0..2 {
        fit_cached(&mut fitted, trace)?;
        if fitted.write_cache {
            fit_write_cache(&mut fitted, trace)?;
        }
        fit_medium(&mut fitted, trace, Operation::Read, Served::Far)?;
        fit_medium(&mut fitted, trace, Operation::Read, Served::Near)?;
        if !fitted.write_cache {
            fit_medium(&mut fitted, trace, Operation::Write, Served::Far)?;
            fit_medium(&mut fitted, trace, Operation::Write, Served::Near)?;
        }
    }
    Ok(fitted)
}

/// Whether most writes were answered before the platter could turn to their sector; `None` if there
/// are few.
fn write_cache(parameters: &HddParameters, trace: &[MeasuredRequest]) -> Option<bool> {
    let mut rests: Vec<f64> = trace
        .iter()
        .filter(|request| request.operation == Operation::Write)
        .map(|request| rest_ms(request, parameters))
        .collect();
    rests.sort_by(f64::total_cmp);
    let (quarter, half) = (rests.len() / 4, rests.len() / 2);
    let turn_ms = turn_ms(parameters);
    (rests.len() >= FEWEST_REQUESTS)
        .then(|| rests[half] < turn_ms / 2.0 && rests[half] - rests[quarter] < turn_ms / 8.0)
}

/// Medians for the classes that take overhead and bus time alone.
fn fit_cached(parameters: &mut HddParameters, trace: &[MeasuredRequest]) -> Result<(), HddError> {
    let hits = measured_hits(parameters, trace);
    let served = replay_served(&mut HddModel::new(parameters)?, trace, None)?;
    let quarter_turn_ms = turn_ms(parameters) / 4.0;
    let mut rests: [Vec<f64>; 6] = Default::default();
    let mut streams = Vec::new();
    for (index, (request, (_, served))) in trace.iter().zip(&served).enumerate() {
        let rest = rest_ms(request, parameters);
        let kind = match (request.operation, served) {
            (Operation::Read, Served::FromCache) if hits[index] => 0,
            (Operation::Write, Served::Near) if parameters.write_cache => 1,
            (Operation::Write, Served::Far) if parameters.write_cache => 2,
            _ => continue,
        };
        if kind == 0 && streams_on(trace, index) {
            streams.push(rest);
        } else if rest < quarter_turn_ms {
            // A request that waited for the platter was not served by the cache, even if the model
            // served it from there.
            rests[2 * kind + follows_write(trace, index)].push(rest);
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
            // A class that is too rare after one operation takes the value after the other one.
            if let Some(value) = medians[after].or(medians[1 - after]) {
                pair[after] = rounded(value);
            }
        }
    }
    if let Some(value) = median(&mut streams) {
        overheads.read_stream = Some(rounded(value));
    }
    Ok(())
}

fn rounded(ms: f64) -> f64 {
    (ms.max(0.0) * 1e3).round() / 1e3
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

/// Whether the request continues where a read just before it ended.
fn streams_on(trace: &[MeasuredRequest], index: usize) -> bool {
    let Some(before) = index.checked_sub(1).map(|before| &trace[before]) else {
        return false;
    };
    before.operation == Operation::Read
        && before.offset_bytes + before.len_bytes == trace[index].offset_bytes
}

/// Fits the mean of a class to the measured one by the overhead on which it depends.
fn fit_medium(
    parameters: &mut HddParameters,
    trace: &[MeasuredRequest],
    operation: Operation,
    served: Served,
) -> Result<(), HddError> {
    let overheads = parameters.overhead_ms.get_or_insert_default();
    if (operation, served) == (Operation::Read, Served::Near) {
        // Below that the overhead has no effect, so a step would not be seen.
        for after in [0, 1] {
            overheads.read_ready[after] =
                overheads.read_ready[after].max(overheads.read_miss[after]);
        }
    }
    let kinds = [0, 1].map(|after| MediumClass {
        operation,
        served,
        after,
    });
    for _ in 0..MOST_STEPS {
        let errors = mean_errors(parameters, trace, &kinds)?;
        let count: f64 = errors.iter().flatten().map(|error| error.count).sum();
        if count == 0.0 {
            break;
        }
        let sum = |error: &MeanError| error.ms * error.count;
        let common = errors.iter().flatten().map(sum).sum::<f64>() / count;
        let mut steps = [common; 2];
        for (step, error) in steps.iter_mut().zip(errors) {
            // Rotational waits scatter: only the part of a difference that they do not explain
            // counts.
            if let Some(error) = error {
                *step += error.beyond_scatter(common);
            }
        }
        for (kind, step) in kinds.iter().zip(steps) {
            let overhead = kind.overhead(parameters);
            *overhead = rounded(*overhead - step);
        }
        if steps.iter().all(|step| step.abs() < ENOUGH_MS) {
            break;
        }
    }
    Ok(())
}

impl MediumClass {
    fn overhead(self, parameters: &mut HddParameters) -> &mut f64 {
        let overheads = parameters.overhead_ms.get_or_insert_default();
        let pair = match (self.operation, self.served) {
            (Operation::Write, Served::Near) => &mut overheads.write_hit,
            (Operation::Write, _) => &mut overheads.write_miss,
            (_, Served::Near) => &mut overheads.read_ready,
            _ => &mut overheads.read_miss,
        };
        &mut pair[self.after]
    }
}

/// How much longer the model takes for a class than was measured.
#[derive(Debug, Clone, Copy)]
struct MeanError {
    ms: f64,
    /// Number of measured requests.
    count: f64,
    /// Standard error of their mean.
    scatter_ms: f64,
}

impl MeanError {
    /// Its difference from the common value, shrunk by the part due to scatter (James and Stein).
    fn beyond_scatter(self, common_ms: f64) -> f64 {
        let apart = self.ms - common_ms;
        let explained = (self.scatter_ms / apart).powi(2);
        if apart == 0.0 || explained >= 1.0 {
            return 0.0;
        }
        apart * (1.0 - explained)
    }
}

/// `None` for a rare class.
fn mean_errors(
    parameters: &HddParameters,
    trace: &[MeasuredRequest],
    kinds: &[MediumClass; 2],
) -> Result<[Option<MeanError>; 2], HddError> {
    let hits = measured_hits(parameters, trace);
    let mut model = HddModel::new(parameters)?;
    let mut times: [(Vec<Nanos>, Vec<Nanos>); 2] = Default::default();
    for seed in 0..REPLAYS {
        let served = replay_served(&mut model, trace, Some(SplitMix64::new(seed)))?;
        for (index, (request, (time, served))) in trace.iter().zip(&served).enumerate() {
            let of_kind = |kind: &MediumClass| {
                request.operation == kind.operation
                    && *served == kind.served
                    && follows_write(trace, index) == kind.after
            };
            if let Some(kind) = kinds.iter().position(of_kind).filter(|_| !hits[index]) {
                times[kind].0.push(request.service);
                times[kind].1.push(*time);
            }
        }
    }
    Ok(times.map(|(mut measured, mut modelled)| {
        let count = measured.len() as f64 / REPLAYS as f64;
        if count < FEWEST_REQUESTS as f64 {
            return None;
        }
        let (mean, deviation) = trimmed_mean_ms(&mut measured);
        Some(MeanError {
            ms: trimmed_mean_ms(&mut modelled).0 - mean,
            count,
            scatter_ms: deviation / count.sqrt(),
        })
    }))
}

/// Mean and standard deviation.
fn trimmed_mean_ms(times: &mut [Nanos]) -> (f64, f64) {
    times.sort_unstable();
    let out = (times.len() as f64 * TRIMMED) as usize;
    let kept = &times[out..times.len() - out];
    let count = kept.len().max(1) as f64;
    let mean = kept.iter().copied().map(Nanos::as_millis_f64).sum::<f64>() / count;
    let square = |time: &Nanos| (time.as_millis_f64() - mean).powi(2);
    (mean, (kept.iter().map(square).sum::<f64>() / count).sqrt())
}

/// Chooses the bound on the write cache with which the model's writes match the measured ones best.
/// It has an effect only where writes come faster than the medium takes them.
fn fit_write_cache(
    parameters: &mut HddParameters,
    trace: &[MeasuredRequest],
) -> Result<(), HddError> {
    let given = parameters.write_cache_sectors;
    let Some(now) = write_demerit(parameters, trace)? else {
        return Ok(());
    };
    let mut least = now * CLEARLY_BETTER;
    let mut best = given;
    for sectors in [8, 16, 32, 64, 128, 256, 512, 1024] {
        parameters.write_cache_sectors = Some(sectors);
        if let Some(demerit) = write_demerit(parameters, trace)?.filter(|demerit| *demerit < least)
        {
            (least, best) = (demerit, Some(sectors));
        }
    }
    parameters.write_cache_sectors = best;
    Ok(())
}

fn write_demerit(
    parameters: &HddParameters,
    trace: &[MeasuredRequest],
) -> Result<Option<f64>, HddError> {
    let served = replay_served(&mut HddModel::new(parameters)?, trace, None)?;
    let (measured, modelled): (Vec<Nanos>, Vec<Nanos>) = trace
        .iter()
        .zip(served)
        .filter(|(request, _)| request.operation == Operation::Write)
        .map(|(request, (time, _))| (request.service, time))
        .unzip();
    Ok((measured.len() >= FEWEST_REQUESTS).then(|| demerit_percent(&measured, &modelled)))
}

impl CommandOverheads {
    /// The figures as pairs, for reports.
    pub fn pairs(&self) -> [(&'static str, [f64; 2]); 5] {
        [
            ("read hit", self.read_hit),
            ("read miss", self.read_miss),
            ("read ready", self.read_ready),
            ("write hit", self.write_hit),
            ("write miss", self.write_miss),
        ]
    }
}

#[cfg(test)]
mod tests;
