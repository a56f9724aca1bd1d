//! Where the bytes of a vdisk are: extents with their zero maps, and the pieces that a request is
//! cut into. Pure.
//!
//! Invariants: a piece lies in one extent, starts and ends at the disk's blocks, and is at most a
//! quantum long; no piece reads from a chunk that was never written; extents start and end at
//! multiples of 1 MiB in the vdisk as on the disk, so chunks and blocks never straddle them.

use crate::zero_map::{CHUNK_BYTES, ZeroMap};
use disktime_engine::RequestKind;

/// A read-modify-write of at most this many bytes is done in one go: reading a little too much
/// costs less than coming back for the other end.
const MODIFY_AT_ONCE_BYTES: u64 = 64 << 10;

/// How far ahead a written run is looked at; a multiple of every disk's quantum.
const SCAN_BYTES: u64 = 16 << 20;

/// An extent of an open vdisk.
#[derive(Debug)]
pub(crate) struct MappedExtent {
    /// Where it begins in the vdisk.
    pub start_bytes: u64,
    /// Where it ends in the vdisk.
    pub end_bytes: u64,
    /// Where it begins on the disk.
    pub disk_offset_bytes: u64,
    /// Which chunks were written; `None` if what is on the disk counts from the start.
    pub map: Option<ZeroMap>,
}

/// The extents of an open vdisk, in order and without gaps from 0 on.
#[derive(Debug)]
pub(crate) struct Layout {
    pub extents: Vec<MappedExtent>,
}

/// What the disk takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grain {
    pub block_bytes: u64,
    pub quantum_bytes: u64,
}

/// What to do with a part of a request; ranges are of the vdisk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Nothing on the disk: the range was never written and reads as zeroes.
    Untouched { start: u64, end: u64 },
    /// Read it.
    Read { start: u64, end: u64 },
    /// Write it: the request's bytes where it has them, zeroes elsewhere.
    Write { start: u64, end: u64 },
    /// Read it, put the request's bytes in, write it.
    Modify { start: u64, end: u64 },
    /// Have the disk zero it.
    Zero { start: u64, end: u64 },
    /// Tell the disk that it is not needed.
    Discard { start: u64, end: u64 },
}

impl Grain {
    pub fn floor(&self, at: u64) -> u64 {
        at - at % self.block_bytes
    }

    pub fn ceil(&self, at: u64) -> u64 {
        at.next_multiple_of(self.block_bytes)
    }

    pub fn is_aligned(&self, at: u64) -> bool {
        at.is_multiple_of(self.block_bytes)
    }
}

impl Layout {
    /// Where a byte of the vdisk lies on the disk.
    pub fn disk_offset(&self, at: u64) -> u64 {
        let extent = self.extent(at);
        extent.disk_offset_bytes + (at - extent.start_bytes)
    }

    /// Whether some chunk of the range was never written.
    pub fn any_unwritten(&self, start: u64, end: u64) -> bool {
        let mut at = start;
        while at < end {
            let (written, run_end) = self.run(at, end);
            if !written {
                return true;
            }
            at = run_end;
        }
        false
    }

    /// Whether a crash now would find every chunk of the range written.
    pub fn all_durable(&self, start: u64, end: u64) -> bool {
        self.mapped_chunks(start, end)
            .all(|(map, from, to)| map.is_durable(from, to))
    }

    /// Notes that every chunk that the range touches is whole on the disk.
    pub fn mark_written(&mut self, start: u64, end: u64) {
        for extent in &mut self.extents {
            let Some((from, to)) = extent.chunks(start, end) else {
                continue;
            };
            if let Some(map) = &mut extent.map {
                map.mark_written(from, to);
            }
        }
    }

    /// What has to be written for a write of `start..end`: wider than it where it begins or ends
    /// inside of a chunk that was never written.
    pub fn padded(&self, start: u64, end: u64) -> (u64, u64) {
        let chunk = |at: u64| at - at % CHUNK_BYTES;
        let first = if self.run(start, start + 1).0 {
            start
        } else {
            chunk(start)
        };
        let last = if self.run(end - 1, end).0 {
            end
        } else {
            chunk(end - 1) + CHUNK_BYTES
        };
        (first, last)
    }

    /// The next piece of a request for `range` of the vdisk, from `at` on (`at < range.1`), and
    /// where the piece after it begins. For a write the range is the padded one.
    pub fn next_piece(
        &self,
        kind: RequestKind,
        range: (u64, u64),
        at: u64,
        grain: Grain,
    ) -> (Piece, u64) {
        match kind {
            RequestKind::Write => self.next_write(range.1, at, grain),
            RequestKind::Read => self.next_on_disk(range.1, at, |stop| {
                let start = grain.floor(at);
                let stop = stop.min(start + grain.quantum_bytes);
                (
                    Piece::Read {
                        start,
                        end: grain.ceil(stop),
                    },
                    stop,
                )
            }),
            RequestKind::Trim | RequestKind::Flush => self.next_on_disk(range.1, at, |stop| {
                let end = stop.min(at + grain.quantum_bytes);
                (Piece::Discard { start: at, end }, end)
            }),
            RequestKind::WriteZeroes => self.next_on_disk(range.1, at, |stop| {
                let end = grain.floor(stop).min(at + grain.quantum_bytes);
                if grain.is_aligned(at) && end > at {
                    return (Piece::Zero { start: at, end }, end);
                }
                let start = grain.floor(at);
                let end = start + grain.block_bytes;
                (Piece::Modify { start, end }, end.min(stop))
            }),
        }
    }

    fn next_on_disk(
        &self,
        range_end: u64,
        at: u64,
        piece: impl FnOnce(u64) -> (Piece, u64),
    ) -> (Piece, u64) {
        // A written run is consumed piece by piece, so only the near part of it is looked at; an
        // unwritten one is consumed whole.
        if let (true, stop) = self.run(at, range_end.min(at + SCAN_BYTES)) {
            return piece(stop);
        }
        match self.run(at, range_end) {
            (true, stop) => piece(stop),
            (false, stop) => (
                Piece::Untouched {
                    start: at,
                    end: stop,
                },
                stop,
            ),
        }
    }

    fn next_write(&self, range_end: u64, at: u64, grain: Grain) -> (Piece, u64) {
        let stop = range_end.min(self.extent(at).end_bytes);
        let start = grain.floor(at);
        let whole_end = grain.ceil(stop);
        let is_whole = grain.is_aligned(at) && grain.is_aligned(stop);
        let at_once = MODIFY_AT_ONCE_BYTES.min(grain.quantum_bytes);
        if !is_whole && whole_end - start <= at_once && !self.any_unwritten(start, whole_end) {
            return (
                Piece::Modify {
                    start,
                    end: whole_end,
                },
                stop,
            );
        }
        let end = grain.floor(stop).min(at + grain.quantum_bytes);
        if grain.is_aligned(at) && end > at {
            return (Piece::Write { start: at, end }, end);
        }
        let end = start + grain.block_bytes;
        (Piece::Modify { start, end }, end.min(stop))
    }

    /// Whether the byte at `at` is on the disk, and up to where (at most `limit`) it goes on so in
    /// the same extent.
    fn run(&self, at: u64, limit: u64) -> (bool, u64) {
        let extent = self.extent(at);
        let limit = limit.min(extent.end_bytes);
        let Some(map) = &extent.map else {
            return (true, limit);
        };
        let chunk = (at - extent.start_bytes) / CHUNK_BYTES;
        let last = (limit - extent.start_bytes).div_ceil(CHUNK_BYTES);
        let end = extent.start_bytes + map.run_end(chunk, last) * CHUNK_BYTES;
        (map.is_written(chunk), end.min(limit))
    }

    fn extent(&self, at: u64) -> &MappedExtent {
        let index = self
            .extents
            .partition_point(|extent| extent.end_bytes <= at);
        &self.extents[index]
    }

    fn mapped_chunks(&self, start: u64, end: u64) -> impl Iterator<Item = (&ZeroMap, u64, u64)> {
        self.extents.iter().filter_map(move |extent| {
            let (from, to) = extent.chunks(start, end)?;
            Some((extent.map.as_ref()?, from, to))
        })
    }
}

impl MappedExtent {
    /// The chunks of the extent that a range of the vdisk touches.
    fn chunks(&self, start: u64, end: u64) -> Option<(u64, u64)> {
        let (start, end) = (start.max(self.start_bytes), end.min(self.end_bytes));
        let chunk = |at: u64| (at - self.start_bytes) / CHUNK_BYTES;
        (start < end).then(|| (chunk(start), chunk(end - 1) + 1))
    }
}
