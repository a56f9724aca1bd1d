//! What a victim keeps of its own beside each adversary, with the switching account.
//!
//! The victim has 40 % and next to no weight, so that it lives on its own time; the adversaries
//! reserve what they want, or all that admission leaves if that is less.

use crate::Outcome;
use disktime_engine::{PolicyKind, StreamConfig};
use disktime_lab::measures::isolation;
use disktime_lab::mixes::{ACCOUNT, FACTOR_PERCENT, Kind};
use disktime_lab::setup::{DriveSetup, of_kind, reader, reserved, share, writing};
use disktime_lab::{DiskFacts, Setup, simulate};
use disktime_units::Nanos;
use disktime_workloads::{Client, Kind as NamedKind, Pattern};
use serde_json::{Value, json};

/// The victims.
pub const VICTIMS: [Kind; 5] = [
    Kind::Sequential,
    Kind::Random(8),
    Kind::Random(1),
    Kind::Synchronous,
    Kind::Runs(16),
];
/// Its share.
const VICTIM_SHARE: f64 = 0.4;
/// Spare time goes to the adversaries.
const HEAVY: u32 = 10_000;
/// Period of short streams.
const SHORT: Nanos = Nanos::from_millis(300);

/// Who is beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adversary {
    /// Four times one random read at a time, 10 % per 300 ms.
    FourShort,
    /// Best effort: random reads and writes, 32 under way, and a sequential reader.
    ThreeGreedy,
    /// Random reads, 32 under way, with 40 % and the victim's period.
    OneDeep,
    /// Two streams of bursts with 10 % per 300 ms.
    TwoBursty,
    /// Sequential reads, 32 under way, with 40 % and the victim's period.
    SequentialDeep,
}

impl Adversary {
    /// All.
    pub const ALL: [Adversary; 5] = [
        Adversary::FourShort,
        Adversary::ThreeGreedy,
        Adversary::OneDeep,
        Adversary::TwoBursty,
        Adversary::SequentialDeep,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Adversary::FourShort => "4 short r1",
            Adversary::ThreeGreedy => "3 greedy",
            Adversary::OneDeep => "r32",
            Adversary::TwoBursty => "2 bursty",
            Adversary::SequentialDeep => "seq, 32 deep",
        }
    }

    /// Its clients, and the share and period that each wants; without: best effort.
    fn clients(self, period: Nanos) -> Vec<(Option<(f64, Nanos)>, Client)> {
        let random = |depth: u32| reader(Pattern::Random, 4096, depth);
        match self {
            Adversary::FourShort => vec![(Some((0.1, SHORT)), random(1)); 4],
            Adversary::ThreeGreedy => vec![
                (None, random(32)),
                (None, Kind::Sequential.client()),
                (None, writing(reader(Pattern::Random, 64 << 10, 32))),
            ],
            Adversary::OneDeep => vec![(Some((0.4, period)), random(32))],
            Adversary::TwoBursty => vec![(Some((0.1, SHORT)), of_kind(NamedKind::Bursts)); 2],
            Adversary::SequentialDeep => {
                let deep = reader(Pattern::Sequential, 64 << 10, 32);
                vec![(Some((0.4, period)), deep)]
            }
        }
    }
}

/// One victim beside one adversary at one period.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The victim.
    pub victim: String,
    /// The adversary.
    pub adversary: &'static str,
    /// The victim's period.
    pub period: Nanos,
    /// Throughput ÷ (share × throughput alone).
    pub isolation: f64,
    /// Its periods that ended with more unspent than the account allows.
    pub deadlines_missed: u64,
}

/// The run, with as much reserved as admission accepts.
///
/// # Errors
/// If the drive cannot be modelled.
pub fn setup(victim: Kind, adversary: Adversary, period: Nanos, duration: Nanos) -> Outcome<Setup> {
    let clients = adversary.clients(period);
    let facts = DiskFacts::of(&DriveSetup::papers())?;
    let mut periods = vec![period];
    periods.extend(
        clients
            .iter()
            .filter_map(|(wanted, _)| Some(wanted.as_ref()?.1)),
    );
    let taken = facts.switching_share(FACTOR_PERCENT, &periods);
    // A millionth for rounding up, for each.
    let left = 1.0 - VICTIM_SHARE - taken - 1e-5;
    let each = left / (periods.len() - 1).max(1) as f64;
    let mut setup = Setup::new(PolicyKind::Fahrrad, duration);
    setup.switching = ACCOUNT;
    setup.warm_up = Nanos::from_secs(4);
    let config = StreamConfig {
        weight: 1,
        ..reserved(share(VICTIM_SHARE), period)
    };
    setup = setup.stream("victim", config, victim.client());
    for (index, (wanted, client)) in clients.into_iter().enumerate() {
        let config = match wanted {
            Some((wanted, period)) => reserved(share(each.min(wanted)), period),
            None => StreamConfig::BEST_EFFORT,
        };
        let config = StreamConfig {
            weight: HEAVY,
            ..config
        };
        setup = setup.stream(&format!("adversary {}", index + 1), config, client);
    }
    Ok(setup)
}

/// Runs a victim beside an adversary, for a whole number of its periods.
///
/// # Errors
/// If the drive cannot be modelled.
pub fn run(victim: Kind, adversary: Adversary, period: Nanos, duration: Nanos) -> Outcome<Cell> {
    let setup = setup(victim, adversary, period, duration)?;
    let alone = simulate(&setup.alone(0))?.iops(0);
    let run = simulate(&setup)?;
    let last = run.samples.last().and_then(|sample| sample.streams.first());
    Ok(Cell {
        victim: victim.name(),
        adversary: adversary.name(),
        period,
        isolation: isolation(run.iops(0), alone, VICTIM_SHARE),
        deadlines_missed: last.map_or(0, |stream| stream.counters.deadlines_missed),
    })
}

impl Cell {
    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "victim": self.victim,
            "adversary": self.adversary,
            "period_ms": self.period.as_millis_f64(),
            "isolation": self.isolation,
            "deadlines_missed": self.deadlines_missed,
        })
    }
}
