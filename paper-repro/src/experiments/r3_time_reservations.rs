//! R3: the same sweep with reservations in disk time.

use super::rtas::{
    DEPTH_NOTE, RANDOM, RUN_SECONDS, SEQUENTIAL, SET_UP, SPLITS, as_reserved, check_shares,
    in_time, reserved_axis, shares, sweep,
};
use crate::{Experiment, Finding, Origin, Real};
use disktime_engine::PolicyKind;
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::{Lab, LabResult, Run};
use disktime_units::Nanos;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "R3",
    title: "the same sweep with reservations of disk time",
    origin: Origin::Paper,
    source: "RTAS 2008, §4 (the counterpart of Fig. 5a)",
    claim: "With reservations of disk time, what each stream achieves follows what it reserved, \
            over the whole sweep.",
    real: Real::reads(SPLITS.len() * 2, Nanos::from_secs(RUN_SECONDS / 3)),
    run,
};

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let paper = sweep(lab, in_time(), &SPLITS)?;
    let ours = sweep(lab, PolicyKind::Fahrrad, &SPLITS)?;
    let mut finding = Finding::new(format!(
        "{SET_UP} Policies zygaria-util (token buckets in disk time, the paper's) and fahrrad (ours, \
         period 1 s; each stream pays for the seeks to it)."
    ));
    let keys = ("zygaria_util", "zygaria-util");
    check_shares(&mut finding, keys, &SPLITS, &paper).decisive();
    check_shares(&mut finding, ("fahrrad", "fahrrad"), &SPLITS, &ours);
    finding.figure(Figure::new(
        "r3-time-reservations",
        "Reservations of disk time: what is received of them",
        [
            panel("zygaria-util (the paper's)", &paper),
            panel("fahrrad (ours)", &ours),
        ],
    ));
    finding.note(DEPTH_NOTE);
    finding.note("The paper's own points are not known; the ideal is drawn instead.");
    Ok(finding)
}

fn panel(title: &str, runs: &[Run]) -> Panel {
    let y = Axis::linear("received share of the disk's time (%)", 0.0, 100.0);
    let random = Series::curve("as reserved (random)", [(0.0, 100.0), (100.0, 0.0)]);
    let share = |name: &str, stream| Series::line(name, shares(&SPLITS, runs, stream));
    Panel::new(title, reserved_axis("the time"), y)
        .with(as_reserved())
        .with(random.reference())
        .with(share("sequential stream", SEQUENTIAL))
        .with(share("random stream", RANDOM))
}
