//! What differed while it was measured, as sentences: burst credit and write caches that were used
//! up, throttling, neighbours, outliers.
//!
//! Invariant: whatever differs by more than a tenth, between the halves of a probe or between its
//! rounds, is said.

use super::OUTLIER;
use crate::measurements::{Measurements, Subject, median};
use crate::plan::{Part, SMALL_BYTES};
use crate::probe::{Places, Probe, Sample, TENTHS};
use crate::profile::Profile;
use disktime_drive_models::Operation;
use disktime_units::{Nanos, format_size};

/// Remarks about unsteady probes that are written out; the rest is counted.
const MAX_UNSTEADY: usize = 6;
/// Requests that a half needs to be compared.
const ENOUGH: u64 = 20;

impl Measurements {
    pub(super) fn remarks(&self, profile: &Profile) -> Vec<String> {
        let mut remarks = Vec::new();
        remarks.extend(self.falls());
        remarks.extend(self.throttled());
        remarks.extend(self.unsteady());
        remarks.extend(self.outliers());
        remarks.extend(no_seeks(profile));
        if !profile.measured_writes {
            let sentence = "Writes, flushes and discards were not measured: they are priced by guess, \
                            several times as dear as reads. Measure with consent to writing before \
                            the device holds data.";
            remarks.push(sentence.to_owned());
        }
        remarks
    }

    /// Loads that became slower for good: a cache or credit was used up.
    fn falls(&self) -> Vec<String> {
        let warm = |operation| {
            let probes = self.samples();
            let fallen = probes.filter(move |(part, probe, _)| {
                *part == Part::Warm && probe.operation == operation
            });
            fallen.filter_map(|(_, probe, sample)| fall(probe, sample))
        };
        let reads: Vec<String> = warm(Operation::Read).collect();
        let writes: Vec<String> = warm(Operation::Write).collect();
        let credit = !reads.is_empty();
        let sentence = |fall: String| {
            let cause = if credit {
                "burst credit was used up, as cloud volumes have it, or other work on the device \
                 began"
            } else {
                "a write cache was used up"
            };
            format!("{fall}: {cause}. All prices are those after that.")
        };
        reads.into_iter().chain(writes).map(sentence).collect()
    }

    /// Reads alone at the end, beside those at the beginning.
    fn throttled(&self) -> Option<String> {
        let mean = |part| {
            let reads = Subject::new(part, Operation::Read, Places::Random, SMALL_BYTES);
            let rounds = self.rounds(reads);
            (!rounds.is_empty()).then(|| {
                Nanos(median(
                    rounds.iter().map(|sample| sample.mean().0).collect(),
                ))
            })
        };
        let (before, after) = (mean(Part::Alone)?, mean(Part::Again)?);
        (after.0 * 10 > before.0 * 11).then(|| {
            format!(
                "A random read alone took {before} at the beginning and {after} at the end: the \
                 device became slower under load (heat, garbage collection) or has neighbours. \
                 Measure again when it has rested."
            )
        })
    }

    /// Probes whose halves or rounds differ.
    fn unsteady(&self) -> Vec<String> {
        let mut seen: Vec<Subject> = Vec::new();
        let mut remarks = Vec::new();
        for (part, probe, sample) in self.samples() {
            let subject = Subject::of(part, probe);
            let compared = match part {
                Part::Alone | Part::Loaded => true,
                Part::Warm => fall(probe, sample).is_none(),
                _ => false,
            };
            if !compared || seen.contains(&subject) {
                continue;
            }
            seen.push(subject);
            let rounds = self.rounds(subject);
            let figures: Vec<u64> = rounds.iter().map(|one| figure(part, one)).collect();
            let chance = rounds
                .iter()
                .map(|one| chance(part, one))
                .max()
                .unwrap_or(0);
            let between = differ(&figures).filter(|_| beyond(&figures, chance));
            let within = halves(part, &rounds)
                .filter(|pair| beyond(pair, chance))
                .and_then(|pair| differ(&pair));
            let what = described(probe);
            if let Some(percent) = between {
                remarks.push(format!(
                    "{what} differ by {percent} % between rounds: other work on the device, \
                     neighbours on its machine, or changing temperature. The middle one counts."
                ));
            } else if let Some(percent) = within {
                remarks.push(format!(
                    "{what} differ by {percent} % between the halves of a probe: a cache or credit \
                     fills and empties. The second half counts."
                ));
            }
        }
        let more = remarks.len().saturating_sub(MAX_UNSTEADY);
        if more > 0 {
            remarks.truncate(MAX_UNSTEADY);
            remarks.push(format!("So do {more} other probes."));
        }
        remarks
    }

    fn outliers(&self) -> Option<String> {
        let mut count = 0_u64;
        let mut longest = Nanos::ZERO;
        for (_, probe, sample) in self.samples() {
            let bound = Nanos(sample.quantile(990).0 * OUTLIER);
            if probe.depth == 1 && sample.quantile(1000) > bound {
                longest = longest.max(sample.quantile(1000));
                count += sample.latencies.iter().filter(|one| **one > bound).count() as u64;
            }
        }
        (count > 0).then(|| {
            format!(
                "{count} requests alone took far longer than all others, up to {longest}; W leaves \
                 them out. A period in which that happens may get less than is promised."
            )
        })
    }
}

/// A disk that is called rotational and is not.
fn no_seeks(profile: &Profile) -> Option<String> {
    let longest = profile.seeks.as_ref()?.curve.last()?.seek;
    (longest < Nanos::from_millis(1)).then(|| {
        format!(
            "The longest seek takes {longest}, which no disk with an arm reaches: it is an SSD or a \
             virtual disk. Measure it with --seeks false, and give it \"seeks\": false."
        )
    })
}

/// What is compared: mean latency alone, time for each request under load.
fn figure(part: Part, sample: &Sample) -> u64 {
    match part {
        Part::Alone => sample.mean().0,
        _ => sample.late_time_per_request().0,
    }
}

/// How far means of so few requests may lie apart by chance: 4 standard errors. 0 under load, where
/// requests are counted.
fn chance(part: Part, sample: &Sample) -> u64 {
    let count = sample.latencies.len().max(1) as f64;
    if part != Part::Alone {
        return 0;
    }
    let mean = sample.mean().0 as f64;
    let squares = sample
        .latencies
        .iter()
        .map(|one| (one.0 as f64 - mean).powi(2));
    let deviation = (squares.sum::<f64>() / count).sqrt();
    (4.0 * deviation / count.sqrt()) as u64
}

/// Whether figures lie further apart than that.
fn beyond(figures: &[u64], chance: u64) -> bool {
    let least = figures.iter().min().copied().unwrap_or(0);
    let most = figures.iter().max().copied().unwrap_or(0);
    most - least > chance
}

/// The two halves of all rounds, if there is enough in each.
fn halves(part: Part, rounds: &[&Sample]) -> Option<[u64; 2]> {
    let half = |from: usize| {
        let range = from..from + TENTHS / 2;
        let requests: u64 = rounds
            .iter()
            .flat_map(|one| &one.tenths[range.clone()])
            .sum();
        let latency: u64 = rounds
            .iter()
            .flat_map(|one| &one.latency_sums[range.clone()])
            .map(|sum| sum.0)
            .sum();
        (requests, latency)
    };
    let [first, second] = [half(0), half(TENTHS / 2)];
    if first.0 < ENOUGH || second.0 < ENOUGH {
        return None;
    }
    Some(match part {
        Part::Alone => [first.1 / first.0, second.1 / second.0],
        _ => [first.0, second.0],
    })
}

/// By how many per cent the largest is above the smallest, if that is more than ten.
fn differ(figures: &[u64]) -> Option<u64> {
    let least = figures.iter().copied().min()?.max(1);
    let most = figures.iter().copied().max()?;
    let percent = (most - least.min(most)).saturating_mul(100) / least;
    (percent > 10).then_some(percent)
}

/// How a load became slower for good, if it did.
fn fall(probe: &Probe, sample: &Sample) -> Option<String> {
    let tail = (sample.tenths[TENTHS - 2] + sample.tenths[TENTHS - 1]) / 2;
    let rate = |tenth: u64| tenth * 10_000_000_000 / sample.elapsed.0.max(1);
    let (before, after) = (rate(sample.tenths[0]), rate(tail));
    // What falls less is unsteady.
    if after * 4 >= before * 3 {
        return None;
    }
    let middle = (sample.tenths[0] + sample.tenths[TENTHS - 1]) / 2;
    let fast = sample
        .tenths
        .iter()
        .take_while(|count| **count > middle)
        .count();
    let time = Nanos(sample.elapsed.0 / TENTHS as u64 * fast as u64);
    let moved: u64 = sample.tenths.iter().take(fast).sum();
    let moved = moved * probe.len_bytes;
    let what = described(probe);
    let volume = format_size(moved - moved % (1 << 20));
    Some(format!(
        "{what} fell from {before} to {after} a second after about {time} ({volume})"
    ))
}

/// A probe in words, as the beginning of a sentence.
fn described(probe: &Probe) -> String {
    let places = match probe.places {
        Places::Random => "Random",
        Places::Sequential => "Sequential",
        Places::Apart(_) => "Distant",
    };
    let operation = match probe.operation {
        _ if probe.flushes => "flushes behind writes",
        Operation::Read => "reads",
        Operation::Write => "writes",
        Operation::Flush => return "Empty flushes".to_owned(),
        Operation::Discard | Operation::WriteZeroes => "discards",
    };
    let depth = match probe.depth {
        1 => "alone".to_owned(),
        depth => format!("{depth} in flight"),
    };
    let length = format_size(probe.len_bytes);
    format!("{places} {operation} of {length}, {depth},")
}
