//! R2: reservations in I/Os per second do not control anything.

use super::rtas::{
    DEPTH_NOTE, RANDOM, RUN_SECONDS, SEQUENTIAL, SET_UP, SPLITS, alone, in_iops, percent, sweep,
};
use crate::{Bound, Check, Experiment, Finding, Origin, Real};
use disktime_lab::figure::{Axis, Figure, Mark, Panel, Series};
use disktime_lab::measures::{greatest, least};
use disktime_lab::{Lab, LabResult, number};
use disktime_units::Nanos;

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    id: "R2",
    title: "throughput reservations, swept",
    origin: Origin::Paper,
    source: "RTAS 2008, Fig. 5a",
    claim: "With reservations in I/Os per second, a sequential and a random stream that together \
            reserve everything reservable achieve up to 1000 % of their reservations: there is no \
            control.",
    real: Real::Runs {
        runs: SPLITS.len() as u32 + 2,
        each: Nanos::from_secs(RUN_SECONDS / 3),
        writes: false,
    },
    run,
};

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let [_, random_alone] = alone(lab)?;
    let nominal = random_alone.floor().max(1.0);
    let runs = sweep(lab, in_iops(nominal), &SPLITS)?;
    let achieved = |index: usize, reserved: &dyn Fn(f64) -> f64| -> Vec<(f64, f64)> {
        let points = SPLITS.iter().zip(&runs);
        points
            .map(|(part, run)| {
                (
                    percent(*part),
                    run.iops(index) / (reserved(*part) * nominal),
                )
            })
            .collect()
    };
    let sequential = achieved(SEQUENTIAL, &|part| part);
    let random = achieved(RANDOM, &|part| 1.0 - part);
    let values: Vec<f64> = sequential.iter().chain(&random).map(|(_, y)| *y).collect();
    let mut finding = Finding::new(format!(
        "{SET_UP} Policy zygaria-iops: token buckets in I/Os, no limits. Reservable are {} IOPS, \
         what the random stream does alone.",
        number(nominal)
    ));
    finding.check(
        Check::new(
            "most_achieved",
            "largest achieved ÷ reserved, either stream",
            percent(greatest(&values)),
            Bound::Between(500.0, 2000.0),
            "%",
        )
        .decisive(),
    );
    finding.check(Check::new(
        "least_achieved",
        "smallest achieved ÷ reserved, either stream",
        percent(least(&values)),
        Bound::AtMost(80.0),
        "%",
    ));
    finding.figures.push(figure(&sequential, &random, &runs));
    finding.note(DEPTH_NOTE);
    finding.note(
        "“Up to 1000 %” is held to a factor of two, as neither the paper's drive nor its spare-time \
         rule are known in full, nor which stream it was. Here it is the random one with a small \
         reservation: the sequential stream's I/Os cost little, and the time that they leave goes to \
         whoever used least of late. In the middle of the sweep, where the streams alternate and \
         every I/O costs a seek, neither gets what it reserved.",
    );
    Ok(finding)
}

fn figure(sequential: &[(f64, f64)], random: &[(f64, f64)], runs: &[disktime_lab::Run]) -> Figure {
    let in_percent = |points: &[(f64, f64)]| {
        points
            .iter()
            .map(|(x, y)| (*x, percent(*y)))
            .collect::<Vec<_>>()
    };
    let time = |index: usize| {
        let points = SPLITS.iter().zip(runs);
        points
            .map(|(part, run)| (percent(*part), percent(run.share(index))))
            .collect::<Vec<_>>()
    };
    let x = || Axis::linear("reserved for the sequential stream (% of all)", 0.0, 100.0);
    let even = vec![(0.0, 100.0), (100.0, 100.0)];
    Figure {
        name: "r2-throughput-reservations".to_owned(),
        title: "Reservations in I/Os per second: what is achieved of them, and the disk time used"
            .to_owned(),
        panels: vec![
            Panel {
                title: "achieved throughput".to_owned(),
                x: x(),
                y: Axis::logarithmic("achieved ÷ reserved (%)", 50.0, 3000.0),
                series: vec![
                    Series::reference("as reserved", Mark::Curve, even),
                    Series::new("sequential stream", Mark::Line, in_percent(sequential)),
                    Series::new("random stream", Mark::Line, in_percent(random)),
                ],
            },
            Panel {
                title: "disk time".to_owned(),
                x: x(),
                y: Axis::linear("share of the disk's time (%)", 0.0, 100.0),
                series: vec![
                    Series::new("sequential stream", Mark::Line, time(SEQUENTIAL)),
                    Series::new("random stream", Mark::Line, time(RANDOM)),
                ],
            },
        ],
    }
}
