//! What a run was like: per client what it got, per virtual disk and disk what the caller adds.
//!
//! Invariant: the same measurements give the same bytes: keys are sorted in JSON, and numbers are
//! rounded to fixed decimals. In the table the clients keep the order of the workload.

use disktime_units::Nanos;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// The result of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadReport {
    /// How long it ran.
    pub duration: Nanos,
    /// The workload's seed.
    pub seed: u64,
    /// `virtual` or `real`.
    pub clock: &'static str,
    /// The clients, in the workload's order.
    pub clients: Vec<ClientReport>,
    /// By virtual disk, what all its clients together got; empty where it was not measured.
    pub loads: BTreeMap<String, VdiskLoad>,
    /// By virtual disk, filled in by the caller: objects with `reserved_share`,
    /// `received_share`, `spare_share`, `deadlines_met`, `deadlines_missed`.
    pub vdisks: BTreeMap<String, Value>,
    /// By group, the same of its members together.
    pub groups: BTreeMap<String, Value>,
    /// By disk, filled in by the caller: objects with `busy_share`, `charged_share`,
    /// `waiting_share`, `switching_share`.
    pub disks: BTreeMap<String, Value>,
}

/// What one client got.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientReport {
    /// Its name.
    pub name: String,
    /// Its virtual disk.
    pub vdisk: String,
    /// Requests done per second, between its start and its stop.
    pub iops: f64,
    /// Bytes read and written per second, between its start and its stop.
    pub bytes_per_second: f64,
    /// Times from arrival to answer; `None` if nothing was done.
    pub latency: Option<Latencies>,
    /// Requests done until the end of the run.
    pub requests: u64,
    /// Requests answered by an error; not counted above.
    pub errors: u64,
    /// Arrivals of an open loop or trace that had to wait because its depth was reached.
    pub delayed: u64,
    /// The longest that one of those waited.
    pub longest_delay: Nanos,
}

/// What all clients of a virtual disk together got, over the whole duration.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct VdiskLoad {
    /// Requests done per second.
    pub iops: f64,
    /// Bytes read and written per second.
    pub bytes_per_second: f64,
    /// Times from arrival to answer; `None` if nothing was done.
    pub latency: Option<Latencies>,
}

/// Percentiles of latency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latencies {
    /// The median.
    pub p50: Nanos,
    /// 10 % were longer.
    pub p90: Nanos,
    /// 1 % were longer.
    pub p99: Nanos,
    /// 0.1 % were longer.
    pub p99_9: Nanos,
    /// The longest.
    pub max: Nanos,
}

/// `value` with so many decimals, so that JSON has no noise in the last digits.
fn rounded(value: f64, decimals: i32) -> f64 {
    let factor = 10f64.powi(decimals);
    (value * factor).round() / factor
}

fn micros(time: Nanos) -> Value {
    json!(time.0 as f64 / 1e3)
}

impl Latencies {
    /// In microseconds.
    pub fn to_json(self) -> Value {
        json!({
            "p50": micros(self.p50),
            "p90": micros(self.p90),
            "p99": micros(self.p99),
            "p99_9": micros(self.p99_9),
            "max": micros(self.max),
        })
    }
}

impl ClientReport {
    fn to_json(&self) -> Value {
        // Without a request there is no latency: null, not a zero that looks like a good one.
        let none = json!({ "p50": null, "p90": null, "p99": null, "p99_9": null, "max": null });
        json!({
            "vdisk": self.vdisk,
            "iops": rounded(self.iops, 3),
            "bytes_per_second": self.bytes_per_second.round() as u64,
            "latency_us": self.latency.map_or(none, Latencies::to_json),
            "requests": self.requests,
            "errors": self.errors,
            "delayed": self.delayed,
            "delayed_longest_us": micros(self.longest_delay),
        })
    }
}

impl LoadReport {
    /// The report of a client.
    pub fn client(&self, name: &str) -> Option<&ClientReport> {
        self.clients.iter().find(|client| client.name == name)
    }

    /// The whole report as JSON, keys sorted.
    pub fn to_json(&self) -> Value {
        let clients: BTreeMap<_, _> = self
            .clients
            .iter()
            .map(|client| (client.name.clone(), client.to_json()))
            .collect();
        let object = |entries: &BTreeMap<String, Value>| -> Value {
            Value::Object(entries.clone().into_iter().collect::<Map<_, _>>())
        };
        json!({
            "clients": object(&clients),
            "clock": self.clock,
            "disks": object(&self.disks),
            "duration_s": self.duration.as_secs_f64(),
            "groups": object(&self.groups),
            "seed": self.seed,
            "vdisks": object(&self.vdisks),
        })
    }

    /// The JSON text, indented, with a final line break.
    pub fn to_json_text(&self) -> String {
        format!("{:#}\n", self.to_json())
    }
}

/// A table: a heading, then lines of cells; the first column is text, the others numbers.
fn table(rows: &[Vec<String>]) -> String {
    let mut text = String::new();
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            if column == 0 {
                line.push_str(&format!("{cell:<width$}"));
            } else {
                line.push_str(&format!("  {cell:>width$}"));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A field of the caller's objects, as per cent if it is a share.
fn cell(entry: &Value, key: &str) -> String {
    match entry.get(key) {
        Some(Value::Number(share)) if key.ends_with("_share") => {
            format!("{:.1} %", share.as_f64().unwrap_or(f64::NAN) * 100.0)
        }
        Some(Value::Number(count)) => count.to_string(),
        _ => "-".to_owned(),
    }
}

fn entry_rows(
    what: &str,
    entries: &BTreeMap<String, Value>,
    keys: &[(&str, &str)],
) -> Vec<Vec<String>> {
    let mut rows = vec![
        std::iter::once(what)
            .chain(keys.iter().map(|(title, _)| *title))
            .map(str::to_owned)
            .collect(),
    ];
    for (name, entry) in entries {
        rows.push(
            std::iter::once(name.clone())
                .chain(keys.iter().map(|(_, key)| cell(entry, key)))
                .collect(),
        );
    }
    rows
}

impl LoadReport {
    /// The clients as a table, in the workload's order.
    pub fn clients_text(&self) -> String {
        let titles = [
            "client", "vdisk", "IOPS", "MB/s", "p50", "p99", "p99.9", "max", "errors", "delayed",
        ];
        let mut rows = vec![titles.map(str::to_owned).to_vec()];
        rows.extend(self.clients.iter().map(client_row));
        table(&rows)
    }
}

fn client_row(client: &ClientReport) -> Vec<String> {
    let latency = |pick: fn(&Latencies) -> Nanos| {
        client
            .latency
            .as_ref()
            .map_or("-".to_owned(), |all| pick(all).to_string())
    };
    vec![
        client.name.clone(),
        client.vdisk.clone(),
        format!("{:.1}", client.iops),
        format!("{:.2}", client.bytes_per_second / 1e6),
        latency(|all| all.p50),
        latency(|all| all.p99),
        latency(|all| all.p99_9),
        latency(|all| all.max),
        client.errors.to_string(),
        client.delayed.to_string(),
    ]
}

/// For people: the clients, then the virtual disks and disks as far as they are known.
impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.clients_text())?;
        if !self.vdisks.is_empty() {
            writeln!(f)?;
            let keys = [
                ("reserved", "reserved_share"),
                ("received", "received_share"),
                ("of it spare", "spare_share"),
                ("deadlines met", "deadlines_met"),
                ("missed", "deadlines_missed"),
            ];
            f.write_str(&table(&entry_rows("vdisk", &self.vdisks, &keys)))?;
            if !self.groups.is_empty() {
                writeln!(f)?;
                f.write_str(&table(&entry_rows("group", &self.groups, &keys)))?;
            }
        }
        if !self.disks.is_empty() {
            writeln!(f)?;
            let keys = [
                ("busy", "busy_share"),
                ("charged", "charged_share"),
                ("waiting", "waiting_share"),
                ("switching", "switching_share"),
            ];
            f.write_str(&table(&entry_rows("disk", &self.disks, &keys)))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
