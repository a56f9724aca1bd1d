//! The other client: fio with its nbd engine, one process, one job per connection.

use crate::client::{Measured, histogram};
use disktime_benches::load::Load;
use disktime_benches::{BenchResult, fio};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// Runs fio for `time`.
///
/// # Errors
/// If fio is not there, with how to install it; with what it said, if it fails.
pub(crate) fn run(
    socket: &Path,
    export: &str,
    load: Load,
    time: Duration,
) -> BenchResult<Measured> {
    let mut arguments = [
        "--name=nbd",
        "--ioengine=nbd",
        "--time_based",
        "--group_reporting",
        "--norandommap",
    ]
    .map(str::to_owned)
    .to_vec();
    let socket = socket.display();
    arguments.push(format!("--uri=nbd+unix:///{export}?socket={socket}"));
    arguments.push(format!("--numjobs={}", load.connections));
    arguments.push(format!("--runtime={}ms", time.as_millis()));
    arguments.extend(load.fio());
    parse(&fio::run(arguments)?, load.write)
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
