//! fio: started, awaited, and what it reports.

use crate::BenchResult;
use crate::server_process::ends_with_us;
use serde_json::Value;
use std::ffi::OsStr;
use std::process::{Child, Command, Stdio};
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

/// A run of fio that goes on.
#[derive(Debug)]
pub struct FioRun {
    child: Child,
}

/// Starts fio with these arguments, and those that make it report in JSON.
///
/// # Errors
/// If fio is not there, with how to install it.
pub fn start<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> BenchResult<FioRun> {
    let mut command = Command::new("fio");
    command.arg("--output-format=json").args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = ends_with_us(&mut command).spawn().map_err(|error| {
        format!("fio cannot be started ({error}); install it: apt-get install fio")
    })?;
    Ok(FioRun { child })
}

impl FioRun {
    /// The number of its process.
    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// Its report, when it is over.
    ///
    /// # Errors
    /// With what it said, if it failed.
    pub fn report(self) -> BenchResult<Value> {
        let output = self.child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("fio failed: {said}").into());
        }
        // Warnings, and what the NBD engine announces, may stand before the report.
        let text = String::from_utf8_lossy(&output.stdout);
        let start = text.find('{').ok_or("fio gave no report")?;
        let report = serde_json::from_str(&text[start..]);
        report.map_err(|error| format!("fio's report is not JSON ({error}): {said}").into())
    }
}

/// Runs fio to its end, with its jobs as threads.
///
/// # Errors
/// As [`start`] and [`FioRun::report`].
pub fn run<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> BenchResult<Value> {
    let arguments = arguments.into_iter().map(|one| one.as_ref().to_owned());
    start(std::iter::once("--thread".into()).chain(arguments))?.report()
}

/// Requests per second of a job, reads and writes together.
pub fn rate(report: &Value, job: usize) -> f64 {
    let both = ["read", "write"].map(|way| report["jobs"][job][way]["iops"].as_f64());
    both.into_iter().flatten().sum()
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
