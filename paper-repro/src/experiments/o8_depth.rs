//! O8: a victim's latency beside an aggressor of growing depth.

use crate::{Bound, Check, Experiment, Finding, Origin, Real};
use disktime_engine::{PolicyKind, StreamConfig, SwitchingAccount};
use disktime_lab::figure::{Axis, Figure, Mark, Panel, Series};
use disktime_lab::mixes::ACCOUNT;
use disktime_lab::setup::{Setup, reader, reserved, share};
use disktime_lab::{Lab, LabResult, Run, number};
use disktime_units::Nanos;
use disktime_workloads::Pattern;

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    id: "O8",
    title: "a victim's latency beside an aggressor of depth 2 to 256",
    origin: Origin::Own,
    source: "our own; the sweep is the one that MQSim publishes for an SSD",
    claim: "A reserved victim's median and 99th percentile of latency do not depend on the aggressor's \
            depth; in order of arrival they grow with it.",
    real: Real::Runs {
        runs: (DEPTHS.len() * WAYS.len()) as u32,
        each: Nanos::from_secs(30),
        writes: false,
    },
    run,
};

const DEPTHS: [u32; 8] = [2, 4, 8, 16, 32, 64, 128, 256];
const WAYS: [(&str, PolicyKind, SwitchingAccount); 4] = [
    (
        "fahrrad, (b) switching account",
        PolicyKind::Fahrrad,
        ACCOUNT,
    ),
    (
        "fahrrad-dss",
        PolicyKind::FahrradDss,
        SwitchingAccount::Served,
    ),
    ("c-look", PolicyKind::CLook, SwitchingAccount::Served),
    (
        "order of arrival",
        PolicyKind::Fifo,
        SwitchingAccount::Served,
    ),
];
/// MQSim's published example without isolation: the victim's mean response in µs by depth.
const MQSIM: [f64; 8] = [99.0, 106.0, 123.0, 161.0, 247.0, 431.0, 817.0, 1619.0];

fn setup(lab: &Lab<'_>, way: usize, depth: u32) -> Setup {
    let (_, policy, switching) = WAYS[way];
    let mut setup = Setup::new(policy, lab.seconds(120));
    setup.switching = switching;
    setup
        .stream(
            "victim",
            reserved(share(0.5), Nanos::from_millis(250)),
            reader(Pattern::Random, 4096, 2),
        )
        .stream(
            "aggressor",
            StreamConfig::BEST_EFFORT,
            reader(Pattern::Random, 4096, depth),
        )
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let mut curves: Vec<Vec<Run>> = Vec::new();
    for way in 0..WAYS.len() {
        let runs = DEPTHS.iter().map(|depth| lab.run(&setup(lab, way, *depth)));
        curves.push(runs.collect::<LabResult<_>>()?);
    }
    let mut finding = Finding::new(
        "A victim with 50 % per 250 ms keeps two random 4 KiB reads under way; a best-effort aggressor \
         keeps 2 to 256 under way.",
    );
    let median = |run: &Run| {
        run.latency(0)
            .map_or(f64::NAN, |one| one.p50.as_millis_f64())
    };
    let late = |run: &Run| {
        run.latency(0)
            .map_or(f64::NAN, |one| one.p99.as_millis_f64())
    };
    let growth = |way: usize, of: &dyn Fn(&Run) -> f64| {
        let first = curves[way].first().map_or(f64::NAN, of);
        curves[way].last().map_or(f64::NAN, of) / first
    };
    let what = "victim's median at depth 256 ÷ at depth 2, fahrrad";
    finding.check(
        Check::new(
            "growth_p50",
            what,
            growth(0, &median),
            Bound::Between(0.8, 1.25),
            "",
        )
        .decisive(),
    );
    let what = "victim's 99th percentile at depth 256 ÷ at depth 2, fahrrad";
    finding.check(
        Check::new(
            "growth_p99",
            what,
            growth(0, &late),
            Bound::Between(0.8, 1.25),
            "",
        )
        .decisive(),
    );
    let what = "victim's median at depth 256 ÷ at depth 2, order of arrival";
    let fifo = WAYS.len() - 1;
    finding.check(Check::new(
        "growth_fifo",
        what,
        growth(fifo, &median),
        Bound::AtLeast(10.0),
        "",
    ));
    let panel = |title: &str, of: &dyn Fn(&Run) -> f64| {
        let series = WAYS.iter().zip(&curves).map(|((name, ..), runs)| {
            let points = DEPTHS
                .iter()
                .zip(runs)
                .map(|(depth, run)| (f64::from(*depth), of(run)));
            Series::new(*name, Mark::Line, points.collect())
        });
        let ticks = DEPTHS.map(f64::from);
        Panel {
            title: title.to_owned(),
            x: Axis::logarithmic("aggressor's requests under way", 2.0, 256.0).with_ticks(&ticks),
            y: Axis::logarithmic("latency of the victim (ms)", 10.0, 10_000.0),
            series: series.collect(),
        }
    };
    finding.figures.push(Figure {
        name: "o8-depth".to_owned(),
        title: "A victim's latency beside an aggressor of growing depth".to_owned(),
        panels: vec![panel("median", &median), panel("99th percentile", &late)],
    });
    finding.note(format!(
        "MQSim's published example is an SSD without isolation: {} µs at depth 2, {} µs at 256, {} times \
         as much. This is a hard disk, so only the growth compares.",
        number(MQSIM[0]),
        number(MQSIM[7]),
        number(MQSIM[7] / MQSIM[0])
    ));
    Ok(finding)
}
