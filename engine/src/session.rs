//! The interface of one connection of a byte-stream frontend (NBD): bytes in, requests out; replies
//! in, bytes out. The session does no I/O and knows no disk; the reactor knows no protocol.
//!
//! How the reactor drives it, each turn, while the socket is readable:
//! 1. `space()`; if it is not empty, read at most that many bytes into it, then `filled(n)`.
//!    Payloads are read straight into the request's buffer: `space()` *is* that buffer then.
//! 2. `next_request()` until `None`; each goes to the service. If the service's queue is full the
//!    reactor keeps that one request and calls neither `next_request` nor `space` until it fits.
//! 3. `reply()` for each reply; then `outgoing()` / `sent(n)` while the socket takes bytes.
//! 4. After `sent`, step 2 again even if the socket has nothing to read: a session that was at its
//!    bound may hold complete requests that waited for that room. A new session may hold requests,
//!    too.
//!
//! Invariants: memory is bounded. A session with too many requests in flight or too many unsent
//! bytes returns an empty `space()` and no requests until replies are sent; so a peer that never
//! reads its replies is not read from any more, and delays no other connection.

use crate::{BufferPool, Reply, Request, VdiskId};
use std::io::IoSlice;

/// The state of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionStatus {
    /// It is in use.
    Open,
    /// The peer ended the session (or closed its sending side): no more bytes are wanted; close the
    /// connection when all requests are answered and `outgoing` is empty.
    Finishing,
    /// The peer violated the protocol; drop the connection now. The sentence is for the log.
    Broken(String),
}

/// One connection, after its handshake, bound to one vdisk.
pub trait Session: Send {
    /// The vdisk that all its requests are for.
    fn vdisk(&self) -> VdiskId;

    /// The memory for the peer's next bytes. Empty while none are wanted.
    fn space(&mut self, pool: &mut BufferPool) -> &mut [u8];

    /// The first `count` bytes of the last `space()` were filled, `count > 0`.
    fn filled(&mut self, count: usize);

    /// The next complete request. The reactor sets `origin`; the session sets `handle`.
    fn next_request(&mut self, pool: &mut BufferPool) -> Option<Request>;

    /// Takes the reply to a request and queues its bytes.
    fn reply(&mut self, reply: Reply, pool: &mut BufferPool);

    /// Fills `slices` with bytes for the peer, in order, as far as they fit; returns how many
    /// slices were set. 0 means that nothing is queued.
    fn outgoing<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize;

    /// The first `count` bytes of `outgoing` were sent.
    fn sent(&mut self, count: usize, pool: &mut BufferPool);

    /// The peer closed its sending side.
    fn end_of_input(&mut self);

    /// The server ends the connection: requests in flight are answered; from now on no bytes are
    /// wanted and no request is returned.
    fn drain(&mut self);

    /// The server closes the connection: every request is answered and every reply sent. From now
    /// on no bytes are wanted, and only the protocol's closing message is queued, if it has one.
    fn finish(&mut self);

    /// Whether the peer said that it ends the session after its requests. Then they are handled to
    /// their end though the peer is gone; else those of a peer that is gone need not be.
    fn is_ended_by_peer(&self) -> bool {
        false
    }

    /// Its state.
    fn status(&self) -> SessionStatus;

    /// Returns its buffers when the connection is dropped with requests unanswered; replies that
    /// come later are dropped by the reactor.
    fn abandon(&mut self, pool: &mut BufferPool) {
        let _ = pool;
    }
}
