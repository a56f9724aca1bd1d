//! R7: reservations in I/Os per second when the disk is said to do more than it does.

use super::rtas::{
    DEPTH_NOTE, RANDOM, RUN_SECONDS, SEQUENTIAL, SET_UP, alone, in_iops, in_time, pair, percent,
};
use crate::{Bound, Check, Experiment, Finding, Origin, Real};
use disktime_lab::figure::{Axis, Figure, Mark, Panel, Series};
use disktime_lab::{Lab, LabResult, number};
use disktime_units::Nanos;

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    id: "R7",
    title: "nominal capacity over-estimated",
    origin: Origin::Paper,
    source: "RTAS 2008, Fig. 9",
    claim: "Reservations in I/Os per second are very sensitive to an over-estimate of the disk's \
            nominal capacity.",
    real: Real::Runs {
        runs: (SPLITS.len() * FACTORS.len()) as u32 + 2,
        each: Nanos::from_secs(RUN_SECONDS / 4),
        writes: false,
    },
    run,
};

/// Nominal capacity ÷ what the disk does at random places.
const FACTORS: [f64; 8] = [1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 3.0, 4.0];
/// The sequential stream's part of what is reserved.
const SPLITS: [f64; 3] = [0.1, 0.5, 0.9];

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let [_, random_alone] = alone(lab)?;
    let mut finding = Finding::new(format!(
        "{SET_UP} Policy zygaria-iops. The disk is said to do 1 to 4 times the {} IOPS that the \
         random stream does alone; the streams reserve all of that between them.",
        number(random_alone)
    ));
    let mut panels = Vec::new();
    for split in SPLITS {
        let mut sequential = Vec::new();
        let mut kept = Vec::new();
        for factor in FACTORS {
            let nominal = random_alone * factor;
            let run = lab.run(&pair(lab, in_iops(nominal), split))?;
            kept.push((
                factor,
                percent(run.iops(RANDOM) / ((1.0 - split) * nominal.floor())),
            ));
            sequential.push((
                factor,
                percent(run.iops(SEQUENTIAL) / (split * nominal.floor())),
            ));
        }
        checks(&mut finding, split, &kept);
        panels.push(Panel {
            title: format!("{} % reserved for the sequential stream", percent(split)),
            x: Axis::linear("nominal capacity ÷ real capacity", 1.0, 4.0),
            y: Axis::logarithmic("achieved ÷ reserved (%)", 5.0, 2000.0),
            series: vec![
                Series::reference("as reserved", Mark::Curve, vec![(1.0, 100.0), (4.0, 100.0)]),
                Series::new("sequential stream", Mark::Line, sequential),
                Series::new("random stream", Mark::Line, kept),
            ],
        });
    }
    let in_time = lab.run(&pair(lab, in_time(), 0.1))?;
    finding.check(Check::new(
        "time_instead",
        "for comparison: 90 % of the time reserved by the random stream, received, zygaria-util",
        percent(in_time.share(RANDOM)),
        Bound::Absolute {
            expected: 90.0,
            tolerance: 5.0,
        },
        "%",
    ));
    finding.figures.push(Figure {
        name: "r7-nominal-capacity".to_owned(),
        title: "Reservations in I/Os per second under an over-estimated capacity".to_owned(),
        panels,
    });
    finding.note(DEPTH_NOTE);
    finding.note(
        "The axes and points of the paper's figure are not known. Here a reservation is held to what \
         it promised: the random stream's achieved ÷ reserved IOPS. Disk time needs no nominal \
         capacity: a second has a second.",
    );
    Ok(finding)
}

/// The random stream's reservation breaks: what is kept of it, relative to what is kept when the
/// capacity is right.
fn checks(finding: &mut Finding, split: f64, kept: &[(f64, f64)]) {
    if split != SPLITS[0] {
        return;
    }
    let at = |factor: f64| {
        let found = kept.iter().find(|(one, _)| *one == factor);
        found.map_or(f64::NAN, |(_, kept)| *kept)
    };
    for (factor, most) in [(1.5, 80.0), (2.0, 60.0)] {
        let what = format!(
            "random stream with 90 % reserved: achieved ÷ reserved at {factor} × capacity, \
             relative to that at 1 × capacity"
        );
        let value = percent(at(factor) / at(1.0));
        let check = Check::new(
            format!("kept_at_{factor}"),
            what,
            value,
            Bound::AtMost(most),
            "%",
        );
        finding.check(check.decisive());
    }
    finding.note(format!(
        "Even with the right capacity the random stream has {} % of the IOPS that 90 % of it \
         promise: the seeks between the streams are nobody's I/Os.",
        number(at(1.0))
    ));
}
