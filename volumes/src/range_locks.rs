//! Which requests may write to which ranges of one vdisk at the same time. Pure.
//!
//! Ordinary writes share a range; a read-modify-write, or a first write of a chunk, has it alone.
//! Reads take no lock: a read beside a write in flight may return the old bytes or the new ones.
//!
//! Invariants: no exclusive range overlaps another held range; a request never overtakes an
//! earlier one that it conflicts with; every request that waits is granted once the ones before
//! it are released. Bounded by the requests that a vdisk takes in.

use crate::ids::RequestId;
use std::collections::VecDeque;

/// A range that a request writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    id: RequestId,
    start_bytes: u64,
    end_bytes: u64,
    exclusive: bool,
}

impl Claim {
    /// `exclusive`: no other request may write to the range meanwhile.
    pub(crate) fn new(
        id: RequestId,
        (start_bytes, end_bytes): (u64, u64),
        exclusive: bool,
    ) -> Claim {
        Claim {
            id,
            start_bytes,
            end_bytes,
            exclusive,
        }
    }

    /// Whether it is about some byte of `start..end`.
    pub(crate) fn meets(&self, start: u64, end: u64) -> bool {
        self.start_bytes < end && start < self.end_bytes
    }

    fn conflicts(&self, other: &Claim) -> bool {
        (self.exclusive || other.exclusive) && self.meets(other.start_bytes, other.end_bytes)
    }
}

/// The claims of one vdisk.
#[derive(Debug, Default)]
pub(crate) struct RangeLocks {
    held: Vec<Claim>,
    held_exclusive: usize,
    waiting: VecDeque<Claim>,
}

impl RangeLocks {
    /// Space for that many requests without allocation.
    pub(crate) fn with_capacity(requests: usize) -> RangeLocks {
        RangeLocks {
            held: Vec::with_capacity(requests),
            held_exclusive: 0,
            waiting: VecDeque::with_capacity(requests),
        }
    }

    /// Whether the claim is granted at once. If not it waits, and [`RangeLocks::release`] names it
    /// later.
    pub(crate) fn claim(&mut self, claim: Claim) -> bool {
        let all_shared = !claim.exclusive && self.held_exclusive == 0 && self.waiting.is_empty();
        let free = all_shared
            || !self
                .held
                .iter()
                .chain(&self.waiting)
                .any(|earlier| claim.conflicts(earlier));
        if free {
            self.hold(claim);
        } else {
            self.waiting.push_back(claim);
        }
        free
    }

    /// Whether the claim is granted at once. If not, nothing has changed.
    pub(crate) fn try_claim(&mut self, claim: Claim) -> bool {
        let mut earlier = self.held.iter().chain(&self.waiting);
        if earlier.any(|earlier| claim.conflicts(earlier)) {
            return false;
        }
        self.hold(claim);
        true
    }

    /// Gives up what `id` holds, and appends those that are granted by that to `granted`, in their
    /// order. `refresh` states the claim of a waiting request anew: what its earlier neighbours
    /// wrote may have made an exclusive claim a shared one.
    pub(crate) fn release(
        &mut self,
        id: RequestId,
        mut refresh: impl FnMut(RequestId) -> Claim,
        granted: &mut VecDeque<RequestId>,
    ) {
        let Some(position) = self.held.iter().position(|claim| claim.id == id) else {
            return;
        };
        let gone = self.held.swap_remove(position);
        self.held_exclusive -= usize::from(gone.exclusive);
        let mut index = 0;
        while index < self.waiting.len() {
            let claim = refresh(self.waiting[index].id);
            self.waiting[index] = claim;
            let mut earlier = self.held.iter().chain(self.waiting.range(..index));
            if earlier.any(|other| claim.conflicts(other)) {
                index += 1;
                continue;
            }
            self.waiting.remove(index);
            self.hold(claim);
            granted.push_back(claim.id);
        }
    }

    fn hold(&mut self, claim: Claim) {
        self.held_exclusive += usize::from(claim.exclusive);
        self.held.push(claim);
    }
}

#[cfg(test)]
mod tests;
