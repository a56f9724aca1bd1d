//! What is computed from runs: isolation, efficiency, errors of utilization, fairness.

use crate::{Run, StreamSpan, number};
use disktime_units::Nanos;
use std::borrow::Borrow;

/// Streams beside each other, each held against what it does alone in the same place.
#[derive(Debug, Clone, PartialEq)]
pub struct Sharing {
    /// Throughput, throughput alone, and reserved share of each.
    streams: Vec<(f64, f64, f64)>,
}

impl Sharing {
    /// The streams of a run, in their order, as many as there are shares.
    pub fn of(run: &Run, alone: &[f64], shares: &[f64]) -> Sharing {
        let streams = alone.iter().zip(shares).enumerate();
        streams
            .map(|(index, (alone, share))| (run.iops(index), *alone, *share))
            .collect()
    }

    /// Throughput over share × throughput alone of each: 1 is what was promised.
    pub fn isolations(&self) -> impl Iterator<Item = f64> {
        self.streams
            .iter()
            .map(|(rate, alone, share)| isolation(*rate, *alone, *share))
    }

    /// The isolation of the stream that has least of it.
    pub fn least_isolation(&self) -> f64 {
        least(self.isolations())
    }

    /// Σ throughput over throughput alone: 1 is perfect time slicing with free switches.
    pub fn efficiency(&self) -> f64 {
        self.streams
            .iter()
            .map(|(rate, alone, _)| rate / alone)
            .sum()
    }
}

/// From throughput, throughput alone and reserved share of each stream.
impl FromIterator<(f64, f64, f64)> for Sharing {
    fn from_iter<I: IntoIterator<Item = (f64, f64, f64)>>(streams: I) -> Sharing {
        Sharing {
            streams: streams.into_iter().collect(),
        }
    }
}

/// Throughput over share × throughput alone: 1 is what was promised.
pub fn isolation(rate: f64, alone: f64, share: f64) -> f64 {
    rate / (share * alone)
}

/// Jain's index of values that should be equal: 1 is fair, 1/n is all for one.
pub fn jain<V: Borrow<f64>>(values: impl IntoIterator<Item = V>) -> f64 {
    let values: Vec<f64> = values.into_iter().map(|value| *value.borrow()).collect();
    let sum: f64 = values.iter().sum();
    let squares: f64 = values.iter().map(|value| value * value).sum();
    sum * sum / (values.len() as f64 * squares)
}

/// The mean; not a number if there is none.
pub fn mean<V: Borrow<f64>>(values: impl IntoIterator<Item = V>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value.borrow();
        count += 1.0;
    }
    sum / count
}

/// The least; not a number if there is none.
pub fn least<V: Borrow<f64>>(values: impl IntoIterator<Item = V>) -> f64 {
    let values = values.into_iter().map(|value| *value.borrow());
    values.fold(f64::NAN, f64::min)
}

/// The greatest; not a number if there is none.
pub fn greatest<V: Borrow<f64>>(values: impl IntoIterator<Item = V>) -> f64 {
    let values = values.into_iter().map(|value| *value.borrow());
    values.fold(f64::NAN, f64::max)
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
    let of_window = |window: &Vec<StreamSpan>| -> Vec<f64> {
        let spans = window.iter().zip(shares);
        spans
            .map(|(span, share)| span.disk_time() / seconds - share)
            .collect()
    };
    windows.iter().flat_map(of_window).collect()
}

#[cfg(test)]
mod tests;
