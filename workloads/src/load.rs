//! A workload in real time, against a running server over NBD: one connection per client.
//!
//! All clients are connected and checked first; then the clock starts for all of them. A client of
//! depth 1 has one thread that sends and waits, so that its latency contains nothing but the
//! server's. A client of larger depth has two: the writer sends the machine's requests, the reader
//! receives the replies. A server that waits for its replies to be read may stop reading requests;
//! with one thread for both, that would be a deadlock.
//!
//! Invariants: memory is bounded by the depths and the longest request; only requests that are
//! completed within the duration are measured; a connection that breaks ends the run with an error,
//! never with figures. What is not known here: shares of disk time, which the caller asks the
//! server for.

use crate::load_client::{ClientExit, ClientState, Clock, DRAIN_TIMEOUT, LoadClient};
use crate::progress::Progress;
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

/// How often progress is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// How often the run checks for a cancellation.
const CANCEL_INTERVAL: Duration = Duration::from_millis(100);

/// Runs a workload against a running server. `targets` says where each virtual disk is served.
/// `progress` is called about once a second; setting `cancel` ends the run early, with a report up
/// to that time.
///
/// # Errors
/// A virtual disk that does not exist, a server that does not reply or closes a connection, a
/// client that does not fit its virtual disk, a trace that cannot be read.
pub fn run_real(
    targets: &BTreeMap<String, NbdUri>,
    workload: &Workload,
    cancel: &AtomicBool,
    progress: &mut dyn FnMut(&Progress),
) -> Result<LoadReport, WorkloadError> {
    let mut clients = Vec::new();
    for client in &workload.clients {
        clients.push(LoadClient::connect(
            find_target(targets, client)?,
            client,
            workload,
        )?);
    }
    let clock = Clock(Instant::now());
    let (done, finished) = channel();
    let states: Vec<Arc<ClientState>> = clients.iter().map(LoadClient::state).collect();
    let duration = workload.duration;
    for client in clients {
        client.start(clock, duration, &done)?;
    }
    drop(done);
    let end = supervise(&states, workload, clock, cancel, &finished, progress)?;
    let reports = states
        .iter()
        .zip(&workload.clients)
        .map(|(state, client)| state.report(client));
    Ok(LoadReport {
        duration: end,
        seed: workload.seed,
        clock: "real",
        clients: reports.collect(),
        loads: BTreeMap::new(),
    })
}

/// Waits for the clients, reports the progress, and returns the time at which the run ended.
fn supervise(
    states: &[Arc<ClientState>],
    workload: &Workload,
    clock: Clock,
    cancel: &AtomicBool,
    finished: &Receiver<ClientExit>,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Nanos, WorkloadError> {
    let mut end = workload.duration;
    let mut reported = Nanos::ZERO;
    let mut result = Ok(());
    loop {
        match finished.recv_timeout(CANCEL_INTERVAL) {
            Ok((_, Ok(()))) => {}
            Ok((name, Err(error))) => result = result.and(Err(error.of_client(&name))),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = clock.now();
        if (cancel.load(Ordering::Relaxed) || result.is_err()) && now < end {
            end = now;
            states.iter().for_each(|state| state.stop(end));
        }
        if now <= end && now.saturating_sub(reported) >= Nanos::from(PROGRESS_INTERVAL) {
            progress(&take_progress(
                states,
                workload,
                now,
                now.saturating_sub(reported),
            ));
            reported = now;
        }
        if now > end.saturating_add(Nanos::from(DRAIN_TIMEOUT)) {
            result = result.and(Err(WorkloadError::new(format!(
                "the server did not complete all requests within {} s after the end; check its log",
                DRAIN_TIMEOUT.as_secs()
            ))));
            break;
        }
        // After a failure the other clients get one second.
        if result.is_err() && now > end.saturating_add(Nanos::from_secs(1)) {
            break;
        }
    }
    result.map(|()| end)
}

fn take_progress(
    states: &[Arc<ClientState>],
    workload: &Workload,
    at: Nanos,
    since: Nanos,
) -> Progress {
    let seconds = since.as_secs_f64();
    let one =
        |(state, client): (&Arc<ClientState>, &Client)| state.take_progress(&client.name, seconds);
    Progress {
        at,
        clients: states.iter().zip(&workload.clients).map(one).collect(),
    }
}
