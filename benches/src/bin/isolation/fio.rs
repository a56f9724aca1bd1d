//! fio as the client: its NBD engine, one process for all jobs, so that they start together.

use disktime_benches::BenchResult;
use disktime_benches::fio::{self, FioRun};
use disktime_lab::client_kind::{ClientKind, Pattern};

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
        arguments.extend(of_kind(job.kind));
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

/// A kind of client as arguments of a job.
fn of_kind(kind: ClientKind) -> Vec<String> {
    let (mode, block) = match (kind.pattern, kind.writes) {
        (Pattern::Sequential, false) => ("read".to_owned(), "64k"),
        (Pattern::Sequential, true) => ("write".to_owned(), "64k"),
        (Pattern::Random, false) => ("randread".to_owned(), "4k"),
        (Pattern::Random, true) => ("randwrite".to_owned(), "4k"),
        (Pattern::Runs(length), false) => (format!("randread:{length}"), "4k"),
        (Pattern::Runs(length), true) => (format!("randwrite:{length}"), "4k"),
    };
    vec![
        format!("--rw={mode}"),
        format!("--bs={block}"),
        format!("--iodepth={}", kind.depth),
    ]
}
