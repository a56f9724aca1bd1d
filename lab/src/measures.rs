//! What is computed from runs: isolation, efficiency, errors of utilization, fairness.

use crate::{Run, number};
use disktime_units::Nanos;

/// Throughput over share × throughput alone: 1 is what was promised.
pub fn isolation(rate: f64, alone: f64, share: f64) -> f64 {
    rate / (share * alone)
}

/// Σ throughput over throughput alone: 1 is perfect time slicing with free switches.
pub fn efficiency(rates: &[f64], alone: &[f64]) -> f64 {
    rates
        .iter()
        .zip(alone)
        .map(|(rate, alone)| rate / alone)
        .sum()
}

/// Jain's index of values that should be equal: 1 is fair, 1/n is all for one.
pub fn jain(values: &[f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    let squares: f64 = values.iter().map(|value| value * value).sum();
    sum * sum / (values.len() as f64 * squares)
}

/// The mean.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The least; not a number if there is none.
pub fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::min)
}

/// The greatest; not a number if there is none.
pub fn greatest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NAN, f64::max)
}

/// The value that the given part of all values does not exceed; not a number if there is none.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1) as f64;
    sorted
        .get((last * part).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

/// What a stream got, as the end of a table's row; its columns are [`RECEIVED_COLUMNS`].
pub fn received_cells(run: &Run, stream: usize) -> [String; 5] {
    let latency = run.latency(stream);
    let millis =
        |time: Option<Nanos>| time.map_or("-".to_owned(), |time| number(time.as_millis_f64()));
    [
        number(run.iops(stream)),
        number(run.share(stream) * 100.0),
        number(run.waited_share(stream) * 100.0),
        millis(latency.map(|latency| latency.p50)),
        millis(latency.map(|latency| latency.p99)),
    ]
}

/// The names of what [`received_cells`] gives.
pub const RECEIVED_COLUMNS: [&str; 5] = [
    "IOPS",
    "share of the time (%)",
    "of it waited for (%)",
    "p50 (ms)",
    "p99 (ms)",
];

/// In every window of `width`, for every stream: received share of the disk's time less `shares`.
pub fn share_errors(run: &Run, shares: &[f64], width: Nanos) -> Vec<f64> {
    let seconds = width.as_secs_f64();
    let windows = run.windows(width);
    let of_window = |window: &Vec<crate::StreamSpan>| -> Vec<f64> {
        let spans = window.iter().zip(shares);
        spans
            .map(|(span, share)| span.disk_time() / seconds - share)
            .collect()
    };
    windows.iter().flat_map(of_window).collect()
}

#[cfg(test)]
mod tests;
