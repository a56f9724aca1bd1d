//! Which chunks of an extent without a zero map may hold anything but zeroes. Pure, in memory only.
//!
//! Such an extent lies in space that was zeroes when it was given out, so nothing has to be kept for
//! its reads to be right; this is what is known on top: for status requests, for reads that need not
//! send zeroes, and for zeroing what is zeroes. It begins with what the disk says at opening (the
//! holes of a file); a disk that cannot tell begins with everything held.
//!
//! Invariants: a chunk that is not held reads as zeroes. A chunk is held from before the first write
//! to it is sent until a zeroing or a discard of all of it, which had the chunk alone, has succeeded.

use crate::zero_map::CHUNK_BYTES;

const WORD_BITS: u64 = 64;

/// One bit per chunk.
#[derive(Debug)]
pub(crate) struct Presence {
    chunks: u64,
    held: Vec<u64>,
}

impl Presence {
    /// Everything may be there (`held`), or nothing is.
    pub fn new(extent_bytes: u64, held: bool) -> Presence {
        let chunks = extent_bytes.div_ceil(CHUNK_BYTES);
        let word = if held { u64::MAX } else { 0 };
        Presence {
            chunks,
            held: vec![word; chunks.div_ceil(WORD_BITS) as usize],
        }
    }

    pub fn is_held(&self, chunk: u64) -> bool {
        self.held[(chunk / WORD_BITS) as usize] >> (chunk % WORD_BITS) & 1 == 1
    }

    /// Notes whether the chunks `from..to` are held; how many were not before, or were.
    pub fn set(&mut self, from: u64, to: u64, held: bool) -> u64 {
        let to = to.min(self.chunks);
        let (mut at, mut changed) = (from, 0);
        while at < to {
            let until = to.min((at / WORD_BITS + 1) * WORD_BITS);
            let bits = (u64::MAX >> (WORD_BITS - (until - at))) << (at % WORD_BITS);
            let word = &mut self.held[(at / WORD_BITS) as usize];
            let differs = if held { !*word } else { *word } & bits;
            if differs != 0 {
                *word ^= differs;
                changed += u64::from(differs.count_ones());
            }
            at = until;
        }
        changed
    }

    /// How many chunks are held.
    pub fn held_chunks(&self) -> u64 {
        let words = (0..self.chunks).step_by(WORD_BITS as usize).zip(&self.held);
        let count = |(from, word): (u64, &u64)| {
            let here = (self.chunks - from).min(WORD_BITS);
            u64::from((word & (u64::MAX >> (WORD_BITS - here))).count_ones())
        };
        words.map(count).sum()
    }

    /// The first chunk in `chunk..limit` whose state differs from that of `chunk`, or `limit`.
    pub fn run_end(&self, chunk: u64, limit: u64) -> u64 {
        let limit = limit.min(self.chunks);
        let held = self.is_held(chunk);
        let mut at = chunk;
        while at < limit {
            let word = self.held[(at / WORD_BITS) as usize];
            let differs = if held { !word } else { word } >> (at % WORD_BITS);
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
