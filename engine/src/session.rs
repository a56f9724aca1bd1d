//! What a connection of a byte-stream door (NBD) is to the reactor: bytes in, requests out;
//! replies in, bytes out. The session does no I/O and knows no disk; the reactor knows no protocol.
//!
//! How the reactor drives it, each turn, while the socket is readable:
//! 1. `space()`; if it is not empty, read at most that many bytes into it, then `filled(n)`.
//!    Payloads are read straight into the request's buffer: `space()` *is* that buffer then.
//! 2. `next_request()` until `None`; each goes to the service. If the service's queue is full the
//!    reactor keeps that one request and calls neither `next_request` nor `space` until it fits.
//! 3. `reply()` for each answer; then `outgoing()` / `sent(n)` while the socket takes bytes.
//! 4. After `sent`, step 2 again even if the socket has nothing to read: a session that was full
//!    may hold complete requests that waited for that room. A new one may hold requests too.
//!
//! Invariants: memory is bounded. A session with too many requests under way or too many unsent
//! bytes returns an empty `space()` and no requests until replies are sent; a peer that never
//! reads its replies therefore stops being read, and holds nobody else up.

use crate::{BufferPool, Reply, Request};
use std::io::IoSlice;

/// Whether a session goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionStatus {
    /// It does.
    Open,
    /// The peer said good-bye (or closed its sending side): no more bytes are wanted; close when
    /// all requests are answered and `outgoing` is empty.
    Finishing,
    /// The peer broke the protocol; drop the connection now. The sentence is for the log.
    Broken(String),
}

/// One connection, after its handshake, bound to one vdisk.
pub trait Session: Send {
    /// Where the next bytes of the peer go. Empty while none are wanted.
    fn space(&mut self, pool: &mut BufferPool) -> &mut [u8];

    /// The first `count` bytes of the last `space()` were filled, `count > 0`.
    fn filled(&mut self, count: usize);

    /// The next complete request. `origin` is the reactor's to set; `handle` is the session's.
    fn next_request(&mut self, pool: &mut BufferPool) -> Option<Request>;

    /// Takes the answer to a request and queues its bytes.
    fn reply(&mut self, reply: Reply, pool: &mut BufferPool);

    /// Fills `slices` with bytes for the peer, in order, as far as they fit; returns how many
    /// slices were set. 0 means that nothing waits.
    fn outgoing<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize;

    /// The first `count` bytes of `outgoing` were sent.
    fn sent(&mut self, count: usize, pool: &mut BufferPool);

    /// The peer closed its sending side.
    fn end_of_input(&mut self);

    /// The server is draining: answer what is under way; what still arrives gets a
    /// shutting-down error.
    fn drain(&mut self);

    /// The server closes the connection: all that came is answered and sent. From here on nothing is
    /// wanted, and only a good-bye waits, if the protocol has one.
    fn finish(&mut self);

    /// Whether it goes on.
    fn status(&self) -> SessionStatus;

    /// Gives buffers back when the connection is dropped with requests unanswered; answers that
    /// come later are dropped by the reactor.
    fn abandon(&mut self, pool: &mut BufferPool) {
        let _ = pool;
    }
}
