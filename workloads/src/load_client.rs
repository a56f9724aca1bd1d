//! One client of a real-time run: its connection, its threads, and what they share.
//! See `load` for how a client lives. What is not known here: the other clients.

use crate::load::ClientProgress;
use crate::meter::{LatencyHistogram, Meter};
use crate::report::ClientReport;
use crate::workload::{Client, Source, Workload};
use crate::{ClientMachine, Operation, WorkloadError};
use disktime_engine::RequestKind;
use disktime_nbd_client::{
    ClientError, ClientReply, ClientRequest, NbdClient, NbdReceiver, NbdSender,
};
use disktime_nbd_protocol::{ExportFlags, NbdUri};
use disktime_random::Random;
use disktime_units::Nanos;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long the server may take to answer what is under way at the end.
pub(crate) const DRAIN: Duration = Duration::from_secs(60);

/// The run's clock: zero is its start.
#[derive(Clone, Copy)]
pub(crate) struct Clock(pub Instant);

impl Clock {
    pub(crate) fn now(self) -> Nanos {
        Nanos::from(self.0.elapsed())
    }
}

/// What the threads of a client share with each other and with the supervisor.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Something was answered, or the run is to stop.
    changed: Condvar,
}

struct State {
    machine: ClientMachine,
    meter: Meter,
    /// What is under way, by tag.
    under_way: Vec<Option<Operation>>,
    free: Vec<u32>,
    stop: bool,
    /// Since the last progress.
    interval: LatencyHistogram,
    interval_requests: u64,
    interval_bytes: u64,
    errors: u64,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panicked left counters at worst one request off.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run ends now, before its time: no more requests, and throughput is measured to here.
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

    /// What was done since the last call, `seconds` ago.
    pub(crate) fn take_progress(&self, name: &str, seconds: f64) -> ClientProgress {
        self.lock().take_progress(name, seconds)
    }
}

impl State {
    /// The next request and its tag, if it is time for one.
    fn poll(&mut self, now: Nanos) -> Result<Option<(u32, Operation)>, WorkloadError> {
        let Some(operation) = self.machine.poll(now)? else {
            return Ok(None);
        };
        let tag = self.free.pop().unwrap_or_else(|| {
            self.under_way.push(None);
            // The depth bounds the number of tags far below this type's range.
            (self.under_way.len() - 1) as u32
        });
        self.under_way[tag as usize] = Some(operation);
        Ok(Some((tag, operation)))
    }

    fn answered(
        &mut self,
        now: Nanos,
        duration: Nanos,
        reply: &ClientReply,
    ) -> Result<(), WorkloadError> {
        let operation = self
            .under_way
            .get_mut(reply.tag as usize)
            .and_then(Option::take)
            .ok_or_else(|| WorkloadError::new("the server answered a request that was not made"))?;
        self.free.push(reply.tag);
        let success = reply.error == 0;
        self.machine.completed(now, &operation, success);
        if now > duration {
            return Ok(());
        }
        self.meter.answered(now, &operation, success);
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
            under_way: self.machine.outstanding(),
            errors: self.errors,
        };
        self.interval.reset();
        (self.interval_requests, self.interval_bytes) = (0, 0);
        progress
    }
}

/// A client that is connected and ready.
pub(crate) struct Player {
    name: String,
    depth: u32,
    connection: NbdClient,
    pub(crate) shared: Arc<Shared>,
    payload: Payload,
}

impl Player {
    pub(crate) fn connect(
        uri: &NbdUri,
        client: &Client,
        workload: &Workload,
    ) -> Result<Player, WorkloadError> {
        let connection = NbdClient::connect(uri)
            .map_err(|error| WorkloadError::at(client.places.vdisk.as_ref(), error.to_string()))?;
        let info = connection.info();
        check_abilities(client, info.flags)?;
        let align_bytes = info.block_sizes.map_or(1, |[least, ..]| u64::from(least));
        let machine = ClientMachine::aligned(client, workload.seed, info.size_bytes, align_bytes)?;
        let state = State {
            machine,
            meter: Meter::new(client, workload),
            under_way: Vec::new(),
            free: Vec::new(),
            stop: false,
            interval: LatencyHistogram::new(2),
            interval_requests: 0,
            interval_bytes: 0,
            errors: 0,
        };
        Ok(Player {
            name: client.name.clone(),
            depth: client.depth,
            connection,
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                changed: Condvar::new(),
            }),
            payload: Payload::new(workload.seed, &client.name),
        })
    }

    /// Starts the threads. They are not joined: a server that never answers must not hold the
    /// run up, so each says when it is done, and the process ends those that never are.
    pub(crate) fn start(
        self,
        clock: Clock,
        duration: Nanos,
        done: &Sender<Done>,
    ) -> Result<(), WorkloadError> {
        let Player {
            name,
            depth,
            connection,
            shared,
            payload,
        } = self;
        let threads = Threads {
            shared,
            clock,
            duration,
        };
        if depth == 1 {
            return spawn(&name, done, move || threads.lockstep(connection, payload));
        }
        let (sender, receiver, _info) = connection.split();
        let reading = Threads {
            shared: threads.shared.clone(),
            clock,
            duration,
        };
        spawn(&name, done, move || reading.read(receiver))?;
        spawn(&name, done, move || threads.write(sender, payload))
    }
}

/// Refuses a client that would ask for what the server said it cannot do.
fn check_abilities(client: &Client, flags: ExportFlags) -> Result<(), WorkloadError> {
    let Source::Generated(generated) = &client.source else {
        // What a trace asks for shows only while it is read; the server then answers with an error.
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
        client.places.client.as_ref(),
        format!(
            "virtual disk `{}` cannot {lacking} for client `{}`",
            client.vdisk, client.name
        ),
    ))
}

/// How a thread of a client ended.
pub(crate) type Done = (String, Result<(), WorkloadError>);

fn spawn(
    name: &str,
    done: &Sender<Done>,
    work: impl FnOnce() -> Result<(), WorkloadError> + Send + 'static,
) -> Result<(), WorkloadError> {
    let (client, done) = (name.to_owned(), done.clone());
    let label = name.chars().filter(|c| !c.is_control()).take(15).collect();
    let spawned = thread::Builder::new().name(label).spawn(move || {
        let result = work();
        // Nobody listens any more when the run was given up.
        let _ = done.send((client, result));
    });
    spawned.map(drop).map_err(|error| {
        WorkloadError::new(format!(
            "no thread could be started for client `{name}`: {error}"
        ))
    })
}

/// Data for writes: random, so that no layer below finds anything to compress.
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

    /// The request of an operation; grows to the longest write that there is, 32 MiB at most.
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
            // Machines ask for 32 MiB at most.
            len_bytes: operation.len_bytes as u32,
            fua: operation.fua,
            data,
        }
    }
}

/// What the threads of a client do.
struct Threads {
    shared: Arc<Shared>,
    clock: Clock,
    duration: Nanos,
}

impl Threads {
    /// Waits for the next operation; `None` when there will be none.
    fn next(&self) -> Result<Option<(u32, Operation)>, WorkloadError> {
        let mut state = self.shared.lock();
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
                .shared
                .changed
                .wait_timeout(state, pause)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn answered(&self, reply: &ClientReply) -> Result<(), WorkloadError> {
        let now = self.clock.now();
        let result = self.shared.lock().answered(now, self.duration, reply);
        self.shared.changed.notify_one();
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
                .map_err(broken)?;
            self.answered(&reply)?;
        }
        // The server may be gone already; the run is over.
        let _ = connection.disconnect();
        Ok(())
    }

    fn write(&self, mut sender: NbdSender, mut payload: Payload) -> Result<(), WorkloadError> {
        while let Some((tag, operation)) = self.next()? {
            sender
                .send_request(&payload.request(tag, &operation))
                .map_err(broken)?;
        }
        self.wait_for_answers();
        // The reader goes on until the server closes; this asks it to.
        let _ = sender.disconnect();
        Ok(())
    }

    /// Returns when nothing is under way, or when the server has had its time to answer.
    fn wait_for_answers(&self) {
        let waiting = |state: &mut State| state.machine.outstanding() > 0;
        drop(
            self.shared
                .changed
                .wait_timeout_while(self.shared.lock(), DRAIN, waiting),
        );
    }

    fn read(&self, mut receiver: NbdReceiver) -> Result<(), WorkloadError> {
        let mut data = Vec::new();
        while let Some(reply) = receiver.receive_reply(&mut data).map_err(broken)? {
            self.answered(&reply)?;
        }
        match self.shared.lock().machine.outstanding() {
            0 => Ok(()),
            left => Err(WorkloadError::new(format!(
                "the server closed the connection with {left} requests unanswered; its log says why"
            ))),
        }
    }
}

fn broken(error: ClientError) -> WorkloadError {
    WorkloadError::new(error.to_string())
}
