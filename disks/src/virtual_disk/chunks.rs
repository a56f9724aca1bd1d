//! The content of a disk in virtual time: chunks of 64 KiB that were written; all others are
//! zeroes.
//!
//! Invariants: bytes from `kept_bytes` on are never kept, and read as zeroes; a page of a chunk
//! that is zeroes takes no memory, so that a simulation whose clients write zeroes needs little.

use crate::ContentMap;
use std::collections::HashMap;

const CHUNK_BYTES: u64 = 64 << 10;
const PAGE_BYTES: usize = 4096;
const PAGES: usize = CHUNK_BYTES as usize / PAGE_BYTES;

/// A chunk that was written.
#[derive(Debug, Default)]
struct Chunk {
    /// `None`: zeroes.
    pages: [Option<Box<[u8; PAGE_BYTES]>>; PAGES],
}

impl Chunk {
    /// Writes within the page at `at`, which has `from` from `inside` on after that.
    fn write(&mut self, at: usize, inside: usize, from: &[u8]) {
        let is_zero = from.iter().all(|byte| *byte == 0);
        let page = &mut self.pages[at];
        if is_zero && (page.is_none() || from.len() == PAGE_BYTES) {
            *page = None;
            return;
        }
        let bytes = page.get_or_insert_with(|| Box::new([0; PAGE_BYTES]));
        bytes[inside..inside + from.len()].copy_from_slice(from);
    }

    /// Zeroes a range of the chunk.
    fn zero(&mut self, from: usize, to: usize) {
        let mut at = from;
        while at < to {
            let page = at / PAGE_BYTES;
            let end = to.min((page + 1) * PAGE_BYTES);
            let inside = at - page * PAGE_BYTES;
            if end - at == PAGE_BYTES {
                self.pages[page] = None;
            } else if let Some(bytes) = &mut self.pages[page] {
                bytes[inside..inside + (end - at)].fill(0);
            }
            at = end;
        }
    }
}

/// The chunks that were written.
#[derive(Debug)]
pub(super) struct Chunks {
    chunks: HashMap<u64, Chunk>,
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

    /// Calls `visit` for each part of the range in one piece of `step` bytes, with the piece's
    /// number, the offset in it, and the length.
    fn pieces(step: u64, mut offset: u64, mut len: u64, mut visit: impl FnMut(u64, usize, usize)) {
        while len > 0 {
            let inside = offset % step;
            let piece = (step - inside).min(len);
            visit(offset / step, inside as usize, piece as usize);
            offset += piece;
            len -= piece;
        }
    }

    /// The same for pages, with the number of the chunk and that of the page in it.
    fn pages(offset: u64, len: u64, mut visit: impl FnMut((u64, usize), usize, usize)) {
        Self::pieces(PAGE_BYTES as u64, offset, len, |page, inside, len| {
            let place = (page / PAGES as u64, page as usize % PAGES);
            visit(place, inside, len);
        });
    }

    /// Reads; chunks that were not written are zeroes.
    pub(super) fn read(&self, offset: u64, into: &mut [u8]) {
        let mut done = 0;
        Self::pages(offset, into.len() as u64, |(chunk, page), inside, len| {
            let target = &mut into[done..done + len];
            let page = self.chunks.get(&chunk).map(|chunk| &chunk.pages[page]);
            match page {
                Some(Some(bytes)) => target.copy_from_slice(&bytes[inside..inside + len]),
                _ => target.fill(0),
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
        Self::pages(offset, kept, |(chunk, page), inside, len| {
            let chunk = self.chunks.entry(chunk).or_default();
            chunk.write(page, inside, &from[done..done + len]);
            done += len;
        });
    }

    /// Zeroes the range.
    pub(super) fn zero(&mut self, offset: u64, len: u64) {
        // The range may be the whole disk: then the written chunks are the shorter list.
        let end = offset + len;
        if len / CHUNK_BYTES <= self.chunks.len() as u64 {
            let chunks = &mut self.chunks;
            return Self::pieces(CHUNK_BYTES, offset, len, |at, inside, len| {
                if len as u64 == CHUNK_BYTES {
                    chunks.remove(&at);
                } else if let Some(chunk) = chunks.get_mut(&at) {
                    chunk.zero(inside, inside + len);
                }
            });
        }
        self.chunks.retain(|at, chunk| {
            let start = at * CHUNK_BYTES;
            let from = offset.clamp(start, start + CHUNK_BYTES) - start;
            let to = end.clamp(start, start + CHUNK_BYTES) - start;
            chunk.zero(from as usize, to as usize);
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
