//! Sharing efficiency of every policy on the nine mixes, each stream paying its seeks.

use super::lab;
use crate::BenchResult;
use disktime_engine::PolicyKind;
use disktime_lab::Setup;
use disktime_lab::efficiency::{PolicyResult, compare};
use disktime_lab::measures::mean;
use disktime_lab::mixes::MIXES;
use disktime_units::Nanos;
use serde_json::{Value, json};

/// The policies on one mix, in the order of [`PolicyKind::all`].
#[derive(Debug, Clone)]
pub struct MixRow {
    mix: String,
    results: Vec<PolicyResult>,
}

/// Runs all mixes under all policies, with periods around `period`.
///
/// # Errors
/// If the drive cannot be modelled.
pub fn run(period: Nanos, duration: Nanos) -> BenchResult<Vec<MixRow>> {
    let setup = |policy| Setup::new(policy, duration);
    let of_mix = |mix: disktime_lab::mixes::Mix| {
        Ok(MixRow {
            mix: mix.name(),
            results: compare(&lab(), &mix, PolicyKind::all(), period, setup)?,
        })
    };
    MIXES.into_iter().map(of_mix).collect()
}

impl MixRow {
    /// The mix.
    pub fn mix(&self) -> &str {
        &self.mix
    }

    /// Each policy's result.
    pub fn results(&self) -> impl Iterator<Item = (&'static str, &PolicyResult)> {
        let policies = PolicyKind::all().into_iter();
        policies.map(|policy| policy.name()).zip(&self.results)
    }

    fn ours(&self) -> Option<&PolicyResult> {
        let mut results = self.results();
        let ours = results.find(|(policy, _)| *policy == PolicyKind::Fahrrad.name());
        ours.map(|(_, result)| result)
    }

    /// As JSON, an entry for each policy.
    pub fn json(&self) -> impl Iterator<Item = Value> {
        self.results().map(|(policy, result)| {
            json!({
                "mix": self.mix,
                "policy": policy,
                "isolation": result.isolation,
                "efficiency": result.efficiency,
                "switches_per_second": result.switches_per_second,
            })
        })
    }
}

/// Where another policy isolates and is more efficient than ours, as sentences.
pub fn losses(rows: &[MixRow]) -> Vec<String> {
    let mut losses = Vec::new();
    for row in rows {
        let Some(ours) = row.ours() else { continue };
        let better = row.results().filter(|(_, other)| other.beats(ours, 0.0));
        losses.extend(better.map(|(policy, other)| {
            format!(
                "{}: {policy} has efficiency {:.4} (isolation {:.3}), ours {:.4} ({:.3})",
                row.mix, other.efficiency, other.isolation, ours.efficiency, ours.isolation
            )
        }));
    }
    losses
}

/// Mean efficiency of ours.
pub fn mean_of_ours(rows: &[MixRow]) -> f64 {
    let ours = rows.iter().filter_map(MixRow::ours);
    mean(ours.map(|result| result.efficiency))
}
