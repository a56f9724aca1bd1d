//! Which chunks of an extent without a zero map may hold anything but zeroes. Pure, in memory only.
//!
//! Such an extent lies in space that was zeroes when it was allocated, so its reads are right
//! without any map. The map is knowledge on top: for status requests, for reads whose zeroes need
//! not be sent, and for zeroing what is zeroes already. It begins with what the disk says at
//! opening (the holes of a file); for a disk that cannot tell, every chunk begins as allocated.
//!
//! Invariants: a chunk that is not allocated reads as zeroes. A chunk is allocated from before the
//! first write to it is sent until a zeroing or a discard of all of it, which had the chunk alone,
//! has succeeded.

use crate::geometry::CHUNK_BYTES;

const WORD_BITS: u64 = 64;

/// Searches for data in one vdisk's space at opening. A file with more pieces than this counts as
/// allocated from there on, so that opening stays short.
pub(crate) const SEARCHES_MAX: u32 = 1 << 17;

/// One bit per chunk.
#[derive(Debug)]
pub(crate) struct AllocationMap {
    chunks: u64,
    allocated: Vec<u64>,
}

impl AllocationMap {
    /// All of its chunks are allocated, or none is.
    pub(crate) fn new(extent_bytes: u64, allocated: bool) -> AllocationMap {
        let chunks = extent_bytes.div_ceil(CHUNK_BYTES);
        let word = if allocated { u64::MAX } else { 0 };
        AllocationMap {
            chunks,
            allocated: vec![word; chunks.div_ceil(WORD_BITS) as usize],
        }
    }

    /// The map of the space `range` of a disk, of which `data_after(from, to)` names the first
    /// range in `from..to` that may hold data.
    pub(crate) fn read(
        (start, end): (u64, u64),
        searches_left: &mut u32,
        mut data_after: impl FnMut(u64, u64) -> Option<(u64, u64)>,
    ) -> AllocationMap {
        let mut map = AllocationMap::new(end - start, false);
        let mut at = start;
        while at < end {
            let found = if *searches_left > 0 {
                *searches_left -= 1;
                data_after(at, end)
            } else {
                Some((at, end))
            };
            let Some((from, to)) = found else {
                break;
            };
            let behind = (to - start).div_ceil(CHUNK_BYTES);
            map.set((from - start) / CHUNK_BYTES, behind, true);
            at = start + behind * CHUNK_BYTES;
        }
        map
    }

    /// Whether the chunk may hold anything but zeroes.
    pub(crate) fn is_allocated(&self, chunk: u64) -> bool {
        self.allocated[(chunk / WORD_BITS) as usize] >> (chunk % WORD_BITS) & 1 == 1
    }

    /// Notes whether the chunks `from..to` are allocated; returns for how many that is a change.
    pub(crate) fn set(&mut self, from: u64, to: u64, allocated: bool) -> u64 {
        let to = to.min(self.chunks);
        let (mut at, mut changed) = (from, 0);
        while at < to {
            let until = to.min((at / WORD_BITS + 1) * WORD_BITS);
            let bits = (u64::MAX >> (WORD_BITS - (until - at))) << (at % WORD_BITS);
            let word = &mut self.allocated[(at / WORD_BITS) as usize];
            let differs = if allocated { !*word } else { *word } & bits;
            if differs != 0 {
                *word ^= differs;
                changed += u64::from(differs.count_ones());
            }
            at = until;
        }
        changed
    }

    /// How many chunks are allocated.
    pub(crate) fn allocated_chunks(&self) -> u64 {
        let words = (0..self.chunks)
            .step_by(WORD_BITS as usize)
            .zip(&self.allocated);
        let count = |(from, word): (u64, &u64)| {
            let here = (self.chunks - from).min(WORD_BITS);
            u64::from((word & (u64::MAX >> (WORD_BITS - here))).count_ones())
        };
        words.map(count).sum()
    }

    /// The first chunk in `chunk..limit` whose state differs from that of `chunk`, or `limit`.
    pub(crate) fn run_end(&self, chunk: u64, limit: u64) -> u64 {
        let limit = limit.min(self.chunks);
        let allocated = self.is_allocated(chunk);
        let mut at = chunk;
        while at < limit {
            let word = self.allocated[(at / WORD_BITS) as usize];
            let differs = if allocated { !word } else { word } >> (at % WORD_BITS);
            if differs != 0 {
                return limit.min(at + u64::from(differs.trailing_zeros()));
            }
            at = (at / WORD_BITS + 1) * WORD_BITS;
        }
        limit
    }
}

#[cfg(test)]
mod tests;
