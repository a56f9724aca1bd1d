//! O3: a victim's throughput beside each adversary.

use super::isolation_axis;
use crate::{Experiment, Finding, Origin, Real};
use disktime_lab::adversaries::{Adversary, Beside, VICTIM_SHARE};
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::measures::{isolation, least};
use disktime_lab::mixes::{KINDS, StreamKind};
use disktime_lab::setup::{DriveSetup, Setup};
use disktime_lab::{DiskFacts, Lab, LabResult, Scheduling, Table, cells, number};
use disktime_units::Nanos;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
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

pub(super) const VICTIMS: [StreamKind; 3] = [
    StreamKind::Sequential,
    StreamKind::Random(8),
    StreamKind::Synchronous,
];
pub(super) const ADVERSARIES: [Adversary; 4] = [
    Adversary::FourShort(8),
    Adversary::ThreeGreedy,
    Adversary::OneDeep,
    Adversary::TwoBursty,
];
const VICTIM_PERIOD: Nanos = Nanos::from_secs(2);
/// Whole periods of the victim.
pub(super) const WARM_UP: Nanos = Nanos::from_secs(4);
const WAYS: [Scheduling; 3] = [Scheduling::ACCOUNT, Scheduling::SERVED, Scheduling::FIFO];

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let mut finding = Finding::new(format!(
        "A victim ({KINDS}) with 40 % per 2 s and almost no weight, so that it lives on its own \
         time, beside: 4 short r1: four r1 with 8 % per 300 ms; 3 greedy: best effort r32, seq, and \
         random 64 KiB writes, 32 in flight; r32 with 40 % per 2 s; 2 bursty: bursts of random reads \
         with 10 % per 300 ms. Isolation: throughput ÷ (share × throughput alone in the same place)."
    ));
    let facts = DiskFacts::of(&DriveSetup::papers())?;
    let columns = ["victim", "beside"].into_iter();
    let columns = columns.chain(WAYS.iter().map(Scheduling::name));
    let mut table = Table::new(columns).with_title("Isolation of the victim");
    let mut panels = Vec::new();
    let mut of_all = Vec::new();
    for victim in VICTIMS {
        let mut ratios: [Vec<f64>; 3] = Default::default();
        for adversary in ADVERSARIES {
            let beside = Beside {
                victim,
                adversary,
                period: VICTIM_PERIOD,
            };
            let setup = |way| {
                let setup = Setup::new(way, lab.seconds(120)).warm_up(WARM_UP);
                beside.admitted_to(setup, &facts)
            };
            let alone = lab.run(&setup(WAYS[0]).alone(0))?.iops(0);
            let mut row = cells![victim.name(), adversary.name()];
            for (way, ratios) in WAYS.into_iter().zip(&mut ratios) {
                let rate = lab.run(&setup(way))?.iops(0);
                let ratio = isolation(rate, alone, VICTIM_SHARE);
                ratios.push(ratio);
                row.push(number(ratio));
            }
            table.row(row);
        }
        let name = victim.name();
        let what = format!("least isolation of a {name} victim, switching account");
        let worst = least(&ratios[0]);
        of_all.push(worst);
        finding
            .check(format!("isolation_{name}"), what, worst)
            .at_least(0.99, "");
        let bars = WAYS.iter().zip(ratios);
        let bars = bars.map(|(way, ratios)| Series::bars(way.name(), ratios));
        let beside = Axis::groups("beside", ADVERSARIES.map(Adversary::name));
        let panel = Panel::new(format!("victim {name}"), beside, isolation_axis(2.0));
        panels.push(panel.level("share × alone", 1.0).with_all(bars));
    }
    let what = "least isolation of all victims, switching account";
    finding
        .check("isolation", what, least(of_all))
        .at_least(0.99, "")
        .decisive();
    finding.table(table);
    finding.figure(Figure::new(
        "o3-isolation",
        "Isolation of a victim with 40 % of the time beside each adversary",
        panels,
    ));
    finding.note("Ratios above 2 are cut in the picture; the table has them.");
    Ok(finding)
}
