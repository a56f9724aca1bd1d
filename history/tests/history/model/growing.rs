//! The vdisk grows and the log gets slots, between other things and in crashes. The disks have the
//! space before, as the label of a disk has.

use super::Run;
use disktime_history::Failure;

/// Larger ones would take long to compare.
const BLOCKS_MAX: u64 = 160;
const SLOTS_MAX: u32 = 16;

impl Run {
    pub(super) fn grow(&mut self) {
        self.settle();
        let blocks = BLOCKS_MAX.min(self.tree.blocks + self.below(16));
        let slots = SLOTS_MAX.min(self.driver.geometry().slots + self.below(2) as u32);
        self.driver.make_space(blocks, slots);
        if !self.ask_to_grow(blocks, slots) {
            return;
        }
        if self.below(2) == 0 {
            self.unsure_blocks = Some(blocks);
            self.crash();
            // The next start finishes it.
            if !self.ask_to_grow(blocks, slots) {
                return;
            }
        }
        self.settle();
        if self.tree.blocks == blocks {
            assert_eq!(self.driver.log.slots(), slots);
            self.growths += 1;
            let newest = self.driver.log.status().newest;
            self.tree.note(newest);
        }
    }

    /// Whether it was taken.
    fn ask_to_grow(&mut self, blocks: u64, slots: u32) -> bool {
        for (blocks, slots) in [(self.tree.blocks - 1, slots), (blocks, slots - 2)] {
            let refused = self.driver.log.grow(blocks, slots);
            assert_eq!(refused, Err(Failure::BadSize), "it never shrinks");
        }
        let outcome = self.driver.log.grow(blocks, slots);
        if let Err(why) = outcome {
            assert_eq!(why, Failure::TooMany);
        }
        outcome.is_ok()
    }

    pub(super) fn has_grown(&mut self, blocks: u64) {
        self.tree.resize(blocks);
        self.unsure_blocks = None;
    }

    /// A log that was opened has the size that was promised, or the one that was asked for.
    pub(super) fn note_size(&mut self) {
        let there = self.driver.log.vdisk_blocks();
        let asked_for = self.unsure_blocks.take();
        assert!(there == self.tree.blocks || Some(there) == asked_for);
        self.tree.resize(there);
    }
}
