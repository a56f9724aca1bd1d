//! O2: how much is unspent at deadlines, over random mixes.

use crate::{Experiment, Finding, Origin, Real};
use disktime_engine::StreamConfig;
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::measures::{greatest, quantile};
use disktime_lab::mixes::StreamKind;
use disktime_lab::setup::{DriveSetup, Setup, reserved};
use disktime_lab::{DiskFacts, Lab, LabResult, Scheduling, Table, cells, number};
use disktime_random::Random;
use disktime_units::Nanos;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "O2",
    title: "lag at deadlines",
    origin: Origin::Own,
    source: "our own; the bound is argued in ARCHITECTURE.md",
    claim: "At no period's end is more unspent than W (with the switching account: W, its saved \
            credit and a return seek), whatever the mix, admitted to the limit.",
    real: Real::No("it takes a hundred random mixes"),
    run,
};

const SEEDS: usize = 60;
const WAYS: [Scheduling; 5] = [
    Scheduling::SERVED,
    Scheduling::ACCOUNT,
    Scheduling::COMMITTED_SET,
    Scheduling::EDF,
    Scheduling::FIFO,
];
/// Names in the checks' keys; what is promised, is promised under these.
const PROMISED: [&str; 2] = ["served", "account"];
const KINDS: [StreamKind; 7] = [
    StreamKind::Sequential,
    StreamKind::Synchronous,
    StreamKind::Random(1),
    StreamKind::Random(8),
    StreamKind::Random(32),
    StreamKind::Runs(16),
    StreamKind::Runs(128),
];

/// A random mix, the same for every policy but for what admission leaves to reserve.
pub(super) fn random_mix(lab: &Lab<'_>, seed: u64, way: Scheduling) -> LabResult<Setup> {
    let mut random = Random::labelled(seed, "lag");
    let count = 2 + random.below(7) as usize;
    let mut drawn = Vec::new();
    for _ in 0..count {
        // Periods from 200 ms to 5 s, evenly by their logarithm.
        let power = random.below(1000) as f64 / 1000.0;
        let period = Nanos::from_millis((200.0 * 25_f64.powf(power)).round() as u64);
        let weight = (1 + random.below(9)) as f64;
        let kind = if random.below(10) < 3 {
            StreamKind::Bursts
        } else {
            KINDS[random.below(KINDS.len() as u64) as usize]
        };
        drawn.push((period, weight, kind));
    }
    let has_greedy = random.below(2) == 1;
    let mut setup = Setup::new(way, lab.seconds(60)).warm_up(Nanos::ZERO);
    setup.seed = seed;
    let facts = DiskFacts::of(&DriveSetup::papers())?;
    let periods: Vec<Nanos> = drawn.iter().map(|(period, ..)| *period).collect();
    let taken = facts.switching_share(way.switching(), &periods);
    let weights: f64 = drawn.iter().map(|(_, weight, _)| weight).sum();
    for (index, (period, weight, kind)) in drawn.into_iter().enumerate() {
        let part = ((1.0 - taken) * weight / weights - 1e-6).max(0.0);
        setup = setup.stream(&format!("{index}"), reserved(part, period), kind.client());
    }
    if has_greedy {
        let client = StreamKind::Random(32).client();
        setup = setup.stream("greedy", StreamConfig::BEST_EFFORT, client);
    }
    Ok(setup)
}

/// What was unspent over all seeds.
#[derive(Default)]
struct Lags {
    /// The largest of each stream, in W.
    of_w: Vec<f64>,
    /// The same as parts of the account's bound.
    of_bound: Vec<f64>,
    missed: u64,
    met: u64,
}

fn lags(lab: &Lab<'_>, way: Scheduling) -> LabResult<Lags> {
    let mut lags = Lags::default();
    for seed in 0..lab.count(SEEDS) as u64 {
        let run = lab.run(&random_mix(lab, seed, way)?)?;
        for counters in run.final_counters() {
            lags.missed += counters.deadlines_missed;
            lags.met += counters.deadlines_met;
            if let Some(unspent) = counters.unspent_max {
                lags.of_w
                    .push(unspent as f64 / run.facts.worst_case.0 as f64);
                lags.of_bound
                    .push(unspent as f64 / run.unspent_bound.0 as f64);
            }
        }
    }
    Ok(lags)
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let mut finding = Finding::new(format!(
        "{} random mixes of 2 to 8 streams (kinds as in the other mixes, three in ten bursts), periods of \
         200 ms to 5 s, shares by random weights to the limit of admission, half of the mixes with a \
         greedy best-effort reader. The largest unspent budget of each stream at any period's end \
         while it had requests, in W.",
        lab.count(SEEDS)
    ));
    let columns = "policy | streams | median | 99 % | largest | deadlines missed | deadlines";
    let title = "Largest unspent budget of a stream at a period's end (in W)";
    let mut table = Table::headed(columns).with_title(title);
    let mut panel = Panel::new(
        "",
        Axis::linear(
            "unspent ÷ W (below 0: had more than its budget; cut at 8)",
            -1.0,
            8.0,
        ),
        Axis::linear("streams with at most that (%)", 0.0, 100.0),
    );
    for (index, way) in WAYS.into_iter().enumerate() {
        let lags = lags(lab, way)?;
        let name = way.name();
        if let Some(key) = PROMISED.get(index) {
            let what = format!("largest unspent budget ÷ bound, {name}");
            finding
                .check(format!("unspent_{key}"), what, greatest(&lags.of_bound))
                .at_most(1.0, "")
                .decisive();
            let what = format!("deadlines missed, {name}");
            finding
                .check(format!("missed_{key}"), what, lags.missed as f64)
                .at_most(0.0, "");
        }
        let part = |part: f64| quantile(&lags.of_w, part);
        table.row(cells![
            name,
            lags.of_w.len(),
            number(part(0.5)),
            number(part(0.99)),
            number(greatest(&lags.of_w)),
            lags.missed,
            lags.missed + lags.met,
        ]);
        let parts = (0..=50).map(|step| f64::from(step) / 50.0);
        let points = parts.map(|of_all| (part(of_all), of_all * 100.0));
        panel = panel.with(Series::curve(name, points));
    }
    let worst_case = Series::curve("W", [(1.0, 0.0), (1.0, 100.0)]).reference();
    finding.table(table);
    finding.figure(Figure::new(
        "o2-lag",
        "Largest unspent budget of each stream at any period's end",
        [panel.with(worst_case)],
    ));
    finding.note(
        "A deadline counts as missed when more is unspent than the account's bound. fifo and edf make \
         no promise of this kind; fahrrad-dss has remainders below W that it cannot commit.",
    );
    Ok(finding)
}
