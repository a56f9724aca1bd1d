//! fio as the client: its NBD engine, one process for all jobs, so that they start together.

use crate::kind::Kind;
use disktime_benches::BenchResult;
use disktime_benches::child::ends_with_us;
use serde_json::Value;
use std::process::{Child, Command, Stdio};

/// A job: a kind of client on a vdisk.
#[derive(Debug, Clone)]
pub struct Job {
    pub kind: Kind,
    pub uri: String,
}

/// A run of fio under way.
pub struct Run {
    child: Child,
    jobs: usize,
}

/// Starts fio; its jobs are not measured in the first `ramp_s` seconds, and then for `seconds`.
///
/// # Errors
/// If fio is not there.
pub fn start(jobs: &[Job], ramp_s: u64, seconds: u64) -> BenchResult<Run> {
    let mut command = Command::new("fio");
    command.args([
        "--output-format=json",
        "--name=global",
        "--norandommap",
        "--time_based",
    ]);
    command.args([
        format!("--runtime={seconds}"),
        format!("--ramp_time={ramp_s}"),
    ]);
    for (index, job) in jobs.iter().enumerate() {
        command.args([format!("--name=job{index}"), "--ioengine=nbd".to_owned()]);
        command.args([
            format!("--uri={}", job.uri),
            format!("--randseed={}", 4_711 + index),
        ]);
        command.args(job.kind.fio());
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = ends_with_us(&mut command).spawn().map_err(|error| {
        format!("fio cannot be started: {error}; install it with `apt-get install fio`")
    })?;
    Ok(Run {
        child,
        jobs: jobs.len(),
    })
}

impl Run {
    /// Requests per second of each job, when it is over.
    ///
    /// # Errors
    /// With what fio said, if it failed.
    pub fn rates(self) -> BenchResult<Vec<f64>> {
        let output = self.child.wait_with_output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("fio failed: {said}").into());
        }
        // The NBD engine announces its connections before the report.
        let start = output.stdout.iter().position(|byte| *byte == b'{');
        let report: Value = serde_json::from_slice(&output.stdout[start.unwrap_or(0)..])
            .map_err(|error| format!("fio's report is not JSON ({error}): {said}"))?;
        let rate = |index: usize| {
            let job = &report["jobs"][index];
            let both = ["read", "write"].map(|direction| job[direction]["iops"].as_f64());
            both.into_iter().flatten().sum::<f64>()
        };
        Ok((0..self.jobs).map(rate).collect())
    }
}
