//! Finds the bus rate in a measured trace, and the clusters of service times that the electronics
//! and the bus alone determine.
//!
//! A request that the cache serves takes the overhead and the bus time and nothing else, so the
//! times of requests of one length lie close together, and two lengths differ by their bus times.
//! Where no times lie so close together, the medium served every request, and the fastest reads of
//! two lengths differ by the slower of medium and bus.

use super::parameters::{HddParameters, SECTOR_BYTES};
use super::trace::MeasuredRequest;
use crate::Operation;

/// A cluster lies within this part of a turn.
const WINDOW_PARTS: f64 = 64.0;
/// Times determined by the electronics and the bus lie at most this part of a turn above the middle
/// of their densest cluster.
pub(super) const SPREAD_PARTS: f64 = 16.0;
/// A cluster holds at least this many times the number that evenly spread rotational waits would
/// put there.
const DENSITY: f64 = 4.0;
/// Fewer times than this are no cluster.
const FEWEST_IN_CLUSTER: usize = 10;
/// Lengths with fewer requests are ignored.
const FEWEST_OF_LENGTH: usize = 50;

/// One turn of the platter.
pub(super) fn turn_ms(parameters: &HddParameters) -> f64 {
    60_000.0 / parameters.rpm * parameters.time_scale
}

/// The middle of the densest cluster of times below half a turn; `None` if there is none.
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
    // The tenth percentile is among the fast requests, and no single outlier.
    let fast = |times: &mut [f64]| {
        times.sort_by(f64::total_cmp);
        times.get(times.len() / 10).copied()
    };
    // Each kind of command has a cluster of its own; the fastest kind is the same for every length,
    // which need not hold for the most frequent one.
    let clustered = |times: &mut [f64]| {
        let limit = cluster_ms(times, turn_ms)? + turn_ms / SPREAD_PARTS;
        let end = times.partition_point(|time| *time <= limit);
        fast(&mut times[..end])
    };
    // Cached writes take only this time; reads may be streamed from the medium.
    let found = rate(trace, Operation::Write, clustered)
        .or_else(|| rate(trace, Operation::Read, clustered))
        .or_else(|| rate(trace, Operation::Read, fast))?;
    Some((found * 100.0).round() / 100.0)
}

/// The rate from the difference between the shortest and the longest of the lengths.
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
