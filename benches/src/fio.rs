//! fio, run to its end, and what it reports.

use crate::BenchResult;
use serde_json::Value;
use std::ffi::OsStr;
use std::process::Command;
use std::time::Duration;

/// What one direction of one group of jobs came to.
#[derive(Debug, Clone, PartialEq)]
pub struct FioPart {
    /// Requests that were answered.
    pub requests: u64,
    /// For how long.
    pub elapsed: Duration,
    /// Latencies in nanoseconds by per cent, in ascending order: all that it tells of them.
    pub percentiles: Vec<(f64, u64)>,
}

/// Runs fio with these arguments, and those that make it report in JSON.
///
/// # Errors
/// If fio is not there, with how to install it; with what it said, if it fails.
pub fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> BenchResult<Value> {
    let output = Command::new("fio")
        .args(["--output-format=json", "--thread"])
        .args(arguments)
        .output()
        .map_err(|error| {
            format!("fio cannot be started ({error}); install it: apt-get install fio")
        })?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    // Warnings may stand before the report.
    let text = String::from_utf8_lossy(&output.stdout);
    let start = text.find('{').ok_or("fio gave no report")?;
    Ok(serde_json::from_str(&text[start..])?)
}

/// The part of fio's report on reads or writes.
///
/// # Errors
/// If it has none, as of a direction that had no requests.
pub fn part(report: &Value, write: bool) -> BenchResult<FioPart> {
    let direction = if write { "write" } else { "read" };
    let part = &report["jobs"][0][direction];
    let number = |value: &Value| value.as_u64().ok_or("fio's report lacks a figure");
    let quantiles = part["clat_ns"]["percentile"]
        .as_object()
        .ok_or("fio's report has no percentiles")?;
    let mut percentiles: Vec<(f64, u64)> = quantiles
        .iter()
        .map(|(percent, value)| Ok((percent.parse::<f64>()?, number(value)?)))
        .collect::<BenchResult<_>>()?;
    percentiles.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(FioPart {
        requests: number(&part["total_ios"])?,
        elapsed: Duration::from_millis(number(&part["runtime"])?),
        percentiles,
    })
}
