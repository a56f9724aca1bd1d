//! The transmission phase of one connection, without I/O: requests in, replies out, simple or
//! structured as the handshake agreed.
//!
//! Invariants:
//! - A request holds its place from the moment its header is taken until its reply is sent to the
//!   last byte. Places and bytes of buffers are limited; while a header finds no room it stays
//!   where it is, and `space` is empty. So a peer that reads no replies is soon not read either.
//! - The data of a write go into the request's own buffer; only what arrived together with the
//!   header is copied. The data of a refused write are thrown away through the input buffer.
//! - Nothing is allocated per request once the pool is warm.
//!
//! A requirement on the caller: call `next_request` again after `sent`, even when the socket has
//! nothing to read. Complete requests may have waited here for room.

mod gaps;
mod incoming;
mod outgoing;

use crate::export::Export;
use crate::negotiated::Negotiated;
use crate::protocol::RequestHeader;
use disktime_engine::{BufferPool, Reply, Request, Session, SessionStatus};
use incoming::{Input, Stage, Taken};
use outgoing::Outgoing;
use std::any::Any;
use std::collections::VecDeque;
use std::io::IoSlice;

/// What a session may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Most requests taken and not yet answered to the last byte.
    pub requests: usize,
    /// Most bytes of buffers held by them. One request is always let through, so a request longer
    /// than this is served alone.
    pub buffer_bytes: usize,
    /// Size of the buffer for headers and short data.
    pub input_bytes: usize,
}

impl Default for SessionLimits {
    fn default() -> SessionLimits {
        SessionLimits {
            requests: 256,
            buffer_bytes: 64 << 20,
            input_bytes: 64 << 10,
        }
    }
}

/// A request whose header was taken and which the service has or will get.
#[derive(Debug, Clone, Copy)]
struct Slot {
    cookie: u64,
    /// What its buffer counts for; kept here because another buffer might come back.
    charged_bytes: usize,
    offset_bytes: u64,
    len_bytes: u32,
    /// Its data or descriptors come in one piece.
    single: bool,
    in_use: bool,
}

/// One connection that uses one export.
pub struct NbdSession {
    export: Export,
    negotiated: Negotiated,
    limits: SessionLimits,
    input: Input,
    stage: Stage,
    slots: Vec<Slot>,
    free_slots: Vec<u32>,
    /// Replies on their way to the peer, in pieces.
    outgoing: VecDeque<Outgoing>,
    /// How many bytes of the first of `outgoing` were sent.
    front_sent: usize,
    /// Requests taken and not yet answered to the last byte.
    requests: usize,
    /// Bytes of buffers that they hold.
    buffer_bytes: usize,
    status: SessionStatus,
    draining: bool,
    /// The peer sends nothing any more; what is here already is still served.
    input_ended: bool,
    /// Whether the last `space` lay in a write's buffer.
    space_in_payload: bool,
    /// Dropped with the session: the listener counts connections by it.
    _lease: Option<Box<dyn Any + Send>>,
}

impl NbdSession {
    /// A session for `export`. `carried` is what the client sent right behind the handshake.
    pub fn new(export: Export, limits: SessionLimits, carried: &[u8]) -> NbdSession {
        let limits = SessionLimits {
            requests: limits.requests.max(1),
            ..limits
        };
        let input_bytes = limits
            .input_bytes
            .max(RequestHeader::BYTES)
            .max(carried.len());
        let mut bytes = vec![0; input_bytes].into_boxed_slice();
        bytes[..carried.len()].copy_from_slice(carried);
        let unused = Slot {
            cookie: 0,
            charged_bytes: 0,
            offset_bytes: 0,
            len_bytes: 0,
            single: false,
            in_use: false,
        };
        NbdSession {
            export,
            negotiated: Negotiated::default(),
            limits,
            input: Input {
                bytes,
                start: 0,
                end: carried.len(),
            },
            stage: Stage::Header,
            slots: vec![unused; limits.requests],
            free_slots: (0..limits.requests as u32).rev().collect(),
            outgoing: VecDeque::with_capacity(limits.requests),
            front_sent: 0,
            requests: 0,
            buffer_bytes: 0,
            status: SessionStatus::Open,
            draining: false,
            input_ended: false,
            space_in_payload: false,
            _lease: None,
        }
    }

    /// Speaks as the handshake agreed.
    pub fn with_negotiated(mut self, negotiated: Negotiated) -> NbdSession {
        self.negotiated = negotiated;
        self
    }

    /// Keeps `lease` until the session is dropped.
    pub fn with_lease(mut self, lease: Box<dyn Any + Send>) -> NbdSession {
        self._lease = Some(lease);
        self
    }

    /// Requests taken and not yet answered to the last byte.
    pub fn requests_held(&self) -> usize {
        self.requests
    }

    /// Bytes of buffers held for them.
    pub fn buffer_bytes_held(&self) -> usize {
        self.buffer_bytes
    }

    fn free_slot(&mut self, slot: u32) -> (u64, usize) {
        let entry = &mut self.slots[slot as usize];
        entry.in_use = false;
        self.free_slots.push(slot);
        (entry.cookie, entry.charged_bytes)
    }
}

/// The slices for the next system call.
struct Slices<'s, 'a> {
    slices: &'s mut [IoSlice<'a>],
    used: usize,
    /// Bytes that were sent already.
    skip: usize,
}

impl<'a> Slices<'_, 'a> {
    /// Adds what of `part` was not sent yet; whether there was room.
    #[inline]
    fn add(&mut self, part: &'a [u8]) -> bool {
        let here = part.get(self.skip..).unwrap_or(&[]);
        self.skip = self.skip.saturating_sub(part.len());
        if here.is_empty() {
            return true;
        }
        let Some(slice) = self.slices.get_mut(self.used) else {
            return false;
        };
        *slice = IoSlice::new(here);
        self.used += 1;
        true
    }
}

impl Session for NbdSession {
    fn space(&mut self, _pool: &mut BufferPool) -> &mut [u8] {
        // What is complete and still here waits for room, or for `next_request`.
        if self.status != SessionStatus::Open || self.input_ended || self.has_step() {
            return &mut [];
        }
        // Until `next_request` has moved what is there, more of it must come behind it.
        let behind = self.input.start < self.input.end;
        self.space_in_payload = false;
        match &mut self.stage {
            Stage::Payload { buffer, filled, .. } if !behind => {
                self.space_in_payload = true;
                &mut buffer[*filled..]
            }
            _ => self.input.space(),
        }
    }

    fn filled(&mut self, count: usize) {
        match &mut self.stage {
            Stage::Payload { filled, .. } if self.space_in_payload => *filled += count,
            _ => self.input.end += count,
        }
    }

    fn next_request(&mut self, pool: &mut BufferPool) -> Option<Request> {
        while self.status == SessionStatus::Open {
            let taken = match self.stage {
                Stage::Header => self.take_header(pool),
                Stage::Payload { .. } => self.take_payload(pool),
                Stage::Skip { .. } => self.skip_payload(),
            };
            match taken? {
                Taken::Request(request) => return Some(request),
                Taken::Inside => {}
            }
        }
        None
    }

    fn reply(&mut self, reply: Reply, pool: &mut BufferPool) {
        let known = usize::try_from(reply.handle)
            .ok()
            .and_then(|slot| self.slots.get(slot))
            .copied()
            .filter(|slot| slot.in_use);
        let Some(slot) = known else {
            debug_assert!(false, "a reply came for a request that is not under way");
            return if let Some(buffer) = reply.buffer {
                pool.put(buffer)
            };
        };
        self.free_slot(reply.handle as u32);
        self.queue_reply(slot, reply, pool);
    }

    fn outgoing<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let mut out = Slices {
            slices,
            used: 0,
            skip: self.front_sent,
        };
        for reply in &self.outgoing {
            let mut fits = out.add(reply.head()) && out.add(reply.body());
            if reply.has_gaps() {
                fits = fits && reply.behind_gaps().all(|part| out.add(part));
            }
            if !fits {
                break;
            }
        }
        out.used
    }

    fn sent(&mut self, count: usize, pool: &mut BufferPool) {
        self.front_sent += count;
        while let Some(front) = self.outgoing.front() {
            let len = front.len();
            if self.front_sent < len {
                return;
            }
            self.front_sent -= len;
            if let Some(done) = self.outgoing.pop_front() {
                self.requests -= usize::from(done.last);
                self.buffer_bytes -= done.charged_bytes;
                if let Some(buffer) = done.data {
                    pool.put(buffer);
                }
            }
        }
        debug_assert_eq!(self.front_sent, 0, "more was sent than there was");
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

    fn status(&self) -> SessionStatus {
        if self.status == SessionStatus::Open && self.input_ended && !self.has_step() {
            return SessionStatus::Finishing;
        }
        self.status.clone()
    }

    fn abandon(&mut self, pool: &mut BufferPool) {
        self.input_ended = true;
        self.input.start = self.input.end;
        self.front_sent = 0;
        if let Stage::Payload { buffer, .. } = std::mem::replace(&mut self.stage, Stage::Header) {
            pool.put(buffer);
        }
        for reply in self.outgoing.drain(..) {
            if let Some(buffer) = reply.data {
                pool.put(buffer);
            }
        }
    }
}

#[cfg(test)]
mod tests;
