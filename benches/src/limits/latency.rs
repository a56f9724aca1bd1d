//! The shortest periods: a stream with 50 % in every 50 ms, which is about one request's worth,
//! reads one random block every 60 ms beside a greedy sequential writer.

use super::lab;
use crate::BenchResult;
use disktime_lab::wake_up::{SHORT_PERIOD, add_short_and_writer};
use disktime_lab::{Scheduling, Setup};
use disktime_units::Nanos;
use disktime_workloads::Latencies;
use serde_json::{Value, json};

/// The accounts to compare.
pub const ACCOUNTS: [Scheduling; 2] = [
    Scheduling::new("the served pays", Scheduling::SERVED.policy()),
    Scheduling::with_account(
        "switching account",
        disktime_lab::scheduling::FACTOR_PERCENT,
    ),
];

/// What the short stream saw.
#[derive(Debug, Clone, Copy)]
pub struct LatencyResult {
    account: Scheduling,
    /// Its latencies.
    pub latency: Latencies,
    /// What is asked for: its period and one request in the way.
    pub bound: Nanos,
    /// What the writer got, in bytes per second.
    pub writer_bytes_per_second: f64,
}

/// Runs it for that long.
///
/// # Errors
/// If the drive cannot be modelled.
pub fn run(account: Scheduling, duration: Nanos) -> BenchResult<LatencyResult> {
    let run = lab().run(&add_short_and_writer(Setup::new(account, duration)))?;
    Ok(LatencyResult {
        account,
        latency: run.latency(0).ok_or("the short stream was never served")?,
        bound: SHORT_PERIOD + run.facts.worst_case,
        writer_bytes_per_second: run.bytes_per_second(1),
    })
}

impl LatencyResult {
    /// The account's name.
    pub fn account(&self) -> &'static str {
        self.account.name()
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "account": self.account(),
            "p50_ms": self.latency.p50.as_millis_f64(),
            "p99_ms": self.latency.p99.as_millis_f64(),
            "p99_9_ms": self.latency.p99_9.as_millis_f64(),
            "max_ms": self.latency.max.as_millis_f64(),
            "bound_ms": self.bound.as_millis_f64(),
            "writer_mb_per_s": self.writer_bytes_per_second / 1e6,
        })
    }
}
