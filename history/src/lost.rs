//! Blocks of the image that do not hold what the floor had there: the log had rotted when they were
//! to be folded.
//!
//! Invariant: runs are apart from each other. What is not known here: why, and what the log has.

use crate::format::checkpoint::LostRun;
use std::collections::BTreeMap;

/// Runs, at most.
pub(crate) const LOST_RUNS_MAX: usize = 1024;

/// A set of blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LostBlocks {
    /// First block of each run, and the one behind it.
    runs: BTreeMap<u64, u64>,
}

impl LostBlocks {
    /// As a checkpoint lists them; `None` if they cannot be.
    pub(crate) fn of_rows(rows: &[LostRun], vdisk_blocks: u64) -> Option<LostBlocks> {
        let ends = rows
            .iter()
            .map(|row| row.lba.checked_add(u64::from(row.blocks)));
        let ends: Vec<u64> = ends.collect::<Option<_>>()?;
        let mut previous = 0;
        for (index, (row, end)) in rows.iter().zip(&ends).enumerate() {
            let is_apart = index == 0 || row.lba > previous;
            if row.blocks == 0 || !is_apart || *end > vdisk_blocks {
                return None;
            }
            previous = *end;
        }
        let runs = rows.iter().map(|row| row.lba).zip(ends).collect();
        (rows.len() <= LOST_RUNS_MAX).then_some(LostBlocks { runs })
    }

    /// As a checkpoint lists them.
    pub(crate) fn rows(&self) -> Vec<LostRun> {
        let mut rows = Vec::new();
        for (lba, end) in &self.runs {
            rows.push(LostRun {
                lba: *lba,
                blocks: (end - lba) as u32,
            });
        }
        rows
    }

    pub(crate) fn len(&self) -> usize {
        self.runs.len()
    }

    /// How many blocks from `lba` on, at most `limit`, are all lost, or all not; and which.
    pub(crate) fn run_at(&self, lba: u64, limit: u64) -> (u64, bool) {
        let before = self.runs.range(..=lba).next_back();
        if let Some((_, end)) = before.filter(|(_, end)| **end > lba) {
            return (limit.min(end - lba), true);
        }
        let next = self.runs.range(lba..).next();
        (next.map_or(limit, |(next, _)| limit.min(next - lba)), false)
    }

    /// A block is lost.
    pub(crate) fn insert(&mut self, lba: u64) {
        if self.run_at(lba, 1).1 {
            return;
        }
        let (mut first, mut end) = (lba, lba + 1);
        if let Some((before, before_end)) = self.runs.range(..lba).next_back()
            && *before_end == lba
        {
            first = *before;
        }
        if let Some(next_end) = self.runs.remove(&end) {
            end = next_end;
        }
        // A row holds its length in four bytes.
        if end - first <= u64::from(u32::MAX) {
            self.runs.insert(first, end);
        } else {
            self.runs.insert(lba, end);
        }
    }

    /// Only those stay that `is_kept` says so of.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(u64) -> bool) {
        let old = std::mem::take(&mut self.runs);
        let blocks = old.into_iter().flat_map(|(first, end)| first..end);
        blocks
            .filter(|lba| is_kept(*lba))
            .for_each(|lba| self.insert(lba));
    }

    /// What either has.
    pub(crate) fn add(&mut self, other: &LostBlocks) {
        let blocks = other.runs.iter().flat_map(|(first, end)| *first..*end);
        blocks.for_each(|lba| self.insert(lba));
    }
}

#[cfg(test)]
mod tests;
