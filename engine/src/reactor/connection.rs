//! One socket with its session: moves bytes, as many as both sides take.
//!
//! Invariants: at most one request is held (the vdisk's queue was full when it came); while it is,
//! nothing is read. A connection that breaks is dropped, and so is one that is not read when its
//! peer is gone; its requests in flight are left to the service, and their replies dropped by the
//! reactor.

use super::adaptive_polling::AdaptivePolling;
use super::poller::{Interest, Poller, Ready};
use crate::session::{Session, SessionStatus};
use crate::{BufferPool, Reply, Request, VdiskId};
use disktime_units::Nanos;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};

/// Bytes read from one connection before the next one is served.
const READ_TURN_BYTES: usize = 1 << 20;
/// Bytes that are discarded from a socket that is closed; more than a socket's buffer holds.
const DISCARDED_BYTES_MAX: usize = 16 << 20;
/// Slices of replies sent with one system call.
const SLICES: usize = 64;

/// A connection and what it waits for.
pub(super) struct Connection {
    socket: OwnedFd,
    session: Box<dyn Session>,
    origin: u64,
    held: Option<Request>,
    /// Requests that the service has and will answer.
    in_flight: usize,
    readable: bool,
    writable: bool,
    /// The peer closed its side: the end of the stream has to be read, too.
    closing: bool,
    /// The peer closed both sides, or the connection was reset.
    gone: bool,
    /// The session wanted no bytes when they were last offered.
    is_full: bool,
    /// What the socket is watched for.
    watched_for: Interest,
    polling: AdaptivePolling,
    /// A poll was due, whether or not there is anything to read.
    polled: bool,
    /// Is in the reactor's list of scheduled connections.
    scheduled: bool,
    failure: Option<String>,
    /// When a draining connection is closed at the latest.
    drain_until: Option<Nanos>,
}

/// What [`Connection::receive`] brought.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// Requests that the service took.
    pub(super) requests: u32,
    /// Reads of the socket that brought bytes.
    reads: u32,
    /// There is more to read at once.
    pub(super) more: bool,
    /// The connection is polled from now on.
    pub(super) polling_began: bool,
}

impl Connection {
    /// What a new connection's socket has to be watched for.
    pub(super) const FIRST_INTEREST: Interest = Interest {
        input: true,
        room: false,
    };

    pub(super) fn new(socket: OwnedFd, session: Box<dyn Session>, origin: u64) -> Connection {
        Connection {
            socket,
            session,
            origin,
            held: None,
            in_flight: 0,
            readable: true,
            writable: true,
            closing: false,
            gone: false,
            is_full: false,
            watched_for: Connection::FIRST_INTEREST,
            polling: AdaptivePolling::default(),
            polled: false,
            scheduled: false,
            failure: None,
            drain_until: None,
        }
    }

    /// Identifies the connection in requests and events, also after its index was reused.
    pub(super) fn origin(&self) -> u64 {
        self.origin
    }

    /// The vdisk that it asks for.
    pub(super) fn vdisk(&self) -> VdiskId {
        self.session.vdisk()
    }

    /// Marks it as scheduled; returns whether it was not yet.
    pub(super) fn schedule(&mut self) -> bool {
        !std::mem::replace(&mut self.scheduled, true)
    }

    /// It was taken from the list of scheduled connections.
    pub(super) fn unschedule(&mut self) {
        self.scheduled = false;
    }

    /// Notes an event of the socket.
    pub(super) fn note(&mut self, ready: Ready) {
        self.readable |= ready.readable;
        self.writable |= ready.writable;
        self.closing |= ready.closing;
        self.gone |= ready.gone;
    }

    /// Has the socket watched for the events that are waited for now.
    pub(super) fn watch(&mut self, poller: &Poller) {
        let interest = Interest {
            input: !self.polling.is_on(),
            room: !self.writable,
        };
        if interest == self.watched_for {
            return;
        }
        match poller.watch_socket_for(self.socket.as_raw_fd(), self.origin, interest) {
            Ok(()) => self.watched_for = interest,
            Err(error) => self.failure = Some(error.to_string()),
        }
    }

    /// When its next poll is due, if it is polled.
    pub(super) fn next_poll(&mut self, now: Nanos) -> Option<Nanos> {
        self.polling.is_on().then(|| self.polling.next_poll(now))
    }

    /// Whether a poll is due; then the socket is read even without an event.
    pub(super) fn poll(&mut self, now: Nanos) -> bool {
        let due = self.polling.take_due(now);
        self.readable |= due;
        self.polled |= due;
        due
    }

    /// Reads what there is to read and submits the requests in it.
    pub(super) fn receive(
        &mut self,
        now: Nanos,
        pool: &mut BufferPool,
        submit: impl FnMut(Request) -> Result<(), Request>,
        is_over: impl Fn() -> bool,
    ) -> Progress {
        let mut progress = Progress::default();
        self.receive_some(pool, submit, is_over, &mut progress);
        let was_on = self.polling.is_on();
        let polled = std::mem::take(&mut self.polled);
        self.polling
            .record(now, polled, progress.requests, progress.reads);
        progress.polling_began = self.polling.is_on() && !was_on;
        progress
    }

    /// Reads, parses and submits until the socket is empty, the session wants no bytes, the service
    /// refuses a request, the bound on bytes is reached, or its time is over.
    fn receive_some(
        &mut self,
        pool: &mut BufferPool,
        mut submit: impl FnMut(Request) -> Result<(), Request>,
        is_over: impl Fn() -> bool,
        progress: &mut Progress,
    ) {
        if self.held.is_some() {
            return;
        }
        let mut budget = READ_TURN_BYTES;
        loop {
            while let Some(mut request) = self.session.next_request(pool) {
                request.origin = self.origin;
                match submit(request) {
                    Ok(()) => {
                        self.in_flight += 1;
                        progress.requests += 1;
                    }
                    Err(request) => {
                        self.held = Some(request);
                        return;
                    }
                }
                if is_over() {
                    progress.more = true;
                    return;
                }
            }
            if !self.readable || self.session.status() != SessionStatus::Open {
                return;
            }
            if budget == 0 {
                progress.more = true;
                return;
            }
            match self.read_some(pool) {
                Some(count) => {
                    progress.reads += 1;
                    budget = budget.saturating_sub(count);
                }
                None => return,
            }
        }
    }

    /// Offers the request that is held; returns whether none is held any more.
    pub(super) fn submit_held(
        &mut self,
        submit: impl FnOnce(Request) -> Result<(), Request>,
    ) -> bool {
        let Some(request) = self.held.take() else {
            return true;
        };
        match submit(request) {
            Ok(()) => {
                self.in_flight += 1;
                true
            }
            Err(request) => {
                self.held = Some(request);
                false
            }
        }
    }

    /// Reads once; `None` when there is nothing to read or the session wants no bytes.
    fn read_some(&mut self, pool: &mut BufferPool) -> Option<usize> {
        let space = self.session.space(pool);
        self.is_full = space.is_empty();
        if self.is_full {
            return None;
        }
        let wanted = space.len();
        // SAFETY: `space` is valid for writes of its length during the call.
        let count = unsafe {
            libc::recv(
                self.socket.as_raw_fd(),
                space.as_mut_ptr().cast(),
                wanted,
                libc::MSG_DONTWAIT,
            )
        };
        match count {
            0 => {
                self.readable = false;
                self.session.end_of_input();
                None
            }
            1.. => {
                let count = count as usize;
                // Less than there was room for: the socket is empty, and the next bytes cause an
                // event. Only the end of the stream may be there without another event.
                self.readable = count == wanted || self.closing;
                self.session.filled(count);
                Some(count)
            }
            _ => {
                self.note_error(io::Error::last_os_error(), true);
                None
            }
        }
    }

    /// Whether a request waits for room in its vdisk's queue.
    pub(super) fn holds_request(&self) -> bool {
        self.held.is_some()
    }

    /// Takes the reply to one of its requests.
    pub(super) fn reply(&mut self, reply: Reply, pool: &mut BufferPool) {
        self.in_flight -= 1;
        self.session.reply(reply, pool);
    }

    /// Sends replies, as far as the socket takes them; returns whether any bytes were sent. Then
    /// the session may have room for requests that it had to leave unparsed.
    pub(super) fn send(&mut self, pool: &mut BufferPool) -> bool {
        let mut any = false;
        while self.writable && self.failure.is_none() {
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.session.outgoing(&mut slices);
            if count == 0 {
                return any;
            }
            // SAFETY: an all-zero msghdr is valid; IoSlice has the layout of iovec; the slices
            // live through the call.
            let sent = unsafe {
                let mut message: libc::msghdr = std::mem::zeroed();
                message.msg_iov = slices.as_mut_ptr().cast();
                message.msg_iovlen = count;
                libc::sendmsg(
                    self.socket.as_raw_fd(),
                    &message,
                    libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT,
                )
            };
            if sent < 0 {
                self.note_error(io::Error::last_os_error(), false);
                return any;
            }
            self.session.sent(sent as usize, pool);
            any = true;
        }
        any
    }

    fn note_error(&mut self, error: io::Error, reading: bool) {
        match error.kind() {
            io::ErrorKind::WouldBlock if reading => self.readable = false,
            io::ErrorKind::WouldBlock => self.writable = false,
            io::ErrorKind::Interrupted => {}
            _ => self.failure = Some(error.to_string()),
        }
    }

    /// The server ends it: what was taken is answered, and nothing more is read. The client has
    /// until then to take its replies.
    pub(super) fn drain(&mut self, until: Nanos) {
        self.polling.disable();
        self.session.drain();
        self.drain_until = Some(until);
    }

    /// Lets the session send its closing message if the connection is drained.
    pub(super) fn finish(&mut self, pool: &mut BufferPool) {
        let is_drained = self.drain_until.is_some()
            && self.is_answered()
            && self.session.status() == SessionStatus::Open;
        if is_drained {
            self.session.finish();
            self.send(pool);
        }
    }

    /// Whether it leaves requests unanswered whose peer did not end the session in order: no client
    /// wants them any more.
    pub(super) fn abandons_requests(&self) -> bool {
        self.in_flight > 0 && !self.session.is_ended_by_peer()
    }

    /// Whether its peer is gone and left nothing that would still be read: no event would follow
    /// that says so, as long as its requests stand still.
    fn is_left(&self) -> bool {
        let is_read = self.held.is_none() && !self.is_full;
        self.gone && !(is_read && self.session.status() == SessionStatus::Open)
    }

    fn is_answered(&self) -> bool {
        self.in_flight == 0 && self.held.is_none() && self.is_sent()
    }

    /// Why the connection has ended, if it has; empty if the client ended it regularly.
    pub(super) fn end(&self, now: Nanos) -> Option<String> {
        if let Some(failure) = &self.failure {
            return Some(failure.clone());
        }
        if self.drain_until.is_some_and(|until| now >= until) {
            return Some("the server ended it before the client took its replies".to_owned());
        }
        match self.session.status() {
            SessionStatus::Broken(reason) => Some(reason),
            SessionStatus::Finishing if self.is_answered() => Some(String::new()),
            _ if self.is_left() => Some("its client is gone and waits for no reply".to_owned()),
            _ => None,
        }
    }

    fn is_sent(&self) -> bool {
        let mut slices = [IoSlice::new(&[]); 1];
        self.session.outgoing(&mut slices) == 0
    }

    /// Returns the connection's buffers to the pool.
    pub(super) fn close(mut self, pool: &mut BufferPool) {
        if self.drain_until.is_some() {
            self.end_stream();
        }
        if let Some(buffer) = self.held.take().and_then(|request| request.buffer) {
            pool.put(buffer);
        }
        self.session.abandon(pool);
    }

    /// Ends the stream behind the replies. Requests that were not read are discarded: a socket that
    /// is closed with unread bytes is reset, and the peer may lose replies that it has not read.
    fn end_stream(&self) {
        let socket = self.socket.as_raw_fd();
        // SAFETY: changes the state of an open socket; a failure means that it is over already.
        unsafe { libc::shutdown(socket, libc::SHUT_WR) };
        let mut discarded = [0_u8; 4096];
        for _ in 0..DISCARDED_BYTES_MAX / discarded.len() {
            // SAFETY: `discarded` is valid for a write of its length during the call.
            let count = unsafe {
                libc::recv(
                    socket,
                    discarded.as_mut_ptr().cast(),
                    discarded.len(),
                    libc::MSG_DONTWAIT,
                )
            };
            if count <= 0 {
                return;
            }
        }
    }
}
