//! Where the bytes of a vdisk are: extents with their zero maps, and the pieces that a request is
//! cut into. Pure.
//!
//! Invariants: a piece lies in one extent, starts and ends at the disk's blocks, and is at most a
//! quantum long; no piece reads from a chunk that was never written; extents start and end at
//! multiples of 1 MiB in the vdisk as on the disk, so chunks and blocks never straddle them.

use crate::presence::Presence;
use crate::zero_map::{CHUNK_BYTES, ZeroMap};
use disktime_engine::{RequestKind, StoredBytes};

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
    /// Which chunks may hold anything but zeroes, where there is no map and the disk holds data.
    pub presence: Option<Presence>,
}

/// The extents of an open vdisk, in order and without gaps from 0 on.
#[derive(Debug)]
pub(crate) struct Layout {
    pub extents: Vec<MappedExtent>,
    /// What is no hole, in whole chunks.
    pub stored: StoredBytes,
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
    /// Of these extents.
    pub fn new(extents: Vec<MappedExtent>) -> Layout {
        let stored = StoredBytes::default();
        stored.add(extents.iter().map(MappedExtent::stored_bytes).sum());
        Layout { extents, stored }
    }

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

    /// Notes that a write to the range is going to be sent.
    pub fn mark_held(&mut self, start: u64, end: u64) {
        for extent in &mut self.extents {
            let Some((from, to)) = extent.chunks(start, end) else {
                continue;
            };
            if let Some(presence) = &mut extent.presence {
                let new = presence.set(from, to, true);
                if new > 0 {
                    self.stored.add(new * CHUNK_BYTES);
                }
            }
        }
    }

    /// Notes that the whole chunks inside of the range read as zeroes from now on. `on_disk`: what is
    /// on the disk there is zeroes, too.
    pub fn mark_zero(&mut self, start: u64, end: u64, on_disk: bool) {
        for extent in &mut self.extents {
            let Some((from, to)) = extent.whole_chunks(start, end) else {
                continue;
            };
            let gone = match (&mut extent.map, &mut extent.presence) {
                (Some(map), _) => map.mark_zero(from, to),
                (None, Some(presence)) if on_disk => presence.set(from, to, false),
                _ => 0,
            };
            self.stored.subtract(gone * CHUNK_BYTES);
        }
    }

    /// Where the last extent ends: the vdisk's size or a little behind it.
    pub fn end_bytes(&self) -> u64 {
        self.extents.last().map_or(0, |extent| extent.end_bytes)
    }

    /// Whether the range can be zeroed faster than it is written: what is zeroes already, whole chunks
    /// with a map, and, if `disk_is_fast`, everything.
    pub fn zeroes_fast(&self, start: u64, end: u64, disk_is_fast: bool) -> bool {
        let mut at = start;
        while at < end {
            let (zero, stop) = self.zero_run(at, end);
            let by_map = self.extent(at).map.is_some() && whole_chunks(at, stop).is_some();
            if !zero && !disk_is_fast && !by_map {
                return false;
            }
            at = stop;
        }
        true
    }

    /// Notes that every chunk that the range touches is whole on the disk.
    pub fn mark_written(&mut self, start: u64, end: u64) {
        for extent in &mut self.extents {
            let Some((from, to)) = extent.chunks(start, end) else {
                continue;
            };
            if let Some(map) = &mut extent.map {
                let new = map.mark_written(from, to);
                if new > 0 {
                    self.stored.add(new * CHUNK_BYTES);
                }
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
            RequestKind::Read | RequestKind::Cache => self.next_on_disk(range.1, at, |stop| {
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
            RequestKind::Trim | RequestKind::Flush | RequestKind::Status => {
                self.next_not_zero(range.1, at, |stop| {
                    let end = stop.min(at + grain.quantum_bytes);
                    (Piece::Discard { start: at, end }, end)
                })
            }
            RequestKind::ZeroKeepingSpace => {
                self.next_on_disk(range.1, at, |stop| next_zero(at, stop, grain))
            }
            RequestKind::WriteZeroes | RequestKind::ZeroFast => {
                let map = self.extent(at).map.is_some();
                self.next_not_zero(range.1, at, |stop| match whole_chunks(at, stop) {
                    // Saying so in the map is enough for whole chunks.
                    Some((start, end)) if map && start == at => {
                        (Piece::Untouched { start, end }, end)
                    }
                    Some((start, _)) if map => next_zero(at, start, grain),
                    _ => next_zero(at, stop, grain),
                })
            }
        }
    }

    /// What is known to be zeroes is left alone as a whole; of the rest the near part is looked at.
    fn next_not_zero(
        &self,
        range_end: u64,
        at: u64,
        piece: impl FnOnce(u64) -> (Piece, u64),
    ) -> (Piece, u64) {
        match self.zero_run(at, range_end) {
            (true, end) => (Piece::Untouched { start: at, end }, end),
            (false, stop) => piece(stop),
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

    /// Whether the byte at `at` is known to read as zeroes because nothing is stored there, and up to
    /// where (at most `limit`) it goes on so in the same extent.
    pub fn zero_run(&self, at: u64, limit: u64) -> (bool, u64) {
        let extent = self.extent(at);
        let Some(presence) = &extent.presence else {
            let (written, end) = self.run(at, limit);
            return (!written, end);
        };
        let limit = limit.min(extent.end_bytes);
        let chunk = (at - extent.start_bytes) / CHUNK_BYTES;
        let last = (limit - extent.start_bytes).div_ceil(CHUNK_BYTES);
        let end = extent.start_bytes + presence.run_end(chunk, last) * CHUNK_BYTES;
        (!presence.is_held(chunk), end.min(limit))
    }

    /// The same, on into the next extents.
    #[inline]
    pub fn zero_run_of_all(&self, at: u64, limit: u64) -> (bool, u64) {
        let (zero, mut stop) = self.zero_run(at, limit);
        while stop < limit {
            let (same, next) = self.zero_run(stop, limit);
            if same != zero {
                break;
            }
            stop = next;
        }
        (zero, stop)
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
    fn stored_bytes(&self) -> u64 {
        match (&self.map, &self.presence) {
            (Some(map), _) => map.written_chunks() * CHUNK_BYTES,
            (None, Some(presence)) => presence.held_chunks() * CHUNK_BYTES,
            (None, None) => self.end_bytes - self.start_bytes,
        }
    }

    /// The chunks of the extent that a range of the vdisk touches.
    fn chunks(&self, start: u64, end: u64) -> Option<(u64, u64)> {
        let (start, end) = (start.max(self.start_bytes), end.min(self.end_bytes));
        let chunk = |at: u64| (at - self.start_bytes) / CHUNK_BYTES;
        (start < end).then(|| (chunk(start), chunk(end - 1) + 1))
    }

    /// The chunks of the extent that lie inside of a range of the vdisk as a whole.
    fn whole_chunks(&self, start: u64, end: u64) -> Option<(u64, u64)> {
        let (start, end) = (start.max(self.start_bytes), end.min(self.end_bytes));
        let (first, behind) = whole_chunks(start, end)?;
        let chunk = |at: u64| (at - self.start_bytes) / CHUNK_BYTES;
        Some((chunk(first), chunk(behind)))
    }
}

/// The part of a range that is whole chunks, if there is one.
pub(crate) fn whole_chunks(start: u64, end: u64) -> Option<(u64, u64)> {
    let (first, behind) = (start.next_multiple_of(CHUNK_BYTES), end - end % CHUNK_BYTES);
    (first < behind).then_some((first, behind))
}

/// The next piece of a zeroing of `at..stop`: whole blocks by the disk, parts of blocks by hand.
fn next_zero(at: u64, stop: u64, grain: Grain) -> (Piece, u64) {
    let end = grain.floor(stop).min(at + grain.quantum_bytes);
    if grain.is_aligned(at) && end > at {
        return (Piece::Zero { start: at, end }, end);
    }
    let start = grain.floor(at);
    let end = start + grain.block_bytes;
    (Piece::Modify { start, end }, end.min(stop))
}
