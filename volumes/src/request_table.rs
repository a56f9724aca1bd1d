//! The request table: the requests that were taken in and are not answered yet.
//!
//! Invariants:
//! - Requests and bytes in flight per vdisk are bounded ([`MAX_REQUESTS`], [`MAX_REQUEST_BYTES`]);
//!   a request beyond that is not admitted and stays with its frontend.
//! - Each request is completed exactly once: completing it takes it out of the table and turns it
//!   into its reply, and a number that is not in use panics.
//! - Requests that change a vdisk hold a claim on their range from before they begin until they
//!   release it; conflicting ones begin in the order in which they came.
//! - A request waits for its turn to be cut at most once at a time; requests of a vdisk take
//!   turns.
//!
//! Nothing is allocated per request once the table has grown.
//!
//! Not known here: layouts, pieces, disks; what a request claims is computed by the splitter.

use crate::histories;
use crate::ids::{RequestId, VdiskSlot};
use crate::range_locks::{Claim, RangeLocks};
use crate::request::PendingRequest;
use crate::request_header::held_bytes;
use disktime_engine::{IoError, Reply, ReplyDetail, Request, RequestKind};
use slab::Slab;
use std::collections::VecDeque;

/// Most requests that a vdisk has in flight; further ones stay with the frontend.
pub const MAX_REQUESTS: usize = 256;
/// Most bytes of reads and writes that a vdisk has in flight (one request may be larger).
pub const MAX_REQUEST_BYTES: u64 = 64 << 20;

/// The requests of all vdisks of a set.
#[derive(Debug)]
pub(crate) struct RequestTable {
    requests: Slab<Entry>,
    /// By slot.
    vdisks: Vec<VdiskRequests>,
    /// Requests whose claim was granted by a release and that have not been begun.
    granted: VecDeque<RequestId>,
    /// Requests in flight that are no status.
    using: usize,
}

#[derive(Debug)]
struct Entry {
    request: PendingRequest,
    /// It is in its vdisk's queue of requests to be cut.
    is_queued: bool,
}

/// What the table keeps for each vdisk.
#[derive(Debug)]
struct VdiskRequests {
    in_flight: usize,
    /// Those of them that are no status.
    using: usize,
    in_flight_bytes: u64,
    locks: RangeLocks,
    /// Requests with pieces to be cut, each in turn.
    to_cut: VecDeque<RequestId>,
}

impl VdiskRequests {
    fn new() -> VdiskRequests {
        VdiskRequests {
            in_flight: 0,
            using: 0,
            in_flight_bytes: 0,
            locks: RangeLocks::with_capacity(MAX_REQUESTS),
            to_cut: VecDeque::with_capacity(MAX_REQUESTS),
        }
    }
}

impl RequestTable {
    pub(crate) fn new() -> RequestTable {
        RequestTable {
            requests: Slab::new(),
            vdisks: Vec::new(),
            granted: VecDeque::with_capacity(MAX_REQUESTS),
            using: 0,
        }
    }

    /// Makes space for a vdisk.
    pub(crate) fn make_room(&mut self, slot: VdiskSlot) {
        while self.vdisks.len() <= slot.index() {
            self.vdisks.push(VdiskRequests::new());
        }
    }

    /// How many requests are in flight.
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// How many of them are a vdisk's.
    pub(crate) fn len_of(&self, slot: VdiskSlot) -> usize {
        self.vdisks[slot.index()].in_flight
    }

    /// Whether vdisks but this have requests in flight that are no status.
    pub(crate) fn others_are_used(&self, slot: VdiskSlot) -> bool {
        self.using > self.vdisks[slot.index()].using
    }

    /// Whether a request of this kind and length is within the vdisk's bounds now.
    pub(crate) fn admits(&self, slot: VdiskSlot, kind: RequestKind, len_bytes: u64) -> bool {
        let vdisk = &self.vdisks[slot.index()];
        let bytes = vdisk
            .in_flight_bytes
            .saturating_add(held_bytes(kind, len_bytes));
        vdisk.in_flight == 0 || (vdisk.in_flight < MAX_REQUESTS && bytes <= MAX_REQUEST_BYTES)
    }

    /// Takes in a request that was admitted.
    pub(crate) fn insert(&mut self, slot: VdiskSlot, request: Request) -> RequestId {
        let request = PendingRequest::new(slot, request);
        let uses = usize::from(request.kind() != RequestKind::Status);
        self.using += uses;
        let vdisk = &mut self.vdisks[slot.index()];
        vdisk.in_flight += 1;
        vdisk.using += uses;
        vdisk.in_flight_bytes += request.header().held_bytes();
        let is_queued = false;
        RequestId::new(self.requests.insert(Entry { request, is_queued }) as u32)
    }

    pub(crate) fn get(&self, id: RequestId) -> &PendingRequest {
        &self.requests[id.index()].request
    }

    pub(crate) fn get_mut(&mut self, id: RequestId) -> &mut PendingRequest {
        &mut self.requests[id.index()].request
    }

    /// The server stops: what was not cut yet fails.
    pub(crate) fn fail_uncut(&mut self) {
        let requests = self.requests.iter_mut();
        let all = requests.map(|(_, entry)| &mut entry.request);
        // What a log has begun goes on: a failed write would be final for it.
        all.filter(|request| request.origin() != histories::ORIGIN)
            .for_each(PendingRequest::fail_uncut);
    }

    /// The client of these requests is gone: what was not cut yet is dropped.
    pub(crate) fn abandon_uncut_of(&mut self, origin: u64) {
        let requests = self.requests.iter_mut();
        let all = requests.map(|(_, entry)| &mut entry.request);
        all.filter(|request| request.origin() == origin)
            .for_each(PendingRequest::abandon_uncut);
    }

    /// Whether the claim is granted at once. If not, a later release grants it.
    pub(crate) fn claim(&mut self, slot: VdiskSlot, claim: Claim) -> bool {
        self.vdisks[slot.index()].locks.claim(claim)
    }

    /// Releases a request's claim; [`RequestTable::take_granted`] then names those that have theirs
    /// by that. `claim_of` states the claim of one that waits anew.
    pub(crate) fn release(
        &mut self,
        id: RequestId,
        claim_of: impl Fn(RequestId, &PendingRequest) -> Claim,
    ) {
        let slot = self.requests[id.index()].request.slot();
        self.release_of(slot, id, claim_of);
    }

    /// Claims a range of a vdisk for a discard that no request asked for, unless it is in use.
    pub(crate) fn hold_range(&mut self, slot: VdiskSlot, range: (u64, u64)) -> bool {
        let claim = Claim::new(RequestId::NONE, range, true);
        self.vdisks[slot.index()].locks.try_claim(claim)
    }

    /// Releases that claim, as [`RequestTable::release`] does.
    pub(crate) fn release_range(
        &mut self,
        slot: VdiskSlot,
        claim_of: impl Fn(RequestId, &PendingRequest) -> Claim,
    ) {
        self.release_of(slot, RequestId::NONE, claim_of);
    }

    fn release_of(
        &mut self,
        slot: VdiskSlot,
        id: RequestId,
        claim_of: impl Fn(RequestId, &PendingRequest) -> Claim,
    ) {
        let requests = &self.requests;
        let refresh = |waiting: RequestId| claim_of(waiting, &requests[waiting.index()].request);
        let locks = &mut self.vdisks[slot.index()].locks;
        locks.release(id, refresh, &mut self.granted);
    }

    /// A request that has its claim by the releases so far, if there is one.
    pub(crate) fn take_granted(&mut self) -> Option<RequestId> {
        self.granted.pop_front()
    }

    /// Puts a request at the end of its vdisk's queue of those with pieces to be cut.
    pub(crate) fn queue(&mut self, id: RequestId) {
        let entry = &mut self.requests[id.index()];
        debug_assert!(!entry.is_queued);
        entry.is_queued = true;
        let vdisk = &mut self.vdisks[entry.request.slot().index()];
        vdisk.to_cut.push_back(id);
    }

    /// Whether some request of the vdisk is in that queue.
    pub(crate) fn has_queued(&self, slot: VdiskSlot) -> bool {
        !self.vdisks[slot.index()].to_cut.is_empty()
    }

    /// Takes the first out of that queue.
    pub(crate) fn take_queued(&mut self, slot: VdiskSlot) -> Option<RequestId> {
        let id = self.vdisks[slot.index()].to_cut.pop_front()?;
        self.requests[id.index()].is_queued = false;
        Some(id)
    }

    /// Whether all pieces of a request were cut and are back, and it waits for no turn.
    pub(crate) fn is_data_done(&self, id: RequestId) -> bool {
        let entry = &self.requests[id.index()];
        !entry.is_queued && entry.request.is_data_done()
    }

    /// Takes a request out of the table; the reply is its only one.
    pub(crate) fn complete(
        &mut self,
        id: RequestId,
        result: Result<(), IoError>,
        detail: ReplyDetail,
    ) -> Reply {
        let entry = self.requests.try_remove(id.index());
        let Entry { request, is_queued } = entry.expect("a request is completed exactly once");
        debug_assert!(!is_queued, "a request was answered with pieces to be cut");
        let uses = usize::from(request.kind() != RequestKind::Status);
        self.using -= uses;
        let vdisk = &mut self.vdisks[request.slot().index()];
        vdisk.in_flight -= 1;
        vdisk.using -= uses;
        vdisk.in_flight_bytes -= request.header().held_bytes();
        request.into_reply(result, detail)
    }
}

#[cfg(test)]
mod tests;
