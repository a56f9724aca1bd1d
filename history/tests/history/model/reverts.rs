//! Reverts and their undos, and what is done right behind them, while blocks of the newest content
//! are found one by one.

use super::{Change, Run};
use crate::tree::{SECTORS_PER_BLOCK, block_bytes};
use disktime_history::{Failure, RequestId, Seq};

impl Run {
    pub(super) fn revert(&mut self) {
        self.settle();
        self.begin_revert();
        self.go_on_behind_revert();
    }

    fn begin_revert(&mut self) {
        let serving = self.tree.serving();
        let fork = serving[self.below(serving.len() as u64) as usize];
        let request = self.driver.request();
        match self.driver.log.revert(request, fork) {
            Ok(()) => self.branch_begins(request, fork),
            Err(why) => assert_eq!(why, Failure::TooMany),
        }
    }

    pub(super) fn undo(&mut self) {
        self.settle();
        self.begin_undo();
        self.go_on_behind_revert();
    }

    fn begin_undo(&mut self) {
        let undo = self.tree.undo.filter(|branch| {
            let branch = &self.tree.branches[*branch];
            !branch.dropped && self.tree.serves(branch.head)
        });
        let request = self.driver.request();
        match (self.driver.log.undo_revert(request), undo) {
            (Ok(()), Some(branch)) => {
                let head = self.tree.branches[branch].head;
                self.branch_begins(request, head);
            }
            (Err(Failure::TooMany), _) | (Err(Failure::NothingToUndo), None) => {}
            (outcome, undo) => panic!("{outcome:?} beside {undo:?}"),
        }
    }

    fn branch_begins(&mut self, request: RequestId, fork: Seq) {
        match self.driver.finish(request, &mut self.random) {
            Ok(seq) => {
                self.tree.begin(seq, fork);
                self.promised = seq;
                self.reverts += 1;
            }
            Err(why) => assert_eq!(why, Failure::Full),
        }
        self.check(None);
    }

    /// Things are done one by one while the whole map is not there, or comes at any time.
    fn go_on_behind_revert(&mut self) {
        self.driver.build_waits = self.below(3) > 0;
        for _ in 0..self.below(12) {
            match self.below(12) {
                0..5 => self.write_at_once(),
                5..7 => self.check(None),
                7 => self.begin_revert(),
                8 => self.begin_undo(),
                9 => self.begin_fold(),
                10 => self.check_kept_view(),
                _ => self.driver.build_waits = false,
            }
        }
        self.driver.build_waits = false;
    }

    /// A write of whole blocks, answered before anything else is asked for.
    fn write_at_once(&mut self) {
        let size = self.tree.blocks;
        let lba = self.below(size) as usize;
        let blocks = self.random.range(1, 5).min(size - lba as u64) as usize;
        self.stamp += 1;
        let mut copy = self.tree.now.clone();
        let sectors = lba * SECTORS_PER_BLOCK..(lba + blocks) * SECTORS_PER_BLOCK;
        copy[sectors.clone()].fill(self.stamp);
        let data = (lba..lba + blocks).flat_map(|block| block_bytes(&copy, block));
        let data = data.collect();
        let request = self.driver.write(lba as u64, data, false);
        let request = request.expect("a write is taken");
        self.changes.push(Change {
            request,
            at: sectors.start,
            stamps: copy[sectors].to_vec(),
            durable: false,
            seq: None,
        });
        match self.driver.finish(request, &mut self.random) {
            Ok(_) => self.note_answered(),
            Err(_) => self.settle(),
        }
    }
}
