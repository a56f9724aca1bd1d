//! R2: reservations in I/Os per second do not control anything.

use super::rtas::{
    DEPTH_NOTE, RANDOM, RUN_SECONDS, SEQUENTIAL, SET_UP, SPLITS, alone, by_split, in_iops, percent,
    reserved_axis, shares, sweep,
};
use crate::{Experiment, Finding, Origin, Real};
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::measures::{greatest, least};
use disktime_lab::{Lab, LabResult, number};
use disktime_units::Nanos;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "R2",
    title: "throughput reservations, swept",
    origin: Origin::Paper,
    source: "RTAS 2008, Fig. 5a",
    claim: "With reservations in I/Os per second, a sequential and a random stream that together \
            reserve everything reservable achieve up to 1000 % of their reservations: there is no \
            control.",
    real: Real::reads(SPLITS.len() + 2, Nanos::from_secs(RUN_SECONDS / 3)),
    run,
};

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let [_, random_alone] = alone(lab)?;
    let nominal = random_alone.floor().max(1.0);
    let runs = sweep(lab, in_iops(nominal), &SPLITS)?;
    let achieved = |stream: usize, reserved: fn(f64) -> f64| -> Vec<(f64, f64)> {
        let reserved = SPLITS.map(|part| reserved(part) * nominal);
        let rates = by_split(&SPLITS, &runs, |run| run.iops(stream));
        let points = rates.into_iter().zip(reserved);
        points
            .map(|((x, rate), reserved)| (x, percent(rate / reserved)))
            .collect()
    };
    let sequential = achieved(SEQUENTIAL, |part| part);
    let random = achieved(RANDOM, |part| 1.0 - part);
    let values = || sequential.iter().chain(&random).map(|(_, y)| *y);
    let mut finding = Finding::new(format!(
        "{SET_UP} Policy zygaria-iops: token buckets in I/Os, no limits. Reservable are {} IOPS, \
         what the random stream does alone.",
        number(nominal)
    ));
    let what = "largest achieved ÷ reserved, either stream";
    finding
        .check("most_achieved", what, greatest(values()))
        .between(500.0, 2000.0, "%")
        .decisive();
    let what = "smallest achieved ÷ reserved, either stream";
    finding
        .check("least_achieved", what, least(values()))
        .at_most(80.0, "%");
    let throughput = Panel::new(
        "achieved throughput",
        reserved_axis("all"),
        Axis::logarithmic("achieved ÷ reserved (%)", 50.0, 3000.0),
    );
    let time = Panel::new(
        "disk time",
        reserved_axis("all"),
        Axis::linear("share of the disk's time (%)", 0.0, 100.0),
    );
    let both = |sequential, random| {
        [
            Series::line("sequential stream", sequential),
            Series::line("random stream", random),
        ]
    };
    let received = [SEQUENTIAL, RANDOM].map(|stream| shares(&SPLITS, &runs, stream));
    let [sequential_time, random_time] = received;
    finding.figure(Figure::new(
        "r2-throughput-reservations",
        "Reservations in I/Os per second: what is achieved of them, and the disk time used",
        [
            throughput
                .level("as reserved", 100.0)
                .with_all(both(sequential, random)),
            time.with_all(both(sequential_time, random_time)),
        ],
    ));
    finding.note(DEPTH_NOTE);
    finding.note(
        "“Up to 1000 %” is held to a factor of two, as neither the paper's drive nor its spare-time \
         rule are known in full, nor which stream it was. Here it is the random one with a small \
         reservation: the sequential stream's I/Os cost little, and the time that they leave goes to \
         the stream that used least of late. In the middle of the sweep, where the streams alternate \
         and every I/O costs a seek, neither gets what it reserved.",
    );
    Ok(finding)
}
