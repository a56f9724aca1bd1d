//! O5: what long periods buy.

use crate::{Experiment, Finding, Origin, Real};
use disktime_lab::figure::{Axis, Figure, Panel, Series};
use disktime_lab::measures::{Sharing, mean};
use disktime_lab::mixes::{KINDS, MIXES};
use disktime_lab::setup::{DriveSetup, Setup};
use disktime_lab::{DiskFacts, Lab, LabResult, Scheduling, Table, cells, number};
use disktime_units::Nanos;

/// The experiment.
pub(super) const EXPERIMENT: Experiment = Experiment {
    id: "O5",
    title: "sweep of the period",
    origin: Origin::Own,
    source: "our own; simulated once before in the scheduler's design",
    claim: "Long periods buy efficiency, short ones latency: over nine mixes the mean efficiency where \
            the served stream pays is at least 0.92 at 250 ms and 0.98 at 1 s, and a random stream's \
            throughput beside a sequential one grows from 250 ms to 5 s.",
    real: Real::No("six periods of nine mixes take two hours"),
    run,
};

const PERIODS_MS: [u64; 6] = [100, 250, 500, 1000, 2500, 5000];
const WAYS: [Scheduling; 2] = [Scheduling::SERVED, Scheduling::ACCOUNT];
/// Efficiency by period as it was simulated in the design, where the served stream pays.
const DESIGN: [(f64, f64); 4] = [(250.0, 0.91), (500.0, 0.95), (1000.0, 0.98), (2500.0, 0.99)];
/// Random IOPS at 250 ms and at 5 s as simulated there.
const DESIGN_IOPS: (f64, f64) = (47.0, 72.0);
/// The mix whose random stream is shown.
const SEQUENTIAL_AND_RANDOM: usize = 0;

/// Of one period, under one account.
struct PeriodResult {
    period_ms: f64,
    /// By mix.
    efficiencies: Vec<f64>,
    /// By mix.
    switches: Vec<f64>,
    random_iops: f64,
    random_p99_ms: f64,
}

fn run(lab: &Lab<'_>) -> LabResult<Finding> {
    let alone = MIXES.iter().map(|mix| {
        let setup = Setup::new(Scheduling::SERVED, lab.seconds(40));
        lab.rates_alone(&mix.reserved_in(setup, Nanos::from_secs(1))?)
    });
    let alone: Vec<Vec<f64>> = alone.collect::<LabResult<_>>()?;
    let curve = |way: Scheduling| {
        let periods = PERIODS_MS.iter();
        let results = periods.map(|period_ms| at_period(lab, way, *period_ms, &alone));
        results.collect::<LabResult<Vec<PeriodResult>>>()
    };
    let curves = [curve(WAYS[0])?, curve(WAYS[1])?];
    let mut finding = Finding::new(format!(
        "Nine mixes of two to five backlogged streams ({KINDS}), reserved to the limit of admission, \
         periods around the one shown of which no two coincide. With the switching account a period \
         of 100 ms leaves little to reserve."
    ));
    let at = |period_ms: f64| curves[0].iter().find(|point| point.period_ms == period_ms);
    for (period_ms, least) in [(250.0, 0.92), (1000.0, 0.98)] {
        let value = at(period_ms).map_or(f64::NAN, |point| mean(&point.efficiencies));
        let what = format!("mean efficiency at periods around {period_ms} ms, served pays");
        finding
            .check(format!("efficiency_{period_ms}ms"), what, value)
            .at_least(least, "")
            .decisive();
    }
    let iops = |period_ms: f64| at(period_ms).map_or(f64::NAN, |point| point.random_iops);
    let what = "random stream's IOPS at 5 s ÷ at 250 ms, served pays";
    finding
        .check("growth", what, iops(5000.0) / iops(250.0))
        .near(DESIGN_IOPS.1 / DESIGN_IOPS.0, 0.2, "");
    let facts = DiskFacts::of(&DriveSetup::papers())?;
    finding.table(table(&curves[0], facts));
    finding.figure(figure(&curves));
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

fn at_period(
    lab: &Lab<'_>,
    way: Scheduling,
    period_ms: u64,
    alone: &[Vec<f64>],
) -> LabResult<PeriodResult> {
    let period = Nanos::from_millis(period_ms);
    let mut result = PeriodResult {
        period_ms: period_ms as f64,
        efficiencies: Vec::new(),
        switches: Vec::new(),
        random_iops: f64::NAN,
        random_p99_ms: f64::NAN,
    };
    for (index, mix) in MIXES.iter().enumerate() {
        let setup = Setup::new(way, lab.seconds(60));
        let run = lab.run(&mix.reserved_in(setup, period)?)?;
        let shares = mix.shares(&run.facts, period, way.switching());
        let sharing = Sharing::of(&run, &alone[index], &shares);
        result.efficiencies.push(sharing.efficiency());
        result.switches.push(run.switches_per_second());
        if index == SEQUENTIAL_AND_RANDOM {
            result.random_iops = run.iops(1);
            result.random_p99_ms = run.latency_ms(1, |all| all.p99);
        }
    }
    Ok(result)
}

/// Where the efficiency goes, mix by mix.
fn table(curve: &[PeriodResult], facts: DiskFacts) -> Table {
    let columns = "mix | period (ms) | efficiency | switches/s | switches/s × s";
    let title = format!(
        "Served pays: efficiency, switches per second, and what they cost at s = {} each",
        facts.switch_cost
    );
    let mut table = Table::headed(columns).with_title(title);
    let is_shown = |point: &&PeriodResult| [250.0, 1000.0].contains(&point.period_ms);
    for point in curve.iter().filter(is_shown) {
        for (index, mix) in MIXES.iter().enumerate() {
            let switches = point.switches[index];
            table.row(cells![
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

fn figure(curves: &[Vec<PeriodResult>]) -> Figure {
    let panel = |title: &str, y: Axis, of: fn(&PeriodResult) -> f64| {
        let ticks = PERIODS_MS.map(|period| period as f64);
        let x = Axis::logarithmic("period (ms)", 100.0, 5000.0).with_ticks(&ticks);
        let lines = WAYS.iter().zip(curves).map(|(way, curve)| {
            Series::line(
                way.name(),
                curve.iter().map(|point| (point.period_ms, of(point))),
            )
        });
        Panel::new(title, x, y).with_all(lines)
    };
    let efficiency = Axis::linear("Σ throughput ÷ alone", 0.6, 1.05);
    let throughput = Axis::linear("throughput (IOPS)", 0.0, 80.0);
    let latency = Axis::logarithmic("99th percentile of latency (ms)", 100.0, 20_000.0);
    let beside = "random stream beside a sequential one, half each";
    let design = Series::line("design's simulation, served pays", DESIGN).reference();
    Figure::new(
        "o5-periods",
        "What the period buys: efficiency, throughput and latency",
        [
            panel("efficiency, mean of nine mixes", efficiency, |point| {
                mean(&point.efficiencies)
            })
            .with(design),
            panel(beside, throughput, |point| point.random_iops),
            panel("its latency", latency, |point| point.random_p99_ms),
        ],
    )
}
