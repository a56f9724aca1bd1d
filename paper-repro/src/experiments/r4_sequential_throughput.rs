//! R4: what a sequential stream gets for its reservation.

use super::rtas::{
    DEPTH_NOTE, RUN_SECONDS, SEQUENTIAL, SET_UP, SPLITS, STAY_NOTE, alone, by_split, in_iops,
    in_time, in_time_coarsely, percent, reserved_axis, sweep,
};
use crate::{Experiment, Finding, Origin, Real};
use disktime_engine::PolicyKind;
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::{Lab, LabResult, number};
use disktime_units::Nanos;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "R4",
    title: "a sequential stream's throughput against its reservation",
    origin: Origin::Paper,
    source: "RTAS 2008, Fig. 6",
    claim: "With reservations of disk time a sequential stream's throughput grows with its \
            reservation to the disk's maximum; with reservations in I/Os per second it is capped.",
    real: Real::reads(SPLITS.len() * 4 + 2, Nanos::from_secs(RUN_SECONDS / 4)),
    run,
};

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let [sequential_alone, random_alone] = alone(lab)?;
    // The sequential stream's throughput over the sweep.
    let curve = |policy: PolicyKind| -> LabResult<Vec<(f64, f64)>> {
        let runs = sweep(lab, policy, &SPLITS)?;
        Ok(by_split(&SPLITS, &runs, |run| run.iops(SEQUENTIAL)))
    };
    let by_request = curve(in_time())?;
    let coarse = curve(in_time_coarsely())?;
    let ours = curve(PolicyKind::Fahrrad)?;
    let in_operations = curve(in_iops(random_alone.floor()))?;
    let mut finding = Finding::new(format!(
        "{SET_UP} The random stream reserves what the sequential one leaves. Alone, the sequential \
         stream does {} IOPS, the random one {}.",
        number(sequential_alone),
        number(random_alone)
    ));
    let of_alone = |(_, iops): (f64, f64)| percent(iops / sequential_alone);
    let last = |curve: &[(f64, f64)]| of_alone(curve[SPLITS.len() - 1]);
    let middle = |curve: &[(f64, f64)]| of_alone(curve[SPLITS.len() / 2]);
    let what = "throughput with 90 % of the time reserved ÷ alone, zygaria-util, coarse";
    finding
        .check("last_time", what, last(&coarse))
        .at_least(75.0, "%")
        .decisive();
    let what = "throughput with 90 % of the IOPS reserved ÷ alone, zygaria-iops";
    finding
        .check("last_iops", what, last(&in_operations))
        .at_most(40.0, "%")
        .decisive();
    let steps = coarse.windows(2);
    let falls = steps.filter(|pair| pair[1].1 < pair[0].1 * 0.98).count() as f64;
    let what =
        "steps of the sweep at which throughput falls by more than 2 %, zygaria-util, coarse";
    finding.check("falls_time", what, falls).at_most(0.0, "");
    let what = "throughput with half of the time reserved ÷ alone, zygaria-util, coarse";
    finding
        .check("half_time", what, middle(&coarse))
        .at_least(37.5, "%");
    let what = "throughput with 90 % of the time reserved ÷ alone, fahrrad";
    finding
        .check("last_ours", what, last(&ours))
        .at_least(85.0, "%");
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
    let label = "throughput of the sequential stream (IOPS)";
    let y = Axis::linear(label, 0.0, sequential_alone * 1.05);
    let ideal = Series::curve("share × alone", [(0.0, 0.0), (100.0, sequential_alone)]);
    let panel = Panel::new("", reserved_axis("all"), y)
        .with(ideal.reference())
        .with(Series::line("disk time, fahrrad (ours)", ours))
        .with(Series::line("disk time, zygaria-util, coarse", coarse))
        .with(Series::line(
            "disk time, zygaria-util, by request",
            by_request,
        ))
        .with(Series::line("I/Os, zygaria-iops", in_operations));
    let title = "Throughput of the sequential stream against its reservation";
    finding.figure(Figure::new("r4-sequential-throughput", title, [panel]));
    Ok(finding)
}
