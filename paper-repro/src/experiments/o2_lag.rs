//! O2: how much is unspent at deadlines, over random mixes.

use crate::{Bound, Check, Experiment, Finding, Origin, Real};
use disktime_engine::{PolicyKind, SwitchingAccount};
use disktime_lab::figure::{Axis, Figure, Mark, Series};
use disktime_lab::measures::{greatest, quantile};
use disktime_lab::mixes::{ACCOUNT, FACTOR_PERCENT, Kind};
use disktime_lab::setup::{DriveSetup, Setup, of_kind, reserved, share};
use disktime_lab::{DiskFacts, Lab, LabResult, Table, number};
use disktime_random::Random;
use disktime_units::Nanos;
use disktime_workloads::Kind as NamedKind;

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
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
const WAYS: [(&str, PolicyKind, SwitchingAccount); 5] = [
    ("fahrrad (a)", PolicyKind::Fahrrad, SwitchingAccount::Served),
    ("fahrrad (b)", PolicyKind::Fahrrad, ACCOUNT),
    (
        "fahrrad-dss",
        PolicyKind::FahrradDss,
        SwitchingAccount::Served,
    ),
    ("edf", PolicyKind::Edf, SwitchingAccount::Served),
    ("fifo", PolicyKind::Fifo, SwitchingAccount::Served),
];
const KINDS: [Kind; 7] = [
    Kind::Sequential,
    Kind::Synchronous,
    Kind::Random(1),
    Kind::Random(8),
    Kind::Random(32),
    Kind::Runs(16),
    Kind::Runs(128),
];

/// A random mix, the same for every policy but for what admission leaves to reserve.
pub(super) fn random_mix(
    lab: &Lab<'_>,
    seed: u64,
    policy: PolicyKind,
    switching: SwitchingAccount,
) -> LabResult<Setup> {
    let mut random = Random::labelled(seed, "lag");
    let count = 2 + random.below(7) as usize;
    let mut drawn = Vec::new();
    for _ in 0..count {
        // Periods from 200 ms to 5 s, evenly by their logarithm.
        let power = random.below(1000) as f64 / 1000.0;
        let period = Nanos::from_millis((200.0 * 25_f64.powf(power)).round() as u64);
        let weight = 1 + random.below(9);
        let client = if random.below(10) < 3 {
            of_kind(NamedKind::Bursts)
        } else {
            KINDS[random.below(KINDS.len() as u64) as usize].client()
        };
        drawn.push((period, weight as f64, client));
    }
    let greedy = random.below(2);
    let mut setup = Setup::new(policy, lab.seconds(60));
    setup.switching = switching;
    setup.seed = seed;
    setup.warm_up = Nanos::ZERO;
    let facts = DiskFacts::of(&DriveSetup::papers())?;
    let periods: Vec<Nanos> = drawn.iter().map(|(period, ..)| *period).collect();
    let taken = match switching {
        SwitchingAccount::Served => 0.0,
        SwitchingAccount::Reserved { .. } => facts.switching_share(FACTOR_PERCENT, &periods),
    };
    let weights: f64 = drawn.iter().map(|(_, weight, _)| weight).sum();
    for (index, (period, weight, client)) in drawn.into_iter().enumerate() {
        let part = ((1.0 - taken) * weight / weights - 1e-6).max(0.0);
        setup = setup.stream(&format!("{index}"), reserved(share(part), period), client);
    }
    if greedy == 1 {
        let best_effort = disktime_engine::StreamConfig::BEST_EFFORT;
        setup = setup.stream("greedy", best_effort, Kind::Random(32).client());
    }
    Ok(setup)
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let mut finding = Finding::new(format!(
        "{} random mixes of 2 to 8 streams (kinds as in the other mixes, three in ten bursts), periods of \
         200 ms to 5 s, shares by random weights to the limit of admission, half of the mixes with a \
         greedy best-effort reader. The largest unspent budget of each stream at any period's end \
         while it had requests, in W.",
        lab.count(SEEDS)
    ));
    let mut series = Vec::new();
    let mut table = Table::titled(
        "Largest unspent budget of a stream at a period's end (in W)",
        &[
            "policy",
            "streams",
            "median",
            "99 %",
            "largest",
            "deadlines missed",
            "deadlines",
        ],
    );
    for (way, (name, policy, switching)) in WAYS.iter().enumerate() {
        let mut lags = Vec::new();
        let (mut missed, mut met) = (0, 0);
        let mut of_bound = Vec::new();
        for seed in 0..lab.count(SEEDS) as u64 {
            let run = lab.run(&random_mix(lab, seed, *policy, *switching)?)?;
            let Some(last) = run.samples.last() else {
                continue;
            };
            let worst_case = run.facts.worst_case.0 as f64;
            for stream in &last.streams {
                missed += stream.counters.deadlines_missed;
                met += stream.counters.deadlines_met;
                if let Some(unspent) = stream.counters.unspent_max {
                    lags.push(unspent as f64 / worst_case);
                    of_bound.push(unspent as f64 / run.unspent_bound.0 as f64);
                }
            }
        }
        if way < 2 {
            let key = ["served", "account"][way];
            let what = format!("largest unspent budget ÷ bound, {name}");
            let value = greatest(&of_bound);
            let check = Check::new(
                format!("unspent_{key}"),
                what,
                value,
                Bound::AtMost(1.0),
                "",
            );
            finding.check(check.decisive());
            let what = format!("deadlines missed, {name}");
            let check = Check::new(
                format!("missed_{key}"),
                what,
                missed as f64,
                Bound::AtMost(0.0),
                "",
            );
            finding.check(check);
        }
        table.row(vec![
            (*name).to_owned(),
            lags.len().to_string(),
            number(quantile(&lags, 0.5)),
            number(quantile(&lags, 0.99)),
            number(greatest(&lags)),
            missed.to_string(),
            (missed + met).to_string(),
        ]);
        let points = (0..=50).map(|step| {
            let part = f64::from(step) / 50.0;
            (quantile(&lags, part), part * 100.0)
        });
        series.push(Series::new(*name, Mark::Curve, points.collect()));
    }
    series.push(Series::reference(
        "W",
        Mark::Curve,
        vec![(1.0, 0.0), (1.0, 100.0)],
    ));
    finding.tables.push(table);
    finding.figures.push(Figure::single(
        "o2-lag",
        "Largest unspent budget of each stream at any period's end",
        Axis::linear(
            "unspent ÷ W (below 0: had more than its budget; cut at 8)",
            -1.0,
            8.0,
        ),
        Axis::linear("streams with at most that (%)", 0.0, 100.0),
        series,
    ));
    finding.note(
        "A deadline counts as missed when more is unspent than the account's bound. fifo and edf make \
         no promise of this kind; fahrrad-dss has remainders below W that it cannot commit.",
    );
    Ok(finding)
}
