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
mod tests {
    use super::*;

    fn claim(id: u32, start_bytes: u64, end_bytes: u64, exclusive: bool) -> Claim {
        Claim {
            id,
            start_bytes,
            end_bytes,
            exclusive,
        }
    }

    #[test]
    fn shared_claims_overlap_and_exclusive_ones_wait_in_order() {
        let mut locks = RangeLocks::default();
        let later = claim(3, 0, 50, false);
        let alone = claim(2, 40, 60, true);
        assert!(locks.claim(claim(0, 0, 100, false)));
        assert!(locks.claim(claim(1, 0, 100, false)));
        assert!(!locks.claim(alone));
        assert!(
            !locks.claim(later),
            "a shared claim overtook an exclusive one that waits"
        );
        assert!(
            locks.claim(claim(4, 60, 70, false)),
            "a neighbour that touches nothing waited"
        );
        let refresh = |id| if id == 2 { alone } else { later };
        let mut granted = Vec::new();
        locks.release(0, refresh, &mut granted);
        locks.release(4, refresh, &mut granted);
        assert!(granted.is_empty());
        locks.release(1, refresh, &mut granted);
        assert_eq!(granted, [2]);
        locks.release(2, refresh, &mut granted);
        assert_eq!(granted, [2, 3]);
    }

    #[test]
    fn a_claim_that_became_shared_lets_the_others_in() {
        let mut locks = RangeLocks::default();
        assert!(locks.claim(claim(0, 0, 64, true)));
        for id in 1..5 {
            assert!(!locks.claim(claim(id, 0, 64, true)));
        }
        let mut granted = Vec::new();
        locks.release(0, |id| claim(id, 0, 64, false), &mut granted);
        assert_eq!(granted, [1, 2, 3, 4]);
    }
}
