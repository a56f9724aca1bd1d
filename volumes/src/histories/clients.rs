//! What clients have asked of a vdisk with a history and is not answered yet.
//!
//! Invariants: as in the request table: requests and bytes are bounded, each is answered once, and
//! those that change the vdisk hold a claim on the blocks that they touch.

use crate::ids::RequestId;
use crate::range_locks::{Claim, RangeLocks};
use crate::request_header::held_bytes;
use crate::request_table::{MAX_REQUEST_BYTES, MAX_REQUESTS};
use disktime_engine::{Buffer, IoError, Reply, ReplyDetail, Request, RequestKind};
use disktime_history::{UNIT_BYTES, View};
use slab::Slab;
use std::collections::VecDeque;

pub(super) const BLOCK: u64 = UNIT_BYTES as u64;

/// A part of a change, as the log takes it.
#[derive(Debug)]
pub(super) enum ChangePart {
    /// Blocks are written: the data of the request itself, or these.
    Write { lba: u64, data: Option<Vec<u8>> },
    /// Blocks read as zeroes.
    Zero {
        lba: u64,
        blocks: u64,
        trimmed: bool,
    },
}

/// A request that is not answered.
#[derive(Debug)]
pub(super) struct Client {
    request: Request,
    view: View,
    /// What the log has not taken of a change.
    pub(super) parts: VecDeque<ChangePart>,
    /// Parts that the log has, or blocks that are read for the change.
    pub(super) outstanding: usize,
    /// Blocks that it changes a part of, with what they hold.
    pub(super) edges: Vec<(u64, Buffer)>,
    pub(super) error: Option<(IoError, Option<u64>)>,
    has_claim: bool,
    /// It came while a revert was being done, and has not begun.
    pub(super) waits_for_revert: bool,
}

impl Client {
    pub(super) fn kind(&self) -> RequestKind {
        self.request.kind
    }

    pub(super) fn view(&self) -> View {
        self.view
    }

    pub(super) fn start(&self) -> u64 {
        self.request.offset_bytes
    }

    pub(super) fn end(&self) -> u64 {
        self.request.offset_bytes + self.request.len_bytes
    }

    pub(super) fn fua(&self) -> bool {
        self.request.fua
    }

    pub(super) fn data(&self) -> &[u8] {
        self.request.buffer.as_deref().unwrap_or_default()
    }

    pub(super) fn take_buffer(&mut self) -> Option<Buffer> {
        self.request.buffer.take()
    }

    pub(super) fn give_buffer(&mut self, buffer: Option<Buffer>) {
        self.request.buffer = buffer;
    }

    pub(super) fn buffer_mut(&mut self) -> Option<&mut Buffer> {
        self.request.buffer.as_mut()
    }

    pub(super) fn fail(&mut self, error: IoError, at: Option<u64>) {
        self.error.get_or_insert((error, at));
    }

    /// The blocks that a change touches: whole ones for a trim, else also those in part.
    pub(super) fn blocks(&self) -> (u64, u64) {
        let (start, end) = (self.start(), self.end());
        match self.kind() {
            RequestKind::Trim => {
                let first = start.div_ceil(BLOCK);
                (first, (end / BLOCK).max(first))
            }
            _ => (start / BLOCK, end.div_ceil(BLOCK)),
        }
    }

    /// Whether it changes blocks in part.
    pub(super) fn has_edges(&self) -> bool {
        let is_whole = self.start().is_multiple_of(BLOCK) && self.end().is_multiple_of(BLOCK);
        self.kind() != RequestKind::Trim && !is_whole
    }

    fn claim(&self, id: RequestId) -> Claim {
        let (first, end) = self.blocks();
        Claim::new(id, (first * BLOCK, end * BLOCK), self.has_edges())
    }
}

/// The requests of one vdisk.
#[derive(Debug)]
pub(super) struct Clients {
    requests: Slab<Client>,
    bytes: u64,
    locks: RangeLocks,
    granted: VecDeque<RequestId>,
}

impl Clients {
    pub(super) fn new() -> Clients {
        Clients {
            requests: Slab::new(),
            bytes: 0,
            locks: RangeLocks::with_capacity(MAX_REQUESTS),
            granted: VecDeque::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether some request for the newest content has begun, or will not wait for a revert.
    pub(super) fn any_before_revert(&self) -> bool {
        let mut requests = self.requests.iter();
        requests.any(|(_, client)| client.view == View::Now && !client.waits_for_revert)
    }

    /// Whether a request is within the vdisk's bounds now.
    pub(super) fn admits(&self, request: &Request) -> bool {
        let more = held_bytes(request.kind, request.len_bytes);
        let bytes = self.bytes.saturating_add(more);
        self.requests.is_empty()
            || (self.requests.len() < MAX_REQUESTS && bytes <= MAX_REQUEST_BYTES)
    }

    pub(super) fn insert(&mut self, request: Request, view: View) -> usize {
        self.bytes += held_bytes(request.kind, request.len_bytes);
        self.requests.insert(Client {
            request,
            view,
            parts: VecDeque::new(),
            outstanding: 0,
            edges: Vec::new(),
            error: None,
            has_claim: false,
            waits_for_revert: false,
        })
    }

    pub(super) fn get(&self, key: usize) -> &Client {
        &self.requests[key]
    }

    pub(super) fn get_mut(&mut self, key: usize) -> &mut Client {
        &mut self.requests[key]
    }

    /// Whether a change may begin now; if not, [`Clients::take_granted`] names it later.
    pub(super) fn claim(&mut self, key: usize) -> bool {
        self.requests[key].has_claim = true;
        let claim = self.requests[key].claim(RequestId::new(key as u32));
        self.locks.claim(claim)
    }

    /// A change that may begin since an earlier one was answered.
    pub(super) fn take_granted(&mut self) -> Option<usize> {
        self.granted.pop_front().map(RequestId::index)
    }

    /// Takes a request out; its reply is its only one.
    pub(super) fn complete(&mut self, key: usize) -> Reply {
        if self.requests[key].has_claim {
            let requests = &self.requests;
            let refresh = |waiting: RequestId| requests[waiting.index()].claim(waiting);
            let id = RequestId::new(key as u32);
            self.locks.release(id, refresh, &mut self.granted);
        }
        let client = self.requests.remove(key);
        let request = client.request;
        self.bytes -= held_bytes(request.kind, request.len_bytes);
        let (result, detail) = match client.error {
            None => (Ok(()), ReplyDetail::Nothing),
            Some((error, Some(at))) => (Err(error), ReplyDetail::FailedAt(at)),
            Some((error, None)) => (Err(error), ReplyDetail::Nothing),
        };
        Reply {
            detail,
            ..request.reply(result)
        }
    }
}
