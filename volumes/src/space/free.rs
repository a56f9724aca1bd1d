//! The free ranges of a disk, and first fit in them.
//!
//! Invariants: ranges are ascending, disjoint, multiples of 1 MiB, and touch nothing that the label
//! they were made of uses; what was taken is not given out again.

use crate::label::{EXTENT_ALIGNMENT_BYTES, Label};

/// Free ranges: start, end. A range that was used up stays, empty.
#[derive(Debug, Clone)]
pub(super) struct FreeSpace {
    ranges: Vec<(u64, u64)>,
}

impl FreeSpace {
    /// What a label leaves free.
    pub(super) fn of(label: &Label) -> FreeSpace {
        let mut used: Vec<(u64, u64)> = label.used_ranges().collect();
        used.sort_unstable();
        let end = label.size_bytes() / EXTENT_ALIGNMENT_BYTES * EXTENT_ALIGNMENT_BYTES;
        let mut ranges = Vec::new();
        let mut at = EXTENT_ALIGNMENT_BYTES;
        for (start, used_end) in used {
            if at < start {
                ranges.push((at, start));
            }
            at = at.max(used_end);
        }
        if at < end {
            ranges.push((at, end));
        }
        FreeSpace { ranges }
    }

    /// How much is free.
    pub(super) fn bytes(&self) -> u64 {
        self.ranges.iter().map(|(start, end)| end - start).sum()
    }

    /// The first range that holds all of it; else the first ranges together. `None` if they do not.
    pub(super) fn take(&mut self, len_bytes: u64) -> Option<Vec<(u64, u64)>> {
        if len_bytes == 0 {
            return Some(Vec::new());
        }
        if let Some(start) = self.take_whole(len_bytes) {
            return Some(vec![(start, start + len_bytes)]);
        }
        let mut taken = Vec::new();
        let mut missing = len_bytes;
        for range in &mut self.ranges {
            let len = (range.1 - range.0).min(missing);
            if len > 0 {
                taken.push((range.0, range.0 + len));
            }
            range.0 += len;
            missing -= len;
            if missing == 0 {
                break;
            }
        }
        self.ranges.retain(|range| range.0 < range.1);
        (missing == 0).then_some(taken)
    }

    /// The start of the first range that holds all of it.
    pub(super) fn take_whole(&mut self, len_bytes: u64) -> Option<u64> {
        let range = self
            .ranges
            .iter_mut()
            .find(|range| range.1 - range.0 >= len_bytes)?;
        let start = range.0;
        range.0 += len_bytes;
        Some(start)
    }
}
