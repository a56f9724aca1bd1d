//! O5: what long periods buy.

use crate::{Bound, Check, Experiment, Finding, Origin, Real};
use disktime_engine::{PolicyKind, SwitchingAccount};
use disktime_lab::figure::{Axis, Figure, Mark, Panel, Series};
use disktime_lab::measures::{efficiency, mean};
use disktime_lab::mixes::{ACCOUNT, KINDS, MIXES};
use disktime_lab::setup::DriveSetup;
use disktime_lab::{DiskFacts, Lab, LabResult, Table, number};
use disktime_units::Nanos;

/// The experiment.
pub const EXPERIMENT: Experiment = Experiment {
    id: "O5",
    title: "sweep of the period",
    origin: Origin::Own,
    source: "our own; simulated once before in the scheduler's design",
    claim: "Long periods buy efficiency, short ones latency: over nine mixes the mean efficiency with \
            account (a) is at least 0.92 at 250 ms and 0.98 at 1 s, and a random stream's throughput \
            beside a sequential one grows from 250 ms to 5 s.",
    real: Real::No("six periods of nine mixes take two hours"),
    run,
};

const PERIODS_MS: [u64; 6] = [100, 250, 500, 1000, 2500, 5000];
const WAYS: [(&str, SwitchingAccount); 2] = [
    ("(a) the served pays", SwitchingAccount::Served),
    ("(b) switching account", ACCOUNT),
];
/// Efficiency by period as it was simulated in the design, account (a).
const DESIGN: [(f64, f64); 4] = [(250.0, 0.91), (500.0, 0.95), (1000.0, 0.98), (2500.0, 0.99)];
/// Random IOPS at 250 ms and at 5 s as simulated there.
const DESIGN_IOPS: (f64, f64) = (47.0, 72.0);
/// The mix whose random stream is looked at.
const SEQUENTIAL_AND_RANDOM: usize = 0;

/// Of one period, under one account.
struct Point {
    period_ms: f64,
    efficiencies: Vec<f64>,
    switches: Vec<f64>,
    random_iops: f64,
    random_p99_ms: f64,
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let mut curves: Vec<Vec<Point>> = Vec::new();
    let mut alone: Vec<Vec<f64>> = Vec::new();
    let served = SwitchingAccount::Served;
    for mix in &MIXES {
        let period = Nanos::from_secs(1);
        let setup = mix.setup(PolicyKind::Fahrrad, served, period, lab.seconds(40))?;
        alone.push(lab.rates_alone(&setup)?);
    }
    for (_, switching) in WAYS {
        let mut curve = Vec::new();
        for period_ms in PERIODS_MS {
            curve.push(point(lab, switching, period_ms, &alone)?);
        }
        curves.push(curve);
    }
    let mut finding = Finding::new(format!(
        "Nine mixes of two to five backlogged streams ({KINDS}), reserved to the limit of admission, \
         periods around the one shown of which no two coincide. With the switching account a period \
         of 100 ms leaves little to reserve."
    ));
    let at = |period_ms: f64| curves[0].iter().find(|point| point.period_ms == period_ms);
    for (period_ms, least) in [(250.0, 0.92), (1000.0, 0.98)] {
        let value = at(period_ms).map_or(f64::NAN, |point| mean(&point.efficiencies));
        let what = format!("mean efficiency at periods around {period_ms} ms, account (a)");
        let key = format!("efficiency_{period_ms}ms");
        finding.check(Check::new(key, what, value, Bound::AtLeast(least), "").decisive());
    }
    let iops = |period_ms: f64| at(period_ms).map_or(f64::NAN, |point| point.random_iops);
    finding.check(Check::new(
        "growth",
        "random stream's IOPS at 5 s ÷ at 250 ms, account (a)",
        iops(5000.0) / iops(250.0),
        Bound::Relative {
            expected: DESIGN_IOPS.1 / DESIGN_IOPS.0,
            tolerance: 0.2,
        },
        "",
    ));
    let facts = DiskFacts::of(&DriveSetup::papers())?;
    finding.tables.push(table(&curves[0], facts));
    finding.figures.push(figure(&curves));
    finding.note(
        "The design's simulation had 47 random IOPS at 250 ms and 72 at 5 s, on a simpler disk without \
         command overheads, read-ahead or track switches.",
    );
    if let Some(second) = at(1000.0) {
        let switches = mean(&second.switches);
        let lost = 1.0 - mean(&second.efficiencies);
        finding.note(format!(
            "The loss is in the switches: at periods around 1 s {} per second on average, each of which \
             costs {} ms of throughput, where a mean seek and half a turn are {}. The mixes of four and \
             five streams switch two to three times as often as the others, as their deadlines do not \
             coincide; with equal periods there are fewer switches.",
            number(switches),
            number(lost / switches * 1000.0),
            facts.switch_cost
        ));
    }
    Ok(finding)
}

fn point(
    lab: &Lab<'_>,
    switching: SwitchingAccount,
    period_ms: u64,
    alone: &[Vec<f64>],
) -> LabResult<Point> {
    let period = Nanos::from_millis(period_ms);
    let mut point = Point {
        period_ms: period_ms as f64,
        efficiencies: Vec::new(),
        switches: Vec::new(),
        random_iops: f64::NAN,
        random_p99_ms: f64::NAN,
    };
    for (index, mix) in MIXES.iter().enumerate() {
        let setup = mix.setup(PolicyKind::Fahrrad, switching, period, lab.seconds(60))?;
        let run = lab.run(&setup)?;
        let rates: Vec<f64> = (0..mix.streams.len())
            .map(|stream| run.iops(stream))
            .collect();
        point.efficiencies.push(efficiency(&rates, &alone[index]));
        point.switches.push(run.switches_per_second());
        if index == SEQUENTIAL_AND_RANDOM {
            point.random_iops = run.iops(1);
            let p99 = run.latency(1).map(|latency| latency.p99.as_millis_f64());
            point.random_p99_ms = p99.unwrap_or(f64::NAN);
        }
    }
    Ok(point)
}

/// Where the efficiency goes, mix by mix.
fn table(curve: &[Point], facts: DiskFacts) -> Table {
    let mut table = Table::titled(
        format!(
            "Account (a): efficiency, switches per second, and what they cost at s = {} each",
            facts.switch_cost
        ),
        &[
            "mix",
            "period (ms)",
            "efficiency",
            "switches/s",
            "switches/s × s",
        ],
    );
    for point in curve
        .iter()
        .filter(|point| [250.0, 1000.0].contains(&point.period_ms))
    {
        for (index, mix) in MIXES.iter().enumerate() {
            let switches = point.switches[index];
            table.row(vec![
                mix.name(),
                number(point.period_ms),
                format!("{:.3}", point.efficiencies[index]),
                number(switches),
                format!("{:.3}", switches * facts.switch_cost.as_secs_f64()),
            ]);
        }
    }
    table
}

fn figure(curves: &[Vec<Point>]) -> Figure {
    let series = |of: fn(&Point) -> f64| -> Vec<Series> {
        let named = WAYS.iter().zip(curves);
        named
            .map(|((name, _), curve)| {
                let points = curve.iter().map(|point| (point.period_ms, of(point)));
                Series::new(*name, Mark::Line, points.collect())
            })
            .collect()
    };
    let x = || {
        let ticks = PERIODS_MS.map(|period| period as f64);
        Axis::logarithmic("period (ms)", 100.0, 5000.0).with_ticks(&ticks)
    };
    let mut efficiencies = series(|point| mean(&point.efficiencies));
    let design = Series::reference("design's simulation, (a)", Mark::Line, DESIGN.to_vec());
    efficiencies.push(design);
    Figure {
        name: "o5-periods".to_owned(),
        title: "What the period buys: efficiency, throughput and latency".to_owned(),
        panels: vec![
            Panel {
                title: "efficiency, mean of nine mixes".to_owned(),
                x: x(),
                y: Axis::linear("Σ throughput ÷ alone", 0.6, 1.05),
                series: efficiencies,
            },
            Panel {
                title: "random stream beside a sequential one, half each".to_owned(),
                x: x(),
                y: Axis::linear("throughput (IOPS)", 0.0, 80.0),
                series: series(|point| point.random_iops),
            },
            Panel {
                title: "its latency".to_owned(),
                x: x(),
                y: Axis::logarithmic("99th percentile of latency (ms)", 100.0, 20_000.0),
                series: series(|point| point.random_p99_ms),
            },
        ],
    }
}
