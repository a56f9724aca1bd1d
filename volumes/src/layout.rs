//! Where the bytes of a vdisk are: its extents with what is known of them. Pure.
//!
//! Invariants: extents follow one another without gaps from 0 on; they start and end at multiples
//! of 1 MiB in the vdisk as on the disk, so chunks and blocks never straddle them; `stored` counts
//! the bytes that are no hole after every change: in whole chunks, or as the space map has them.
//!
//! Two maps tell holes from data, and an extent has at most one of them. A *zero map* is kept on
//! the disk where the disk may hold old bytes: a chunk that it does not call written reads as
//! zeroes without I/O. An *allocation map* is in memory only, where the disk was zeroes from the
//! start: reads always go to the disk there, and the map says what they will find. Beside either, a
//! *space map* tells what of it has its space below (`layout/space.rs`).

mod space;

pub(crate) use space::Space;

use crate::allocation_map::AllocationMap;
use crate::commit::Stage;
use crate::geometry::{CHUNK_BYTES, whole_chunks};
use crate::space_map::SpaceMap;
use crate::target::Target;
use crate::zero_map::{Half, ZeroMap};
use disktime_engine::StoredBytes;

/// What is known of an extent's chunks.
#[derive(Debug)]
pub(crate) enum Known {
    /// What is on the disk counts from the start, and nothing more is known.
    Nothing,
    /// Which chunks were written; the others read as zeroes whatever is on the disk.
    Written(ZeroMap),
    /// Which chunks may hold anything but zeroes.
    Allocated(AllocationMap),
}

/// An extent of an open vdisk.
#[derive(Debug)]
pub(crate) struct MappedExtent {
    start_bytes: u64,
    end_bytes: u64,
    target: Target,
    known: Known,
    /// Which of it has its space below; `None` where the space is the disk's own.
    space: Option<SpaceMap>,
    /// Which of what counts as held may have no space below; `None` until a write has failed.
    unsure: Option<SpaceMap>,
}

/// The extents of an open vdisk.
#[derive(Debug)]
pub(crate) struct Layout {
    extents: Vec<MappedExtent>,
    size_bytes: u64,
    stored: StoredBytes,
}

impl Layout {
    /// A vdisk of `size_bytes`, which its extents reach or exceed.
    pub(crate) fn new(extents: Vec<MappedExtent>, size_bytes: u64) -> Layout {
        let stored = StoredBytes::default();
        stored.add(extents.iter().map(MappedExtent::stored_bytes).sum());
        Layout {
            extents,
            size_bytes,
            stored,
        }
    }

    /// The vdisk's size.
    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Where the last extent ends: the vdisk's size or a little behind it.
    pub(crate) fn end_bytes(&self) -> u64 {
        self.extents.last().map_or(0, |extent| extent.end_bytes)
    }

    /// Where its last byte on the disk ends.
    pub(crate) fn disk_end_bytes(&self) -> u64 {
        let ends = self.extents.iter().map(|extent| {
            let len_bytes = extent.end_bytes - extent.start_bytes;
            extent.target.offset_bytes() + len_bytes
        });
        ends.max().unwrap_or(0)
    }

    /// The count of what is stored.
    pub(crate) fn stored(&self) -> &StoredBytes {
        &self.stored
    }

    /// How many extents there are.
    pub(crate) fn extent_count(&self) -> usize {
        self.extents.len()
    }

    /// Where a byte of the vdisk lies.
    pub(crate) fn target(&self, at: u64) -> Target {
        let extent = self.extent(at);
        extent.target.advanced(at - extent.start_bytes)
    }

    /// Where the extent ends that holds the byte at `at`.
    pub(crate) fn extent_end(&self, at: u64) -> u64 {
        self.extent(at).end_bytes
    }

    /// Whether the extent at `at` has a zero map.
    pub(crate) fn has_map(&self, at: u64) -> bool {
        matches!(self.extent(at).known, Known::Written(_))
    }

    /// Whether every extent has a zero map.
    pub(crate) fn has_maps(&self) -> bool {
        let is_mapped = |extent: &MappedExtent| matches!(extent.known, Known::Written(_));
        self.extents.iter().all(is_mapped)
    }

    /// The runs of the range with a zero map that hold anything, or space.
    pub(crate) fn each_mapped_run(&self, start: u64, end: u64, mut found: impl FnMut(u64, u64)) {
        let mut at = start;
        while at < end {
            let (is_returned, stop) = self.returned_run(at, end);
            if !is_returned && self.has_map(at) {
                found(at, stop);
            }
            at = stop;
        }
    }

    /// Whether some chunk of the range was never written.
    pub(crate) fn any_unwritten(&self, start: u64, end: u64) -> bool {
        let mut at = start;
        while at < end {
            let (written, run_end) = self.written_run(at, end);
            if !written {
                return true;
            }
            at = run_end;
        }
        false
    }

    /// Whether a crash now would find every chunk of the range written.
    pub(crate) fn all_durable(&self, start: u64, end: u64) -> bool {
        self.extents.iter().all(|extent| {
            let Known::Written(map) = &extent.known else {
                return true;
            };
            let chunks = extent.chunks(start, end);
            chunks.is_none_or(|(from, to)| map.is_durable(from, to))
        })
    }

    /// Whether a crash now would find the chunk of the byte at `at` called a hole, and up to where
    /// (at most `limit`) that holds in the same extent.
    pub(crate) fn durable_hole_run(&self, at: u64, limit: u64) -> (bool, u64) {
        let extent = self.extent(at);
        let limit = limit.min(extent.end_bytes);
        match &extent.known {
            Known::Written(map) => {
                extent.run(at, limit, |chunk, last| map.durable_hole_run(chunk, last))
            }
            Known::Nothing | Known::Allocated(_) => (false, limit),
        }
    }

    /// Whether no zero map has changed since it was written.
    pub(crate) fn maps_are_saved(&self) -> bool {
        self.extents.iter().all(|extent| match &extent.known {
            Known::Written(map) => map.is_saved(),
            Known::Allocated(_) | Known::Nothing => true,
        })
    }

    /// What has to be written for a write of `start..end`: wider than it where it begins or ends
    /// inside of a chunk that was never written.
    pub(crate) fn padded(&self, start: u64, end: u64) -> (u64, u64) {
        let chunk = |at: u64| at - at % CHUNK_BYTES;
        let first = match self.written_run(start, start + 1) {
            (true, _) => start,
            (false, _) => chunk(start),
        };
        let last = match self.written_run(end - 1, end) {
            (true, _) => end,
            (false, _) => chunk(end - 1) + CHUNK_BYTES,
        };
        (first, last)
    }

    /// Whether the byte at `at` is on the disk, and up to where (at most `limit`) that holds in
    /// the same extent.
    pub(crate) fn written_run(&self, at: u64, limit: u64) -> (bool, u64) {
        let extent = self.extent(at);
        let limit = limit.min(extent.end_bytes);
        match &extent.known {
            Known::Written(map) => extent.run(at, limit, |chunk, last| {
                (map.is_written(chunk), map.run_end(chunk, last))
            }),
            Known::Nothing | Known::Allocated(_) => (true, limit),
        }
    }

    /// Whether the byte at `at` is known to be a hole, and up to where (at most `limit`) that holds
    /// in the same extent.
    pub(crate) fn hole_run(&self, at: u64, limit: u64) -> (bool, u64) {
        let extent = self.extent(at);
        let limit = limit.min(extent.end_bytes);
        match &extent.known {
            Known::Nothing => (false, limit),
            Known::Written(map) => extent.run(at, limit, |chunk, last| {
                (!map.is_written(chunk), map.run_end(chunk, last))
            }),
            Known::Allocated(map) => extent.run(at, limit, |chunk, last| {
                (!map.is_allocated(chunk), map.run_end(chunk, last))
            }),
        }
    }

    /// The same, on into the next extents.
    #[inline]
    pub(crate) fn hole_run_across(&self, at: u64, limit: u64) -> (bool, u64) {
        let (hole, mut stop) = self.hole_run(at, limit);
        while stop < limit {
            let (same, next) = self.hole_run(stop, limit);
            if same != hole {
                break;
            }
            stop = next;
        }
        (hole, stop)
    }

    /// Notes that a write to the range is going to be sent.
    pub(crate) fn mark_allocated(&mut self, start: u64, end: u64) {
        for extent in &mut self.extents {
            let (chunks, by_space) = (extent.chunks(start, end), extent.counts_space());
            if let (Some((from, to)), Known::Allocated(map)) = (chunks, &mut extent.known) {
                let new = map.set(from, to, true);
                if new > 0 && !by_space {
                    self.stored.add(new * CHUNK_BYTES);
                }
            }
        }
    }

    /// Notes that every chunk that the range touches is whole on the disk.
    pub(crate) fn mark_written(&mut self, start: u64, end: u64) {
        for extent in &mut self.extents {
            let chunks = extent.chunks(start, end);
            if let (Some((from, to)), Known::Written(map)) = (chunks, &mut extent.known) {
                let new = map.mark_written(from, to);
                if new > 0 {
                    self.stored.add(new * CHUNK_BYTES);
                }
            }
        }
    }

    /// Notes that the whole chunks inside of the range read as zeroes from now on. `on_disk`: what
    /// is on the disk there is zeroes, too.
    pub(crate) fn mark_hole(&mut self, start: u64, end: u64, on_disk: bool) {
        for extent in &mut self.extents {
            let Some((from, to)) = extent.whole_chunks(start, end) else {
                continue;
            };
            let by_space = extent.counts_space();
            let gone = match &mut extent.known {
                Known::Written(map) => map.mark_zero(from, to),
                Known::Allocated(map) if on_disk => map.set(from, to, false),
                Known::Allocated(_) | Known::Nothing => 0,
            };
            if !by_space {
                self.stored.subtract(gone * CHUNK_BYTES);
            }
        }
    }

    fn extent(&self, at: u64) -> &MappedExtent {
        let index = self
            .extents
            .partition_point(|extent| extent.end_bytes <= at);
        &self.extents[index]
    }
}

/// The zero maps on their way to the disk.
impl Layout {
    /// Takes a snapshot of every map that has changed.
    pub(crate) fn begin_snapshot(&mut self) {
        for map in self.maps_mut() {
            map.take_snapshot();
        }
    }

    /// Lists the writes of one half of the snapshot. `writer` is the place of the maps' disk and
    /// who pays for them.
    pub(crate) fn list_saving(&self, half: Half, stages: &mut Vec<Stage>, writer: Target) {
        for (extent, mapped) in self.extents.iter().enumerate().rev() {
            if let Known::Written(map) = &mapped.known
                && map.saving() > 0
            {
                stages.push(Stage::write_map(extent, half, map.saving(), writer));
            }
        }
    }

    /// Encodes a block of an extent's snapshot, and says where on the disk it goes.
    pub(crate) fn encode_map_block(
        &mut self,
        (extent, half): (usize, Half),
        which: usize,
        block: &mut [u8],
    ) -> u64 {
        match &mut self.extents[extent].known {
            Known::Written(map) => map.encode_saving(which, half, block),
            Known::Nothing | Known::Allocated(_) => {
                unreachable!("blocks were listed for extent {extent}, which has no zero map")
            }
        }
    }

    /// The snapshot is durable (`saved`), or it is not known what became of it.
    pub(crate) fn finish_snapshot(&mut self, saved: bool) {
        for map in self.maps_mut() {
            map.finish_snapshot(saved);
        }
    }

    fn maps_mut(&mut self) -> impl Iterator<Item = &mut ZeroMap> {
        self.extents
            .iter_mut()
            .filter_map(|extent| match &mut extent.known {
                Known::Written(map) => Some(map),
                Known::Nothing | Known::Allocated(_) => None,
            })
    }
}

impl MappedExtent {
    /// The bytes `start_bytes..end_bytes` of the vdisk, which begin at `target`.
    pub(crate) fn new(
        (start_bytes, end_bytes): (u64, u64),
        target: Target,
        known: Known,
    ) -> MappedExtent {
        MappedExtent {
            start_bytes,
            end_bytes,
            target,
            known,
            space: None,
            unsure: None,
        }
    }

    fn stored_bytes(&self) -> u64 {
        if let Some(space) = self.space.as_ref().filter(|_| self.counts_space()) {
            return space.held_bytes();
        }
        match &self.known {
            Known::Written(map) => map.written_chunks() * CHUNK_BYTES,
            Known::Allocated(map) => map.allocated_chunks() * CHUNK_BYTES,
            Known::Nothing => self.end_bytes - self.start_bytes,
        }
    }

    /// A run of chunks as `state_and_end` gives it for the chunk of `at`, as bytes of the vdisk.
    fn run(
        &self,
        at: u64,
        limit: u64,
        state_and_end: impl FnOnce(u64, u64) -> (bool, u64),
    ) -> (bool, u64) {
        let chunk = (at - self.start_bytes) / CHUNK_BYTES;
        let last = (limit - self.start_bytes).div_ceil(CHUNK_BYTES);
        let (state, end) = state_and_end(chunk, last);
        (state, limit.min(self.start_bytes + end * CHUNK_BYTES))
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
