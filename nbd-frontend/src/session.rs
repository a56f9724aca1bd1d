//! The transmission phase of one connection, without I/O: requests in, replies out, simple or
//! structured as the handshake negotiated.
//!
//! ```text
//!   bytes ── Receiver ── Request ── (service) ── Reply ── ReplyQueue ── bytes
//!                └────── HeldRequests (limits) ─────────────┘
//! ```
//!
//! Invariants:
//! - A request is held from the moment its header is taken until its reply is sent to the last
//!   byte. Held requests and their buffers are limited; while there is no room for a header, it
//!   stays in the input and `space` is empty. So a peer that does not read its replies is soon not
//!   read from.
//! - The data of a write go into the request's own buffer; only bytes that arrived together with
//!   the header are copied. The data of a refused write are skipped through the input buffer.
//! - No memory is allocated per request once the pool is filled.
//!
//! A requirement on the caller: call `next_request` again after `sent`, even when the socket has
//! nothing to read. Complete requests may have waited here for room.
//!
//! What is not known here: sockets, TLS, disks.

mod gaps;
mod held;
mod input;
mod limits;
mod piece;
mod receiver;
mod replies;

pub use limits::SessionLimits;

use crate::export::Export;
use crate::negotiated::Negotiated;
use disktime_engine::{BufferPool, Reply, Request, Session, SessionStatus, VdiskId};
use held::HeldRequests;
use receiver::{ReceiveStep, Receiver};
use replies::ReplyQueue;
use std::any::Any;
use std::io::IoSlice;

/// One connection that uses one export.
pub struct NbdSession {
    receiver: Receiver,
    held: HeldRequests,
    replies: ReplyQueue,
    status: SessionStatus,
    /// The peer sends nothing any more; complete requests in the input are still served.
    input_ended: bool,
    /// The client sent DISC: what it sent before is handled to the end.
    disconnected: bool,
    /// The server stops: nothing more is taken.
    draining: bool,
    /// Dropped with the session: the listener counts connections by it.
    _lease: Option<Box<dyn Any + Send>>,
}

impl NbdSession {
    /// A session for `export`. `carried` is what the client sent directly after the handshake.
    pub fn new(export: Export, limits: SessionLimits, carried: &[u8]) -> NbdSession {
        let held = HeldRequests::new(&limits);
        let replies = ReplyQueue::new(held.requests_max());
        NbdSession {
            receiver: Receiver::new(export, limits.input_bytes, carried),
            held,
            replies,
            status: SessionStatus::Open,
            input_ended: false,
            disconnected: false,
            draining: false,
            _lease: None,
        }
    }

    /// Uses the extensions that the handshake negotiated.
    pub fn with_negotiated(mut self, negotiated: Negotiated) -> NbdSession {
        self.receiver.set_negotiated(negotiated.clone());
        self.replies.set_negotiated(negotiated);
        self
    }

    /// Keeps `lease` until the session is dropped.
    pub fn with_lease(mut self, lease: Box<dyn Any + Send>) -> NbdSession {
        self._lease = Some(lease);
        self
    }

    /// Requests taken and not yet answered to the last byte.
    pub fn requests_held(&self) -> usize {
        self.held.requests()
    }

    fn takes_requests(&self) -> bool {
        self.status == SessionStatus::Open && !self.draining
    }

    /// Bytes of buffers held for them.
    pub fn buffer_bytes_held(&self) -> usize {
        self.held.buffer_bytes()
    }
}

impl Session for NbdSession {
    fn vdisk(&self) -> VdiskId {
        self.receiver.vdisk()
    }

    fn space(&mut self, _pool: &mut BufferPool) -> &mut [u8] {
        // A complete message that is still in the input waits for room, or for `next_request`.
        if !self.takes_requests() || self.input_ended || self.receiver.has_step() {
            return &mut [];
        }
        self.receiver.space()
    }

    fn filled(&mut self, count: usize) {
        self.receiver.filled(count);
    }

    fn next_request(&mut self, pool: &mut BufferPool) -> Option<Request> {
        while self.takes_requests() {
            match self.receiver.step(&mut self.held, &mut self.replies, pool) {
                ReceiveStep::Request(request) => return Some(request),
                ReceiveStep::Continue => {}
                ReceiveStep::Wait => return None,
                ReceiveStep::Disconnect => {
                    self.disconnected = true;
                    self.status = SessionStatus::Finishing;
                }
                ReceiveStep::Broken(reason) => {
                    self.status = SessionStatus::Broken(reason.to_owned())
                }
            }
        }
        None
    }

    fn reply(&mut self, reply: Reply, pool: &mut BufferPool) {
        let Some(request) = self.held.remove(reply.handle) else {
            debug_assert!(false, "a reply came for a request that is not in flight");
            return if let Some(buffer) = reply.buffer {
                pool.put(buffer)
            };
        };
        let released = self.replies.push_reply(&request, reply, pool);
        self.held.release_buffer(released.charged_bytes);
        if let Some(buffer) = released.buffer {
            pool.put(buffer);
        }
    }

    fn outgoing<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.replies.outgoing(slices)
    }

    fn sent(&mut self, count: usize, pool: &mut BufferPool) {
        let held = &mut self.held;
        self.replies.sent(count, |piece| {
            if piece.is_last() {
                held.release_request();
            }
            held.release_buffer(piece.charged_bytes());
            if let Some(buffer) = piece.into_buffer() {
                pool.put(buffer);
            }
        });
    }

    fn end_of_input(&mut self) {
        self.input_ended = true;
    }

    fn drain(&mut self) {
        self.draining = true;
    }

    fn finish(&mut self) {
        if self.status == SessionStatus::Open {
            self.status = SessionStatus::Finishing;
        }
    }

    fn is_ended_by_peer(&self) -> bool {
        self.disconnected
    }

    fn status(&self) -> SessionStatus {
        if self.status == SessionStatus::Open && self.input_ended && !self.receiver.has_step() {
            return SessionStatus::Finishing;
        }
        self.status.clone()
    }

    fn abandon(&mut self, pool: &mut BufferPool) {
        self.input_ended = true;
        self.receiver.abandon(pool);
        for piece in self.replies.drain() {
            if let Some(buffer) = piece.into_buffer() {
                pool.put(buffer);
            }
        }
    }
}

#[cfg(test)]
mod tests;
