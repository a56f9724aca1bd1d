//! One socket with its session: moves bytes, as many as both sides take.
//!
//! Invariants: at most one request is held back (the vdisk's queue was full when it came); while
//! it is, nothing is read. A connection that breaks is dropped; its requests under way are finished
//! by the service and their replies dropped by the reactor.

use super::gathering::Gathering;
use super::poller::{Interest, Poller, Ready};
use crate::session::{Session, SessionStatus};
use crate::{BufferPool, Reply, Request};
use disktime_units::Nanos;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};

/// Bytes read from one connection before the others have their turn.
const READ_TURN_BYTES: usize = 1 << 20;
/// Pieces of replies sent with one system call.
const SLICES: usize = 64;

/// A connection and what it waits for.
pub(super) struct Connection {
    socket: OwnedFd,
    session: Box<dyn Session>,
    pub(super) origin: u64,
    held: Option<Request>,
    /// Requests that the service has and will answer.
    pub(super) under_way: usize,
    readable: bool,
    writable: bool,
    /// The peer closed its side: the end of what it sent has to be read, too.
    closing: bool,
    /// What the socket is watched for.
    watched_for: Interest,
    /// Whether the socket wakes us.
    gathering: Gathering,
    /// It was time to look, whether or not there is anything.
    looked: bool,
    /// Is in the reactor's list of connections to look at.
    pub(super) scheduled: bool,
    failure: Option<String>,
    /// When the drain gives up on it.
    pub(super) drain_until: Option<Nanos>,
}

/// What a look at a connection brought.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Progress {
    /// Requests that went to the service.
    pub(super) requests: u32,
    /// Reads of the socket that brought something.
    reads: u32,
    /// There is more to read at once.
    pub(super) more: bool,
    /// It is looked at by the clock from now on.
    pub(super) gathers: bool,
}

impl Connection {
    /// What its socket has to be watched for in the beginning.
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
            under_way: 0,
            readable: true,
            writable: true,
            closing: false,
            watched_for: Connection::FIRST_INTEREST,
            gathering: Gathering::default(),
            looked: false,
            scheduled: false,
            failure: None,
            drain_until: None,
        }
    }

    /// The socket changed.
    pub(super) fn note(&mut self, ready: Ready) {
        self.readable |= ready.readable;
        self.writable |= ready.writable;
        self.closing |= ready.closing;
    }

    /// Has the socket watched for what it is waited for.
    pub(super) fn watch(&mut self, poller: &Poller) {
        let interest = Interest {
            input: !self.gathering.is_on(),
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

    /// When it wants to be looked at, if that is not when its socket says so.
    pub(super) fn next_look(&mut self, now: Nanos) -> Option<Nanos> {
        self.gathering
            .is_on()
            .then(|| self.gathering.next_look(now))
    }

    /// Whether it is time to look; then the socket is read from whatever it says.
    pub(super) fn look(&mut self, now: Nanos) -> bool {
        let due = self.gathering.is_due(now);
        self.readable |= due;
        self.looked |= due;
        due
    }

    /// Reads what there is to read; tells whether the connection is looked at by the clock from
    /// now on, if it was not.
    pub(super) fn receive(
        &mut self,
        now: Nanos,
        pool: &mut BufferPool,
        submit: impl FnMut(Request) -> Result<(), Request>,
    ) -> Progress {
        let mut progress = Progress::default();
        self.receive_some(pool, submit, &mut progress);
        let was_on = self.gathering.is_on();
        let looked = std::mem::take(&mut self.looked);
        self.gathering
            .came(now, looked, progress.requests, progress.reads);
        progress.gathers = self.gathering.is_on() && !was_on;
        progress
    }

    /// Reads, parses and submits until the socket, the session or the service has enough.
    fn receive_some(
        &mut self,
        pool: &mut BufferPool,
        mut submit: impl FnMut(Request) -> Result<(), Request>,
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
                        self.under_way += 1;
                        progress.requests += 1;
                    }
                    Err(request) => {
                        self.held = Some(request);
                        return;
                    }
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

    /// Offers the request that was held back; whether it went.
    pub(super) fn submit_held(
        &mut self,
        submit: impl FnOnce(Request) -> Result<(), Request>,
    ) -> bool {
        let Some(request) = self.held.take() else {
            return true;
        };
        match submit(request) {
            Ok(()) => {
                self.under_way += 1;
                true
            }
            Err(request) => {
                self.held = Some(request);
                false
            }
        }
    }

    /// Reads once; `None` when there is nothing to read or nothing is wanted.
    fn read_some(&mut self, pool: &mut BufferPool) -> Option<usize> {
        let space = self.session.space(pool);
        if space.is_empty() {
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
                // Less than there was room for: the socket is empty, and what comes next is an
                // event of its own. Only the end of the stream may be there unannounced.
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

    /// Takes the answer to one of its requests.
    pub(super) fn reply(&mut self, reply: Reply, pool: &mut BufferPool) {
        self.under_way -= 1;
        self.session.reply(reply, pool);
    }

    /// Sends what waits, as far as the socket takes it; whether any of it went. Then the session
    /// may have room for requests that it had to leave unparsed.
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

    /// The server is stopping; the connection has until then to take its answers.
    pub(super) fn drain(&mut self, until: Nanos) {
        self.gathering.end();
        self.session.drain();
        self.drain_until = Some(until);
        // What is there already is answered, even if nobody has told of it yet.
        self.readable = true;
    }

    /// Lets the session say good-bye if it is drained. Whether it has to be looked at once more
    /// instead, as something came in the meantime and wants its answer.
    pub(super) fn finish(&mut self, pool: &mut BufferPool) -> bool {
        // One that is scheduled may hold requests that waited for room.
        let is_drained = self.drain_until.is_some()
            && !self.scheduled
            && !self.readable
            && self.is_answered()
            && self.session.status() == SessionStatus::Open;
        if !is_drained {
            return false;
        }
        if self.input_waits() {
            self.readable = true;
            return true;
        }
        self.session.finish();
        self.send(pool);
        false
    }

    /// Whether the socket has bytes, whatever the poller has told so far.
    fn input_waits(&self) -> bool {
        let mut byte = 0_u8;
        // SAFETY: `byte` is valid for a write of its one byte during the call.
        let count = unsafe {
            libc::recv(
                self.socket.as_raw_fd(),
                (&raw mut byte).cast(),
                1,
                libc::MSG_PEEK | libc::MSG_DONTWAIT,
            )
        };
        count > 0
    }

    fn is_answered(&self) -> bool {
        self.under_way == 0 && self.held.is_none() && self.nothing_waits()
    }

    /// Why the connection is over, if it is.
    pub(super) fn over(&self, now: Nanos) -> Option<String> {
        if let Some(failure) = &self.failure {
            return Some(failure.clone());
        }
        if self.drain_until.is_some_and(|until| now >= until) {
            return Some("the server stopped before the client took its answers".to_owned());
        }
        match self.session.status() {
            SessionStatus::Broken(reason) => Some(reason),
            SessionStatus::Finishing if self.is_answered() => Some(String::new()),
            _ => None,
        }
    }

    fn nothing_waits(&self) -> bool {
        let mut slices = [IoSlice::new(&[]); 1];
        self.session.outgoing(&mut slices) == 0
    }

    /// Gives the session's memory back.
    pub(super) fn close(mut self, pool: &mut BufferPool) {
        if let Some(buffer) = self.held.take().and_then(|request| request.buffer) {
            pool.put(buffer);
        }
        self.session.abandon(pool);
    }
}
