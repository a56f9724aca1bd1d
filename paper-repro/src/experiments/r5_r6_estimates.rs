//! R5 and R6: reservations of disk time survive wrong estimates.

use super::rtas::{
    DEPTH_NOTE, RUN_SECONDS, SEQUENTIAL, SET_UP, as_reserved, check_shares, reserved_axis, shares,
    sweep,
};
use crate::{Experiment, Finding, Origin, Real};
use disktime_engine::PolicyKind;
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::{Lab, LabResult};
use disktime_scheduler::ZygariaUtilConfig;
use disktime_units::Nanos;

const SPLITS: [f64; 5] = [0.1, 0.3, 0.5, 0.7, 0.9];
const RANDOM_ESTIMATES: [Nanos; 3] = [
    Nanos::from_millis(20),
    Nanos::from_millis(5),
    Nanos::from_micros(300),
];
const SEQUENTIAL_ESTIMATES: [Nanos; 4] = [
    Nanos::from_micros(300),
    Nanos::from_millis(1),
    Nanos::from_millis(5),
    Nanos::from_millis(20),
];
const EACH: Nanos = Nanos::from_secs(RUN_SECONDS / 4);

/// Random requests under-estimated.
pub(super) const RANDOM: Experiment = Experiment {
    id: "R5",
    title: "random requests under-estimated",
    origin: Origin::Paper,
    source: "RTAS 2008, §4.3",
    claim: "Control of disk time survives when the estimate of a random request is lowered from \
            20 ms to 5 ms and to 300 µs, as charges are corrected by the measured time.",
    real: Real::reads(SPLITS.len() * RANDOM_ESTIMATES.len(), EACH),
    run: |lab| {
        run(
            lab,
            "r5-random-estimate",
            "random",
            &RANDOM_ESTIMATES,
            |time| ZygariaUtilConfig {
                random: time,
                ..ZygariaUtilConfig::default()
            },
        )
    },
};

/// Sequential requests over-estimated.
pub(super) const SEQUENTIAL_OVER: Experiment = Experiment {
    id: "R6",
    title: "sequential requests over-estimated",
    origin: Origin::Paper,
    source: "RTAS 2008, §4.3",
    claim: "Control of disk time survives when sequential requests are over-estimated, from 300 µs \
            upward.",
    real: Real::reads(SPLITS.len() * SEQUENTIAL_ESTIMATES.len(), EACH),
    run: |lab| {
        let estimates = &SEQUENTIAL_ESTIMATES;
        run(
            lab,
            "r6-sequential-estimate",
            "sequential",
            estimates,
            |time| ZygariaUtilConfig {
                sequential: time,
                ..ZygariaUtilConfig::default()
            },
        )
    },
};

fn run(
    lab: &Lab<'_>,
    figure: &str,
    which: &str,
    estimates: &[Nanos],
    config: fn(Nanos) -> ZygariaUtilConfig,
) -> LabResult<Finding> {
    let mut finding = Finding::new(format!(
        "{SET_UP} Policy zygaria-util; the estimate of {which} requests is changed, the other stays \
         as the paper has it (300 µs sequential, 20 ms random)."
    ));
    let label = "received by the sequential stream (% of the time)";
    let y = Axis::linear(label, 0.0, 100.0);
    let mut panel = Panel::new("", reserved_axis("the time"), y).with(as_reserved());
    for estimate in estimates {
        let runs = sweep(lab, PolicyKind::ZygariaUtil(config(*estimate)), &SPLITS)?;
        let name = format!("estimate {estimate}");
        let key = format!("{}us", estimate.0 / 1000);
        check_shares(&mut finding, (&key, &name), &SPLITS, &runs).decisive();
        panel = panel.with(Series::line(name, shares(&SPLITS, &runs, SEQUENTIAL)));
    }
    let title =
        format!("Received share of the sequential stream, {which} requests wrongly estimated");
    finding.figure(Figure::new(figure, &title, [panel]));
    finding.note(
        "The modelled drive serves one request at a time, so every charge is corrected before the \
         next decision: the estimate changes nothing at all here, and the curves coincide. On a \
         drive with several requests in flight it could; whether the paper's had them is not known.",
    );
    finding.note(DEPTH_NOTE);
    Ok(finding)
}
