//! A moment that stays open while other things happen: folds move blocks of it into the image and
//! free segments that it was read from.

use super::Run;
use crate::tree::{SECTORS_PER_BLOCK, block_bytes};
use disktime_history::{Seq, View, ViewId};

impl Run {
    /// Opens a moment, whole or lazily.
    pub(super) fn open_view(&mut self, seq: Seq) -> ViewId {
        let view = if self.below(2) == 0 {
            self.driver.view(seq, &mut self.random)
        } else {
            self.driver.lazy_view(seq, &mut self.random)
        };
        view.unwrap_or_else(|why| panic!("moment {seq}: {why}"))
    }

    /// Opens a moment and keeps it, or reads the one that is kept and closes it.
    pub(super) fn keep_view(&mut self) {
        if self.kept_view.is_some() {
            self.check_kept_view();
            if let Some((view, _)) = self.kept_view.take() {
                self.driver.log.close_view(view);
            }
            return;
        }
        self.settle();
        let serving = self.tree.serving();
        // A young moment: an old one would hold the floor.
        let from = serving.len() - serving.len().min(4);
        let young = &serving[from..];
        let moment = young[self.random.below(young.len() as u64) as usize];
        let view = self.open_view(moment);
        self.kept_view = Some((view, self.tree.copies[&moment].1.clone()));
    }

    pub(super) fn check_kept_view(&mut self) {
        let Some((view, copy)) = &self.kept_view else {
            return;
        };
        let there = self.driver.read_fetched(View::At(*view), &mut self.random);
        assert_eq!(there.len() * SECTORS_PER_BLOCK, copy.len(), "size");
        for (block, bytes) in there.iter().enumerate() {
            let expected = block_bytes(copy, block);
            assert!(
                bytes.as_ref() == Some(&expected),
                "block {block} of an open moment"
            );
        }
    }
}
