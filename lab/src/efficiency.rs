//! What each policy makes of the same mix: isolation of the worst stream, and sharing efficiency.

use crate::measures::Sharing;
use crate::mixes::Mix;
use crate::{Lab, LabResult, Scheduling, Setup};
use disktime_engine::PolicyKind;
use disktime_units::Nanos;

/// A policy isolates if its worst stream has that much of its share.
pub const ISOLATES: f64 = 0.8;

/// One policy on one mix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolicyResult {
    /// Throughput ÷ (share × throughput alone) of the worst stream.
    pub isolation: f64,
    /// Σ throughput ÷ throughput alone.
    pub efficiency: f64,
    /// Changes of the stream that is served, per second.
    pub switches_per_second: f64,
}

impl PolicyResult {
    /// Whether it isolates, and is more efficient than `ours` by more than `noise`.
    pub fn beats(&self, ours: &PolicyResult, noise: f64) -> bool {
        self.isolation >= ISOLATES && self.efficiency > ours.efficiency + noise
    }
}

/// Runs a mix under each of these policies, with periods around `period`; the streams alone run by
/// this project's scheduler.
///
/// # Errors
/// If a run is not possible.
pub fn compare(
    lab: &Lab<'_>,
    mix: &Mix,
    policies: impl IntoIterator<Item = PolicyKind>,
    period: Nanos,
    prepared: impl Fn(PolicyKind) -> Setup,
) -> LabResult<Vec<PolicyResult>> {
    let setup = |policy| mix.reserved_in(prepared(policy), period);
    let alone = lab.rates_alone(&setup(PolicyKind::Fahrrad)?)?;
    let of_policy = |policy| {
        let run = lab.run(&setup(policy)?)?;
        let shares = mix.shares(&run.facts, period, Scheduling::SERVED.switching());
        let sharing = Sharing::of(&run, &alone, &shares);
        Ok(PolicyResult {
            isolation: sharing.least_isolation(),
            efficiency: sharing.efficiency(),
            switches_per_second: run.switches_per_second(),
        })
    };
    policies.into_iter().map(of_policy).collect()
}
