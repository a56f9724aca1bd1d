//! The admission table: for people as text, for machines as JSON. In JSON, shares are numbers
//! from 0 to 1 and times are milliseconds. It decides nothing.

use crate::admission::{Admission, OverlapFacts, StreamAdmission};
use crate::configuration::Configuration;
use crate::remedy::Remedy;
use disktime_documents::{DocumentErrors, Finding, Severity};
use disktime_units::{Nanos, Share, TrimHandling, format_sizes};
use serde::ser::{Serialize, Serializer};
use serde_json::{Value, json};
use std::fmt;

/// The results of admission for all disks of a file.
#[derive(Debug, Clone)]
pub struct AdmissionReport<'a> {
    configuration: &'a Configuration,
    /// One per disk, in file order.
    pub disks: Vec<Admission>,
}

impl<'a> AdmissionReport<'a> {
    /// The report on `disks`, which come from [`crate::admit`].
    pub fn new(configuration: &'a Configuration, disks: Vec<Admission>) -> AdmissionReport<'a> {
        AdmissionReport {
            configuration,
            disks,
        }
    }

    /// Whether every disk is admitted.
    pub fn is_admitted(&self) -> bool {
        self.disks.iter().all(Admission::is_admitted)
    }

    /// Why not, with places in the file; `None` when it is.
    pub fn errors(&self) -> Option<DocumentErrors> {
        let findings: Vec<Finding> = self
            .disks
            .iter()
            .flat_map(|disk| disk.findings.iter().cloned())
            .collect();
        DocumentErrors::errors_of(self.configuration.document(), &findings)
    }

    /// The warnings, each rendered with its line.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.disks
            .iter()
            .flat_map(|disk| &disk.findings)
            .filter(|finding| finding.severity() == Severity::Warning)
            .map(|finding| self.configuration.document().problem(finding).to_string())
    }

    fn disk(&self, disk: &Admission) -> Value {
        let streams = |wanted: fn(&StreamAdmission) -> bool| {
            disk.streams
                .iter()
                .filter(move |stream| wanted(stream))
                .map(|one| (one.name.clone(), stream(one)))
                .collect::<serde_json::Map<_, _>>()
        };
        let vdisks = streams(|stream| !stream.is_background && !stream.is_group);
        let mut groups = streams(|stream| stream.is_group);
        for (name, group) in &mut groups {
            let of_group = |stream: &&StreamAdmission| stream.group.as_ref() == Some(name);
            let members = disk.streams.iter().filter(of_group);
            group["members"] = members.map(|member| member.name.as_str()).collect();
        }
        let document = self.configuration.document();
        let findings: Vec<_> = (disk.findings.iter())
            .map(|finding| document.finding_json(finding))
            .collect();
        json!({
            "admitted": disk.is_admitted(),
            "policy": disk.policy,
            "switching": disk.switching,
            "has_seeks": disk.facts.has_seeks,
            "worst_case_ms": disk.facts.worst_case.as_millis_f64(),
            "switch_cost_ms": disk.facts.switch_cost.as_millis_f64(),
            "overlap": disk.facts.overlap.map(|facts| overlap(disk, &facts)),
            "size_bytes": disk.size_bytes,
            "used_bytes": disk.used_bytes,
            "vdisks": vdisks,
            "groups": groups,
            "background": streams(|stream| stream.is_background),
            "reserved_share": disk.reserved.as_f64(),
            "switching_share": disk.switching_share.as_f64(),
            "total_share": disk.total().as_f64(),
            "left_share": disk.left.as_f64(),
            "findings": findings,
            "remedies": disk.remedies.iter().map(remedy).collect::<Vec<_>>(),
        })
    }
}

/// `null` where one request is in the disk at a time.
fn overlap(disk: &Admission, facts: &OverlapFacts) -> Value {
    json!({
        "occupancy_bound_ms": facts.occupancy_bound.as_millis_f64(),
        "longest_alone_ms": facts.longest_alone.as_millis_f64(),
        "settle_ms": facts.settle.as_millis_f64(),
        "longest_drain_ms": facts.longest_drain().as_millis_f64(),
        "least_budget_ms": disk.facts.least_budget().as_millis_f64(),
        "drain_share": disk.drain_share.as_f64(),
    })
}

fn stream(stream: &StreamAdmission) -> Value {
    json!({
        "reserved_share": stream.reserve.as_f64(),
        "period_ms": stream.period.map(Nanos::as_millis_f64),
        "budget_ms": stream.budget.as_millis_f64(),
        "switching_share": stream.switching.as_f64(),
        "drain_share": stream.drain.as_f64(),
        "limit_share": stream.limit.map(|(share, _)| share.as_f64()),
        "limit_period_ms": stream.limit.map(|(_, period)| period.as_millis_f64()),
        "weight": stream.weight,
        "group": stream.group,
        "trim": stream.trims.map(TrimHandling::name),
    })
}

fn remedy(remedy: &Remedy) -> Value {
    match remedy {
        Remedy::LongerPeriod { period, vdisks } => {
            json!({ "kind": "longer_period", "period_ms": period.as_millis_f64(), "vdisks": vdisks })
        }
        Remedy::SmallerShare { vdisk, reserve } => {
            json!({ "kind": "smaller_share", "vdisk": vdisk, "reserved_share": reserve.as_f64() })
        }
        Remedy::SmallerShares { reserves, period } => {
            let shares: serde_json::Map<_, _> = reserves
                .iter()
                .map(|(vdisk, share)| (vdisk.clone(), share.as_f64().into()))
                .collect();
            let period = period.map(Nanos::as_millis_f64);
            json!({ "kind": "smaller_shares", "reserved_shares": shares, "period_ms": period })
        }
    }
}

impl Serialize for AdmissionReport<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let disks: serde_json::Map<_, _> = self
            .disks
            .iter()
            .map(|disk| (disk.disk.clone(), self.disk(disk)))
            .collect();
        let names = |disks: Vec<usize>| {
            let disks = disks.into_iter();
            let names = disks.map(|at| &*self.configuration.disks[at].name.value);
            names.collect::<Vec<&str>>()
        };
        let threads = self.configuration.threads().into_iter();
        json!({
            "file": self.configuration.file().display().to_string(),
            "admitted": self.is_admitted(),
            "disks": disks,
            "threads": threads.map(names).collect::<Vec<_>>(),
        })
        .serialize(serializer)
    }
}

/// The table of every disk; errors and warnings are not part of it.
impl fmt::Display for AdmissionReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, disk) in self.disks.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{disk}")?;
        }
        for (disks, vdisks) in self.configuration.shared_threads() {
            let (vdisks, noun) = match vdisks.as_slice() {
                [one] => ((*one).to_owned(), "history"),
                several => (several.join(", "), "histories"),
            };
            let disks = disks.join(" and ");
            writeln!(
                f,
                "\nOne thread serves {disks}: the {noun} of {vdisks} joins them."
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = &self.facts;
        write!(
            f,
            "{}: {}, W {}",
            self.disk,
            self.policy.name(),
            facts.worst_case
        )?;
        match facts.has_seeks {
            true => write!(f, ", a switch {}", facts.switch_cost)?,
            false => write!(f, ", no seeks")?,
        }
        if let Some(overlap) = &facts.overlap {
            write!(
                f,
                ", H {}, one request {}, σ {}, L {}",
                overlap.occupancy_bound,
                overlap.longest_alone,
                overlap.settle,
                overlap.longest_drain()
            )?;
        }
        if let Some(size) = self.size_bytes {
            let [used, whole] = format_sizes([self.used_bytes, size]);
            write!(f, ", {used} of {whole} in use")?;
        }
        writeln!(f)?;
        let overlaps = facts.overlap.is_some();
        let mut rows = vec![
            [
                "",
                "reserved",
                "period",
                "budget",
                if overlaps { "L/p" } else { "switching" },
                "limit",
                "weight",
            ]
            .map(str::to_owned),
        ];
        rows.extend(self.streams.iter().map(|stream| row(stream, overlaps)));
        let mut sum = ["sum", "", "", "", "", "", ""].map(str::to_owned);
        sum[1] = percent(self.reserved);
        sum[4] = percent(match overlaps {
            true => self.drain_share,
            false => self.switching_share,
        });
        rows.push(sum);
        table(f, &rows)?;
        self.write_trims(f)?;
        match self.total() <= facts.most() {
            true => writeln!(f, "  left for best effort: {}", self.left),
            false if overlaps => writeln!(
                f,
                "  together {}, more than the {} that the disk keeps",
                self.total(),
                facts.most()
            ),
            false => writeln!(f, "  together {}, more than the disk has", self.total()),
        }
    }
}

impl Admission {
    /// Whose trims are not sent on, and what becomes of them.
    fn write_trims(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            (
                TrimHandling::Hold,
                "recorded as holes, and done in spare time",
            ),
            (TrimHandling::Ignore, "ignored"),
        ];
        for (handling, what) in kinds {
            let names = self
                .streams
                .iter()
                .filter(|one| one.trims == Some(handling));
            let names: Vec<&str> = names.map(|one| one.name.as_str()).collect();
            if !names.is_empty() {
                writeln!(f, "  trims of {} are {what}", names.join(", "))?;
            }
        }
        Ok(())
    }
}

fn row(stream: &StreamAdmission, overlaps: bool) -> [String; 7] {
    let (reserved, period, budget) = match stream.period {
        Some(period) => (
            percent(stream.reserve),
            period.to_string(),
            format!("{:.1} ms", stream.budget.as_millis_f64()),
        ),
        None if stream.group.is_some() => ("its group's".to_owned(), String::new(), String::new()),
        None => ("best effort".to_owned(), String::new(), String::new()),
    };
    let limit = match stream.limit {
        Some((share, period)) => format!("{share} per {period}"),
        None => String::new(),
    };
    let switching = match (stream.period, overlaps) {
        (None, _) => String::new(),
        (Some(_), true) => percent(stream.drain),
        (Some(_), false) => percent(stream.switching),
    };
    let name = match (stream.is_background, &stream.group) {
        (true, _) => format!("({})", stream.name),
        (false, Some(_)) => format!("  {}", stream.name),
        (false, None) => stream.name.clone(),
    };
    let weight = if stream.is_background {
        String::new()
    } else {
        stream.weight.to_string()
    };
    [name, reserved, period, budget, switching, limit, weight]
}

/// With two decimals, so that a column lines up; switching is rounded up already.
fn percent(share: Share) -> String {
    format!("{:.2} %", share.as_f64() * 100.0)
}

/// Names to the left, figures to the right.
fn table(f: &mut fmt::Formatter<'_>, rows: &[[String; 7]]) -> fmt::Result {
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..7).map(width).collect();
    for row in rows {
        let mut line = format!("  {:<name$}", row[0], name = widths[0]);
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            line.push_str(&format!("  {cell:>width$}"));
        }
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}
