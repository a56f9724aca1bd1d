//! Blocks of the image that do not hold what the floor had there: the log had rotted when they were
//! to be folded.
//!
//! What is not known here: why, and what the log has.

use crate::format::checkpoint::LostRun;
use crate::runs::Runs;

/// Runs, at most.
pub(crate) const LOST_RUNS_MAX: usize = 1024;

/// A set of blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LostBlocks {
    runs: Runs,
}

impl LostBlocks {
    /// As a checkpoint lists them; `None` if they cannot be.
    pub(crate) fn of_rows(rows: &[LostRun], vdisk_blocks: u64) -> Option<LostBlocks> {
        let mut runs = Runs::default();
        let mut previous: Option<(u64, u32)> = None;
        for row in rows {
            let end = row.lba.checked_add(u64::from(row.blocks))?;
            // A run that is longer than a row goes on in the next one.
            let is_apart = previous.is_none_or(|(previous, blocks)| {
                row.lba > previous || row.lba == previous && blocks == u32::MAX
            });
            if row.blocks == 0 || !is_apart || end > vdisk_blocks {
                return None;
            }
            runs.insert(row.lba..end);
            previous = Some((end, row.blocks));
        }
        (rows.len() <= LOST_RUNS_MAX).then_some(LostBlocks { runs })
    }

    /// As a checkpoint lists them.
    pub(crate) fn rows(&self) -> Vec<LostRun> {
        let mut rows = Vec::new();
        for mut run in self.runs.iter() {
            while !run.is_empty() {
                let blocks = u32::try_from(run.end - run.start).unwrap_or(u32::MAX);
                let lba = run.start;
                rows.push(LostRun { lba, blocks });
                run.start += u64::from(blocks);
            }
        }
        rows
    }

    /// How many runs there are.
    pub(crate) fn len(&self) -> usize {
        self.runs.len()
    }

    /// How many blocks from `lba` on, at most `limit`, are all lost, or all not; and which.
    pub(crate) fn run_at(&self, lba: u64, limit: u64) -> (u64, bool) {
        self.runs.run_at(lba, limit)
    }

    /// A block is lost.
    pub(crate) fn insert(&mut self, lba: u64) {
        self.runs.insert(lba..lba + 1);
    }

    /// Only those stay that `is_kept` says so of.
    pub(crate) fn retain(&mut self, is_kept: impl Fn(u64) -> bool) {
        let old = std::mem::take(&mut self.runs);
        for lba in old.iter().flatten().filter(|lba| is_kept(*lba)) {
            self.insert(lba);
        }
    }

    /// What either has.
    pub(crate) fn add(&mut self, other: &LostBlocks) {
        other.runs.iter().for_each(|run| self.runs.insert(run));
    }
}

#[cfg(test)]
mod tests;
