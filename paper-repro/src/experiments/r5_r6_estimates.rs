//! R5 and R6: reservations of disk time survive wrong estimates.

use super::rtas::{DEPTH_NOTE, RUN_SECONDS, SEQUENTIAL, SET_UP, greatest_error, percent, sweep};
use crate::{Bound, Check, Experiment, Finding, Origin, Real};
use disktime_engine::PolicyKind;
use disktime_lab::figure::{Axis, Figure, Mark, Series};
use disktime_lab::{Lab, LabResult, Run};
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
/// Received share may differ from the reserved one by so much, in percentage points.
const ERROR_ALLOWED: f64 = 5.0;

/// Random requests under-estimated.
pub const RANDOM: Experiment = Experiment {
    id: "R5",
    title: "random requests under-estimated",
    origin: Origin::Paper,
    source: "RTAS 2008, §4.3",
    claim: "Control of disk time survives when the estimate of a random request is lowered from \
            20 ms to 5 ms and to 300 µs, as charges are corrected by the measured time.",
    real: Real::Runs {
        runs: (SPLITS.len() * RANDOM_ESTIMATES.len()) as u32,
        each: Nanos::from_secs(RUN_SECONDS / 4),
        writes: false,
    },
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
pub const SEQUENTIAL_OVER: Experiment = Experiment {
    id: "R6",
    title: "sequential requests over-estimated",
    origin: Origin::Paper,
    source: "RTAS 2008, §4.3",
    claim: "Control of disk time survives when sequential requests are over-estimated, from 300 µs \
            upward.",
    real: Real::Runs {
        runs: (SPLITS.len() * SEQUENTIAL_ESTIMATES.len()) as u32,
        each: Nanos::from_secs(RUN_SECONDS / 4),
        writes: false,
    },
    run: |lab| {
        run(
            lab,
            "r6-sequential-estimate",
            "sequential",
            &SEQUENTIAL_ESTIMATES,
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
    let mut series = vec![Series::reference(
        "as reserved",
        Mark::Curve,
        vec![(0.0, 0.0), (100.0, 100.0)],
    )];
    for estimate in estimates {
        let runs = sweep(lab, PolicyKind::ZygariaUtil(config(*estimate)), &SPLITS)?;
        let check = Check::new(
            format!("error_{}us", estimate.0 / 1000),
            format!("largest difference of received and reserved share, estimate {estimate}"),
            percent(greatest_error(&SPLITS, &runs)),
            Bound::AtMost(ERROR_ALLOWED),
            "percentage points",
        );
        finding.check(check.decisive());
        series.push(Series::new(
            format!("estimate {estimate}"),
            Mark::Line,
            points(&runs),
        ));
    }
    finding.figures.push(Figure::single(
        figure,
        &format!("Received share of the sequential stream, {which} requests wrongly estimated"),
        Axis::linear(
            "reserved for the sequential stream (% of the time)",
            0.0,
            100.0,
        ),
        Axis::linear(
            "received by the sequential stream (% of the time)",
            0.0,
            100.0,
        ),
        series,
    ));
    finding.note(
        "The modelled drive serves one request at a time, so every charge is corrected before the \
         next decision: the estimate changes nothing at all here, and the curves coincide. On a \
         drive with several requests outstanding it could; whether the paper's had them is not \
         known.",
    );
    finding.note(DEPTH_NOTE);
    Ok(finding)
}

fn points(runs: &[Run]) -> Vec<(f64, f64)> {
    let all = SPLITS.iter().zip(runs);
    all.map(|(part, run)| (percent(*part), percent(run.share(SEQUENTIAL))))
        .collect()
}
