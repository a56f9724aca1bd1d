//! What a victim keeps of its own beside each adversary, with the switching account.

use super::lab;
use crate::BenchResult;
use disktime_lab::adversaries::{Adversary, Beside, VICTIM_SHARE};
use disktime_lab::measures::isolation;
use disktime_lab::mixes::StreamKind;
use disktime_lab::setup::{DriveSetup, Setup};
use disktime_lab::{DiskFacts, Scheduling};
use disktime_units::Nanos;
use serde_json::{Value, json};

/// The victims.
pub const VICTIMS: [StreamKind; 5] = [
    StreamKind::Sequential,
    StreamKind::Random(8),
    StreamKind::Random(1),
    StreamKind::Synchronous,
    StreamKind::Runs(16),
];
/// The adversaries.
pub const ADVERSARIES: [Adversary; 5] = [
    Adversary::FourShort(10),
    Adversary::ThreeGreedy,
    Adversary::OneDeep,
    Adversary::TwoBursty,
    Adversary::SequentialDeep,
];

/// What a victim kept beside an adversary at one period.
#[derive(Debug, Clone)]
pub struct VictimResult {
    beside: Beside,
    /// Throughput ÷ (share × throughput alone).
    pub isolation: f64,
    /// Its periods that ended with more unspent than the account allows.
    pub deadlines_missed: u64,
}

/// Runs a victim beside an adversary, for a whole number of its periods.
///
/// # Errors
/// If the drive cannot be modelled.
pub fn run(beside: Beside, duration: Nanos) -> BenchResult<VictimResult> {
    let facts = DiskFacts::of(&DriveSetup::papers())?;
    let setup = Setup::new(Scheduling::ACCOUNT, duration).warm_up(Nanos::from_secs(4));
    let setup = beside.admitted_to(setup, &facts);
    let alone = lab().run(&setup.alone(0))?.iops(0);
    let run = lab().run(&setup)?;
    let victim = run.final_counters().next();
    Ok(VictimResult {
        beside,
        isolation: isolation(run.iops(0), alone, VICTIM_SHARE),
        deadlines_missed: victim.map_or(0, |counters| counters.deadlines_missed),
    })
}

impl VictimResult {
    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "victim": self.beside.victim.name(),
            "adversary": self.beside.adversary.name(),
            "period_ms": self.beside.period.as_millis_f64(),
            "isolation": self.isolation,
            "deadlines_missed": self.deadlines_missed,
        })
    }
}
