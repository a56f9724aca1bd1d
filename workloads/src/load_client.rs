//! One client of a real-time run: its connection, its threads, and the state that they share.
//! `load` explains the threads. What is not known here: the other clients.

use crate::meter::{LatencyHistogram, Meter};
use crate::progress::ClientProgress;
use crate::report::ClientReport;
use crate::workload::{Client, RequestSource, Workload};
use crate::{ClientMachine, Operation, WorkloadError};
use disktime_engine::RequestKind;
use disktime_nbd_client::{
    ClientError, ClientReply, ClientRequest, NbdClient, NbdReceiver, NbdSender,
};
use disktime_nbd_protocol::{ExportFlags, NbdUri};
use disktime_random::Random;
use disktime_units::Nanos;
use slab::Slab;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long the server may take to complete the requests that are in flight at the end.
pub(crate) const DRAIN_TIMEOUT: Duration = Duration::from_secs(60);

/// The run's clock, which starts at zero.
#[derive(Clone, Copy)]
pub(crate) struct Clock(pub Instant);

impl Clock {
    pub(crate) fn now(self) -> Nanos {
        Nanos::from(self.0.elapsed())
    }
}

/// The state that the threads of a client share with each other and with the supervisor.
pub(crate) struct ClientState {
    locked: Mutex<LockedState>,
    /// Signals that a request is completed, or that the run must stop.
    changed: Condvar,
}

struct LockedState {
    machine: ClientMachine,
    meter: Meter,
    /// Requests in flight, by tag.
    in_flight: Slab<Operation>,
    stop: bool,
    /// Latencies since the last progress report.
    interval: LatencyHistogram,
    interval_requests: u64,
    interval_bytes: u64,
    errors: u64,
}

impl ClientState {
    fn lock(&self) -> MutexGuard<'_, LockedState> {
        // After a panic of a thread the counters are off by at most one request.
        self.locked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the run early: no more requests, and throughput is measured up to `end`.
    pub(crate) fn stop(&self, end: Nanos) {
        let mut state = self.lock();
        state.stop = true;
        state.meter.end_at(end);
        drop(state);
        self.changed.notify_one();
    }

    pub(crate) fn report(&self, client: &Client) -> ClientReport {
        let state = self.lock();
        state.meter.report(client, &state.machine)
    }

    /// The progress since the last call, `seconds` ago.
    pub(crate) fn take_progress(&self, name: &str, seconds: f64) -> ClientProgress {
        self.lock().take_progress(name, seconds)
    }
}

impl LockedState {
    /// The next request and its tag, if one is due.
    fn poll(&mut self, now: Nanos) -> Result<Option<(u32, Operation)>, WorkloadError> {
        let Some(operation) = self.machine.poll(now)? else {
            return Ok(None);
        };
        // The depth bounds the number of tags far below this type's range.
        let tag = self.in_flight.insert(operation) as u32;
        Ok(Some((tag, operation)))
    }

    fn completed(
        &mut self,
        now: Nanos,
        duration: Nanos,
        reply: &ClientReply,
    ) -> Result<(), WorkloadError> {
        let operation = self.in_flight.try_remove(reply.tag as usize);
        let operation = operation.ok_or_else(|| {
            WorkloadError::new("the server sent a reply with the tag of no request in flight")
        })?;
        let success = reply.error == 0;
        self.machine.completed(now, &operation, success);
        if now > duration {
            return Ok(());
        }
        self.meter.completed(now, &operation, success);
        if success {
            self.interval
                .record(now.saturating_sub(operation.arrived_at));
            self.interval_requests += 1;
            self.interval_bytes += operation.len_bytes;
        } else {
            self.errors += 1;
        }
        Ok(())
    }

    fn take_progress(&mut self, name: &str, seconds: f64) -> ClientProgress {
        let progress = ClientProgress {
            name: name.to_owned(),
            iops: self.interval_requests as f64 / seconds,
            bytes_per_second: self.interval_bytes as f64 / seconds,
            p99: self.interval.at_quantile(0.99),
            in_flight: self.machine.outstanding(),
            errors: self.errors,
        };
        self.interval.reset();
        (self.interval_requests, self.interval_bytes) = (0, 0);
        progress
    }
}

/// A client that is connected and ready.
pub(crate) struct LoadClient {
    name: String,
    depth: u32,
    connection: NbdClient,
    state: Arc<ClientState>,
    payload: Payload,
}

impl LoadClient {
    pub(crate) fn connect(
        uri: &NbdUri,
        client: &Client,
        workload: &Workload,
    ) -> Result<LoadClient, WorkloadError> {
        let connection = NbdClient::connect(uri).map_err(|error| {
            WorkloadError::at(client.excerpts.vdisk.as_ref(), error.to_string())
        })?;
        let info = connection.info();
        check_abilities(client, info.flags)?;
        let align_bytes = info.block_sizes.map_or(1, |[least, ..]| u64::from(least));
        let machine = ClientMachine::aligned(client, workload.seed, info.size_bytes, align_bytes)?;
        let state = LockedState {
            machine,
            meter: Meter::new(client, workload),
            in_flight: Slab::new(),
            stop: false,
            interval: LatencyHistogram::new(2),
            interval_requests: 0,
            interval_bytes: 0,
            errors: 0,
        };
        Ok(LoadClient {
            name: client.name.clone(),
            depth: client.depth,
            connection,
            state: Arc::new(ClientState {
                locked: Mutex::new(state),
                changed: Condvar::new(),
            }),
            payload: Payload::new(workload.seed, &client.name),
        })
    }

    pub(crate) fn state(&self) -> Arc<ClientState> {
        Arc::clone(&self.state)
    }

    /// Starts the threads. They are not joined: a server that never replies must not block the run,
    /// so each thread reports its end, and threads that never end are ended with the process.
    pub(crate) fn start(
        self,
        clock: Clock,
        duration: Nanos,
        done: &Sender<ClientExit>,
    ) -> Result<(), WorkloadError> {
        let LoadClient {
            name,
            depth,
            connection,
            state,
            payload,
        } = self;
        let threads = ClientThreads {
            state,
            clock,
            duration,
        };
        if depth == 1 {
            return spawn(&name, done, move || threads.lockstep(connection, payload));
        }
        let (sender, receiver, _info) = connection.split();
        let reading = ClientThreads {
            state: threads.state.clone(),
            clock,
            duration,
        };
        spawn(&name, done, move || reading.read(receiver))?;
        spawn(&name, done, move || threads.write(sender, payload))
    }
}

/// Refuses a client that needs what the server does not support.
fn check_abilities(client: &Client, flags: ExportFlags) -> Result<(), WorkloadError> {
    let RequestSource::Generated(generated) = &client.source else {
        // What a trace needs is known only while it is read; the server then fails the request.
        return Ok(());
    };
    let lacking = if generated.commit_every.is_some() && !flags.flush {
        "flush; write \"commit\": 0"
    } else if generated.requests.uses_fua() && !flags.fua {
        "write durably; write \"fua\": false"
    } else {
        return Ok(());
    };
    Err(WorkloadError::at(
        client.excerpts.client.as_ref(),
        format!(
            "virtual disk `{}` cannot {lacking} for client `{}`",
            client.vdisk, client.name
        ),
    ))
}

/// The client of a thread, and how the thread ended.
pub(crate) type ClientExit = (String, Result<(), WorkloadError>);

fn spawn(
    name: &str,
    done: &Sender<ClientExit>,
    work: impl FnOnce() -> Result<(), WorkloadError> + Send + 'static,
) -> Result<(), WorkloadError> {
    let (client, done) = (name.to_owned(), done.clone());
    let label = name.chars().filter(|c| !c.is_control()).take(15).collect();
    let spawned = thread::Builder::new().name(label).spawn(move || {
        let result = work();
        // The receiver is gone when the run has ended already.
        let _ = done.send((client, result));
    });
    spawned.map(drop).map_err(|error| {
        WorkloadError::new(format!(
            "cannot start a thread for client `{name}`: {error}"
        ))
    })
}

/// Data for writes: random, so that no layer below can compress them.
struct Payload {
    random: Random,
    bytes: Vec<u8>,
}

impl Payload {
    fn new(seed: u64, name: &str) -> Payload {
        Payload {
            random: Random::labelled(seed, &format!("{name} data")),
            bytes: Vec::new(),
        }
    }

    /// The request of an operation; the data grow to the longest write, at most 32 MiB.
    fn request(&mut self, tag: u32, operation: &Operation) -> ClientRequest<'_> {
        let len = operation.len_bytes as usize;
        let old = self.bytes.len();
        let data: &[u8] = if operation.kind == RequestKind::Write {
            if old < len {
                self.bytes.resize(len, 0);
                self.random.fill(&mut self.bytes[old..]);
            }
            &self.bytes[..len]
        } else {
            &[]
        };
        ClientRequest {
            tag,
            kind: operation.kind,
            offset_bytes: operation.offset_bytes,
            // A machine's requests have at most 32 MiB.
            len_bytes: operation.len_bytes as u32,
            fua: operation.fua,
            data,
        }
    }
}

/// What the threads of a client do.
struct ClientThreads {
    state: Arc<ClientState>,
    clock: Clock,
    duration: Nanos,
}

impl ClientThreads {
    /// Waits for the next operation; `None` when there is none any more.
    fn next(&self) -> Result<Option<(u32, Operation)>, WorkloadError> {
        let mut state = self.state.lock();
        loop {
            let now = self.clock.now();
            if state.stop || now >= self.duration || state.machine.is_done(now) {
                return Ok(None);
            }
            if let Some(next) = state.poll(now)? {
                return Ok(Some(next));
            }
            let until = state
                .machine
                .next_event()
                .unwrap_or(self.duration)
                .min(self.duration);
            let pause = Duration::from(until.saturating_sub(now));
            state = self
                .state
                .changed
                .wait_timeout(state, pause)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn completed(&self, reply: &ClientReply) -> Result<(), WorkloadError> {
        let now = self.clock.now();
        let result = self.state.lock().completed(now, self.duration, reply);
        self.state.changed.notify_one();
        result
    }

    fn lockstep(
        &self,
        mut connection: NbdClient,
        mut payload: Payload,
    ) -> Result<(), WorkloadError> {
        let mut data = Vec::new();
        while let Some((tag, operation)) = self.next()? {
            let reply = connection
                .call(&payload.request(tag, &operation), &mut data)
                .map_err(connection_error)?;
            self.completed(&reply)?;
        }
        // The run is over; the server may have ended already.
        let _ = connection.disconnect();
        Ok(())
    }

    fn write(&self, mut sender: NbdSender, mut payload: Payload) -> Result<(), WorkloadError> {
        while let Some((tag, operation)) = self.next()? {
            sender
                .send_request(&payload.request(tag, &operation))
                .map_err(connection_error)?;
        }
        self.wait_for_replies();
        // The reader ends when the server closes the connection; this requests it.
        let _ = sender.disconnect();
        Ok(())
    }

    /// Returns when no request is in flight, or after the drain timeout.
    fn wait_for_replies(&self) {
        let waiting = |state: &mut LockedState| state.machine.outstanding() > 0;
        drop(
            self.state
                .changed
                .wait_timeout_while(self.state.lock(), DRAIN_TIMEOUT, waiting),
        );
    }

    fn read(&self, mut receiver: NbdReceiver) -> Result<(), WorkloadError> {
        let mut data = Vec::new();
        while let Some(reply) = receiver
            .receive_reply(&mut data)
            .map_err(connection_error)?
        {
            self.completed(&reply)?;
        }
        match self.state.lock().machine.outstanding() {
            0 => Ok(()),
            left => Err(WorkloadError::new(format!(
                "the server closed the connection with {left} requests in flight; check its log"
            ))),
        }
    }
}

fn connection_error(error: ClientError) -> WorkloadError {
    WorkloadError::new(error.to_string())
}
