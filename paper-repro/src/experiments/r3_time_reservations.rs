//! R3: the same sweep with reservations in disk time.

use super::rtas::{
    DEPTH_NOTE, RANDOM, RUN_SECONDS, SEQUENTIAL, SET_UP, SPLITS, greatest_error, in_time, percent,
    sweep,
};
use crate::{Bound, Check, Experiment, Finding, Origin, Real};
use disktime_engine::PolicyKind;
use disktime_lab::figure::{Axis, Figure, Mark, Panel, Series};
use disktime_lab::{Lab, LabResult, Run};
use disktime_units::Nanos;

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    id: "R3",
    title: "the same sweep with reservations of disk time",
    origin: Origin::Paper,
    source: "RTAS 2008, §4 (the counterpart of Fig. 5a)",
    claim: "With reservations of disk time, what each stream achieves follows what it reserved, \
            over the whole sweep.",
    real: Real::Runs {
        runs: SPLITS.len() as u32 * 2,
        each: Nanos::from_secs(RUN_SECONDS / 3),
        writes: false,
    },
    run,
};

/// Received share may differ from the reserved one by so much, in percentage points.
const ERROR_ALLOWED: f64 = 5.0;

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let paper = sweep(lab, in_time(), &SPLITS)?;
    let ours = sweep(lab, PolicyKind::Fahrrad, &SPLITS)?;
    let mut finding = Finding::new(format!(
        "{SET_UP} Policies zygaria-util (token buckets in disk time, the paper's) and fahrrad (ours, \
         period 1 s; each stream pays for the seeks to it)."
    ));
    let error = |key: &str, what: &str, runs: &[Run]| {
        let error = percent(greatest_error(&SPLITS, runs));
        Check::new(
            key,
            what,
            error,
            Bound::AtMost(ERROR_ALLOWED),
            "percentage points",
        )
    };
    finding.check(
        error(
            "error_zygaria_util",
            "largest difference of received and reserved share, zygaria-util",
            &paper,
        )
        .decisive(),
    );
    finding.check(error(
        "error_fahrrad",
        "largest difference of received and reserved share, fahrrad",
        &ours,
    ));
    finding.figures.push(figure(&paper, &ours));
    finding.note(DEPTH_NOTE);
    finding.note("The paper's own points are not known; the ideal is drawn instead.");
    Ok(finding)
}

fn figure(paper: &[Run], ours: &[Run]) -> Figure {
    let panel = |title: &str, runs: &[Run]| {
        let share = |index: usize| {
            let points = SPLITS.iter().zip(runs);
            points
                .map(|(part, run)| (percent(*part), percent(run.share(index))))
                .collect::<Vec<_>>()
        };
        Panel {
            title: title.to_owned(),
            x: Axis::linear(
                "reserved for the sequential stream (% of the time)",
                0.0,
                100.0,
            ),
            y: Axis::linear("received share of the disk's time (%)", 0.0, 100.0),
            series: vec![
                Series::reference("as reserved", Mark::Curve, vec![(0.0, 0.0), (100.0, 100.0)]),
                Series::reference(
                    "as reserved (random)",
                    Mark::Curve,
                    vec![(0.0, 100.0), (100.0, 0.0)],
                ),
                Series::new("sequential stream", Mark::Line, share(SEQUENTIAL)),
                Series::new("random stream", Mark::Line, share(RANDOM)),
            ],
        }
    };
    Figure {
        name: "r3-time-reservations".to_owned(),
        title: "Reservations of disk time: what is received of them".to_owned(),
        panels: vec![
            panel("zygaria-util (the paper's)", paper),
            panel("fahrrad (ours)", ours),
        ],
    }
}
