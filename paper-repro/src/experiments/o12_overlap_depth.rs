//! O12: the published interference sweep on a modelled SSD.

use super::overlapping::{
    NOT_REAL, TURNAROUND, case, client, finding, millis, reserved, run as run_under,
};
use crate::{Experiment, Finding, Origin};
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::measures::least;
use disktime_lab::overlap::cases::R4;
use disktime_lab::overlap::{CaseMeasure, DEPTH, LabDrive, Peer, SoloRuns, Span};
use disktime_lab::{Lab, LabResult, Table, cells, number};
use disktime_units::Nanos;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "O12",
    title: "a reader of depth 2 beside one of depth 2 to 256 on an SSD",
    origin: Origin::Own,
    source: "our own; the sweep is the one that MQSim publishes",
    claim: "A reader with half of an SSD reserved gets half of what it does alone at least, and its \
            median latency at most doubles, whatever the other's depth; in order of arrival it grows \
            with the depth.",
    real: NOT_REAL,
    run,
};

const DEPTHS: [u32; 8] = [2, 4, 8, 16, 32, 64, 128, 256];
const DRIVE: &str = "nvme-970pro";
/// MQSim's published example without isolation: the victim's mean response in µs by depth.
const MQSIM: [f64; 8] = [99.0, 106.0, 123.0, 161.0, 247.0, 431.0, 817.0, 1619.0];

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let alone = SoloRuns::default();
    let span = Span {
        warm: Nanos::from_millis(300),
        length: millis(lab, 1000),
    };
    let victim = reserved("victim", 2, R4, 50);
    let drive = LabDrive::find(DRIVE);
    let solo = alone.of(&drive, &victim, TURNAROUND, span.warm);
    let curves = Peer::ALL.map(|peer| {
        DEPTHS.map(|depth| {
            let clients = vec![victim.clone(), client("aggressor", depth, R4)];
            run_under(&case(drive.clone(), clients), peer, span, &alone)
        })
    });
    let micros = |ratio: f64, alone: Nanos| ratio * alone.0 as f64 / 1000.0;
    let median = |one: &CaseMeasure| micros(one.streams[0].p50, solo.p50);
    let late = |one: &CaseMeasure| micros(one.streams[0].p99, solo.p99);
    let isolation = |one: &CaseMeasure| one.streams[0].isolation;
    let mut finding = finding(format!(
        "{DRIVE}: a victim with 50 % per 100 ms keeps two random reads of 4 KiB outstanding; an \
         aggressor without a reservation keeps 2 to 256. At most {DEPTH} requests in the drive. Alone \
         the victim does {} reads a second, its median is {} µs.",
        number(solo.rate),
        number(solo.p50.0 as f64 / 1000.0)
    ));
    let [fifo, .., ours] = &curves;
    let what = "least isolation over all depths, fahrrad";
    finding
        .check("isolation", what, least(ours.iter().map(isolation)))
        .at_least(0.98, "")
        .decisive();
    let medians = ours.iter().map(|one| one.streams[0].p50);
    let what = "largest median ÷ alone over all depths, fahrrad";
    finding
        .check("p50", what, medians.fold(0.0, f64::max))
        .at_most(2.0, "")
        .decisive();
    let growth = median(&fifo[DEPTHS.len() - 1]) / median(&fifo[0]);
    let what = "victim's median at depth 256 ÷ at depth 2, fifo";
    finding.check("growth_fifo", what, growth).at_least(4.0, "");
    finding.table(table(&curves, &isolation));
    finding.figure(figure(&curves, &median, &late, &isolation));
    finding.note(format!(
        "MQSim's published example, a mean without isolation, is {} µs at depth 2 and {} µs at 256: \
         the same shape, though another drive.",
        number(MQSIM[0]),
        number(MQSIM[MQSIM.len() - 1])
    ));
    finding.note(
        "The 99th percentile is not promised: all that is in the drive may lie on the die of one read. \
         A share is u of what a stream would get alone in each period, not a bound on one request.",
    );
    Ok(finding)
}

fn table(curves: &[[CaseMeasure; 8]; 4], isolation: &dyn Fn(&CaseMeasure) -> f64) -> Table {
    let mut columns = vec!["aggressor's depth".to_owned()];
    let peers = Peer::ALL.map(Peer::name);
    columns.extend(peers.map(|name| format!("isolation, {name}")));
    columns.extend(peers.map(|name| format!("aggressor ÷ alone, {name}")));
    let mut table = Table::new(columns).with_title("What each had");
    for (index, depth) in DEPTHS.iter().enumerate() {
        let at = || curves.iter().map(move |runs| &runs[index]);
        let victims = at().map(|one| number(isolation(one)));
        let others = at().map(|one| number(one.streams[1].rate));
        let mut row = cells![depth];
        row.extend(victims.chain(others));
        table.row(row);
    }
    table
}

type Measure<'a> = &'a dyn Fn(&CaseMeasure) -> f64;

fn figure(
    curves: &[[CaseMeasure; 8]; 4],
    median: Measure<'_>,
    late: Measure<'_>,
    isolation: Measure<'_>,
) -> Figure {
    let depths = DEPTHS.map(f64::from);
    let lines = |of: Measure<'_>| -> Vec<Series> {
        let lines = Peer::ALL.into_iter().zip(curves);
        let lines = lines.map(|(peer, runs)| {
            Series::line(peer.name(), depths.into_iter().zip(runs.iter().map(of)))
        });
        lines.collect()
    };
    let x = || {
        let axis = Axis::logarithmic("aggressor's requests outstanding", 2.0, 256.0);
        axis.with_ticks(&depths)
    };
    let micros = |title: &str| Panel::new(title, x(), Axis::logarithmic("µs", 50.0, 5_000.0));
    let mqsim = Series::line("MQSim, published mean", depths.into_iter().zip(MQSIM));
    let share = Axis::linear("throughput ÷ (u × alone)", 0.0, 2.0);
    let panels = [
        micros("victim's median latency")
            .with_all(lines(median))
            .with(mqsim.reference()),
        micros("victim's 99th percentile").with_all(lines(late)),
        Panel::new("victim's isolation", x(), share)
            .with_all(lines(isolation))
            .level("u × alone", 1.0),
    ];
    Figure::new(
        "o12-overlap-depth",
        "A reader of depth 2 beside one of growing depth on an SSD",
        panels,
    )
}
