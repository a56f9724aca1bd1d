//! Who may write where in one vdisk. Pure.
//!
//! Ordinary writes share a range; a read-modify-write, or a first write of a chunk, has it alone.
//! Reads take no lock: a read that meets a write under way may see it or not.
//!
//! Invariants: no exclusive range overlaps another held range; a request never overtakes an
//! earlier one that it conflicts with; every request that waits is granted once the ones before
//! it are released. Bounded by the requests that a vdisk takes in.

use std::collections::VecDeque;

/// A range that a request writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The request.
    pub id: u32,
    /// First byte.
    pub start_bytes: u64,
    /// Behind the last byte.
    pub end_bytes: u64,
    /// Whether nobody else may write there meanwhile.
    pub exclusive: bool,
}

impl Claim {
    fn conflicts(&self, other: &Claim) -> bool {
        (self.exclusive || other.exclusive)
            && self.start_bytes < other.end_bytes
            && other.start_bytes < self.end_bytes
    }
}

/// The claims of one vdisk.
#[derive(Debug, Default)]
pub struct RangeLocks {
    held: Vec<Claim>,
    held_exclusive: usize,
    waiting: VecDeque<Claim>,
}

impl RangeLocks {
    /// Room for that many requests without allocation.
    pub fn with_capacity(requests: usize) -> RangeLocks {
        RangeLocks {
            held: Vec::with_capacity(requests),
            held_exclusive: 0,
            waiting: VecDeque::with_capacity(requests),
        }
    }

    /// Whether the claim is granted at once. If not it waits, and [`RangeLocks::release`] names it
    /// later.
    pub fn claim(&mut self, claim: Claim) -> bool {
        let nobody_cares = !claim.exclusive && self.held_exclusive == 0 && self.waiting.is_empty();
        let free = nobody_cares
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

    /// Gives up what `id` holds, and appends those that are granted by that to `granted`, in their
    /// order. `refresh` states the claim of a waiting request anew: what its earlier neighbours
    /// wrote may have made an exclusive claim a shared one.
    pub fn release(
        &mut self,
        id: u32,
        mut refresh: impl FnMut(u32) -> Claim,
        granted: &mut Vec<u32>,
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
            granted.push(claim.id);
        }
    }

    fn hold(&mut self, claim: Claim) {
        self.held_exclusive += usize::from(claim.exclusive);
        self.held.push(claim);
    }
}

#[cfg(test)]
mod tests;
