//! O4: sharing efficiency and isolation of every policy on the same mixes.

use super::rtas::{STAY_NOTE, in_time, in_time_coarsely};
use crate::{Experiment, Finding, Origin, Real};
use disktime_engine::PolicyKind;
use disktime_lab::efficiency::{PolicyResult, compare};
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::measures::mean;
use disktime_lab::mixes::{CLOCKED, KINDS, MIXES, Mix};
use disktime_lab::{Lab, LabResult, Setup, Table, number};
use disktime_units::Nanos;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "O4",
    title: "efficiency at the same mix against the other policies",
    origin: Origin::Own,
    source: "our own; the other policies are this project's implementations of published ones",
    claim: "On every mix where another policy isolates at all (worst stream ≥ 0.8 of its share), ours \
            is at least as efficient; its mean efficiency over the mixes is at least 0.98 at periods \
            around 1 s.",
    real: Real::No("ten mixes under ten policies take two hours"),
    run,
};

const PERIOD: Nanos = Nanos::from_secs(1);
/// No two requests of 64 KiB are merged: with merging, a stream with eight of them in flight has
/// none queued while they are served, and a policy that does not wait for it takes it for idle.
const QUANTUM_BYTES: u32 = 64 << 10;
/// Runs of a minute repeat to about this much.
const NOISE: f64 = 0.01;

/// The nine mixes, then one of streams that come by the clock.
fn mixes() -> impl Iterator<Item = Mix> {
    MIXES.into_iter().chain([CLOCKED])
}

/// Every policy, and the time tokens' coarse form.
fn policies() -> Vec<(&'static str, PolicyKind)> {
    let all = PolicyKind::all().into_iter();
    let with_coarse = all.flat_map(|policy| {
        let coarse = (policy == in_time()).then(|| ("util, coarse", in_time_coarsely()));
        [Some((policy.name(), policy)), coarse]
    });
    with_coarse.flatten().collect()
}

/// Said when ours loses on the mix of streams that come by the clock.
const WHY: &str = "Where streams come by the clock, ours waits for the next request of the stream that \
                   it serves, charges the waiting to that stream's reservation, and has that much less \
                   to give away (F2). Policies that never wait lose the synchronous readers instead.";

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let policies = policies();
    let setup = |policy| Setup::new(policy, lab.seconds(60)).quantum(QUANTUM_BYTES);
    let of_mix = |mix: Mix| {
        let policies = policies.iter().map(|(_, policy)| *policy);
        compare(lab, &mix, policies, PERIOD, setup)
    };
    // By mix, and within it by policy.
    let results: Vec<Vec<PolicyResult>> = mixes().map(of_mix).collect::<LabResult<_>>()?;
    let mut finding = Finding::new(format!(
        "Nine mixes of two to five backlogged streams ({KINDS}), and one of streams that come by the \
         clock (mediaN: 4 KiB sequential reads, N per second; bursts of random reads) beside r32; \
         reserved to the whole disk, periods around 1 s of which no two coincide; each stream pays for \
         the seeks to it; merged up to 64 KiB. Efficiency: Σ throughput ÷ throughput alone, swept by \
         place. Isolation: of the worst stream."
    ));
    let backlogged = results.iter().take(MIXES.len());
    let ours = mean(backlogged.map(|of_mix| of_mix[0].efficiency));
    let what = "mean efficiency of fahrrad over the nine backlogged mixes";
    finding.check("efficiency", what, ours).at_least(0.98, "");
    let what = "mixes on which a policy that isolates is more efficient than fahrrad by over 0.01";
    let better = losses(&policies, &results);
    finding
        .check("losses", what, better.len() as f64)
        .at_most(0.0, "")
        .decisive();
    if !better.is_empty() {
        finding.note(WHY);
    }
    for loss in better {
        finding.note(loss);
    }
    let names: Vec<&str> = policies.iter().map(|(name, _)| *name).collect();
    finding.table(table(&names, &results));
    finding.figure(figure(&names, &results));
    finding.note(STAY_NOTE);
    finding.note(
        "The kernel's own schedulers (bfq, mq-deadline, kyber, blk-iocost) are not in this table: they \
         do not run in virtual time, and on the paced disk they would schedule the file below the \
         model, not the model. They are comparable only on a real device that they and this scheduler \
         serve in turn, which no run of this program can provide everywhere.",
    );
    Ok(finding)
}

/// Where another policy isolates and is more efficient.
fn losses(policies: &[(&str, PolicyKind)], results: &[Vec<PolicyResult>]) -> Vec<String> {
    let mut losses = Vec::new();
    for (mix, of_mix) in mixes().zip(results) {
        let ours = of_mix[0];
        for ((name, _), other) in policies.iter().zip(of_mix).skip(1) {
            if other.beats(&ours, NOISE) {
                losses.push(format!(
                    "On {} {name} has efficiency {} (isolation {}), fahrrad {} ({}).",
                    mix.name(),
                    number(other.efficiency),
                    number(other.isolation),
                    number(ours.efficiency),
                    number(ours.isolation)
                ));
            }
        }
    }
    losses
}

fn table(names: &[&str], results: &[Vec<PolicyResult>]) -> Table {
    let columns = std::iter::once("mix").chain(names.iter().copied());
    let mut table = Table::new(columns).with_title("Isolation of the worst stream / efficiency");
    for (mix, of_mix) in mixes().zip(results) {
        let cells = of_mix.iter();
        let cells = cells.map(|one| format!("{:.2} / {:.2}", one.isolation, one.efficiency));
        table.row(std::iter::once(mix.name()).chain(cells).collect());
    }
    table
}

fn figure(names: &[&str], results: &[Vec<PolicyResult>]) -> Figure {
    let bars = |name: &str, of: fn(&PolicyResult) -> f64| {
        let mean_of = |policy: usize| {
            let backlogged = results.iter().take(MIXES.len());
            mean(backlogged.map(|of_mix| of(&of_mix[policy])))
        };
        Series::bars(name, (0..names.len()).map(mean_of))
    };
    let ratio = Axis::linear("ratio (1 is ideal)", 0.0, 1.2);
    let panel = Panel::new("", Axis::groups("policy", names), ratio)
        .with(bars("efficiency", |one| one.efficiency))
        .with(bars("isolation of the worst stream", |one| one.isolation))
        .level("ideal", 1.0);
    let title = "Efficiency, and isolation of the worst stream: means of the nine backlogged mixes";
    Figure::new("o4-efficiency", title, [panel])
}
