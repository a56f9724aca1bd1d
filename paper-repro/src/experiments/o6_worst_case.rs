//! O6: what the scheduler may be told of W.

use crate::figure::{Axis, Figure, Mark, Panel, Series};
use crate::measures::greatest;
use crate::mixes::Kind;
use crate::setup::{DriveSetup, Setup, reader, reserved, share};
use crate::{
    Bound, Check, DiskFacts, Experiment, Finding, Lab, Origin, Outcome, Real, Table, number,
};
use disktime_disks::{Operation, ServiceModel};
use disktime_engine::PolicyKind;
use disktime_units::Nanos;
use disktime_workloads::{Pattern, Random};

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    id: "O6",
    title: "W from the median to the maximum",
    origin: Origin::Own,
    source: "our own; hard and soft guarantees as in Fahrrad",
    claim: "With a true W no more than W is unspent at a deadline. A high percentile of the service \
            times instead of the maximum is enough for a handful of streams; a median is not.",
    real: Real::No("it asks what a wrong W does to a bound, which needs exact times"),
    run,
};

/// Percentiles of service times that the scheduler is told as W; the last is the drive's bound.
const PERCENTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("longest seen", 1.0),
];
const BOUND: &str = "bound";
/// Streams on the disk.
const COUNTS: [usize; 2] = [5, 20];
const SEEDS: usize = 4;

/// Service times of random 4 KiB and 64 KiB reads and of sequential reads, as the streams below
/// make them, in nanoseconds.
fn service_times() -> Outcome<Vec<f64>> {
    let mut model = DriveSetup::papers().model()?;
    let places = model.size_bytes() / (64 << 10);
    let mut random = Random::labelled(6, "service times");
    let mut now = Nanos::ZERO;
    let mut times = Vec::new();
    for index in 0..20_000_u64 {
        let bytes = if index % 2 == 0 { 4096 } else { 64 << 10 };
        let offset = random.below(places) * (64 << 10);
        let done = ServiceModel::serve(&mut model, now, Operation::Read, offset, bytes);
        times.push((done - now).0 as f64);
        now = done;
    }
    Ok(times)
}

/// Streams of equal shares, aligned periods, all of the disk reserved: every one of them comes to
/// its last request at about the same time.
fn setup(lab: &Lab<'_>, count: usize, seed: u64, worst_case: Nanos) -> Setup {
    let mut setup = Setup::new(PolicyKind::Fahrrad, lab.seconds(120));
    setup.worst_case = Some(worst_case);
    setup.seed = seed;
    setup.warm_up = Nanos::ZERO;
    let part = 1.0 / count as f64 - 1e-6;
    let period = Nanos::from_millis(200 * count as u64);
    for index in 0..count {
        let client = match index % 3 {
            0 => reader(Pattern::Random, 64 << 10, 8),
            1 => reader(Pattern::Random, 4096, 8),
            _ => Kind::Sequential.client(),
        };
        setup = setup.stream(&format!("{index}"), reserved(share(part), period), client);
    }
    setup
}

fn run(lab: &Lab<'_>) -> Outcome<Finding> {
    let times = service_times()?;
    let facts = DiskFacts::of(&DriveSetup::papers())?;
    let mut told: Vec<(String, Nanos)> = PERCENTILES
        .iter()
        .map(|(name, part)| {
            let time = crate::measures::quantile(&times, *part);
            ((*name).to_owned(), Nanos(time as u64))
        })
        .collect();
    told.push((BOUND.to_owned(), facts.worst_case));
    let mut finding = Finding::new(format!(
        "{} or {} backlogged streams with equal shares of the whole disk (random 64 KiB, random 4 KiB, \
         sequential), periods of 200 ms × streams, aligned, so that all come to their last request \
         together; {} seeds. The scheduler is told a percentile of the service times of random 4 and \
         64 KiB reads as W, or the drive's own bound, {}.",
        COUNTS[0],
        COUNTS[1],
        lab.count(SEEDS),
        facts.worst_case
    ));
    let mut table = Table::new(
        "What is told as W, and what comes of it",
        &[
            "streams",
            "W told",
            "ms",
            "largest unspent (ms)",
            "of the true bound",
            "overruns (%)",
        ],
    );
    let mut lags: Vec<Vec<(f64, f64)>> = Vec::new();
    let mut late: Vec<Vec<(f64, f64)>> = Vec::new();
    for count in COUNTS {
        let mut curve = Vec::new();
        let mut overruns = Vec::new();
        for (place, (name, worst_case)) in told.iter().enumerate() {
            let (unspent, part) = one(lab, count, *worst_case)?;
            let of_bound = unspent / facts.worst_case.as_millis_f64();
            curve.push((place as f64, of_bound));
            overruns.push((place as f64, part));
            table.row(vec![
                count.to_string(),
                name.clone(),
                number(worst_case.as_millis_f64()),
                number(unspent),
                number(of_bound),
                number(part),
            ]);
        }
        lags.push(curve);
        late.push(overruns);
    }
    checks(&mut finding, &lags);
    finding.tables.push(table);
    let names: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
    finding.figures.push(figure(&names, lags, late));
    finding.note(
        "Requests take 14 ms on average and the bound counts the longest seek, a whole turn and \
         512 KiB in the innermost zone, so that percentiles lie far below it.",
    );
    Ok(finding)
}

/// The largest unspent budget in ms, and overruns of W in per cent of all dispatches.
fn one(lab: &Lab<'_>, count: usize, worst_case: Nanos) -> Outcome<(f64, f64)> {
    let mut unspent = Vec::new();
    let (mut overruns, mut dispatches) = (0, 0);
    for seed in 0..lab.count(SEEDS) as u64 {
        let run = lab.run(&setup(lab, count, seed, worst_case))?;
        let Some(last) = run.samples.last() else {
            continue;
        };
        overruns += last.disk.overruns;
        dispatches += last.disk.dispatches;
        let each = last
            .streams
            .iter()
            .filter_map(|stream| stream.counters.unspent_max);
        unspent.extend(each.map(|unspent| unspent as f64 / 1e6));
    }
    Ok((
        greatest(&unspent),
        overruns as f64 / dispatches.max(1) as f64 * 100.0,
    ))
}

fn checks(finding: &mut Finding, lags: &[Vec<(f64, f64)>]) {
    let at = |count: usize, place: usize| lags[count].get(place).map_or(f64::NAN, |(_, lag)| *lag);
    let hard = PERCENTILES.len();
    for (index, count) in COUNTS.iter().enumerate() {
        let what = format!("largest unspent ÷ W with the true W, {count} streams");
        let check = Check::new(
            format!("hard_{count}"),
            what,
            at(index, hard),
            Bound::AtMost(1.0),
            "",
        );
        finding.check(check.decisive());
    }
    let what = format!(
        "largest unspent ÷ true W with the 99.9th percentile, {} streams",
        COUNTS[0]
    );
    finding.check(Check::new("soft", what, at(0, 3), Bound::AtMost(1.0), ""));
    let what = format!(
        "largest unspent with the median ÷ with the 99.9th percentile, {} streams",
        COUNTS[1]
    );
    finding.check(Check::new(
        "median",
        what,
        at(1, 0) / at(1, 3),
        Bound::AtLeast(1.2),
        "",
    ));
}

fn figure(names: &[&str], lags: Vec<Vec<(f64, f64)>>, late: Vec<Vec<(f64, f64)>>) -> Figure {
    let series = |curves: Vec<Vec<(f64, f64)>>| -> Vec<Series> {
        let named = COUNTS.iter().zip(curves);
        named
            .map(|(count, points)| Series::new(format!("{count} streams"), Mark::Line, points))
            .collect()
    };
    let most = lags
        .iter()
        .flatten()
        .map(|(_, lag)| *lag)
        .fold(1.0, f64::max);
    let mut unspent = series(lags);
    unspent.push(Series::reference(
        "the bound W",
        Mark::Curve,
        vec![(-0.5, 1.0), (5.5, 1.0)],
    ));
    Figure {
        name: "o6-worst-case".to_owned(),
        title: "What the scheduler is told as W, and what is unspent at deadlines".to_owned(),
        panels: vec![
            Panel {
                title: "largest unspent budget".to_owned(),
                x: Axis::groups("told as W", names),
                y: Axis::linear("unspent ÷ true W", 0.0, most * 1.1),
                series: unspent,
            },
            Panel {
                title: "requests longer than the W told".to_owned(),
                x: Axis::groups("told as W", names),
                y: Axis::linear("overruns (% of dispatches)", 0.0, 60.0),
                series: series(late),
            },
        ],
    }
}
