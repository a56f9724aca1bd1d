//! O6: what the scheduler may be told of W.

use super::o2_lag::random_mix;
use crate::{Bound, Check, Experiment, Finding, Origin, Real};
use disktime_drive_models::{Operation, ServiceModel};
use disktime_engine::{PolicyKind, SwitchingAccount};
use disktime_lab::figure::{Axis, Figure, Mark, Panel, Series};
use disktime_lab::measures::{greatest, quantile};
use disktime_lab::setup::DriveSetup;
use disktime_lab::{DiskFacts, Lab, LabResult, Table, number};
use disktime_random::Random;
use disktime_units::Nanos;

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
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
struct Told {
    name: String,
    worst_case: Nanos,
    /// The largest unspent budget, in ms.
    unspent_ms: f64,
    /// Dispatches longer than the W that was told, in per cent.
    overruns: f64,
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let times = service_times()?;
    let facts = DiskFacts::of(&DriveSetup::papers())?;
    let percentiles = PERCENTILES.iter().map(|(name, part)| {
        let time = Nanos(quantile(&times, *part) as u64);
        ((*name).to_owned(), time)
    });
    let bound = std::iter::once(("bound".to_owned(), facts.worst_case));
    let told = percentiles
        .chain(bound)
        .map(|(name, worst_case)| measure(lab, name, worst_case))
        .collect::<LabResult<Vec<Told>>>()?;
    let mut finding = Finding::new(format!(
        "{} random mixes of 2 to 8 streams as in O2, each stream paying for the seeks to it. The \
         scheduler is told as W a percentile of the service times of random 4, 64 and 512 KiB reads, or \
         the drive's own bound, {}.",
        lab.count(SEEDS),
        facts.worst_case
    ));
    let of_true = |index: usize| told[index].unspent_ms / facts.worst_case.as_millis_f64();
    let of_told = |index: usize| told[index].unspent_ms / told[index].worst_case.as_millis_f64();
    let what = "largest unspent ÷ W with the true W";
    let hard = PERCENTILES.len();
    let check = Check::new("hard", what, of_true(hard), Bound::AtMost(1.0), "");
    finding.check(check.decisive());
    let what = "largest unspent ÷ true W with the 99.9th percentile";
    finding.check(Check::new("soft", what, of_true(3), Bound::AtMost(1.0), "").decisive());
    let what = "largest unspent ÷ W that was told, the median";
    finding.check(Check::new(
        "median",
        what,
        of_told(0),
        Bound::AtLeast(1.05),
        "",
    ));
    finding.tables.push(table(&told, facts));
    finding.figures.push(figure(&told, facts));
    finding.note(
        "The bound counts the longest seek, a whole turn and 512 KiB in the innermost zone with a \
         track switch. Told a smaller W, a stream may start its last request with less budget left: the \
         promise becomes tighter, until requests exceed what was told too often.",
    );
    Ok(finding)
}

fn measure(lab: &Lab<'_>, name: String, worst_case: Nanos) -> LabResult<Told> {
    let mut unspent = Vec::new();
    let (mut overruns, mut dispatches) = (0, 0);
    for seed in 0..lab.count(SEEDS) as u64 {
        let mut setup = random_mix(lab, seed, PolicyKind::Fahrrad, SwitchingAccount::Served)?;
        setup.worst_case = Some(worst_case);
        let run = lab.run(&setup)?;
        let Some(last) = run.samples.last() else {
            continue;
        };
        overruns += last.disk.overruns;
        dispatches += last.disk.dispatches;
        let each = last.streams.iter();
        let each = each.filter_map(|stream| stream.counters.unspent_max);
        unspent.extend(each.map(|unspent| unspent as f64 / 1e6));
    }
    Ok(Told {
        name,
        worst_case,
        unspent_ms: greatest(&unspent),
        overruns: overruns as f64 / dispatches.max(1) as f64 * 100.0,
    })
}

fn table(told: &[Told], facts: DiskFacts) -> Table {
    let mut table = Table::titled(
        "What is told as W, and what comes of it",
        &[
            "W told",
            "ms",
            "largest unspent (ms)",
            "÷ W told",
            "÷ true W",
            "overruns (%)",
        ],
    );
    for one in told {
        table.row(vec![
            one.name.clone(),
            number(one.worst_case.as_millis_f64()),
            number(one.unspent_ms),
            number(one.unspent_ms / one.worst_case.as_millis_f64()),
            number(one.unspent_ms / facts.worst_case.as_millis_f64()),
            number(one.overruns),
        ]);
    }
    table
}

fn figure(told: &[Told], facts: DiskFacts) -> Figure {
    let names: Vec<&str> = told.iter().map(|one| one.name.as_str()).collect();
    let points = |of: &dyn Fn(&Told) -> f64| -> Vec<(f64, f64)> {
        let each = told.iter().enumerate();
        each.map(|(index, one)| (index as f64, of(one))).collect()
    };
    let bound = facts.worst_case.as_millis_f64();
    let most = greatest(&told.iter().map(|one| one.overruns).collect::<Vec<_>>());
    Figure {
        name: "o6-worst-case".to_owned(),
        title: "What the scheduler is told as W, and what is unspent at deadlines".to_owned(),
        panels: vec![
            Panel {
                title: "largest unspent budget".to_owned(),
                x: Axis::groups("told as W", &names),
                y: Axis::linear("time (ms)", 0.0, bound * 1.3),
                series: vec![
                    Series::new("largest unspent", Mark::Line, points(&|one| one.unspent_ms)),
                    Series::new(
                        "W told",
                        Mark::Line,
                        points(&|one| one.worst_case.as_millis_f64()),
                    ),
                    Series::reference(
                        "true W",
                        Mark::Curve,
                        vec![(-0.5, bound), (told.len() as f64 - 0.5, bound)],
                    ),
                ],
            },
            Panel {
                title: "requests longer than the W told".to_owned(),
                x: Axis::groups("told as W", &names),
                y: Axis::linear("overruns (% of dispatches)", 0.0, (most * 1.2).max(1.0)),
                series: vec![Series::new(
                    "overruns",
                    Mark::Bars,
                    points(&|one| one.overruns),
                )],
            },
        ],
    }
}
