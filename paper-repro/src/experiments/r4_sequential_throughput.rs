//! R4: what a sequential stream gets for its reservation.

use super::rtas::{
    DEPTH_NOTE, RUN_SECONDS, SEQUENTIAL, SET_UP, SPLITS, STAY_NOTE, alone, in_iops, in_time,
    in_time_coarsely, percent, sweep,
};
use crate::{Bound, Check, Experiment, Finding, Origin, Real};
use disktime_engine::PolicyKind;
use disktime_lab::figure::{Axis, Figure, Mark, Series};
use disktime_lab::{Lab, LabResult, Run, number};
use disktime_units::Nanos;

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    id: "R4",
    title: "a sequential stream's throughput against its reservation",
    origin: Origin::Paper,
    source: "RTAS 2008, Fig. 6",
    claim: "With reservations of disk time a sequential stream's throughput grows with its \
            reservation to the disk's maximum; with reservations in I/Os per second it is capped.",
    real: Real::Runs {
        runs: SPLITS.len() as u32 * 4 + 2,
        each: Nanos::from_secs(RUN_SECONDS / 4),
        writes: false,
    },
    run,
};

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let [sequential_alone, random_alone] = alone(lab)?;
    let by_request = sweep(lab, in_time(), &SPLITS)?;
    let coarse = sweep(lab, in_time_coarsely(), &SPLITS)?;
    let ours = sweep(lab, PolicyKind::Fahrrad, &SPLITS)?;
    let in_operations = sweep(lab, in_iops(random_alone.floor()), &SPLITS)?;
    let mut finding = Finding::new(format!(
        "{SET_UP} The random stream reserves what the sequential one leaves. Alone, the sequential \
         stream does {} IOPS, the random one {}.",
        number(sequential_alone),
        number(random_alone)
    ));
    let last = |runs: &[Run]| {
        let iops = runs.last().map_or(f64::NAN, |run| run.iops(SEQUENTIAL));
        percent(iops / sequential_alone)
    };
    let middle = |runs: &[Run]| {
        let iops = runs
            .get(SPLITS.len() / 2)
            .map_or(f64::NAN, |run| run.iops(SEQUENTIAL));
        percent(iops / sequential_alone)
    };
    let falls = |runs: &[Run]| {
        let pairs = runs.windows(2);
        pairs
            .filter(|pair| pair[1].iops(SEQUENTIAL) < pair[0].iops(SEQUENTIAL) * 0.98)
            .count() as f64
    };
    finding.check(
        Check::new(
            "last_time",
            "throughput with 90 % of the time reserved ÷ alone, zygaria-util, coarse",
            last(&coarse),
            Bound::AtLeast(75.0),
            "%",
        )
        .decisive(),
    );
    finding.check(
        Check::new(
            "last_iops",
            "throughput with 90 % of the IOPS reserved ÷ alone, zygaria-iops",
            last(&in_operations),
            Bound::AtMost(40.0),
            "%",
        )
        .decisive(),
    );
    finding.check(Check::new(
        "falls_time",
        "steps of the sweep at which throughput falls by more than 2 %, zygaria-util, coarse",
        falls(&coarse),
        Bound::AtMost(0.0),
        "",
    ));
    finding.check(Check::new(
        "half_time",
        "throughput with half of the time reserved ÷ alone, zygaria-util, coarse",
        middle(&coarse),
        Bound::AtLeast(37.5),
        "%",
    ));
    finding.check(Check::new(
        "last_ours",
        "throughput with 90 % of the time reserved ÷ alone, fahrrad",
        last(&ours),
        Bound::AtLeast(85.0),
        "%",
    ));
    let points = |runs: &[Run]| {
        let all = SPLITS.iter().zip(runs);
        all.map(|(part, run)| (percent(*part), run.iops(SEQUENTIAL)))
            .collect::<Vec<_>>()
    };
    let ideal = vec![(0.0, 0.0), (100.0, sequential_alone)];
    finding.figures.push(Figure::single(
        "r4-sequential-throughput",
        "Throughput of the sequential stream against its reservation",
        Axis::linear("reserved for the sequential stream (% of all)", 0.0, 100.0),
        Axis::linear(
            "throughput of the sequential stream (IOPS)",
            0.0,
            sequential_alone * 1.05,
        ),
        vec![
            Series::reference("share × alone", Mark::Curve, ideal),
            Series::new("disk time, fahrrad (ours)", Mark::Line, points(&ours)),
            Series::new(
                "disk time, zygaria-util, coarse",
                Mark::Line,
                points(&coarse),
            ),
            Series::new(
                "disk time, zygaria-util, by request",
                Mark::Line,
                points(&by_request),
            ),
            Series::new("I/Os, zygaria-iops", Mark::Line, points(&in_operations)),
        ],
    ));
    finding.note(DEPTH_NOTE);
    finding.note(format!(
        "{STAY_NOTE} Request by request the sequential stream has {} % of what it does alone with half \
         of the time reserved, as every request of either stream costs a seek; its share of the time \
         is right all the same (R3).",
        number(middle(&by_request))
    ));
    finding.note(
        "“To the maximum” is read as: at 90 % reserved, most of 90 % of what the stream does alone; \
         the seeks between the two streams are paid by both.",
    );
    Ok(finding)
}
