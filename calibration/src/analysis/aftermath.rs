//! σ: the time until reads are normal after writes stop; and the longest read in that time.
//!
//! A write is counted as in the device until its sustained price and a quarter more has run off, so
//! σ is what comes after that. Reads of all bursts of a step are gathered by the time that has
//! passed since; the last span of time in which more than a few of them were slow ends σ. The
//! longest of all steps counts.

use super::OUTLIER;
use crate::measurements::{Measurements, Subject};
use crate::plan::{Part, SMALL_BYTES};
use crate::probe::{Burst, Places};
use disktime_drive_models::Operation;
use disktime_units::Nanos;

/// The end of the first span; each is a half longer than the one before it.
const FIRST_END: Nanos = Nanos::from_micros(50);
const SPANS: usize = 18;
/// Reads that a span needs to be judged by.
const ENOUGH: u32 = 6;

#[derive(Debug, Clone, Copy, Default)]
struct Span {
    reads: u32,
    slow: u32,
}

/// How long a write is held in the device, in per cent of its price: as the scheduler does.
const HOLD_PERCENT: u64 = 125;

impl Measurements {
    /// σ, of writes of the quantum that take `price` each.
    pub(super) fn settle(&self, price: Nanos) -> Nanos {
        let reads = Subject::new(Part::Alone, Operation::Read, Places::Random, SMALL_BYTES);
        let usual = self
            .rounds(reads)
            .iter()
            .map(|sample| sample.quantile(990))
            .max();
        let usual = usual.unwrap_or(Nanos::ZERO);
        let slow_from = Nanos(usual.0 + usual.0 / 4);
        let steps = self
            .bursts()
            .map(|bursts| disturbed(bursts, price, slow_from));
        steps.max().unwrap_or(Nanos::ZERO)
    }

    /// The longest that a read took from when the writes before it, of `price` each, had run off;
    /// without what is far beyond all others of its step.
    pub(super) fn longest_behind_writes(&self, price: Nanos, settle: Nanos) -> Nanos {
        let steps = self
            .bursts()
            .map(|bursts| longest_behind(bursts, price, settle));
        steps.max().unwrap_or(Nanos::ZERO)
    }
}

/// When the writes of a burst have run off.
fn run_off(burst: &Burst, price: Nanos) -> Nanos {
    let hold = price.0.saturating_mul(burst.writes) * HOLD_PERCENT / 100;
    burst.answered_at.max(burst.started_at + Nanos(hold))
}

fn longest_behind(bursts: &[Burst], price: Nanos, settle: Nanos) -> Nanos {
    let mut latencies = Vec::new();
    let mut held = Nanos::ZERO;
    for burst in bursts {
        let from = run_off(burst, price);
        held = held.max(from - burst.started_at);
        // Of a read that began before, what it took beyond that.
        let behind = burst.reads.iter().filter(|(ended_at, _)| *ended_at > from);
        latencies.extend(behind.map(|&(ended_at, latency)| latency.min(ended_at - from)));
    }
    latencies.sort_unstable();
    let usual = latencies.get(latencies.len() * 99 / 100);
    // Most come when writes have settled, so the usual says nothing of those that do not. A read
    // that takes longer than all the writes before it does not do so because of them.
    let usual = usual.copied().unwrap_or(Nanos::ZERO).max(settle);
    let longest = latencies.last().copied().unwrap_or(Nanos::ZERO);
    longest.min(Nanos(usual.0.saturating_mul(OUTLIER)).max(held))
}

/// Until when reads behind these bursts are slower than `slow_from`, from the end of the hold on.
fn disturbed(bursts: &[Burst], price: Nanos, slow_from: Nanos) -> Nanos {
    let ends = span_ends();
    let mut spans = [Span::default(); SPANS];
    for burst in bursts {
        let begin = run_off(burst, price);
        for &(ended_at, latency) in &burst.reads {
            let Some(after) = ended_at.0.checked_sub(begin.0) else {
                continue;
            };
            let Some(index) = ends.iter().position(|end| after <= end.0) else {
                continue;
            };
            spans[index].reads += 1;
            spans[index].slow += u32::from(latency > slow_from);
        }
    }
    let is_disturbed =
        |span: &Span| span.reads >= ENOUGH && span.slow > 1 && span.slow * 20 > span.reads;
    let last = spans.iter().rposition(is_disturbed);
    last.map_or(Nanos::ZERO, |last| ends[last])
}

fn span_ends() -> [Nanos; SPANS] {
    let mut end = FIRST_END;
    std::array::from_fn(|_| {
        let this = end;
        end = Nanos(end.0 + end.0 / 2);
        this
    })
}
