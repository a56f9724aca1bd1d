//! Crashes of a run: what was promised is there, the state is a prefix of what was asked for, and a
//! second recovery gives the same.

use super::Run;
use crate::tree::{Copy, block_bytes};
use disktime_history::{Seq, View};

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Closed,
    Killed,
    PowerLost,
}

impl Run {
    /// Power is lost, or the server is killed, in the middle of things.
    pub(super) fn crash(&mut self) {
        for _ in 0..self.below(12) {
            self.driver.step(&mut self.random);
        }
        self.take_answers();
        if self.has_failed {
            // Which parts of the changes were taken is known of the newest content only.
            self.settle();
            self.flush();
            self.settle();
        }
        self.crashes += 1;
        // An answer that came means that the log survives a kill; a flush, that it survives this.
        let killed = self.below(3) == 0;
        let (end, promised) = if killed {
            (End::Killed, self.answered.max(self.promised))
        } else {
            (End::PowerLost, self.promised)
        };
        self.reopen(end, promised);
        // What was found was flushed first: it is durable now.
        self.promised = self.kept;
        self.answered = self.kept;
        self.flushes.clear();
        self.find_prefix();
        let newest = self.driver.log.status().newest;
        let content = self.driver.read(View::Now);
        let marks = self.driver.log.status().marks;
        if self.below(3) == 0 {
            // Power is lost again, while or after the log is opened.
            self.reopen(End::PowerLost, 0);
            assert!(
                content == self.driver.read(View::Now),
                "a second recovery gives the same"
            );
            assert!(marks == self.driver.log.status().marks);
        }
        assert!(self.driver.log.status().newest >= newest);
        self.drop_what_expired();
        self.check_all(3);
    }

    /// Which beginning of the changes is there. Their moments are known as far as they were
    /// answered; the rest is told by content.
    fn find_prefix(&mut self) {
        let kept = self.kept;
        let changes = std::mem::take(&mut self.changes);
        let is_in = |seq: &Option<Seq>| seq.is_some_and(|seq| seq <= kept);
        let is_out = |seq: &Option<Seq>| seq.is_some_and(|seq| seq > kept);
        let sure = changes
            .iter()
            .rposition(|change| is_in(&change.seq))
            .map_or(0, |at| at + 1);
        let limit = changes.iter().position(|change| is_out(&change.seq));
        let limit = limit.unwrap_or(changes.len());
        assert!(sure <= limit, "the state is a prefix");
        // Before a change that was answered, all are in: their order is that of the log.
        if kept < self.newest_moment() {
            self.tree.truncate(kept);
        }
        for change in &changes[..sure] {
            self.apply(change.at, &change.stamps);
            if let Some(seq) = change.seq {
                self.tree.note(seq);
            }
        }
        let there = self.driver.read(View::Now);
        let is_there = |copy: &Copy| {
            let mut blocks = there.iter().enumerate();
            blocks.all(|(block, bytes)| bytes.as_ref() == Some(&block_bytes(copy, block)))
        };
        let mut at = sure;
        while !is_there(&self.tree.now) {
            // The first change that is out may be there in part: its moment is that of its end.
            let change = changes.get(at).filter(|_| at <= limit);
            let change = change.expect("the content is one that was asked for");
            if !self.fits_partly(change.at, &change.stamps, &there) {
                assert!(at < limit, "the content is one that was asked for");
                self.apply(change.at, &change.stamps);
            }
            at += 1;
        }
        let newest = self.driver.log.status().newest;
        self.tree.note(newest);
    }

    /// A change of several pieces may be there in part: if so, the part is taken.
    fn fits_partly(&mut self, at: usize, stamps: &[u32], there: &[Option<Vec<u8>>]) -> bool {
        let mut copy = self.tree.now.clone();
        for (index, stamp) in stamps.iter().enumerate() {
            copy[at + index] = *stamp;
            let is_end_of_block = (at + index + 1).is_multiple_of(crate::tree::SECTORS_PER_BLOCK);
            let mut blocks = there.iter().enumerate();
            if is_end_of_block
                && index + 1 < stamps.len()
                && blocks.all(|(block, bytes)| bytes.as_ref() == Some(&block_bytes(&copy, block)))
            {
                self.tree.now = copy;
                return true;
            }
        }
        false
    }

    fn apply(&mut self, at: usize, stamps: &[u32]) {
        self.tree.now[at..at + stamps.len()].copy_from_slice(stamps);
    }

    fn newest_moment(&self) -> Seq {
        self.tree.copies.keys().next_back().copied().unwrap_or(0)
    }
}
