//! The requests in flight at a flash drive, each with a time before which it cannot end.
//!
//! Invariants: a request's time only rises; once its end is known, its time is its end. So the
//! least time of all is never after the next completion, and is the next completion if the end of
//! that request is known. A write that waits for the buffer has no time here.

use crate::ModelRequest;
use disktime_units::Nanos;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A request's place among those in flight.
pub(super) type Slot = u32;

/// The time of a request that waits for the buffer.
const NO_TIME: Nanos = Nanos::MAX;

/// One request in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) what: ModelRequest,
    /// Pieces of a read that are not at the link yet.
    pub(super) pieces_left: u32,
    /// Bytes of a write that are not in the buffer yet.
    pub(super) unbuffered_bytes: u64,
    earliest: Nanos,
    finished: bool,
}

/// All requests in flight.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    requests: Vec<Request>,
    free: Vec<Slot>,
    /// Times and requests. Older times of a request stay until they are the least.
    times: BinaryHeap<Reverse<(Nanos, Slot)>>,
}

impl InFlight {
    /// Adds a request that cannot end before `earliest`.
    pub(super) fn insert(&mut self, what: ModelRequest, earliest: Nanos) -> Slot {
        let request = Request {
            what,
            pieces_left: 0,
            unbuffered_bytes: what.len_bytes,
            earliest,
            finished: false,
        };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.requests[slot as usize] = request;
                slot
            }
            None => {
                self.requests.push(request);
                (self.requests.len() - 1) as Slot
            }
        };
        self.times.push(Reverse((earliest, slot)));
        slot
    }

    pub(super) fn get_mut(&mut self, slot: Slot) -> &mut Request {
        &mut self.requests[slot as usize]
    }

    pub(super) fn get(&self, slot: Slot) -> &Request {
        &self.requests[slot as usize]
    }

    /// The request does not end before that.
    pub(super) fn raise(&mut self, slot: Slot, earliest: Nanos) {
        let request = &mut self.requests[slot as usize];
        if earliest > request.earliest || request.earliest == NO_TIME {
            request.earliest = earliest;
            self.times.push(Reverse((earliest, slot)));
        }
    }

    /// The request waits for the buffer: nothing is known of its end.
    pub(super) fn suspend(&mut self, slot: Slot) {
        self.requests[slot as usize].earliest = NO_TIME;
    }

    /// The request ends at that time.
    pub(super) fn finish(&mut self, slot: Slot, at: Nanos) {
        let request = &mut self.requests[slot as usize];
        debug_assert!(request.earliest == NO_TIME || request.earliest <= at);
        request.finished = true;
        if request.earliest != at {
            request.earliest = at;
            self.times.push(Reverse((at, slot)));
        }
    }

    /// Drops times that a later one has replaced, so that [`InFlight::first`] is up to date.
    pub(super) fn prune(&mut self) {
        while let Some(Reverse((time, slot))) = self.times.peek() {
            if self.requests[*slot as usize].earliest == *time {
                return;
            }
            self.times.pop();
        }
    }

    /// The least time, its request, and whether it ends then.
    pub(super) fn first(&self) -> Option<(Nanos, Slot, bool)> {
        let Reverse((time, slot)) = self.times.peek()?;
        Some((*time, *slot, self.requests[*slot as usize].finished))
    }

    /// Removes the first request, which ends.
    pub(super) fn remove_first(&mut self) -> Option<ModelRequest> {
        let Reverse((_, slot)) = self.times.pop()?;
        let request = &mut self.requests[slot as usize];
        debug_assert!(request.finished, "only a request that ends is removed");
        request.earliest = NO_TIME;
        self.free.push(slot);
        Some(request.what)
    }
}
