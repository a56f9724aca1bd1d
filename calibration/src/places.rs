//! Where the requests of a probe lie.
//!
//! Invariant: every range is inside the device and begins at a multiple of its length.

use crate::probe::Places;
use disktime_random::SplitMix64;

/// The places of one probe after the other.
#[derive(Debug)]
pub(crate) struct PlaceSource {
    size_bytes: u64,
    random: SplitMix64,
    next_sequential: u64,
    last: u64,
}

impl PlaceSource {
    pub(crate) fn new(size_bytes: u64, seed: u64) -> PlaceSource {
        PlaceSource {
            size_bytes,
            random: SplitMix64::new(seed),
            next_sequential: 0,
            last: 0,
        }
    }

    /// The start of the next request of that length.
    pub(crate) fn next(&mut self, places: Places, len_bytes: u64) -> u64 {
        let slots = (self.size_bytes / len_bytes.max(1)).max(1);
        let slot = match places {
            Places::Random => self.random.below(slots),
            Places::Sequential => {
                let slot = self.next_sequential.div_ceil(len_bytes.max(1));
                let slot = if slot < slots { slot } else { 0 };
                self.next_sequential = (slot + 1) * len_bytes;
                slot
            }
            Places::Apart(distance) => self.apart(slots, distance / len_bytes.max(1)),
        };
        self.last = slot;
        slot * len_bytes
    }

    /// A slot about `distance` slots from the last one: a part of 32 more or less, so that a
    /// drive does not find what it has just read.
    fn apart(&mut self, slots: u64, distance: u64) -> u64 {
        let last = self.last.min(slots - 1);
        let spread = (distance / 32).max(1);
        let step = (distance + self.random.below(2 * spread))
            .saturating_sub(spread)
            .max(1);
        let up = last.checked_add(step).filter(|slot| *slot < slots);
        let down = last.checked_sub(step);
        match (up, down) {
            (Some(up), Some(down)) if self.random.below(2) == 0 => up.max(down),
            (_, Some(down)) => down,
            (Some(up), None) => up,
            // Neither fits from here: near the far end is as far as it goes.
            (None, None) => {
                let near = self.random.below(spread.min(slots));
                if last < slots / 2 {
                    slots - 1 - near
                } else {
                    near
                }
            }
        }
    }
}
