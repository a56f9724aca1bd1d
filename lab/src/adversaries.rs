//! A victim beside an adversary: what a stream keeps of its reservation whatever its neighbours do.
//!
//! The victim has 40 % and next to no weight, so that it lives on its own time; the adversaries
//! reserve what they want, or all that admission leaves if that is less, and have all the weight.

use crate::mixes::StreamKind;
use crate::run::DiskFacts;
use crate::setup::{Setup, bursts, reader, reserved, weighted, writing};
use disktime_engine::StreamConfig;
use disktime_units::Nanos;
use disktime_workloads::{Client, Pattern};

/// The victim's share.
pub const VICTIM_SHARE: f64 = 0.4;
/// Weight of the adversaries; the victim's is 1.
const HEAVY: u32 = 10_000;
/// Period of short streams.
const SHORT: Nanos = Nanos::from_millis(300);

/// Who is beside the victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adversary {
    /// Four times one random read at a time, with that many per cent per 300 ms.
    FourShort(u32),
    /// Best effort: random reads and writes, 32 in flight, and a sequential reader.
    ThreeGreedy,
    /// Random reads, 32 in flight, with 40 % and the victim's period.
    OneDeep,
    /// Two streams of bursts with 10 % per 300 ms.
    TwoBursty,
    /// Sequential reads, 32 in flight, with 40 % and the victim's period.
    SequentialDeep,
}

impl Adversary {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Adversary::FourShort(_) => "4 short r1",
            Adversary::ThreeGreedy => "3 greedy",
            Adversary::OneDeep => "r32",
            Adversary::TwoBursty => "2 bursty",
            Adversary::SequentialDeep => "seq, 32 deep",
        }
    }

    /// The share and period that each of its streams wants (without: best effort), and its client.
    fn streams(self, period: Nanos) -> Vec<(Option<(f64, Nanos)>, Client)> {
        let random = |depth: u32| reader(Pattern::Random, 4096, depth);
        let with_40 = |client: Client| vec![(Some((0.4, period)), client)];
        match self {
            Adversary::FourShort(percent) => {
                vec![(Some((f64::from(percent) / 100.0, SHORT)), random(1)); 4]
            }
            Adversary::ThreeGreedy => vec![
                (None, random(32)),
                (None, StreamKind::Sequential.client()),
                (None, writing(reader(Pattern::Random, 64 << 10, 32))),
            ],
            Adversary::OneDeep => with_40(random(32)),
            Adversary::TwoBursty => vec![(Some((0.1, SHORT)), bursts()); 2],
            Adversary::SequentialDeep => with_40(reader(Pattern::Sequential, 64 << 10, 32)),
        }
    }
}

/// A victim of a kind beside an adversary at one period.
#[derive(Debug, Clone, Copy)]
pub struct Beside {
    /// The victim.
    pub victim: StreamKind,
    /// Who is beside it.
    pub adversary: Adversary,
    /// The victim's period.
    pub period: Nanos,
}

impl Beside {
    /// Adds the streams to a run. `taken` says what the switching account takes of the disk for
    /// reserved streams of these periods.
    pub fn added_to(&self, setup: Setup, taken: impl Fn(&[Nanos]) -> f64) -> Setup {
        let streams = self.adversary.streams(self.period);
        let wanted = streams.iter().filter_map(|(wanted, _)| wanted.as_ref());
        let mut periods = vec![self.period];
        periods.extend(wanted.map(|(_, period)| *period));
        // Rounding up takes a millionth of each.
        let left = 1.0 - VICTIM_SHARE - taken(&periods) - 1e-5;
        let each = left / (periods.len() - 1).max(1) as f64;
        let config = weighted(1, reserved(VICTIM_SHARE, self.period));
        let setup = setup.stream("victim", config, self.victim.client());
        let numbered = streams.into_iter().enumerate();
        numbered.fold(setup, |setup, (index, (wanted, client))| {
            let config = match wanted {
                Some((wanted, period)) => reserved(each.min(wanted), period),
                None => StreamConfig::BEST_EFFORT,
            };
            let name = format!("adversary {}", index + 1);
            setup.stream(&name, weighted(HEAVY, config), client)
        })
    }

    /// The same with what the set-up's own switching account takes.
    pub fn admitted_to(&self, setup: Setup, facts: &DiskFacts) -> Setup {
        let switching = setup.scheduling.switching();
        self.added_to(setup, |periods| facts.switching_share(switching, periods))
    }
}
