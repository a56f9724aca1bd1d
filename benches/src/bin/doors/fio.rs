//! The other client: fio with its nbd engine, one process, one job per connection.

use crate::client::{Load, Measured, histogram};
use disktime_benches::{BenchResult, fio};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// Runs fio for `time`.
///
/// # Errors
/// If fio is not there, with how to install it; with what it said, if it fails.
pub fn run(socket: &Path, export: &str, load: Load, time: Duration) -> BenchResult<Measured> {
    let pattern = match (load.sequential, load.write) {
        (true, false) => "read",
        (true, true) => "write",
        (false, false) => "randread",
        (false, true) => "randwrite",
    };
    let uri = format!("nbd+unix:///{export}?socket={}", socket.display());
    let report = fio::run(&[
        "--name=doors".to_owned(),
        "--ioengine=nbd".to_owned(),
        "--time_based".to_owned(),
        "--group_reporting".to_owned(),
        "--norandommap".to_owned(),
        format!("--uri={uri}"),
        format!("--rw={pattern}"),
        format!("--bs={}", load.block_bytes),
        format!("--iodepth={}", (load.depth / load.connections).max(1)),
        format!("--numjobs={}", load.connections),
        format!("--runtime={}ms", time.as_millis()),
    ])?;
    parse(&report, load.write)
}

/// fio's report of one group of jobs.
fn parse(report: &Value, write: bool) -> BenchResult<Measured> {
    let part = fio::part(report, write)?;
    // Only quantiles are reported: a value per step stands for the requests in it.
    let mut latency = histogram()?;
    let mut before = 0.0;
    for (percent, value) in part.percentiles {
        latency.record_n(value, ((percent - before) * 1e4).round() as u64)?;
        before = percent;
    }
    Ok(Measured {
        requests: part.requests,
        elapsed: part.elapsed,
        latency,
    })
}

#[cfg(test)]
mod tests;
