//! Finds the rate of the bus in a measured trace, and the clusters in which times lie that the
//! electronics and the bus alone determine.
//!
//! What the cache takes or gives takes overhead and bus and nothing else, so requests of one length
//! lie close together, and two lengths differ by the bus. Where no times lie so close together, the
//! medium served everything, and what two lengths of reads differ in at the fast end is the slower
//! of medium and bus.

use super::parameters::{HddParameters, SECTOR_BYTES};
use super::trace::MeasuredRequest;
use crate::Operation;

/// A cluster lies within this part of a turn.
const WINDOW_PARTS: f64 = 64.0;
/// What the electronics and the bus determine lies at most this part of a turn above the middle of
/// its densest cluster.
pub(super) const SPREAD_PARTS: f64 = 16.0;
/// A cluster must hold this many times what waits spread evenly over a turn would put there.
const DENSITY: f64 = 4.0;
/// Fewer times than this are no cluster.
const FEWEST_IN_CLUSTER: usize = 10;
/// Lengths of which there are fewer requests say nothing.
const FEWEST_OF_LENGTH: usize = 50;

/// One turn of the platter.
pub(super) fn turn_ms(parameters: &HddParameters) -> f64 {
    60_000.0 / parameters.rpm * parameters.time_scale
}

/// The middle of the densest cluster of times below half a turn; nothing if there is none.
pub(super) fn cluster_ms(times_ms: &mut [f64], turn_ms: f64) -> Option<f64> {
    times_ms.sort_by(f64::total_cmp);
    let short = times_ms.partition_point(|time| *time < turn_ms / 2.0);
    let window = turn_ms / WINDOW_PARTS;
    let (mut most, mut middle, mut end) = (0, 0.0, 0);
    for begin in 0..short {
        while end < short && times_ms[end] - times_ms[begin] <= window {
            end += 1;
        }
        if end - begin > most {
            (most, middle) = (end - begin, times_ms[begin + (end - begin) / 2]);
        }
    }
    let by_chance = times_ms.len() as f64 / WINDOW_PARTS;
    let dense = most >= FEWEST_IN_CLUSTER && most as f64 > by_chance * DENSITY;
    dense.then_some(middle)
}

/// The rate in units of 10⁶ bytes a second.
pub(super) fn bus_rate(parameters: &HddParameters, trace: &[MeasuredRequest]) -> Option<f64> {
    let turn_ms = turn_ms(parameters);
    // The tenth part is among the fast ones and not the luck of one measurement.
    let fast = |times: &mut [f64]| {
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 10).copied()
    };
    // Several kinds of command have clusters of their own; the fastest kind is the same for every
    // length, which need not be true of the commonest.
    let clustered = |times: &mut [f64]| {
        let limit = cluster_ms(times, turn_ms)? + turn_ms / SPREAD_PARTS;
        let end = times.partition_point(|time| *time <= limit);
        fast(&mut times[..end])
    };
    // Writes that a cache takes are never anything else, reads may be streamed.
    let found = rate(trace, Operation::Write, clustered)
        .or_else(|| rate(trace, Operation::Read, clustered))
        .or_else(|| rate(trace, Operation::Read, fast))?;
    Some((found * 100.0).round() / 100.0)
}

/// The rate by what the shortest and the longest of the lengths differ in.
fn rate(
    trace: &[MeasuredRequest],
    operation: Operation,
    typical_ms: impl Fn(&mut [f64]) -> Option<f64>,
) -> Option<f64> {
    let typical = |sectors: u64| {
        let alike = |request: &&MeasuredRequest| {
            request.operation == operation && request.len_bytes == sectors * SECTOR_BYTES
        };
        let mut times: Vec<f64> = trace
            .iter()
            .filter(alike)
            .map(|request| request.service.as_millis_f64())
            .collect();
        let enough = times.len() >= FEWEST_OF_LENGTH;
        let ms = enough.then(|| typical_ms(&mut times)).flatten()?;
        Some((sectors, ms))
    };
    let known: Vec<(u64, f64)> = [1, 2, 4, 8, 16, 32, 64, 128]
        .into_iter()
        .filter_map(typical)
        .collect();
    let ((short, short_ms), (long, long_ms)) = (known.first()?, known.last()?);
    let bytes = ((long - short) * SECTOR_BYTES) as f64;
    let rate = bytes / 1e3 / (long_ms - short_ms);
    (1.0..2_000.0).contains(&rate).then_some(rate)
}
