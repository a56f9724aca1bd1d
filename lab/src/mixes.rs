//! The mixes that schedulers are compared on: streams of a few kinds, all of them backlogged, with
//! reservations that together take all that admission gives.

use crate::setup::{Setup, at_rate, bursts, reader, reserved, thinking};
use crate::{DiskFacts, LabResult};
use disktime_engine::SwitchingAccount;
use disktime_units::Nanos;
use disktime_workloads::{Client, Pattern};

/// Factors of the period, so that deadlines of a mix do not coincide.
const PERIOD_FACTORS: [f64; 5] = [1.0, 1.31, 0.77, 1.13, 0.91];

/// A kind of stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamKind {
    /// 64 KiB sequential reads, eight in flight.
    Sequential,
    /// 64 KiB sequential reads, one at a time, 100 µs between answer and next request.
    Synchronous,
    /// 4 KiB random reads, so many in flight.
    Random(u32),
    /// 4 KiB reads in runs of that length at random places, four in flight.
    Runs(u64),
    /// 4 KiB sequential reads by the clock, so many per second.
    Media(u64),
    /// Bursts of random 4 KiB reads.
    Bursts,
}

impl StreamKind {
    /// Its name.
    pub fn name(self) -> String {
        match self {
            StreamKind::Sequential => "seq".to_owned(),
            StreamKind::Synchronous => "seq1".to_owned(),
            StreamKind::Random(depth) => format!("r{depth}"),
            StreamKind::Runs(length) => format!("run{length}"),
            StreamKind::Media(rate) => format!("media{rate}"),
            StreamKind::Bursts => "bursts".to_owned(),
        }
    }

    /// Its client.
    pub fn client(self) -> Client {
        match self {
            StreamKind::Sequential => reader(Pattern::Sequential, 64 << 10, 8),
            StreamKind::Synchronous => thinking(
                reader(Pattern::Sequential, 64 << 10, 1),
                Nanos::from_micros(100),
            ),
            StreamKind::Random(depth) => reader(Pattern::Random, 4096, depth),
            StreamKind::Runs(run) => reader(Pattern::SemiRandom { run }, 4096, 4),
            StreamKind::Media(rate) => at_rate(reader(Pattern::Sequential, 4096, 1), rate),
            StreamKind::Bursts => bursts(),
        }
    }
}

/// What the kinds' names mean, for the description of a set-up.
pub const KINDS: &str = "seq: 64 KiB sequential reads, 8 in flight; seq1: the same, one at a time \
                         with 100 µs between answer and next request; rN: 4 KiB random reads, N \
                         in flight; runN: 4 KiB reads in runs of N, 4 in flight";

/// Some streams and how the disk is divided among them.
#[derive(Debug, Clone, Copy)]
pub struct Mix {
    /// The streams, each with its part of what can be reserved.
    pub streams: &'static [(StreamKind, f64)],
}

/// The nine mixes of two to five streams.
pub const MIXES: [Mix; 9] = [
    Mix::new(&[(StreamKind::Sequential, 0.5), (StreamKind::Random(8), 0.5)]),
    Mix::new(&[(StreamKind::Sequential, 0.5), (StreamKind::Sequential, 0.5)]),
    Mix::new(&[(StreamKind::Synchronous, 0.5), (StreamKind::Random(8), 0.5)]),
    Mix::new(&[
        (StreamKind::Synchronous, 0.5),
        (StreamKind::Sequential, 0.5),
    ]),
    Mix::new(&[(StreamKind::Random(32), 0.5), (StreamKind::Random(8), 0.5)]),
    Mix::new(&[(StreamKind::Random(1), 0.5), (StreamKind::Random(1), 0.5)]),
    Mix::new(&[(StreamKind::Runs(16), 0.5), (StreamKind::Runs(128), 0.5)]),
    Mix::new(&[
        (StreamKind::Sequential, 0.3),
        (StreamKind::Random(8), 0.3),
        (StreamKind::Synchronous, 0.2),
        (StreamKind::Runs(16), 0.2),
    ]),
    Mix::new(&[
        (StreamKind::Sequential, 0.3),
        (StreamKind::Random(32), 0.25),
        (StreamKind::Runs(128), 0.2),
        (StreamKind::Random(1), 0.15),
        (StreamKind::Synchronous, 0.1),
    ]),
];

/// A mix of streams that come by the clock beside a greedy one: the first three ask for less than
/// their shares allow.
pub const CLOCKED: Mix = Mix::new(&[
    (StreamKind::Media(400), 0.2),
    (StreamKind::Media(800), 0.4),
    (StreamKind::Bursts, 0.3),
    (StreamKind::Random(32), 0.1),
]);

impl Mix {
    const fn new(streams: &'static [(StreamKind, f64)]) -> Mix {
        Mix { streams }
    }

    /// Its name.
    pub fn name(&self) -> String {
        let names: Vec<String> = self.streams.iter().map(|(kind, _)| kind.name()).collect();
        names.join(" / ")
    }

    /// Periods around `period`, of which no two coincide.
    pub fn periods(&self, period: Nanos) -> Vec<Nanos> {
        let count = PERIOD_FACTORS.len();
        let scaled = |index: usize| {
            // Beyond five streams each round of factors is a little longer.
            let factor = PERIOD_FACTORS[index % count] * (1.0 + 0.03 * (index / count) as f64);
            let millis = (period.as_millis_f64() * factor).round();
            Nanos::from_millis(millis as u64)
        };
        (0..self.streams.len()).map(scaled).collect()
    }

    /// The shares when everything that can be reserved is: with the switching account less than
    /// the whole disk.
    pub fn shares(
        &self,
        facts: &DiskFacts,
        period: Nanos,
        switching: SwitchingAccount,
    ) -> Vec<f64> {
        self.shares_beside(facts.switching_share(switching, &self.periods(period)))
    }

    /// The shares when `taken` of the disk is kept for switches.
    pub fn shares_beside(&self, taken: f64) -> Vec<f64> {
        let left = (1.0 - taken).max(0.0);
        // A millionth less each, so that rounding up never asks for more than there is.
        let part = |(_, part): &(StreamKind, f64)| (part * left - 1e-6).max(0.0);
        self.streams.iter().map(part).collect()
    }

    /// Adds the streams to a run, with reservations to the limit of admission.
    ///
    /// # Errors
    /// If the drive cannot be modelled.
    pub fn reserved_in(&self, setup: Setup, period: Nanos) -> LabResult<Setup> {
        let facts = DiskFacts::of(&setup.drive)?;
        let shares = self.shares(&facts, period, setup.scheduling.switching());
        Ok(self.added_to(setup, &shares, period))
    }

    /// Adds the streams to a run, with those shares.
    pub fn added_to(&self, setup: Setup, shares: &[f64], period: Nanos) -> Setup {
        let periods = self.periods(period);
        let numbered = self.streams.iter().enumerate();
        numbered.fold(setup, |setup, (index, (kind, _))| {
            let name = format!("{} {}", index + 1, kind.name());
            let config = reserved(shares[index], periods[index]);
            setup.stream(&name, config, kind.client())
        })
    }
}

#[cfg(test)]
mod tests;
