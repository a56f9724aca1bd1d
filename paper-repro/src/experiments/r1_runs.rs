//! R1: what a run of n sequential requests at a random place costs.

use crate::{Bound, Check, Experiment, Finding, Origin, Real};
use disktime_engine::{PolicyKind, StreamConfig};
use disktime_lab::figure::{Axis, Figure, Mark, Series};
use disktime_lab::setup::{Setup, reader};
use disktime_lab::{Lab, LabResult};
use disktime_units::Nanos;
use disktime_workloads::Pattern;

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    id: "R1",
    title: "cost of runs of sequential requests",
    origin: Origin::Paper,
    source: "RTAS 2008, Fig. 2",
    claim: "The cost of a 4 KiB request ranges over 64 times: runs of n sequential requests at \
            random places reach 70.7 IOPS for n = 1 and 4552 IOPS for n = 1000.",
    real: Real::Runs {
        runs: LENGTHS.len() as u32,
        each: Nanos::from_secs(12),
        writes: false,
    },
    run,
};

const LENGTHS: [u64; 12] = [1, 2, 4, 8, 16, 17, 32, 64, 128, 256, 512, 1000];
/// Lengths at which the model has to be near the paper's fit.
const JUDGED: [u64; 6] = [1, 4, 16, 64, 256, 1000];

/// IOPS by the fit that the paper gives for its figure.
fn paper_iops(length: f64) -> f64 {
    if length <= 16.0 {
        62.36 * length + 8.33
    } else {
        820.28 * length.ln() - 1114.3
    }
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let mut measured = Vec::new();
    for length in LENGTHS {
        let pattern = Pattern::SemiRandom { run: length };
        let setup = Setup::new(PolicyKind::Fifo, lab.seconds(60)).stream(
            "reader",
            StreamConfig::BEST_EFFORT,
            reader(pattern, 4096, 1),
        );
        measured.push((length as f64, lab.run(&setup)?.iops(0)));
    }
    let mut finding = Finding::new(
        "One stream on the whole raw disk, one 4 KiB read after the other; runs of n consecutive \
         requests start at uniformly drawn places.",
    );
    for (length, iops) in &measured {
        if !JUDGED.contains(&(*length as u64)) {
            continue;
        }
        let bound = Bound::Relative {
            expected: paper_iops(*length),
            tolerance: 0.15,
        };
        let what = format!("IOPS in runs of {length}");
        finding.check(Check::new(
            format!("iops_n{length}"),
            what,
            *iops,
            bound,
            "IOPS",
        ));
    }
    let at = |length: f64| {
        measured
            .iter()
            .find(|(n, _)| *n == length)
            .map(|(_, iops)| *iops)
    };
    let range = at(1000.0).unwrap_or(f64::NAN) / at(1.0).unwrap_or(f64::NAN);
    let bound = Bound::Relative {
        expected: 4552.0 / 70.7,
        tolerance: 0.15,
    };
    let check = Check::new(
        "range",
        "IOPS in runs of 1000 ÷ in runs of 1",
        range,
        bound,
        "",
    );
    finding.check(check.decisive());
    finding.figures.push(figure(&measured));
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

fn figure(measured: &[(f64, f64)]) -> Figure {
    let curve: Vec<(f64, f64)> = (0..=60)
        .map(|step| 1000f64.powf(f64::from(step) / 60.0))
        .map(|length| (length, paper_iops(length)))
        .collect();
    Figure::single(
        "r1-runs",
        "4 KiB reads per second in runs of n",
        Axis::logarithmic("length of a run (requests of 4 KiB)", 1.0, 1000.0),
        Axis::logarithmic("throughput (IOPS)", 50.0, 6000.0),
        vec![
            Series::reference("RTAS 2008, the paper's fits", Mark::Curve, curve),
            Series::new("modelled drive", Mark::Line, measured.to_vec()),
        ],
    )
}
