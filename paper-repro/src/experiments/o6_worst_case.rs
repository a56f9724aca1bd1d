//! O6: what the scheduler may be told of W.

use super::o2_lag::random_mix;
use crate::{Experiment, Finding, Origin, Real};
use disktime_drive_models::{Operation, ServiceModel};
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::measures::{greatest, quantile};
use disktime_lab::setup::DriveSetup;
use disktime_lab::{DiskFacts, Lab, LabResult, Scheduling, Table, cells, number};
use disktime_random::Random;
use disktime_units::Nanos;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "O6",
    title: "W from the median to the maximum",
    origin: Origin::Own,
    source: "our own; hard and soft guarantees as in Fahrrad",
    claim: "With the true W as the scheduler's W no more than W is unspent at a deadline. A high \
            percentile of the service times instead keeps that bound for a handful of streams; a \
            median exceeds what it was told.",
    real: Real::No("it takes two hundred random mixes"),
    run,
};

/// Percentiles of service times that the scheduler is told as W.
const PERCENTILES: [(&str, f64); 5] = [
    ("p50", 0.5),
    ("p90", 0.9),
    ("p99", 0.99),
    ("p99.9", 0.999),
    ("longest", 1.0),
];
const SEEDS: usize = 40;

/// Service times of random reads of 4 to 512 KiB (up to eight of the mixes' 64 KiB merged), in
/// nanoseconds.
fn service_times() -> LabResult<Vec<f64>> {
    const BYTES: [u64; 3] = [4 << 10, 64 << 10, 512 << 10];
    let mut model = DriveSetup::papers().model()?;
    let places = model.size_bytes() / BYTES[2];
    let mut random = Random::labelled(6, "service times");
    let mut now = Nanos::ZERO;
    let mut times = Vec::new();
    for index in 0..30_000 {
        let offset = random.below(places) * BYTES[2];
        let bytes = BYTES[index % BYTES.len()];
        let done = ServiceModel::serve(&mut model, now, Operation::Read, offset, bytes);
        times.push((done - now).0 as f64);
        now = done;
    }
    Ok(times)
}

/// What came of one W.
struct ToldWorstCase {
    name: &'static str,
    worst_case: Nanos,
    /// The largest unspent budget, in ms.
    unspent_ms: f64,
    /// Dispatches longer than the W that was told, in per cent.
    overruns: f64,
}

impl ToldWorstCase {
    /// The largest unspent budget, in some W.
    fn unspent_in(&self, worst_case: Nanos) -> f64 {
        self.unspent_ms / worst_case.as_millis_f64()
    }
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let times = service_times()?;
    let worst_case = DiskFacts::of(&DriveSetup::papers())?.worst_case;
    let percentiles = PERCENTILES.map(|(name, part)| (name, Nanos(quantile(&times, part) as u64)));
    let all = percentiles.into_iter().chain([("bound", worst_case)]);
    let told = all.map(|(name, worst_case)| measure(lab, name, worst_case));
    let told: Vec<ToldWorstCase> = told.collect::<LabResult<_>>()?;
    let mut finding = Finding::new(format!(
        "{} random mixes of 2 to 8 streams as in O2, each stream paying for the seeks to it. The \
         scheduler is told as W a percentile of the service times of random 4, 64 and 512 KiB reads, or \
         the drive's own bound, {worst_case}.",
        lab.count(SEEDS),
    ));
    let hard = told[PERCENTILES.len()].unspent_in(worst_case);
    let what = "largest unspent ÷ W with the true W";
    finding
        .check("hard", what, hard)
        .at_most(1.0, "")
        .decisive();
    let soft = told[3].unspent_in(worst_case);
    let what = "largest unspent ÷ true W with the 99.9th percentile";
    finding
        .check("soft", what, soft)
        .at_most(1.0, "")
        .decisive();
    let median = told[0].unspent_in(told[0].worst_case);
    let what = "largest unspent ÷ W that was told, the median";
    finding.check("median", what, median).at_least(1.05, "");
    finding.table(table(&told, worst_case));
    finding.figure(figure(&told, worst_case));
    finding.note(
        "The bound counts the longest seek, a whole turn and 512 KiB in the innermost zone with a \
         track switch. Told a smaller W, a stream may start its last request with less budget left: the \
         promise becomes tighter, until requests exceed what was told too often.",
    );
    Ok(finding)
}

fn measure(lab: &Lab<'_>, name: &'static str, worst_case: Nanos) -> LabResult<ToldWorstCase> {
    let mut unspent_ms = f64::NAN;
    let (mut overruns, mut dispatches) = (0, 0);
    for seed in 0..lab.count(SEEDS) as u64 {
        let mut setup = random_mix(lab, seed, Scheduling::SERVED)?;
        setup.worst_case = Some(worst_case);
        let run = lab.run(&setup)?;
        let disk = run.final_disk();
        overruns += disk.overruns;
        dispatches += disk.dispatches;
        let each = run
            .final_counters()
            .filter_map(|counters| counters.unspent_max);
        unspent_ms = unspent_ms.max(greatest(each.map(|unspent| unspent as f64 / 1e6)));
    }
    Ok(ToldWorstCase {
        name,
        worst_case,
        unspent_ms,
        overruns: overruns as f64 / dispatches.max(1) as f64 * 100.0,
    })
}

fn table(told: &[ToldWorstCase], worst_case: Nanos) -> Table {
    let columns = "W told | ms | largest unspent (ms) | ÷ W told | ÷ true W | overruns (%)";
    let mut table = Table::headed(columns).with_title("What is told as W, and what comes of it");
    for one in told {
        table.row(cells![
            one.name,
            number(one.worst_case.as_millis_f64()),
            number(one.unspent_ms),
            number(one.unspent_in(one.worst_case)),
            number(one.unspent_in(worst_case)),
            number(one.overruns),
        ]);
    }
    table
}

fn figure(told: &[ToldWorstCase], worst_case: Nanos) -> Figure {
    let names = || Axis::groups("told as W", told.iter().map(|one| one.name));
    let line = |name: &str, of: fn(&ToldWorstCase) -> f64| {
        let points = told.iter().enumerate();
        Series::line(name, points.map(|(index, one)| (index as f64, of(one))))
    };
    let bound = worst_case.as_millis_f64();
    let overruns = || told.iter().map(|one| one.overruns);
    let most = (greatest(overruns()) * 1.2).max(1.0);
    let time = Axis::linear("time (ms)", 0.0, bound * 1.3);
    let share = Axis::linear("overruns (% of dispatches)", 0.0, most);
    Figure::new(
        "o6-worst-case",
        "What the scheduler is told as W, and what is unspent at deadlines",
        [
            Panel::new("largest unspent budget", names(), time)
                .with(line("largest unspent", |one| one.unspent_ms))
                .with(line("W told", |one| one.worst_case.as_millis_f64()))
                .level("true W", bound),
            Panel::new("requests longer than the W told", names(), share)
                .with(Series::bars("overruns", overruns())),
        ],
    )
}
