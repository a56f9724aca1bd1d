//! The report for programs: `report.json`.
//!
//! Invariant: the same findings give the same bytes; keys are sorted, numbers rounded.

use crate::experiment::Experiment;
use crate::finding::{Check, Finding};
use disktime_lab::figure::Figure;
use disktime_lab::{Table, json_number};
use serde_json::{Map, Value, json};

/// By this a report is known as ours.
pub(crate) const GENERATOR: &str = "disktime paper-repro";

/// An experiment and what came of it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What was run.
    pub experiment: Experiment,
    /// What was found.
    pub finding: Finding,
}

/// In which time it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditions {
    /// `virtual`, `virtual, shortened`, or what the real clock ran on.
    pub clock: String,
    /// What the user wants the report to say of its making, as a date and a commit; without it two
    /// runs give the same bytes.
    pub stamp: Option<String>,
}

/// The whole report as text, indented, with a final line break.
pub fn report_text(conditions: &Conditions, entries: &[Entry]) -> String {
    let experiments: Map<String, Value> = entries
        .iter()
        .map(|entry| (entry.experiment.id.to_owned(), entry_json(entry)))
        .collect();
    let count = |name: &str| {
        let verdicts = entries.iter().map(|entry| entry.finding.verdict().name());
        verdicts.filter(|verdict| *verdict == name).count()
    };
    let mut report = json!({
        "generator": GENERATOR,
        "version": env!("CARGO_PKG_VERSION"),
        "clock": conditions.clock,
        "summary": {
            "reproduced": count("reproduced"),
            "partly": count("partly"),
            "not_reproduced": count("not reproduced"),
        },
        "experiments": experiments,
    });
    if let Some(stamp) = &conditions.stamp {
        report["stamp"] = stamp.as_str().into();
    }
    format!("{report:#}\n")
}

fn entry_json(entry: &Entry) -> Value {
    let Entry {
        experiment,
        finding,
    } = entry;
    let by_key = |of: &dyn Fn(&Check) -> Value| -> Map<String, Value> {
        let checks = finding.checks().iter();
        checks
            .map(|check| (check.key().to_owned(), of(check)))
            .collect()
    };
    let checks = finding.checks().iter().map(|check| {
        json!({
            "key": check.key(),
            "what": check.what(),
            "unit": check.unit(),
            "decisive": check.is_decisive(),
            "holds": check.holds(),
        })
    });
    let (figures, tables) = (finding.figures(), finding.tables());
    json!({
        "title": experiment.title,
        "origin": experiment.origin.name(),
        "source": experiment.source,
        "claim": experiment.claim,
        "set_up": finding.set_up(),
        "expected": by_key(&|check| json!(check.expected_text())),
        "measured": by_key(&|check| json_number(check.measured())),
        "tolerance": by_key(&|check| json!(check.tolerance_text())),
        "checks": checks.collect::<Vec<_>>(),
        "verdict": finding.verdict().name(),
        "reason": finding.reason(),
        "figure": figures.first().map(Figure::file_name),
        "figures": figures.iter().map(Figure::to_json).collect::<Vec<_>>(),
        "tables": tables.iter().map(Table::to_json).collect::<Vec<_>>(),
        "notes": finding.notes(),
    })
}
