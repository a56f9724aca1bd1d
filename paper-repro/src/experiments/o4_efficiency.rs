//! O4: sharing efficiency and isolation of every policy on the same mixes.

use super::rtas::{STAY_NOTE, in_time, in_time_coarsely};
use crate::{Bound, Check, Experiment, Finding, Origin, Real};
use disktime_engine::{PolicyKind, SwitchingAccount};
use disktime_lab::figure::{Axis, Figure, Mark, Series};
use disktime_lab::measures::{efficiency, isolation, least, mean};
use disktime_lab::mixes::{CLOCKED, KINDS, MIXES, Mix};
use disktime_lab::{Lab, LabResult, Setup, Table, number};
use disktime_units::Nanos;

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
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
/// No two requests of 64 KiB are merged: merged, a stream with eight of them under way has nothing
/// waiting while they are served, and whoever does not wait for it takes it for idle.
const QUANTUM_BYTES: u32 = 64 << 10;
/// A policy isolates if its worst stream has that much of its share.
const ISOLATES: f64 = 0.8;
/// Runs of a minute repeat to about this much.
const NOISE: f64 = 0.01;

/// The nine mixes, then one of streams that come by the clock.
fn mixes() -> impl Iterator<Item = Mix> {
    MIXES.into_iter().chain([CLOCKED])
}

/// Every policy, and the time tokens' coarse form.
fn policies() -> Vec<(String, PolicyKind)> {
    let named = |policy: PolicyKind| (policy.name().to_owned(), policy);
    let mut policies: Vec<_> = PolicyKind::all().into_iter().map(named).collect();
    let place = policies.iter().position(|(_, policy)| *policy == in_time());
    let coarse = ("util, coarse".to_owned(), in_time_coarsely());
    policies.insert(place.map_or(policies.len(), |place| place + 1), coarse);
    policies
}

/// Said when ours loses on the mix of streams that come by the clock.
const WHY: &str = "Where streams come by the clock, ours waits for the next request of the stream that \
                   it serves, charges the waiting to that stream's reservation, and has that much less \
                   to give away (F2). Who never waits loses the synchronous readers instead.";

/// One policy on one mix.
#[derive(Debug, Clone, Copy)]
struct Cell {
    isolation: f64,
    efficiency: f64,
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let policies = policies();
    let mut cells: Vec<Vec<Cell>> = policies.iter().map(|_| Vec::new()).collect();
    for mix in mixes() {
        let of_policy = |policy| -> LabResult<Setup> {
            let mut setup = mix.setup(policy, SwitchingAccount::Served, PERIOD, lab.seconds(60))?;
            setup.quantum_bytes = Some(QUANTUM_BYTES);
            Ok(setup)
        };
        let alone = lab.rates_alone(&of_policy(PolicyKind::Fahrrad)?)?;
        for ((_, policy), results) in policies.iter().zip(&mut cells) {
            let run = lab.run(&of_policy(*policy)?)?;
            let shares = mix.shares(&run.facts, PERIOD, SwitchingAccount::Served);
            let rates: Vec<f64> = (0..alone.len()).map(|index| run.iops(index)).collect();
            let each =
                (0..alone.len()).map(|index| isolation(rates[index], alone[index], shares[index]));
            results.push(Cell {
                isolation: least(&each.collect::<Vec<_>>()),
                efficiency: efficiency(&rates, &alone),
            });
        }
    }
    let mut finding = Finding::new(format!(
        "Nine mixes of two to five backlogged streams ({KINDS}), and one of streams that come by the \
         clock (mediaN: 4 KiB sequential reads, N per second; bursts of random reads) beside r32; \
         reserved to the whole disk, periods around 1 s of which no two coincide; each stream pays for \
         the seeks to it; merged up to 64 KiB. Efficiency: Σ throughput ÷ throughput alone, swept by \
         place. Isolation: of the worst stream."
    ));
    let backlogged = cells[0].iter().take(MIXES.len());
    let ours = mean(&backlogged.map(|cell| cell.efficiency).collect::<Vec<_>>());
    let what = "mean efficiency of fahrrad over the nine backlogged mixes";
    finding.check(Check::new(
        "efficiency",
        what,
        ours,
        Bound::AtLeast(0.98),
        "",
    ));
    let what = "mixes on which a policy that isolates is more efficient than fahrrad by over 0.01";
    let better = losses(&policies, &cells);
    let check = Check::new("losses", what, better.len() as f64, Bound::AtMost(0.0), "");
    finding.check(check.decisive());
    if !better.is_empty() {
        finding.note(WHY);
    }
    for loss in better {
        finding.note(loss);
    }
    let (table, figure) = show(&policies, &cells);
    finding.tables.push(table);
    finding.figures.push(figure);
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
fn losses(policies: &[(String, PolicyKind)], cells: &[Vec<Cell>]) -> Vec<String> {
    let mut losses = Vec::new();
    for (index, mix) in mixes().enumerate() {
        let ours = cells[0][index];
        for ((name, _), results) in policies.iter().zip(cells).skip(1) {
            let other = results[index];
            if other.isolation >= ISOLATES && other.efficiency > ours.efficiency + NOISE {
                losses.push(format!(
                    "On {} {} has efficiency {} (isolation {}), fahrrad {} ({}).",
                    mix.name(),
                    name,
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

fn show(policies: &[(String, PolicyKind)], cells: &[Vec<Cell>]) -> (Table, Figure) {
    let names = policies.iter().map(|(name, _)| name.as_str());
    let columns = std::iter::once("mix").chain(names);
    let mut table = Table::titled("Isolation of the worst stream / efficiency", columns);
    for (index, mix) in mixes().enumerate() {
        let mut row = vec![mix.name()];
        row.extend(cells.iter().map(|results| {
            format!(
                "{:.2} / {:.2}",
                results[index].isolation, results[index].efficiency
            )
        }));
        table.row(row);
    }
    let bars = |of: fn(&Cell) -> f64| -> Vec<(f64, f64)> {
        let means = cells
            .iter()
            .map(|results| mean(&results.iter().take(MIXES.len()).map(of).collect::<Vec<_>>()));
        means
            .enumerate()
            .map(|(index, value)| (index as f64, value))
            .collect()
    };
    let names: Vec<&str> = policies.iter().map(|(name, _)| name.as_str()).collect();
    let figure = Figure::single(
        "o4-efficiency",
        "Efficiency, and isolation of the worst stream: means of the nine backlogged mixes",
        Axis::groups("policy", &names),
        Axis::linear("ratio (1 is ideal)", 0.0, 1.2),
        vec![
            Series::new("efficiency", Mark::Bars, bars(|cell| cell.efficiency)),
            Series::new(
                "isolation of the worst stream",
                Mark::Bars,
                bars(|cell| cell.isolation),
            ),
            Series::reference(
                "ideal",
                Mark::Curve,
                vec![(-0.5, 1.0), (policies.len() as f64 - 0.5, 1.0)],
            ),
        ],
    );
    (table, figure)
}
