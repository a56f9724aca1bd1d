//! A workload in real time, against a running server over NBD: one connection per client.
//!
//! How a client lives: everything is connected and checked first, then the clock starts for all.
//! A client of depth 1 is one thread that sends and waits, so that nothing but the server lies in
//! its latency. A deeper one has two: the writer sends what the machine asks for, the reader takes
//! the answers in. They are apart because a server that waits for its answers to be read may stop
//! reading requests: whoever sends must not be the one who reads.
//!
//! Invariants: memory is bounded by depths and the longest request; what is measured was answered
//! within the duration; a connection that breaks ends the run with an error, never with figures
//! that look good. What is not known here: shares of disk time, which the caller asks for.

use crate::load_client::{Clock, DRAIN, Done, Player, Shared};
use crate::simulate::find_target;
use crate::workload::{Client, Workload};
use crate::{LoadReport, WorkloadError};
use disktime_nbd_protocol::NbdUri;
use disktime_units::Nanos;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How often progress is told.
const TICK: Duration = Duration::from_secs(1);
/// How soon a cancellation is noticed.
const CANCEL_CHECK: Duration = Duration::from_millis(100);

/// What happened since the last call; for a live table.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Time since the start.
    pub at: Nanos,
    /// The clients, in the workload's order.
    pub clients: Vec<ClientProgress>,
}

/// What one client did since the last call.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientProgress {
    /// Its name.
    pub name: String,
    /// Requests done per second.
    pub iops: f64,
    /// Bytes per second.
    pub bytes_per_second: f64,
    /// 1 % of the requests took longer; `None` if none was done.
    pub p99: Option<Nanos>,
    /// Requests under way.
    pub under_way: u32,
    /// Requests answered by an error since the start.
    pub errors: u64,
}

/// Runs a workload against a running server. `targets` says where each virtual disk is served.
/// `progress` is called about once a second; setting `cancel` ends the run early, with a report of
/// what was done until then.
///
/// # Errors
/// A virtual disk that is not there, a server that does not answer or breaks off, a client that
/// does not fit its virtual disk, a trace that cannot be read.
pub fn run_real(
    targets: &BTreeMap<String, NbdUri>,
    workload: &Workload,
    cancel: &AtomicBool,
    progress: &mut dyn FnMut(&Progress),
) -> Result<LoadReport, WorkloadError> {
    let mut players = Vec::new();
    for client in &workload.clients {
        players.push(Player::connect(
            find_target(targets, client)?,
            client,
            workload,
        )?);
    }
    let clock = Clock(Instant::now());
    let (done, finished) = channel();
    let shared: Vec<Arc<Shared>> = players.iter().map(|player| player.shared.clone()).collect();
    let duration = workload.duration;
    for player in players {
        player.start(clock, duration, &done)?;
    }
    drop(done);
    let end = supervise(&shared, workload, clock, cancel, &finished, progress)?;
    let reports = shared
        .iter()
        .zip(&workload.clients)
        .map(|(shared, client)| shared.report(client));
    Ok(LoadReport {
        duration: end,
        seed: workload.seed,
        clock: "real",
        clients: reports.collect(),
        loads: BTreeMap::new(),
    })
}

/// Waits for the clients, tells the progress, and says when the run ended.
fn supervise(
    shared: &[Arc<Shared>],
    workload: &Workload,
    clock: Clock,
    cancel: &AtomicBool,
    finished: &Receiver<Done>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Nanos, WorkloadError> {
    let mut end = workload.duration;
    let mut told = Nanos::ZERO;
    let mut result = Ok(());
    loop {
        match finished.recv_timeout(CANCEL_CHECK) {
            Ok((_, Ok(()))) => {}
            Ok((name, Err(mut error))) => {
                for problem in &mut error.problems {
                    problem.message = format!("client `{name}`: {}", problem.message);
                }
                result = result.and(Err(error));
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = clock.now();
        if (cancel.load(Ordering::Relaxed) || result.is_err()) && now < end {
            end = now;
            shared.iter().for_each(|shared| shared.stop(end));
        }
        if now <= end && now.saturating_sub(told) >= Nanos::from(TICK) {
            progress(&take_progress(
                shared,
                workload,
                now,
                now.saturating_sub(told),
            ));
            told = now;
        }
        if now > end.saturating_add(Nanos::from(DRAIN)) {
            result = result.and(Err(WorkloadError::new(format!(
                "the server did not answer everything within {} s of the end; its log may say why",
                DRAIN.as_secs()
            ))));
            break;
        }
        // After a failure the others are not waited for.
        if result.is_err() && now > end.saturating_add(Nanos::from_secs(1)) {
            break;
        }
    }
    result.map(|()| end)
}

fn take_progress(shared: &[Arc<Shared>], workload: &Workload, at: Nanos, since: Nanos) -> Progress {
    let seconds = since.as_secs_f64();
    let one =
        |(shared, client): (&Arc<Shared>, &Client)| shared.take_progress(&client.name, seconds);
    Progress {
        at,
        clients: shared.iter().zip(&workload.clients).map(one).collect(),
    }
}
