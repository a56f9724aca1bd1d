//! The content of a disk in virtual time: chunks of 64 KiB that were written; all others are
//! zeroes.
//!
//! Invariant: bytes from `kept_bytes` on are never kept, and read as zeroes.

use crate::ContentMap;
use std::collections::HashMap;

const CHUNK_BYTES: u64 = 64 << 10;

/// The chunks that were written.
#[derive(Debug)]
pub(super) struct Chunks {
    chunks: HashMap<u64, Box<[u8]>>,
    /// Bytes from here on are not kept.
    kept_bytes: u64,
}

impl Chunks {
    /// An empty store of the first `kept_bytes`.
    pub(super) fn new(kept_bytes: u64) -> Chunks {
        Chunks {
            chunks: HashMap::new(),
            kept_bytes,
        }
    }

    /// Calls `visit` for each part of the range in one chunk, with the chunk's number, the offset
    /// in it, and the length.
    fn pieces(mut offset: u64, mut len: u64, mut visit: impl FnMut(u64, usize, usize)) {
        while len > 0 {
            let inside = offset % CHUNK_BYTES;
            let piece = (CHUNK_BYTES - inside).min(len);
            visit(offset / CHUNK_BYTES, inside as usize, piece as usize);
            offset += piece;
            len -= piece;
        }
    }

    /// Reads; chunks that were not written are zeroes.
    pub(super) fn read(&self, offset: u64, into: &mut [u8]) {
        let mut done = 0;
        Self::pieces(offset, into.len() as u64, |chunk, inside, len| {
            let target = &mut into[done..done + len];
            match self.chunks.get(&chunk) {
                Some(bytes) => target.copy_from_slice(&bytes[inside..inside + len]),
                None => target.fill(0),
            }
            done += len;
        });
    }

    /// Writes the part of the range that is kept.
    pub(super) fn write(&mut self, offset: u64, from: &[u8]) {
        let kept = self
            .kept_bytes
            .saturating_sub(offset)
            .min(from.len() as u64);
        let mut done = 0;
        Self::pieces(offset, kept, |chunk, inside, len| {
            let empty = || vec![0; CHUNK_BYTES as usize].into_boxed_slice();
            let bytes = self.chunks.entry(chunk).or_insert_with(empty);
            bytes[inside..inside + len].copy_from_slice(&from[done..done + len]);
            done += len;
        });
    }

    /// Zeroes the range.
    pub(super) fn zero(&mut self, offset: u64, len: u64) {
        // The range may be the whole disk: then the written chunks are the shorter list.
        let end = offset + len;
        if len / CHUNK_BYTES <= self.chunks.len() as u64 {
            let chunks = &mut self.chunks;
            return Self::pieces(offset, len, |chunk, inside, len| {
                if len as u64 == CHUNK_BYTES {
                    chunks.remove(&chunk);
                } else if let Some(bytes) = chunks.get_mut(&chunk) {
                    bytes[inside..inside + len].fill(0);
                }
            });
        }
        self.chunks.retain(|chunk, bytes| {
            let start = chunk * CHUNK_BYTES;
            let from = offset.clamp(start, start + CHUNK_BYTES) - start;
            let to = end.clamp(start, start + CHUNK_BYTES) - start;
            bytes[from as usize..to as usize].fill(0);
            to - from < CHUNK_BYTES
        });
    }
}

impl ContentMap for Chunks {
    /// To the chunk; takes time linear in the number of chunks.
    fn data_after(&self, from: u64, to: u64) -> Option<(u64, u64)> {
        let (first, behind) = (from / CHUNK_BYTES, to.div_ceil(CHUNK_BYTES));
        let present = self.chunks.keys().copied();
        let next = present.filter(|at| (first..behind).contains(at)).min()?;
        let start = (next * CHUNK_BYTES).max(from);
        Some((start, ((next + 1) * CHUNK_BYTES).min(to)))
    }
}
