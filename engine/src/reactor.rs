//! The real-time loop of one disk: one thread that owns the disk, its scheduler, its vdisks and
//! the connections that use them. Nothing on the way of a request crosses a thread or takes a lock.
//!
//! Each turn: take mail, read from the connections that have something, let the service turn,
//! deliver the replies, send; then sleep until a descriptor is ready or the service wants its next
//! turn. A paced disk wants to be looked at on time, and timers of the kernel are late by up to
//! 150 µs: so the sleep ends early by that much, and the rest is polled. Other disks wake us by a
//! descriptor, and what the scheduler still has to wait for may be late.
//!
//! What is not known here: what the bytes of a session mean; which disk is below the service.

mod connection;
mod gathering;
mod mailbox;
mod poller;
mod ports;
mod sleep;

pub use mailbox::{NotTaken, PortHost, ReactorGone, ReactorHandle, ReplyCallback, Visit};

use crate::{BufferPool, Reply, Request, Service, VdiskId};
use connection::Connection;
use disktime_units::Nanos;
use mailbox::{Mail, Shared, next_mail, shutdown_reply};
use poller::{Poller, TOKEN_DISK, TOKEN_MAILBOX, WakeUp};
use ports::{Ports, is_port};
use std::collections::VecDeque;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Receiver;
use std::time::Instant;

/// Rounds of receiving and answering between two looks at what is ready.
const ROUNDS: usize = 4;
/// Turns of the service between two deliveries of its replies.
const TURNS: usize = 4;
/// Unused buffers kept for reuse.
const POOL_BYTES: usize = 64 << 20;
/// Origins of mailed requests have this bit; the rest is their place in the table of answers.
const MAILED: u64 = 1 << 63;
/// How long a stopping reactor lets clients take their answers, and does what they asked for.
const DRAIN_TIME: Nanos = Nanos::from_secs(5);

/// Drives a [`Service`] in real time. Built by [`Reactor::new`], run by [`Reactor::run`] on its
/// own thread.
pub struct Reactor<S: Service> {
    service: S,
    epoch: Instant,
    poller: Poller,
    shared: Arc<Shared>,
    receiver: Receiver<Mail<S>>,
    connections: Vec<Option<Connection>>,
    free_connections: Vec<usize>,
    generation: u64,
    ports: Ports,
    /// Connections to look at in this turn.
    scheduled: VecDeque<usize>,
    /// Connections that were looked at since the last reaping; each may be there several times.
    touched: Vec<usize>,
    /// Connections that are looked at by the clock; some may be so no longer, or be others by now.
    gathering: Vec<usize>,
    /// Callbacks of mailed requests under way.
    answers: Vec<Option<ReplyCallback>>,
    free_answers: Vec<usize>,
    /// Who has a request whose vdisk's queue was full, in the order in which they came. While one
    /// waits, no later request for that vdisk passes it, or a busy client would keep it waiting.
    waiters: VecDeque<Waiter>,
    /// The vdisks that turned a request away in this turn.
    full: Vec<VdiskId>,
    replies: Vec<Reply>,
    pool: BufferPool,
    stopping: bool,
    /// When a stopping reactor gives up on its connections.
    drain_until: Nanos,
    /// It has, and on what the service had not begun.
    gave_up: bool,
}

impl<S: Service> Reactor<S> {
    /// A reactor for `service`, whose clock starts at `epoch`.
    ///
    /// # Errors
    /// When the kernel refuses an epoll set or an eventfd.
    pub fn new(service: S, epoch: Instant) -> io::Result<(Reactor<S>, ReactorHandle<S>)> {
        let poller = Poller::new()?;
        let wake_up = WakeUp::new()?;
        poller.watch_level(wake_up.as_raw_fd(), TOKEN_MAILBOX)?;
        if let Some(fd) = service.wake_fd() {
            poller.watch_edge(fd, TOKEN_DISK)?;
        }
        let shared = Arc::new(Shared {
            wake_up,
            sleeping: AtomicBool::new(false),
        });
        let (handle, receiver) = ReactorHandle::new(Arc::clone(&shared));
        let reactor = Reactor {
            service,
            epoch,
            poller,
            shared,
            receiver,
            connections: Vec::new(),
            free_connections: Vec::new(),
            generation: 0,
            ports: Ports::default(),
            scheduled: VecDeque::new(),
            touched: Vec::new(),
            gathering: Vec::new(),
            answers: Vec::new(),
            free_answers: Vec::new(),
            waiters: VecDeque::new(),
            full: Vec::new(),
            replies: Vec::new(),
            pool: BufferPool::new(POOL_BYTES),
            stopping: false,
            drain_until: Nanos::ZERO,
            gave_up: false,
        };
        Ok((reactor, handle))
    }

    /// Runs until it is told to stop and everything under way is answered; gives the service back.
    ///
    /// # Errors
    /// When waiting for descriptors fails, which leaves nothing to go on with.
    pub fn run(mut self) -> io::Result<S> {
        poller::tighten_timers();
        loop {
            self.take_mail();
            let mut busy = self.rounds();
            self.reap();
            busy |= self.ports.turn(&self.poller)?;
            if self.stopping {
                if self.is_drained() {
                    return Ok(self.service);
                }
                self.give_up_in_time();
            }
            self.sleep(busy)?;
        }
    }

    fn now(&self) -> Nanos {
        Nanos::from(self.epoch.elapsed())
    }

    /// Nobody is left to be told of what the service has not begun when the connections are given up;
    /// to zero a few GiB first could take minutes.
    fn give_up_in_time(&mut self) {
        if !self.gave_up && self.now() >= self.drain_until {
            self.gave_up = true;
            self.service.give_up();
        }
    }

    fn is_drained(&self) -> bool {
        self.service.is_idle()
            && self.waiters.is_empty()
            && self.connections.iter().all(Option::is_none)
    }

    /// Serves until nothing is left that can be done without the kernel's word that something is
    /// ready, or the others in this thread have waited long enough; whether it was the latter.
    fn rounds(&mut self) -> bool {
        for round in 0..ROUNDS {
            let submitted = self.receive();
            let answered = (submitted || round == 0) && self.turn();
            if !submitted && !answered {
                return false;
            }
        }
        true
    }

    /// Whether there was any.
    fn take_mail(&mut self) -> bool {
        let mut any = false;
        while let Some(mail) = next_mail(&self.receiver) {
            any = true;
            match mail {
                Mail::Connect { socket, session } => self.connect(socket, session),
                Mail::Submit { request, answer } if self.stopping => {
                    answer(shutdown_reply(request))
                }
                Mail::Submit { request, answer } => self.submit_mailed(request, answer),
                Mail::Open(port) => {
                    // Its maker notices that it is dropped.
                    if let Err(error) = self.ports.open(port, &self.poller) {
                        tracing::error!("a door cannot be watched and is closed: {error}");
                    }
                }
                Mail::Answer(reply) => self.ports.reply(reply, &mut self.pool),
                Mail::Visit(visit) => {
                    let now = self.now();
                    visit(&mut self.service, now);
                }
                Mail::Stop => self.stop(),
            }
        }
        any
    }

    fn connect(&mut self, socket: std::os::fd::OwnedFd, session: Box<dyn crate::Session>) {
        let index = self.free_connections.pop().unwrap_or_else(|| {
            self.connections.push(None);
            self.connections.len() - 1
        });
        self.generation = (self.generation + 1) & 0x3FFF_FFFF;
        let origin = self.generation << 32 | index as u64;
        let interest = Connection::FIRST_INTEREST;
        let fd = socket.as_raw_fd();
        if let Err(error) = self.poller.watch_socket(fd, origin, interest) {
            tracing::warn!("a connection cannot be watched and is closed: {error}");
            self.free_connections.push(index);
            return;
        }
        let mut connection = Connection::new(socket, session, origin);
        if self.stopping {
            connection.drain(self.drain_until);
        }
        self.connections[index] = Some(connection);
        self.schedule(index);
    }

    fn submit_mailed(&mut self, mut request: Request, answer: ReplyCallback) {
        let index = self.free_answers.pop().unwrap_or_else(|| {
            self.answers.push(None);
            self.answers.len() - 1
        });
        self.answers[index] = Some(answer);
        request.origin = MAILED | index as u64;
        self.waiters.push_back(Waiter::Mail(request));
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.ports.drain();
        self.drain_until = self.now() + DRAIN_TIME;
        for index in 0..self.connections.len() {
            if let Some(connection) = &mut self.connections[index] {
                connection.drain(self.drain_until);
                self.schedule(index);
            }
        }
    }

    fn schedule(&mut self, index: usize) {
        if let Some(connection) = &mut self.connections[index]
            && !connection.scheduled
        {
            connection.scheduled = true;
            self.scheduled.push_back(index);
        }
    }

    /// Requests out of mail and connections to the service; whether any went or more can be read.
    fn receive(&mut self) -> bool {
        let now = self.now();
        self.full.clear();
        let mut any = self.submit_waiting(now);
        let waiters = &mut self.waiters;
        any |= self.ports.receive(
            &mut self.service,
            &mut self.full,
            &mut self.pool,
            now,
            |origin| waiters.push_back(Waiter::Port(origin)),
        );
        for _ in 0..self.scheduled.len() {
            let Some(index) = self.scheduled.pop_front() else {
                break;
            };
            let (service, full) = (&mut self.service, &mut self.full);
            let Some(connection) = &mut self.connections[index] else {
                continue;
            };
            connection.scheduled = false;
            let waited = connection.holds_request();
            let submit = |request| offer(service, full, now, request);
            let progress = connection.receive(now, &mut self.pool, submit);
            if progress.gathers && !self.gathering.contains(&index) {
                self.gathering.push(index);
            }
            if connection.holds_request() && !waited {
                self.waiters
                    .push_back(Waiter::Connection(connection.origin));
            }
            // What a session answers by itself goes out here, and nothing else will wake the
            // requests that waited inside it for that room.
            let sent = connection.send(&mut self.pool);
            connection.watch(&self.poller);
            self.touched.push(index);
            any |= progress.requests > 0 || progress.more;
            if progress.more || sent {
                self.schedule(index);
            }
        }
        any
    }

    /// Offers the waiting requests again, each in its turn; whether any went.
    fn submit_waiting(&mut self, now: Nanos) -> bool {
        let mut any = false;
        for _ in 0..self.waiters.len() {
            let Some(waiter) = self.waiters.pop_front() else {
                break;
            };
            any |= match waiter {
                Waiter::Mail(request) => {
                    match offer(&mut self.service, &mut self.full, now, request) {
                        Ok(()) => true,
                        Err(request) => {
                            self.waiters.push_back(Waiter::Mail(request));
                            false
                        }
                    }
                }
                Waiter::Connection(origin) => self.submit_held(now, origin),
                Waiter::Port(origin) => {
                    let (service, full) = (&mut self.service, &mut self.full);
                    let (went, waits) = self.ports.submit_held(origin, service, full, now);
                    if waits {
                        self.waiters.push_back(Waiter::Port(origin));
                    }
                    went
                }
            };
        }
        any
    }

    /// Offers the request that a connection holds; whether it went.
    fn submit_held(&mut self, now: Nanos, origin: u64) -> bool {
        let index = (origin & 0xFFFF_FFFF) as usize;
        let (service, full) = (&mut self.service, &mut self.full);
        // A connection that is gone took its request with it.
        let Some(connection) = self.connections[index]
            .as_mut()
            .filter(|connection| connection.origin == origin)
        else {
            return false;
        };
        let went = connection.submit_held(|request| offer(service, full, now, request));
        if went {
            self.schedule(index);
        } else {
            self.waiters.push_back(Waiter::Connection(origin));
        }
        went
    }

    /// Lets the service turn, again while it has something due at once (a disk in memory), and
    /// delivers its replies; whether there were any.
    fn turn(&mut self) -> bool {
        let mut replies = std::mem::take(&mut self.replies);
        for _ in 0..TURNS {
            let now = self.now();
            self.service.turn(now, &mut replies);
            if self.service.next_wake().is_none_or(|wake| wake > now) {
                break;
            }
        }
        let any = !replies.is_empty();
        for reply in replies.drain(..) {
            if reply.origin & MAILED != 0 {
                self.answer_mailed(reply);
            } else if is_port(reply.origin) {
                self.ports.reply(reply, &mut self.pool);
            } else {
                self.deliver(reply);
            }
        }
        self.replies = replies;
        if any {
            self.send_all();
        }
        any
    }

    fn answer_mailed(&mut self, reply: Reply) {
        let index = (reply.origin & !MAILED) as usize;
        let answer = self.answers[index].take();
        self.free_answers.push(index);
        if let Some(answer) = answer {
            answer(reply);
        }
    }

    fn deliver(&mut self, reply: Reply) {
        let index = (reply.origin & 0xFFFF_FFFF) as usize;
        match &mut self.connections[index] {
            Some(connection) if connection.origin == reply.origin => {
                connection.reply(reply, &mut self.pool);
                self.schedule(index);
            }
            // Its connection is gone; only the memory is left to save.
            _ => {
                if let Some(buffer) = reply.buffer {
                    self.pool.put(buffer);
                }
            }
        }
    }

    /// Sends what the ports and the scheduled connections have; they are read from in the next turn.
    fn send_all(&mut self) {
        self.ports.send();
        for position in 0..self.scheduled.len() {
            let index = self.scheduled[position];
            if let Some(connection) = &mut self.connections[index] {
                connection.send(&mut self.pool);
                connection.watch(&self.poller);
            }
        }
    }

    /// Closes connections that are over; something has happened on those, or the reactor stops.
    fn reap(&mut self) {
        if self.stopping {
            self.touched.clear();
            self.touched.extend(0..self.connections.len());
        }
        if self.touched.is_empty() {
            return;
        }
        // The time matters to connections that are being drained only.
        let now = if self.stopping {
            self.now()
        } else {
            Nanos::ZERO
        };
        let mut touched = std::mem::take(&mut self.touched);
        for index in touched.drain(..) {
            if self.stopping
                && let Some(connection) = &mut self.connections[index]
            {
                let goes_on = connection.finish(&mut self.pool);
                connection.watch(&self.poller);
                if goes_on {
                    self.schedule(index);
                }
            }
            let over = self.connections[index]
                .as_ref()
                .and_then(|connection| connection.over(now));
            let Some(reason) = over else { continue };
            if !reason.is_empty() {
                tracing::info!("a connection is closed: {reason}");
            }
            if let Some(connection) = self.connections[index].take() {
                connection.close(&mut self.pool);
                self.free_connections.push(index);
            }
        }
        self.touched = touched;
    }
}

/// Whose request waits for room in its vdisk's queue.
enum Waiter {
    /// A door on another thread sent it.
    Mail(Request),
    /// The connection of that origin holds it.
    Connection(u64),
    /// The port of that origin holds some.
    Port(u64),
}

/// Offers a request to the service, unless one for the same vdisk was turned away in this turn.
fn offer<S: Service>(
    service: &mut S,
    full: &mut Vec<VdiskId>,
    now: Nanos,
    request: Request,
) -> Result<(), Request> {
    if full.contains(&request.vdisk) {
        return Err(request);
    }
    service
        .submit(now, request)
        .inspect_err(|request| full.push(request.vdisk))
}
