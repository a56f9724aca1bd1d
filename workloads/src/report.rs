//! The figures of a run, by client and by virtual disk.
//!
//! Invariant: the same measurements give the same bytes: keys are sorted in JSON, and numbers are
//! rounded to fixed decimals. In the table the clients keep the order of the workload. What is not
//! known here: shares of disk time, which come from the server of the virtual disks.

use disktime_observe::Table;
use disktime_units::Nanos;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;

/// The result of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadReport {
    /// How long the run took.
    pub duration: Nanos,
    /// The workload's seed.
    pub seed: u64,
    /// `virtual` or `real`.
    pub clock: &'static str,
    /// The clients, in the workload's order.
    pub clients: Vec<ClientReport>,
    /// By virtual disk, the figures of all its clients together; empty where they were not
    /// measured.
    pub loads: BTreeMap<String, VdiskLoad>,
}

/// The figures of one client.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientReport {
    /// Its name.
    pub name: String,
    /// Its virtual disk.
    pub vdisk: String,
    /// Requests completed per second, between its start and its stop.
    pub iops: f64,
    /// Bytes read and written per second, between its start and its stop.
    pub bytes_per_second: f64,
    /// Times from arrival to completion; `None` if no request was completed.
    pub latency: Option<Latencies>,
    /// Requests completed until the end of the run.
    pub requests: u64,
    /// Failed requests; not counted above.
    pub errors: u64,
    /// Arrivals of an open loop or trace that were delayed because the depth was reached.
    pub delayed: u64,
    /// The longest such delay.
    pub longest_delay: Nanos,
}

/// The figures of all clients of a virtual disk together, over the whole duration.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct VdiskLoad {
    /// Requests completed per second.
    pub iops: f64,
    /// Bytes read and written per second.
    pub bytes_per_second: f64,
    /// Times from arrival to completion; `None` if no request was completed.
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

/// `value` rounded to `decimals`, so that JSON has no noise in the last digits.
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
        // Without a request there is no latency: null, because a zero would look like a good one.
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

    /// As JSON, keys sorted; without [`LoadReport::loads`], which the caller reports with what it
    /// knows of the virtual disks.
    pub fn to_json(&self) -> Value {
        let clients: BTreeMap<_, _> = self
            .clients
            .iter()
            .map(|client| (client.name.clone(), client.to_json()))
            .collect();
        json!({
            "clients": clients,
            "clock": self.clock,
            "duration_s": self.duration.as_secs_f64(),
            "seed": self.seed,
        })
    }

    /// The JSON text, indented, with a final line break.
    pub fn to_json_text(&self) -> String {
        format!("{:#}\n", self.to_json())
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

/// The clients as a table, in the workload's order.
impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&[
            "client", "vdisk", "IOPS", "MB/s", "p50", "p99", "p99.9", "max", "errors", "delayed",
        ]);
        for client in &self.clients {
            table.row(client_row(client));
        }
        write!(f, "{table}")
    }
}

#[cfg(test)]
mod tests;
