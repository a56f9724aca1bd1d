//! The drive's cache: segments of sectors that were read and read ahead, and writes that are
//! reported but not yet on the medium.
//!
//! Invariants: the number of segments and of dirty extents is fixed when the model is built, so
//! that no request allocates; a segment never holds more than its length. Segments hold sector
//! numbers, never data.

use super::parameters::WriteInvalidation;

/// Bound on separate runs of dirty sectors.
const MOST_DIRTY_EXTENTS: usize = 256;

/// A run of sectors in the cache, from `start` up to `end`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Segment {
    pub start: u64,
    pub end: u64,
}

/// Segments, replaced by least recent use.
#[derive(Debug, Clone)]
pub(crate) struct Segments {
    slots: Vec<Segment>,
    /// When each was used last; a vector of its own, as it is scanned most.
    used: Vec<u64>,
    /// Sectors of a segment.
    pub length: u64,
    clock: u64,
}

impl Segments {
    pub(crate) fn new(count: u32, length: u32) -> Segments {
        let slots = vec![Segment::default(); count as usize];
        Segments {
            used: vec![0; slots.len()],
            slots,
            length: u64::from(length),
            clock: 0,
        }
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> Segment {
        self.slots[index]
    }

    /// The segment that holds sector `first`, or ends just before it; of several, the one that
    /// holds most.
    #[inline]
    pub(crate) fn find(&mut self, first: u64) -> Option<usize> {
        let mut found: Option<usize> = None;
        for (index, slot) in self.slots.iter().enumerate() {
            let holds = slot.start <= first && first <= slot.end && slot.start < slot.end;
            if holds && found.is_none_or(|best| self.slots[best].end < slot.end) {
                found = Some(index);
            }
        }
        if let Some(index) = found {
            self.touch(index);
        }
        found
    }

    fn touch(&mut self, index: usize) {
        self.clock += 1;
        self.used[index] = self.clock;
    }

    /// Takes the least recently used segment for a run from `start`; `None` without a cache.
    #[inline]
    pub(crate) fn allocate(&mut self, start: u64) -> Option<usize> {
        let mut index = 0;
        let mut least = *self.used.first()?;
        for (other, used) in self.used.iter().enumerate() {
            if *used < least {
                (index, least) = (other, *used);
            }
        }
        self.slots[index] = Segment { start, end: start };
        self.touch(index);
        Some(index)
    }

    /// Adds the sectors from `start` up to the segment's start; the nearest ones are kept if not
    /// all fit.
    pub(crate) fn prepend(&mut self, index: usize, start: u64) {
        let slot = &mut self.slots[index];
        let room = slot.end.saturating_sub(self.length);
        slot.start = slot.start.min(start.max(room));
    }

    /// Extends a segment to `end`, dropping its oldest sectors beyond its length.
    #[inline]
    pub(crate) fn extend(&mut self, index: usize, end: u64) {
        let slot = &mut self.slots[index];
        slot.end = slot.end.max(end);
        slot.start = slot.start.max(slot.end.saturating_sub(self.length));
    }

    /// Drops the sectors that a write of `start` up to `end` makes stale.
    #[inline]
    pub(crate) fn invalidate(&mut self, start: u64, end: u64, effect: WriteInvalidation) {
        if effect == WriteInvalidation::All {
            return self.clear();
        }
        for (slot, used) in self.slots.iter_mut().zip(&mut self.used) {
            if slot.start >= end || start >= slot.end {
                continue;
            }
            if effect == WriteInvalidation::Segment {
                // An empty segment is reused first.
                (*slot, *used) = (Segment::default(), 0);
            } else if end < slot.end {
                // The sectors after the write are more likely to be read next.
                slot.start = end;
            } else {
                slot.end = start.max(slot.start);
            }
        }
    }

    pub(crate) fn clear(&mut self) {
        self.used.fill(0);
        self.slots.fill(Segment::default());
    }
}

/// Dirty runs in the order in which they were written.
#[derive(Debug, Clone)]
pub(crate) struct DirtyQueue {
    extents: std::collections::VecDeque<(u64, u64)>,
    sectors: u64,
    limit: u64,
}

impl DirtyQueue {
    pub(crate) fn new(limit: u64) -> DirtyQueue {
        let extents = std::collections::VecDeque::with_capacity(MOST_DIRTY_EXTENTS);
        DirtyQueue {
            extents,
            sectors: 0,
            limit,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.extents.is_empty()
    }

    /// Whether a write of `count` sectors can be held, if necessary after others were destaged.
    pub(crate) fn can_ever_hold(&self, count: u64) -> bool {
        count <= self.limit
    }

    pub(crate) fn has_room(&self, count: u64) -> bool {
        self.sectors + count <= self.limit && self.extents.len() < MOST_DIRTY_EXTENTS
    }

    /// Adds a run; one that continues or repeats the last run is merged with it.
    pub(crate) fn push(&mut self, start: u64, end: u64) {
        if let Some(last) = self.extents.back_mut()
            && start >= last.0
            && start <= last.1
        {
            self.sectors += end.saturating_sub(last.1);
            last.1 = last.1.max(end);
            return;
        }
        self.sectors += end - start;
        self.extents.push_back((start, end));
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, u64)> {
        let (start, end) = self.extents.pop_front()?;
        self.sectors -= end - start;
        Some((start, end))
    }
}

#[cfg(test)]
mod tests;
