//! The real-time loop of one disk: one thread that owns the disk, its scheduler, its vdisks and
//! the connections that use them. No request crosses a thread or takes a lock.
//!
//! Each turn: take mail, read from the connections that are readable, let the service turn, deliver
//! the replies, send; then sleep until a descriptor is ready or the service's next turn is due.
//!
//! - `intake`: requests from mail, ports and connections to the service; which of them wait.
//! - `connection`: one socket with its session. `adaptive_polling`: when it is polled.
//! - `ports`: frontends that do their own I/O on this thread.
//! - `mailbox`: what other threads send. `sleep`, `poller`: waiting, and the epoll set.
//!
//! What is not known here: what the bytes of a session mean; which disk is below the service.

mod adaptive_polling;
mod connection;
mod intake;
mod mailbox;
mod poller;
mod ports;
mod sleep;

pub use mailbox::{NotTaken, PortHost, ReactorGone, ReactorHandle, ReplyCallback, Visit};

use crate::{BufferPool, IoError, Reply, Service, Session, VdiskId};
use connection::Connection;
use disktime_units::Nanos;
use intake::{RoundTime, Waiter};
use mailbox::{Mail, MailboxSignal, next_mail};
use poller::{Poller, TOKEN_DISK, TOKEN_MAILBOX, WakeUp};
use ports::{Ports, is_port};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

/// Rounds of receiving and answering between two waits for readiness.
const ROUNDS: usize = 4;
/// Turns of the service between two deliveries of its replies.
const TURNS: usize = 4;
/// Unused buffers kept for reuse.
const POOL_BYTES: usize = 64 << 20;
/// Origins of mailed requests have this bit; the rest is their index in the table of callbacks.
const MAILED: u64 = 1 << 63;

/// How long a reactor that was told to stop goes on.
#[derive(Debug, Clone, Copy)]
pub struct StopTimes {
    /// With requests, and until clients have taken their replies; then the connections are closed,
    /// and what the service has not begun fails.
    pub drain: Nanos,
    /// With what the disk has begun and does not finish.
    pub give_up: Nanos,
}

impl Default for StopTimes {
    fn default() -> StopTimes {
        StopTimes {
            drain: Nanos::from_secs(5),
            give_up: Nanos::from_secs(50),
        }
    }
}

/// Drives a [`Service`] in real time. Built by [`Reactor::new`], run by [`Reactor::run`] on its
/// own thread.
pub struct Reactor<S: Service> {
    service: S,
    epoch: Instant,
    poller: Poller,
    signal: Arc<MailboxSignal>,
    receiver: Receiver<Mail<S>>,
    connections: Vec<Option<Connection>>,
    free_connections: Vec<usize>,
    generation: u64,
    ports: Ports,
    /// Connections to be served in this turn.
    scheduled: VecDeque<usize>,
    round_time: RoundTime,
    /// Connections that were served since the last `reap`; each may be there several times.
    touched: Vec<usize>,
    /// Connections that are polled. Some entries may be stale: polling ended, or the index was
    /// given to another connection.
    polled: Vec<usize>,
    /// Callbacks of mailed requests in flight.
    callbacks: Vec<Option<ReplyCallback>>,
    free_callbacks: Vec<usize>,
    /// The holders of requests whose vdisk's queue was full, in order of arrival. While one waits,
    /// no later request for that vdisk is submitted before it, or a busy client could starve it.
    waiters: VecDeque<Waiter>,
    /// The vdisks that refused a request in this turn because their queue was full.
    full: Vec<VdiskId>,
    replies: Vec<Reply>,
    pool: BufferPool,
    stop_times: StopTimes,
    /// The origins of connections that are ended while the others go on.
    draining: Vec<u64>,
    stopping: bool,
    /// When a stopping reactor closes the connections that are still open.
    drain_until: Nanos,
    /// When it gives up what the disk does not finish.
    give_up_at: Nanos,
    /// The drain time is over: the service failed what it had not begun.
    failed_queued: bool,
    /// When it was last asked whether the process ran.
    ran_at: Nanos,
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
        for fd in service.wake_fds() {
            poller.watch_edge(fd, TOKEN_DISK)?;
        }
        let signal = Arc::new(MailboxSignal::new(wake_up));
        let (handle, receiver) = ReactorHandle::new(Arc::clone(&signal));
        let reactor = Reactor {
            service,
            epoch,
            poller,
            signal,
            receiver,
            connections: Vec::new(),
            free_connections: Vec::new(),
            generation: 0,
            ports: Ports::default(),
            scheduled: VecDeque::new(),
            round_time: RoundTime::default(),
            touched: Vec::new(),
            polled: Vec::new(),
            callbacks: Vec::new(),
            free_callbacks: Vec::new(),
            waiters: VecDeque::new(),
            full: Vec::new(),
            replies: Vec::new(),
            pool: BufferPool::new(POOL_BYTES),
            stop_times: StopTimes::default(),
            draining: Vec::new(),
            stopping: false,
            drain_until: Nanos::ZERO,
            give_up_at: Nanos::ZERO,
            failed_queued: false,
            ran_at: Nanos::ZERO,
        };
        Ok((reactor, handle))
    }

    /// What it drives.
    pub fn service(&self) -> &S {
        &self.service
    }

    /// With other times for its stop.
    pub fn with_stop_times(self, stop_times: StopTimes) -> Reactor<S> {
        Reactor { stop_times, ..self }
    }

    /// Runs until it is told to stop and every request is answered; returns the service. If the
    /// disk does not finish what it has begun, that is given up in the end: then the service is not
    /// idle, and the disk may still use the buffers of its requests.
    ///
    /// # Errors
    /// When waiting for descriptors fails.
    pub fn run(mut self) -> io::Result<S> {
        poller::tighten_timers();
        loop {
            self.take_mail();
            let mut busy = self.rounds();
            self.reap();
            busy |= self.ports.turn(&self.poller)?;
            if self.stopping {
                if self.is_drained() || self.now() >= self.give_up_at {
                    return Ok(self.service);
                }
                self.fail_queued_in_time();
            }
            self.sleep(busy)?;
            // Before new requests are received: a service that was idle has not been paused.
            self.note_pause(self.now());
        }
    }

    fn now(&self) -> Nanos {
        Nanos::from(self.epoch.elapsed())
    }

    /// Fails what the service has not begun when the drain time is over: no client is left to take
    /// its reply, and to finish it (zeroing a few GiB) could take minutes.
    fn fail_queued_in_time(&mut self) {
        if !self.failed_queued && self.now() >= self.drain_until {
            self.failed_queued = true;
            self.service.fail_queued();
        }
    }

    fn is_drained(&self) -> bool {
        self.service.is_idle()
            && self.waiters.is_empty()
            && self.connections.iter().all(Option::is_none)
    }

    /// Serves until nothing is left to do before the kernel reports something ready, or the bound
    /// on rounds is reached, so that mail and ports have their turn; returns whether it was the
    /// bound.
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

    /// Takes all mail; returns whether there was any.
    fn take_mail(&mut self) -> bool {
        let mut any = false;
        while let Some(mail) = next_mail(&self.receiver) {
            any = true;
            match mail {
                Mail::Connect { socket, session } => self.connect(socket, session),
                Mail::Submit { request, callback } if self.stopping => {
                    callback(request.reply(Err(IoError::Shutdown)))
                }
                Mail::Submit { request, callback } => self.submit_mailed(request, callback),
                Mail::Open(port) => {
                    // The frontend that made the port notices that it is dropped.
                    if let Err(error) = self.ports.open(port, &self.poller) {
                        tracing::error!("a port cannot be watched and is closed: {error}");
                    }
                }
                Mail::Reply(reply) => self.ports.reply(reply, &mut self.pool),
                Mail::Visit(visit) => {
                    let now = self.now();
                    visit(&mut self.service, now);
                }
                Mail::Disconnect(vdisk) => self.disconnect(vdisk),
                Mail::Stop => self.stop(),
            }
        }
        any
    }

    fn connect(&mut self, socket: OwnedFd, session: Box<dyn Session>) {
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

    fn stop(&mut self) {
        self.stopping = true;
        self.service.begin_stop();
        self.ports.drain();
        let now = self.now();
        self.drain_until = now + self.stop_times.drain;
        self.give_up_at = now + self.stop_times.give_up;
        for index in 0..self.connections.len() {
            if let Some(connection) = &mut self.connections[index] {
                connection.drain(self.drain_until);
                self.schedule(index);
            }
        }
    }

    /// Ends the connections that use a vdisk.
    fn disconnect(&mut self, vdisk: VdiskId) {
        let until = self.now() + self.stop_times.drain;
        for index in 0..self.connections.len() {
            let connection = self.connections[index].as_mut();
            let Some(connection) = connection.filter(|connection| connection.vdisk() == vdisk)
            else {
                continue;
            };
            if !self.draining.contains(&connection.origin()) {
                connection.drain(until);
                self.draining.push(connection.origin());
            }
            self.schedule(index);
        }
    }

    /// Whether connections are being ended.
    fn is_draining(&self) -> bool {
        self.stopping || !self.draining.is_empty()
    }

    fn schedule(&mut self, index: usize) {
        if let Some(connection) = &mut self.connections[index]
            && connection.schedule()
        {
            self.scheduled.push_back(index);
        }
    }

    /// Lets the service turn, again while its next turn is due at once (a disk in memory), and
    /// delivers its replies; returns whether there were any.
    fn turn(&mut self) -> bool {
        let mut replies = std::mem::take(&mut self.replies);
        for _ in 0..TURNS {
            let now = self.now();
            self.note_pause(now);
            self.service.turn(now, &mut replies);
            if self.service.next_wake().is_none_or(|wake| wake > now) {
                break;
            }
        }
        let any = !replies.is_empty();
        for reply in replies.drain(..) {
            if reply.origin & MAILED != 0 {
                self.reply_to_mailed(reply);
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

    fn reply_to_mailed(&mut self, reply: Reply) {
        let index = (reply.origin & !MAILED) as usize;
        let callback = self.callbacks[index].take();
        self.free_callbacks.push(index);
        if let Some(callback) = callback {
            callback(reply);
        }
    }

    fn deliver(&mut self, reply: Reply) {
        let index = (reply.origin & 0xFFFF_FFFF) as usize;
        match &mut self.connections[index] {
            Some(connection) if connection.origin() == reply.origin => {
                connection.reply(reply, &mut self.pool);
                self.schedule(index);
            }
            // The connection was closed in the meantime; only its buffer is reused.
            _ => {
                if let Some(buffer) = reply.buffer {
                    self.pool.put(buffer);
                }
            }
        }
    }

    /// Sends the replies of the ports and of the scheduled connections.
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

    /// Closes the connections that have ended, among those that were served; all when stopping.
    fn reap(&mut self) {
        if self.stopping {
            self.touched.clear();
            self.touched.extend(0..self.connections.len());
        } else {
            let draining = self.draining.iter();
            self.touched
                .extend(draining.map(|origin| (origin & 0xFFFF_FFFF) as usize));
        }
        if self.touched.is_empty() {
            return;
        }
        // Only connections that are being drained need the time.
        let is_draining = self.is_draining();
        let now = if is_draining { self.now() } else { Nanos::ZERO };
        let mut touched = std::mem::take(&mut self.touched);
        for index in touched.drain(..) {
            if is_draining && let Some(connection) = &mut self.connections[index] {
                connection.finish(&mut self.pool);
                connection.watch(&self.poller);
            }
            let end = self.connections[index]
                .as_ref()
                .and_then(|connection| connection.end(now));
            let Some(reason) = end else { continue };
            if !reason.is_empty() {
                tracing::info!("a connection is closed: {reason}");
            }
            if let Some(connection) = self.connections[index].take() {
                if connection.abandons_requests() {
                    self.service.client_gone(connection.origin());
                }
                let origin = connection.origin();
                self.draining.retain(|draining| *draining != origin);
                connection.close(&mut self.pool);
                self.free_connections.push(index);
            }
        }
        self.touched = touched;
    }
}
