//! R7: reservations in I/Os per second when the disk is said to do more than it does.

use super::rtas::{
    DEPTH_NOTE, RANDOM, RUN_SECONDS, SEQUENTIAL, SET_UP, alone, in_iops, in_time, pair, percent,
};
use crate::{Experiment, Finding, Origin, Real};
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::{Lab, LabResult, number};
use disktime_units::Nanos;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "R7",
    title: "nominal capacity over-estimated",
    origin: Origin::Paper,
    source: "RTAS 2008, Fig. 9",
    claim: "Reservations in I/Os per second are very sensitive to an over-estimate of the disk's \
            nominal capacity.",
    real: Real::reads(
        SPLITS.len() * FACTORS.len() + 2,
        Nanos::from_secs(RUN_SECONDS / 4),
    ),
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
        let mut random = Vec::new();
        for factor in FACTORS {
            let nominal = random_alone * factor;
            let run = lab.run(&pair(lab, in_iops(nominal), split))?;
            let kept = |stream: usize, part: f64| {
                (factor, percent(run.iops(stream) / (part * nominal.floor())))
            };
            random.push(kept(RANDOM, 1.0 - split));
            sequential.push(kept(SEQUENTIAL, split));
        }
        if split == SPLITS[0] {
            checks(&mut finding, &random);
        }
        let panel = Panel::new(
            format!("{} % reserved for the sequential stream", percent(split)),
            Axis::linear("nominal capacity ÷ real capacity", 1.0, 4.0),
            Axis::logarithmic("achieved ÷ reserved (%)", 5.0, 2000.0),
        );
        panels.push(
            panel
                .level("as reserved", 100.0)
                .with(Series::line("sequential stream", sequential))
                .with(Series::line("random stream", random)),
        );
    }
    let in_time = lab.run(&pair(lab, in_time(), 0.1))?;
    let what = "for comparison: 90 % of the time reserved by the random stream, received, \
                zygaria-util";
    finding
        .check("time_instead", what, percent(in_time.share(RANDOM)))
        .within(90.0, 5.0, "%");
    finding.figure(Figure::new(
        "r7-nominal-capacity",
        "Reservations in I/Os per second under an over-estimated capacity",
        panels,
    ));
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
fn checks(finding: &mut Finding, kept: &[(f64, f64)]) {
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
        finding
            .check(format!("kept_at_{factor}"), what, value)
            .at_most(most, "%")
            .decisive();
    }
    finding.note(format!(
        "Even with the right capacity the random stream has {} % of the IOPS that 90 % of it \
         promise: the seeks between the streams count as I/Os of neither.",
        number(at(1.0))
    ));
}
