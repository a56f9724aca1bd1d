//! fio as the client: its NBD engine, one process for all jobs, so that they start together.

use crate::client_kind::ClientKind;
use disktime_benches::BenchResult;
use disktime_benches::fio::{self, FioRun};

/// A job: a kind of client on a vdisk.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) kind: ClientKind,
    pub(crate) uri: String,
}

/// Starts fio; its jobs are not measured in the first `ramp_s` seconds, and then for `seconds`.
///
/// # Errors
/// If fio is not there.
pub(crate) fn start(jobs: &[Job], ramp_s: u64, seconds: u64) -> BenchResult<FioRun> {
    let mut arguments = ["--name=global", "--norandommap", "--time_based"]
        .map(str::to_owned)
        .to_vec();
    arguments.push(format!("--runtime={seconds}"));
    arguments.push(format!("--ramp_time={ramp_s}"));
    for (index, job) in jobs.iter().enumerate() {
        arguments.push(format!("--name=job{index}"));
        arguments.push("--ioengine=nbd".to_owned());
        arguments.push(format!("--uri={}", job.uri));
        arguments.push(format!("--randseed={}", 4_711 + index));
        arguments.extend(job.kind.fio());
    }
    fio::start(arguments)
}

/// Requests per second of each job, measured for so long after a ramp.
///
/// # Errors
/// If fio fails, with what it said.
pub(crate) fn rates(jobs: &[Job], ramp_s: u64, seconds: u64) -> BenchResult<Vec<f64>> {
    let report = start(jobs, ramp_s, seconds)?.report()?;
    Ok((0..jobs.len()).map(|job| fio::rate(&report, job)).collect())
}
