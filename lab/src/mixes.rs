//! The mixes that schedulers are compared on: streams of a few kinds, all of them backlogged, with
//! reservations that together take all that admission gives.

use crate::setup::{Setup, at_rate, of_kind, reader, reserved, share, thinking};
use crate::{DiskFacts, LabResult};
use disktime_engine::{PolicyKind, SwitchingAccount};
use disktime_units::Nanos;
use disktime_workloads::{Client, Kind as NamedKind, Pattern};

/// c of the switching account, in per cent, as the product has it.
pub const FACTOR_PERCENT: u32 = 150;
/// Factors of the period, so that deadlines of a mix do not coincide.
const PERIOD_FACTORS: [f64; 5] = [1.0, 1.31, 0.77, 1.13, 0.91];

/// A kind of stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 64 KiB sequential reads, eight under way.
    Sequential,
    /// 64 KiB sequential reads, one at a time, 100 µs between answer and next request.
    Synchronous,
    /// 4 KiB random reads, so many under way.
    Random(u32),
    /// 4 KiB reads in runs of that length at random places, four under way.
    Runs(u64),
    /// 4 KiB sequential reads by the clock, so many per second.
    Media(u64),
    /// Bursts of random 4 KiB reads.
    Bursts,
}

impl Kind {
    /// Its name.
    pub fn name(self) -> String {
        match self {
            Kind::Sequential => "seq".to_owned(),
            Kind::Synchronous => "seq1".to_owned(),
            Kind::Random(depth) => format!("r{depth}"),
            Kind::Runs(length) => format!("run{length}"),
            Kind::Media(rate) => format!("media{rate}"),
            Kind::Bursts => "bursts".to_owned(),
        }
    }

    /// Its client.
    pub fn client(self) -> Client {
        match self {
            Kind::Sequential => reader(Pattern::Sequential, 64 << 10, 8),
            Kind::Synchronous => thinking(
                reader(Pattern::Sequential, 64 << 10, 1),
                Nanos::from_micros(100),
            ),
            Kind::Random(depth) => reader(Pattern::Random, 4096, depth),
            Kind::Runs(run) => reader(Pattern::SemiRandom { run }, 4096, 4),
            Kind::Media(rate) => at_rate(reader(Pattern::Sequential, 4096, 1), rate),
            Kind::Bursts => of_kind(NamedKind::Bursts),
        }
    }
}

/// What the kinds' names mean, for the description of a set-up.
pub const KINDS: &str = "seq: 64 KiB sequential reads, 8 under way; seq1: the same, one at a time \
                         with 100 µs between answer and next request; rN: 4 KiB random reads, N \
                         under way; runN: 4 KiB reads in runs of N, 4 under way";

/// Some streams and how the disk is divided among them.
#[derive(Debug, Clone, Copy)]
pub struct Mix {
    /// The streams, each with its part of what can be reserved.
    pub streams: &'static [(Kind, f64)],
}

/// The nine mixes of two to five streams.
pub const MIXES: [Mix; 9] = [
    Mix::new(&[(Kind::Sequential, 0.5), (Kind::Random(8), 0.5)]),
    Mix::new(&[(Kind::Sequential, 0.5), (Kind::Sequential, 0.5)]),
    Mix::new(&[(Kind::Synchronous, 0.5), (Kind::Random(8), 0.5)]),
    Mix::new(&[(Kind::Synchronous, 0.5), (Kind::Sequential, 0.5)]),
    Mix::new(&[(Kind::Random(32), 0.5), (Kind::Random(8), 0.5)]),
    Mix::new(&[(Kind::Random(1), 0.5), (Kind::Random(1), 0.5)]),
    Mix::new(&[(Kind::Runs(16), 0.5), (Kind::Runs(128), 0.5)]),
    Mix::new(&[
        (Kind::Sequential, 0.3),
        (Kind::Random(8), 0.3),
        (Kind::Synchronous, 0.2),
        (Kind::Runs(16), 0.2),
    ]),
    Mix::new(&[
        (Kind::Sequential, 0.3),
        (Kind::Random(32), 0.25),
        (Kind::Runs(128), 0.2),
        (Kind::Random(1), 0.15),
        (Kind::Synchronous, 0.1),
    ]),
];

/// A mix of streams that come by the clock beside a greedy one: the first three ask for less than
/// their shares allow.
pub const CLOCKED: Mix = Mix::new(&[
    (Kind::Media(400), 0.2),
    (Kind::Media(800), 0.4),
    (Kind::Bursts, 0.3),
    (Kind::Random(32), 0.1),
]);

impl Mix {
    const fn new(streams: &'static [(Kind, f64)]) -> Mix {
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
        let taken = match switching {
            SwitchingAccount::Served => 0.0,
            SwitchingAccount::Reserved { factor_percent } => {
                facts.switching_share(factor_percent, &self.periods(period))
            }
        };
        let left = (1.0 - taken).max(0.0);
        // A millionth less each, so that rounding up never asks for more than there is.
        let part = |(_, part): &(Kind, f64)| (part * left - 1e-6).max(0.0);
        self.streams.iter().map(part).collect()
    }

    /// The run, with reservations to the limit.
    ///
    /// # Errors
    /// If the drive cannot be modelled.
    pub fn setup(
        &self,
        policy: PolicyKind,
        switching: SwitchingAccount,
        period: Nanos,
        duration: Nanos,
    ) -> LabResult<Setup> {
        let mut setup = Setup::new(policy, duration);
        setup.switching = switching;
        let facts = DiskFacts::of(&setup.drive)?;
        let shares = self.shares(&facts, period, switching);
        Ok(self.with_reservations(setup, &shares, period))
    }

    /// Adds the streams to a run, with those shares.
    pub fn with_reservations(&self, mut setup: Setup, shares: &[f64], period: Nanos) -> Setup {
        let periods = self.periods(period);
        for (index, (kind, _)) in self.streams.iter().enumerate() {
            let name = format!("{} {}", index + 1, kind.name());
            let config = reserved(share(shares[index]), periods[index]);
            setup = setup.stream(&name, config, kind.client());
        }
        setup
    }
}

/// The switching account as the product has it.
pub const ACCOUNT: SwitchingAccount = SwitchingAccount::Reserved {
    factor_percent: FACTOR_PERCENT,
};

#[cfg(test)]
mod tests;
