//! R1: what a run of n sequential requests at a random place costs.

use crate::{Experiment, Finding, Origin, Real};
use disktime_engine::{PolicyKind, StreamConfig};
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::setup::{Setup, reader};
use disktime_lab::{Lab, LabResult};
use disktime_units::Nanos;
use disktime_workloads::Pattern;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "R1",
    title: "cost of runs of sequential requests",
    origin: Origin::Paper,
    source: "RTAS 2008, Fig. 2",
    claim: "The cost of a 4 KiB request ranges over 64 times: runs of n sequential requests at \
            random places reach 70.7 IOPS for n = 1 and 4552 IOPS for n = 1000.",
    real: Real::reads(LENGTHS.len(), Nanos::from_secs(12)),
    run,
};

const LENGTHS: [u64; 12] = [1, 2, 4, 8, 16, 17, 32, 64, 128, 256, 512, 1000];
/// Lengths at which the model has to be near the paper's fit.
const JUDGED: [u64; 6] = [1, 4, 16, 64, 256, 1000];
/// How near, as a fraction.
const NEAR: f64 = 0.15;

/// IOPS by the fit that the paper gives for its figure.
fn paper_iops(length: f64) -> f64 {
    if length <= 16.0 {
        62.36 * length + 8.33
    } else {
        820.28 * length.ln() - 1114.3
    }
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let mut finding = Finding::new(
        "One stream on the whole raw disk, one 4 KiB read after the other; runs of n consecutive \
         requests start at uniformly drawn places.",
    );
    let mut measured = Vec::new();
    for length in LENGTHS {
        let client = reader(Pattern::SemiRandom { run: length }, 4096, 1);
        let setup = Setup::new(PolicyKind::Fifo, lab.seconds(60)).stream(
            "reader",
            StreamConfig::BEST_EFFORT,
            client,
        );
        let iops = lab.run(&setup)?.iops(0);
        measured.push((length as f64, iops));
        if JUDGED.contains(&length) {
            let what = format!("IOPS in runs of {length}");
            let check = finding.check(format!("iops_n{length}"), what, iops);
            check.near(paper_iops(length as f64), NEAR, "IOPS");
        }
    }
    let range = measured[LENGTHS.len() - 1].1 / measured[0].1;
    finding
        .check("range", "IOPS in runs of 1000 ÷ in runs of 1", range)
        .near(4552.0 / 70.7, NEAR, "")
        .decisive();
    finding.figure(figure(measured));
    finding.note(
        "The paper's points are not known, only the fits that it gives: 62.36 n + 8.33 for n ≤ 16 \
         and 820.28 ln n − 1114.3 above; they do not meet between 16 and 17.",
    );
    finding.note(
        "The modelled drive is assembled from data sheets of drives of 2008; its command overheads \
         were chosen by this figure. That the single points are near the fit is therefore no \
         discovery; that one pair of overheads fits runs of 1 to 1000 is.",
    );
    Ok(finding)
}

fn figure(measured: Vec<(f64, f64)>) -> Figure {
    let curve = (0..=60)
        .map(|step| 1000f64.powf(f64::from(step) / 60.0))
        .map(|length| (length, paper_iops(length)));
    let panel = Panel::new(
        "",
        Axis::logarithmic("length of a run (requests of 4 KiB)", 1.0, 1000.0),
        Axis::logarithmic("throughput (IOPS)", 50.0, 6000.0),
    );
    let title = "4 KiB reads per second in runs of n";
    let paper = Series::curve("RTAS 2008, the paper's fits", curve).reference();
    let panel = panel
        .with(paper)
        .with(Series::line("modelled drive", measured));
    Figure::new("r1-runs", title, [panel])
}
