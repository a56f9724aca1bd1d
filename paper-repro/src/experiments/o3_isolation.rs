//! O3: a victim's throughput beside each adversary.

use crate::{Bound, Check, Experiment, Finding, Origin, Real};
use disktime_engine::{PolicyKind, StreamConfig, SwitchingAccount};
use disktime_lab::figure::{Axis, Figure, Mark, Panel, Series};
use disktime_lab::measures::{isolation, least};
use disktime_lab::mixes::{ACCOUNT, KINDS, Kind};
use disktime_lab::setup::{Setup, of_kind, reader, reserved, share, writing};
use disktime_lab::{Lab, LabResult, Table, number};
use disktime_units::Nanos;
use disktime_workloads::{Client, Kind as NamedKind, Pattern};

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    id: "O3",
    title: "isolation under each adversary",
    origin: Origin::Own,
    source: "our own; adversaries as in the design of the scheduler",
    claim: "With the switching account a victim gets at least 99 % of its share of what it does alone, \
            whatever its neighbours do, the synchronous sequential victim included.",
    real: Real::Runs {
        runs: 3 * 4 * 3 + 3,
        each: Nanos::from_secs(40),
        writes: true,
    },
    run,
};

pub(super) const VICTIMS: [Kind; 3] = [Kind::Sequential, Kind::Random(8), Kind::Synchronous];
pub(super) const VICTIM_SHARE: f64 = 0.4;
const VICTIM_PERIOD: Nanos = Nanos::from_secs(2);
pub(super) const ADVERSARIES: [&str; 4] = ["4 short", "3 greedy", "1 deep", "2 bursty"];
const WAYS: [(&str, PolicyKind, SwitchingAccount); 3] = [
    (
        "fahrrad, (b) switching account",
        PolicyKind::Fahrrad,
        ACCOUNT,
    ),
    (
        "fahrrad, (a) the served pays",
        PolicyKind::Fahrrad,
        SwitchingAccount::Served,
    ),
    (
        "order of arrival",
        PolicyKind::Fifo,
        SwitchingAccount::Served,
    ),
];
/// Spare time goes to the adversaries: the victim lives on its own.
const HEAVY: u32 = 10_000;

fn heavy(config: StreamConfig) -> StreamConfig {
    StreamConfig {
        weight: HEAVY,
        ..config
    }
}

/// The streams of an adversary; `period` is the victim's.
pub(super) fn adversaries(number: usize, period: Nanos) -> Vec<(StreamConfig, Client)> {
    let random = |depth: u32| reader(Pattern::Random, 4096, depth);
    let short = Nanos::from_millis(300);
    match number {
        0 => (0..4)
            .map(|_| (heavy(reserved(share(0.08), short)), random(1)))
            .collect(),
        1 => vec![
            (heavy(StreamConfig::BEST_EFFORT), random(32)),
            (heavy(StreamConfig::BEST_EFFORT), Kind::Sequential.client()),
            (
                heavy(StreamConfig::BEST_EFFORT),
                writing(reader(Pattern::Random, 64 << 10, 32)),
            ),
        ],
        2 => vec![(heavy(reserved(share(0.4), period)), random(32))],
        _ => (0..2)
            .map(|_| {
                (
                    heavy(reserved(share(0.1), short)),
                    of_kind(NamedKind::Bursts),
                )
            })
            .collect(),
    }
}

fn setup(lab: &Lab<'_>, victim: Kind, adversary: usize, way: usize) -> Setup {
    let (_, policy, switching) = WAYS[way];
    let mut setup = Setup::new(policy, lab.seconds(120));
    setup.switching = switching;
    // Whole periods of the victim.
    setup.warm_up = VICTIM_PERIOD + VICTIM_PERIOD;
    let config = StreamConfig {
        weight: 1,
        ..reserved(share(VICTIM_SHARE), VICTIM_PERIOD)
    };
    setup = setup.stream("victim", config, victim.client());
    for (index, (config, client)) in adversaries(adversary, VICTIM_PERIOD)
        .into_iter()
        .enumerate()
    {
        setup = setup.stream(&format!("adversary {}", index + 1), config, client);
    }
    setup
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let mut finding = Finding::new(format!(
        "A victim ({KINDS}) with 40 % per 2 s and almost no weight, so that it lives on its own \
         time, beside: 4 short: four r1 with 8 % per 300 ms; 3 greedy: best effort r32, seq, and \
         random 64 KiB writes, 32 under way; 1 deep: r32 with 40 % per 2 s; 2 bursty: bursts of random \
         reads with 10 % per 300 ms. Isolation: throughput ÷ (share × throughput alone in the same \
         place)."
    ));
    let mut table = Table::titled(
        "Isolation of the victim",
        &["victim", "beside", WAYS[0].0, WAYS[1].0, WAYS[2].0],
    );
    let mut panels = Vec::new();
    let mut by_account = Vec::new();
    for victim in VICTIMS {
        let mut series: Vec<Vec<(f64, f64)>> = WAYS.iter().map(|_| Vec::new()).collect();
        for (adversary, name) in ADVERSARIES.iter().enumerate() {
            let alone = lab.run(&setup(lab, victim, adversary, 0).alone(0))?.iops(0);
            let mut cells = vec![victim.name(), (*name).to_owned()];
            for (way, points) in series.iter_mut().enumerate() {
                let run = lab.run(&setup(lab, victim, adversary, way))?;
                let ratio = isolation(run.iops(0), alone, VICTIM_SHARE);
                points.push((adversary as f64, ratio));
                cells.push(number(ratio));
            }
            table.row(cells);
        }
        by_account.extend(series[0].iter().map(|(_, ratio)| *ratio));
        let worst = least(
            &series[0]
                .iter()
                .map(|(_, ratio)| *ratio)
                .collect::<Vec<_>>(),
        );
        let what = format!(
            "least isolation of a {} victim, switching account",
            victim.name()
        );
        let check = Check::new(
            format!("isolation_{}", victim.name()),
            what,
            worst,
            Bound::AtLeast(0.99),
            "",
        );
        finding.check(check);
        let ideal = vec![(-0.5, 1.0), (3.5, 1.0)];
        let mut all = vec![Series::reference("share × alone", Mark::Curve, ideal)];
        let bars = WAYS.iter().zip(series);
        all.extend(bars.map(|((name, ..), points)| Series::new(*name, Mark::Bars, points)));
        panels.push(Panel {
            title: format!("victim {}", victim.name()),
            x: Axis::groups("beside", &ADVERSARIES),
            y: Axis::linear("throughput ÷ (share × alone)", 0.0, 2.0),
            series: all,
        });
    }
    let what = "least isolation of all victims, switching account";
    let worst = least(&by_account);
    finding.check(Check::new("isolation", what, worst, Bound::AtLeast(0.99), "").decisive());
    finding.tables.push(table);
    finding.figures.push(Figure {
        name: "o3-isolation".to_owned(),
        title: "Isolation of a victim with 40 % of the time beside each adversary".to_owned(),
        panels,
    });
    finding.note("Ratios above 2 are cut in the picture; the table has them.");
    Ok(finding)
}
