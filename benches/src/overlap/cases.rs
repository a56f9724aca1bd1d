//! Random cases of one reserved stream beside others, under several policies.

use super::{mean, quantile};
use disktime_lab::overlap::cases::{mixed, pair};
use disktime_lab::overlap::{Case, CaseMeasure, SoloRuns, Span, measure};
use disktime_lab::{Table, cells, parallel};
use disktime_scheduler::{MclockConfig, PolicyKind};
use disktime_units::Nanos;
use std::fmt::Write as _;

/// Which cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// A reader beside a load.
    Pairs,
    /// More kinds of clients.
    Mixed,
}

/// What to run.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The first index, and how many.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// The family's seed.
    pub seed: u64,
    /// At once.
    pub threads: usize,
    /// What a client takes to answer.
    pub turnaround: Nanos,
    /// Measured at least so long.
    pub least: Nanos,
    /// Print each case.
    pub list: bool,
}

/// A case under each policy, the first is `fifo`.
struct Outcome {
    case: Case,
    index: u64,
    measures: Vec<CaseMeasure>,
}

const POLICIES: usize = 3;

fn policies() -> [PolicyKind; POLICIES] {
    [
        PolicyKind::Fifo,
        PolicyKind::Mclock(MclockConfig::default()),
        PolicyKind::Fahrrad,
    ]
}

/// Runs them and returns what they showed.
pub fn run(family: Family, plan: Plan) -> String {
    let alone = SoloRuns::default();
    let indices: Vec<u64> = (plan.first..plan.first + plan.count).collect();
    let outcomes = parallel::map(&indices, plan.threads, |index| {
        let case = match family {
            Family::Pairs => pair(plan.seed, *index),
            Family::Mixed => mixed(plan.seed, *index),
        };
        let span = Span::of(&case, plan.least);
        let measures = policies()
            .into_iter()
            .map(|policy| {
                let audited = policy == PolicyKind::Fahrrad;
                measure(&case, policy, span, plan.turnaround, &alone, audited)
            })
            .collect();
        Outcome {
            case,
            index: *index,
            measures,
        }
    });
    let mut text = String::new();
    let mut groups: Vec<(String, Vec<&Outcome>)> =
        vec![("all".to_owned(), outcomes.iter().collect())];
    groups.push((
        "admitted".to_owned(),
        outcomes
            .iter()
            .filter(|one| one.case.is_admitted())
            .collect(),
    ));
    for name in disktime_lab::overlap::LabDrive::NAMES {
        let of = outcomes.iter().filter(|one| one.case.drive.name() == name);
        groups.push((name.to_owned(), of.collect()));
    }
    let mut table = summary_table();
    for (name, group) in &groups {
        if group.is_empty() {
            continue;
        }
        for (number, policy) in policies().into_iter().enumerate() {
            summary_row(&mut table, name, policy.name(), group, number);
        }
    }
    let _ = writeln!(text, "{table}");
    let _ = writeln!(text, "{}", worst(&outcomes));
    if plan.list {
        let _ = writeln!(text, "{}", list(&outcomes));
    }
    text
}

fn summary_table() -> Table {
    Table::new([
        "cases",
        "policy",
        "n",
        "isolation worst",
        "5 %",
        "median",
        "work ÷ fifo, 5 %",
        "median",
        "mean",
        "efficiency, mean",
        "median",
        "p99 ÷ alone, median",
        "95 %",
        "unspent ÷ bound, max",
        "least slack ÷ W",
        "missed",
    ])
}

fn summary_row(table: &mut Table, name: &str, policy: &str, group: &[&Outcome], number: usize) {
    let all = |value: &dyn Fn(&CaseMeasure) -> f64| -> Vec<f64> {
        group
            .iter()
            .map(|one| value(&one.measures[number]))
            .collect()
    };
    let isolation = all(&least_isolation);
    let work: Vec<f64> = group
        .iter()
        .map(|one| one.measures[number].work / one.measures[0].work)
        .collect();
    let efficiency = all(&|one| one.efficiency);
    let p99 = all(&|one| one.streams[0].p99);
    let unspent = all(&|one| most_unspent(one) as f64 / one.bound as f64);
    let slack = all(&|one| one.least_slack as f64 / one.bound as f64);
    let missed: u64 = group
        .iter()
        .flat_map(|one| &one.measures[number].streams)
        .map(|stream| stream.missed)
        .sum();
    let ours = number == POLICIES - 1;
    let own = |value: f64| {
        if ours {
            format!("{value:.2}")
        } else {
            "–".to_owned()
        }
    };
    table.row(cells![
        name,
        policy,
        group.len(),
        format!("{:.3}", quantile(isolation.clone(), 0.0)),
        format!("{:.3}", quantile(isolation.clone(), 0.05)),
        format!("{:.3}", quantile(isolation, 0.5)),
        format!("{:.3}", quantile(work.clone(), 0.05)),
        format!("{:.3}", quantile(work.clone(), 0.5)),
        format!("{:.3}", mean(&work)),
        format!("{:.3}", mean(&efficiency)),
        format!("{:.3}", quantile(efficiency, 0.5)),
        format!("{:.2}", quantile(p99.clone(), 0.5)),
        format!("{:.1}", quantile(p99, 0.95)),
        own(quantile(unspent, 1.0)),
        own(quantile(slack, 0.0)),
        if ours {
            missed.to_string()
        } else {
            "–".to_owned()
        },
    ]);
}

fn least_isolation(measure: &CaseMeasure) -> f64 {
    measure.streams[0].isolation
}

fn most_unspent(measure: &CaseMeasure) -> i64 {
    let unspent = measure.streams.iter().map(|stream| stream.unspent);
    unspent.max().unwrap_or(0)
}

/// The cases with the least isolation.
fn worst(outcomes: &[Outcome]) -> Table {
    let ours = POLICIES - 1;
    let mut sorted: Vec<&Outcome> = outcomes.iter().collect();
    sorted.sort_by(|one, other| {
        let of = |outcome: &Outcome| least_isolation(&outcome.measures[ours]);
        of(one).total_cmp(&of(other))
    });
    sorted.truncate(20);
    rows(&sorted)
}

fn list(outcomes: &[Outcome]) -> Table {
    let all: Vec<&Outcome> = outcomes.iter().collect();
    rows(&all)
}

fn rows(outcomes: &[&Outcome]) -> Table {
    let mut table = Table::new([
        "case",
        "index",
        "admitted",
        "fifo",
        "mclock",
        "isolation",
        "work",
        "efficiency",
        "p50",
        "p99",
        "unspent, us",
        "slack, us",
        "missed",
    ]);
    for one in outcomes {
        let ours = &one.measures[POLICIES - 1];
        let missed: u64 = ours.streams.iter().map(|stream| stream.missed).sum();
        table.row(cells![
            one.case,
            one.index,
            if one.case.is_admitted() { "yes" } else { "no" },
            format!("{:.3}", least_isolation(&one.measures[0])),
            format!("{:.3}", least_isolation(&one.measures[1])),
            format!("{:.3}", least_isolation(ours)),
            format!("{:.3}", ours.work / one.measures[0].work),
            format!("{:.2}", ours.efficiency),
            format!("{:.2}", ours.streams[0].p50),
            format!("{:.2}", ours.streams[0].p99),
            most_unspent(ours) / 1000,
            ours.least_slack / 1000,
            missed,
        ]);
    }
    table
}
