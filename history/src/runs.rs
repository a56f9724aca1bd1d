//! Sets of blocks, held as runs.
//!
//! Invariant: runs are apart from each other. What is not known here: what the blocks are.

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Runs {
    /// First block of each run, and the one behind it.
    ends: BTreeMap<u64, u64>,
}

impl Runs {
    /// How many runs there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn clear(&mut self) {
        self.ends.clear();
    }

    /// The runs by block.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Range<u64>> {
        self.ends.iter().map(|(first, end)| *first..*end)
    }

    /// How many blocks from `lba` on, at most `limit`, are all in the set, or all not; and which.
    pub(crate) fn run_at(&self, lba: u64, limit: u64) -> (u64, bool) {
        let before = self.ends.range(..=lba).next_back();
        if let Some((_, end)) = before.filter(|(_, end)| **end > lba) {
            return (limit.min(end - lba), true);
        }
        let next = self.ends.range(lba..).next();
        (next.map_or(limit, |(next, _)| limit.min(next - lba)), false)
    }

    /// Blocks come in; they may be in the set already.
    pub(crate) fn insert(&mut self, blocks: Range<u64>) {
        let (mut first, mut end) = (blocks.start, blocks.end);
        if let Some((before, before_end)) = self.ends.range(..=first).next_back()
            && *before_end >= first
        {
            (first, end) = (*before, end.max(*before_end));
        }
        while let Some((next, next_end)) = self.ends.range(first..=end).next() {
            let (next, next_end) = (*next, *next_end);
            end = end.max(next_end);
            self.ends.remove(&next);
        }
        self.ends.insert(first, end);
    }
}
