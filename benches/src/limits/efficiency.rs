//! Sharing efficiency of every policy on the nine mixes, each stream paying its seeks.

use crate::Outcome;
use disktime_engine::{PolicyKind, SwitchingAccount};
use disktime_lab::measures::{efficiency, isolation, least};
use disktime_lab::mixes::MIXES;
use disktime_lab::simulate;
use disktime_units::Nanos;
use serde_json::{Value, json};

/// A policy isolates if its worst stream has that much of its share.
pub const ISOLATES: f64 = 0.8;

/// One policy on one mix.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The mix.
    pub mix: String,
    /// The policy.
    pub policy: &'static str,
    /// Throughput ÷ (share × throughput alone) of the worst stream.
    pub isolation: f64,
    /// Σ throughput ÷ throughput alone.
    pub efficiency: f64,
    /// Changes of the stream that is served, per second.
    pub switches_per_second: f64,
}

/// Runs these mixes (by number) under these policies, with periods around `period`.
///
/// # Errors
/// If the drive cannot be modelled.
pub fn run(
    mixes: &[usize],
    policies: &[PolicyKind],
    period: Nanos,
    duration: Nanos,
) -> Outcome<Vec<Cell>> {
    let mut cells = Vec::new();
    for mix in mixes.iter().map(|index| &MIXES[*index]) {
        let setup = |policy| mix.setup(policy, SwitchingAccount::Served, period, duration);
        let ours = setup(PolicyKind::Fahrrad)?;
        let alone: Vec<f64> = (0..ours.streams.len())
            .map(|index| Ok(simulate(&ours.alone(index))?.iops(index)))
            .collect::<Outcome<_>>()?;
        for policy in policies {
            let run = simulate(&setup(*policy)?)?;
            let shares = mix.shares(&run.facts, period, SwitchingAccount::Served);
            let rates: Vec<f64> = (0..alone.len()).map(|index| run.iops(index)).collect();
            let each: Vec<f64> = (0..alone.len())
                .map(|index| isolation(rates[index], alone[index], shares[index]))
                .collect();
            cells.push(Cell {
                mix: mix.name(),
                policy: policy.name(),
                isolation: least(&each),
                efficiency: efficiency(&rates, &alone),
                switches_per_second: run.switches_per_second(),
            });
        }
    }
    Ok(cells)
}

/// Cells of other policies that isolate and are more efficient than ours on the same mix.
pub fn losses(cells: &[Cell]) -> Vec<(&Cell, &Cell)> {
    let ours = |mix: &str| {
        let is_ours = |cell: &&Cell| cell.policy == PolicyKind::Fahrrad.name() && cell.mix == mix;
        cells.iter().find(is_ours)
    };
    cells
        .iter()
        .filter(|cell| cell.isolation >= ISOLATES)
        .filter_map(|cell| Some((cell, ours(&cell.mix)?)))
        .filter(|(other, ours)| other.efficiency > ours.efficiency)
        .collect()
}

/// Mean efficiency of ours.
pub fn mean_of_ours(cells: &[Cell]) -> f64 {
    let ours: Vec<f64> = cells
        .iter()
        .filter(|cell| cell.policy == PolicyKind::Fahrrad.name())
        .map(|cell| cell.efficiency)
        .collect();
    disktime_lab::measures::mean(&ours)
}

impl Cell {
    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "mix": self.mix,
            "policy": self.policy,
            "isolation": self.isolation,
            "efficiency": self.efficiency,
            "switches_per_second": self.switches_per_second,
        })
    }
}
