//! O8: a victim's latency beside an aggressor of growing depth.

use crate::{Experiment, Finding, Origin, Real};
use disktime_engine::StreamConfig;
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::setup::{Setup, reader, reserved};
use disktime_lab::{Lab, LabResult, Run, Scheduling, number};
use disktime_units::Nanos;
use disktime_workloads::Pattern;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "O8",
    title: "a victim's latency beside an aggressor of depth 2 to 256",
    origin: Origin::Own,
    source: "our own; the sweep is the one that MQSim publishes for an SSD",
    claim: "A reserved victim's median and 99th percentile of latency do not depend on the aggressor's \
            depth; in order of arrival they grow with it.",
    real: Real::reads(DEPTHS.len() * WAYS.len(), Nanos::from_secs(30)),
    run,
};

const DEPTHS: [u32; 8] = [2, 4, 8, 16, 32, 64, 128, 256];
const WAYS: [Scheduling; 4] = [
    Scheduling::ACCOUNT,
    Scheduling::COMMITTED_SET,
    Scheduling::C_LOOK,
    Scheduling::FIFO,
];
/// MQSim's published example without isolation: the victim's mean response in µs by depth.
const MQSIM: [f64; 8] = [99.0, 106.0, 123.0, 161.0, 247.0, 431.0, 817.0, 1619.0];

fn setup(lab: &Lab<'_>, way: Scheduling, depth: u32) -> Setup {
    let random = |depth| reader(Pattern::Random, 4096, depth);
    let half = reserved(0.5, Nanos::from_millis(250));
    Setup::new(way, lab.seconds(120))
        .stream("victim", half, random(2))
        .stream("aggressor", StreamConfig::BEST_EFFORT, random(depth))
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let of_way = |way| lab.run_all(DEPTHS.map(|depth| setup(lab, way, depth)));
    let curves: Vec<Vec<Run>> = WAYS.into_iter().map(of_way).collect::<LabResult<_>>()?;
    let mut finding = Finding::new(
        "A victim with 50 % per 250 ms keeps two random 4 KiB reads in flight; a best-effort aggressor \
         keeps 2 to 256 in flight.",
    );
    let median = |run: &Run| run.latency_ms(0, |all| all.p50);
    let late = |run: &Run| run.latency_ms(0, |all| all.p99);
    let growth =
        |runs: &[Run], of: &dyn Fn(&Run) -> f64| of(&runs[DEPTHS.len() - 1]) / of(&runs[0]);
    let [ours, fifo] = [&curves[0], &curves[WAYS.len() - 1]];
    let what = "victim's median at depth 256 ÷ at depth 2, fahrrad";
    finding
        .check("growth_p50", what, growth(ours, &median))
        .between(0.8, 1.25, "")
        .decisive();
    let what = "victim's 99th percentile at depth 256 ÷ at depth 2, fahrrad";
    finding
        .check("growth_p99", what, growth(ours, &late))
        .between(0.8, 1.25, "")
        .decisive();
    let what = "victim's median at depth 256 ÷ at depth 2, order of arrival";
    finding
        .check("growth_fifo", what, growth(fifo, &median))
        .at_least(10.0, "");
    let panel = |title: &str, of: &dyn Fn(&Run) -> f64| {
        let depths = DEPTHS.map(f64::from);
        let lines = WAYS.iter().zip(&curves).map(|(way, runs)| {
            Series::line(way.name(), depths.into_iter().zip(runs.iter().map(of)))
        });
        let x = Axis::logarithmic("aggressor's requests in flight", 2.0, 256.0);
        let y = Axis::logarithmic("latency of the victim (ms)", 10.0, 10_000.0);
        Panel::new(title, x.with_ticks(&depths), y).with_all(lines)
    };
    let title = "A victim's latency beside an aggressor of growing depth";
    let panels = [panel("median", &median), panel("99th percentile", &late)];
    finding.figure(Figure::new("o8-depth", title, panels));
    finding.note(format!(
        "MQSim's published example is an SSD without isolation: {} µs at depth 2, {} µs at 256, {} times \
         as much. This is a hard disk, so only the growth compares.",
        number(MQSIM[0]),
        number(MQSIM[7]),
        number(MQSIM[7] / MQSIM[0])
    ));
    Ok(finding)
}
