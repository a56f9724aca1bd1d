//! Trims of one vdisk that are recorded as holes and of which the disk has not been told. Pure.
//!
//! The zero map has the holes, so nothing here has to survive: at opening every hole whose space
//! may hold anything counts as held again. A bit per chunk, so the memory is bounded by the size of
//! the vdisk (2 MiB per TiB).
//!
//! Invariant: a chunk that is held is a hole of a zero map, and no write to it was begun since.
//!
//! Not known here: when the disk is told, and by which I/O.

use crate::allocation_map::AllocationMap;
use crate::geometry::{CHUNK_BYTES, whole_chunks};
use disktime_engine::StoredBytes;

/// What is held of a vdisk.
#[derive(Debug)]
pub(crate) struct HeldTrims {
    chunks: AllocationMap,
    end_bytes: u64,
    /// How much, for the status.
    held: StoredBytes,
    /// Where the search for the next goes on.
    cursor: u64,
}

impl HeldTrims {
    /// Nothing of a vdisk whose extents end there.
    pub(crate) fn new(end_bytes: u64) -> HeldTrims {
        HeldTrims {
            chunks: AllocationMap::new(end_bytes, false),
            end_bytes,
            held: StoredBytes::default(),
            cursor: 0,
        }
    }

    /// The count of what is held.
    pub(crate) fn held(&self) -> &StoredBytes {
        &self.held
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.get() == 0
    }

    /// The whole chunks of a range have become holes.
    pub(crate) fn hold(&mut self, start: u64, end: u64) {
        if let Some((start, end)) = whole_chunks(start, end) {
            let new = self
                .chunks
                .set(start / CHUNK_BYTES, end / CHUNK_BYTES, true);
            self.held.add(new * CHUNK_BYTES);
        }
    }

    /// The chunks that a range touches are going to be used, or the disk is told of them.
    pub(crate) fn release(&mut self, start: u64, end: u64) {
        let last = end.div_ceil(CHUNK_BYTES);
        let gone = self.chunks.set(start / CHUNK_BYTES, last, false);
        self.held.subtract(gone * CHUNK_BYTES);
    }

    /// The search for the next goes on there.
    pub(crate) fn go_on_at(&mut self, at: u64) {
        self.cursor = at / CHUNK_BYTES;
    }

    /// The next range of which the disk is to be told, of at most `longest` bytes; around.
    pub(crate) fn next(&mut self, longest: u64) -> Option<(u64, u64)> {
        if self.is_empty() {
            return None;
        }
        let chunks = self.end_bytes.div_ceil(CHUNK_BYTES);
        let mut at = self.cursor;
        // Once around, and to the end of the run that it began in.
        for _ in 0..=chunks {
            if at >= chunks {
                at = 0;
            }
            if self.chunks.is_allocated(at) {
                break;
            }
            at = self.chunks.run_end(at, chunks);
        }
        let most = (longest / CHUNK_BYTES).max(1);
        let until = self.chunks.run_end(at, chunks.min(at + most));
        self.cursor = until;
        Some((at * CHUNK_BYTES, until * CHUNK_BYTES))
    }
}

#[cfg(test)]
mod tests;
