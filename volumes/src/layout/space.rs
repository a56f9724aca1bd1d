//! What a layout knows of the space below a disk's file: where a write may find none, where a trim
//! gives some back, and what is left to be set aside. Elsewhere, the space is the disk's own.

use super::{Known, Layout, MappedExtent};
use crate::geometry::CHUNK_BYTES;
use crate::space_map::SpaceMap;

/// What is known of the space of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    /// It has none, and reads as zeroes.
    Missing,
    /// A write to it failed: it may have some, and hold some of the data.
    Unsure,
    /// It has its own.
    Held,
}

/// How far ahead a run of zeroes that have their space is followed; a multiple of every quantum.
const SCAN_BYTES: u64 = 16 << 20;

impl Layout {
    /// Whether there is nothing to give back for the byte at `at`: its chunk is a hole here, and no
    /// part of it has its space below. Up to where (at most `limit`) that holds in the same extent;
    /// of what has its space, the near part.
    pub(crate) fn returned_run(&self, at: u64, limit: u64) -> (bool, u64) {
        let (hole, stop) = self.hole_run(at, limit);
        let extent = self.extent(at);
        let Some(space) = extent.space.as_ref().filter(|_| hole) else {
            return (hole, stop);
        };
        let (start, base) = (at, extent.start_bytes);
        let chunk_of = |at: u64| at - (at - base) % CHUNK_BYTES;
        let first_held = |from: u64, to: u64| match space.run(from - base, to - base) {
            (true, _) => from,
            (false, end) => base + end,
        };
        let held = first_held(chunk_of(start), stop);
        if held >= stop {
            return (true, stop);
        }
        if chunk_of(held) > start {
            return (true, chunk_of(held));
        }
        let stop = stop.min(start + SCAN_BYTES);
        let mut end = (chunk_of(start) + CHUNK_BYTES).min(stop);
        while end < stop {
            let next = (end + CHUNK_BYTES).min(stop);
            if first_held(end, next) >= next {
                break;
            }
            end = next;
        }
        (false, end)
    }

    /// Whether the byte at `at` is known to have its space below, and up to where (at most `limit`)
    /// that holds in the same extent.
    pub(crate) fn held_run(&self, at: u64, limit: u64) -> (bool, u64) {
        let extent = self.extent(at);
        let limit = limit.min(extent.end_bytes);
        match &extent.space {
            None => (true, limit),
            Some(space) => {
                let (held, end) = space.run(at - extent.start_bytes, limit - extent.start_bytes);
                (held, limit.min(extent.start_bytes + end))
            }
        }
    }

    /// The space of the byte at `at`, and up to where (at most `limit`) that holds in the same
    /// extent.
    pub(crate) fn space_run(&self, at: u64, limit: u64) -> (Space, u64) {
        let (held, stop) = self.held_run(at, limit);
        let extent = self.extent(at);
        let Some(unsure) = extent.unsure.as_ref().filter(|_| held) else {
            return (if held { Space::Held } else { Space::Missing }, stop);
        };
        let (is_unsure, end) = unsure.run(at - extent.start_bytes, stop - extent.start_bytes);
        let space = match is_unsure {
            true => Space::Unsure,
            false => Space::Held,
        };
        (space, stop.min(extent.start_bytes + end))
    }

    /// Whether it is known of the extent at `at` which of it has its space below.
    pub(crate) fn knows_space(&self, at: u64) -> bool {
        self.extent(at).space.is_some()
    }

    /// Whether a write to the byte at `at` may find no space, and whether the byte is a zero; up to
    /// where (at most `limit`) that holds.
    pub(crate) fn status_run(&self, at: u64, limit: u64) -> ((bool, bool), u64) {
        let first = self.status_runs(at, limit).next();
        first.unwrap_or(((false, false), limit))
    }

    /// The same of all of `start..limit`, one run after the other.
    pub(crate) fn status_runs(
        &self,
        start: u64,
        limit: u64,
    ) -> impl Iterator<Item = ((bool, bool), u64)> {
        let begin = move |at| (at < limit).then(|| self.status_in_extent(at, limit));
        let mut next = begin(start);
        std::iter::from_fn(move || {
            let (state, mut stop) = next?;
            // What ends this run begins the next: each is searched once.
            loop {
                next = begin(stop);
                match next {
                    Some((same, end)) if same == state => stop = end,
                    _ => return Some((state, stop)),
                }
            }
        })
    }

    fn status_in_extent(&self, at: u64, limit: u64) -> ((bool, bool), u64) {
        let (hole, stop) = self.hole_run(at, limit);
        if self.extent(at).space.is_none() {
            return ((hole, hole), stop);
        }
        let (held, stop) = self.held_run(at, stop);
        // What has no space below reads as zeroes.
        ((!held, hole || !held), stop)
    }

    /// Notes that the range has its space below: a write to it, a zeroing or a setting aside has
    /// succeeded. By how much that is more.
    pub(crate) fn hold_space(&mut self, start: u64, end: u64) -> u64 {
        let mut all = 0;
        for extent in &mut self.extents {
            let counts = extent.counts_space();
            if let Some((space, unsure, from, to)) = extent.space_in(start, end) {
                if let Some(unsure) = unsure {
                    unsure.clear(from, to);
                }
                let more = space.hold(from, to);
                all += more;
                if counts && more > 0 {
                    self.stored.add(more);
                }
            }
        }
        all
    }

    /// Notes that a write to the range, or a zeroing, has failed. It counts as held from now on, as
    /// some of the data may be there and what is not held is called zeroes; but a write may still
    /// find no space.
    pub(crate) fn hold_unsure(&mut self, start: u64, end: u64) {
        for extent in &mut self.extents {
            let counts = extent.counts_space();
            let Some((space, unsure, from, to)) = extent.space_in(start, end) else {
                continue;
            };
            // Memory for this is taken by a disk that has failed only.
            let unsure = unsure.get_or_insert_with(|| space.emptied());
            let mut at = from;
            while at < to {
                let (held, stop) = space.run(at, to);
                if !held {
                    unsure.hold(at, stop);
                }
                at = stop;
            }
            let more = space.hold(from, to);
            if counts && more > 0 {
                self.stored.add(more);
            }
        }
    }

    /// Notes that the range was discarded; by how much less has its space.
    pub(crate) fn give_space_back(&mut self, start: u64, end: u64) -> u64 {
        let mut all = 0;
        for extent in &mut self.extents {
            let counts = extent.counts_space();
            if let Some((space, unsure, from, to)) = extent.space_in(start, end) {
                if let Some(unsure) = unsure {
                    unsure.give_back(from, to);
                }
                let less = space.give_back(from, to);
                all += less;
                if counts && less > 0 {
                    self.stored.subtract(less);
                }
            }
        }
        all
    }
}

impl MappedExtent {
    /// With what is known of its space.
    pub(crate) fn with_space(self, space: Option<SpaceMap>) -> MappedExtent {
        MappedExtent { space, ..self }
    }

    /// Whether the space that it takes is what it stores. A zero map knows better: below it, what
    /// the file held before has space, too.
    pub(super) fn counts_space(&self) -> bool {
        self.space.is_some() && !matches!(self.known, Known::Written(_))
    }

    /// What is known of the space of a range of the vdisk that lies in it, which units of that are
    /// unsure, and that part, from the beginning of the extent.
    fn space_in(
        &mut self,
        start: u64,
        end: u64,
    ) -> Option<(&mut SpaceMap, &mut Option<SpaceMap>, u64, u64)> {
        let (from, to) = (start.max(self.start_bytes), end.min(self.end_bytes));
        let space = self.space.as_mut().filter(|_| from < to)?;
        let (from, to) = (from - self.start_bytes, to - self.start_bytes);
        Some((space, &mut self.unsure, from, to))
    }
}
