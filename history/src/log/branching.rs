//! Branches begin and are given up: reverts, undos of reverts, drops.
//!
//! Invariants: a revert takes a row of the tables, and so does its undo; rows that no moment needs
//! are forgotten when the tables are full, and no other ones; a branch is given up only on request,
//! by the window, or with [`WhenFull::Shorten`] for space.

use super::building::BuildPurpose;
use super::newest::Next;
use super::pipeline::{Answer, StagedRecord};
use super::requests::TABLE_MARGIN_BYTES;
use super::{Log, WhenFull};
use crate::branches::{BRANCHES_MAX, Branches};
use crate::format::Seq;
use crate::format::checkpoint::BRANCH_BYTES;
use crate::format::record::{BranchReason, Record};
use crate::steps::{Failure, RequestId};

/// Branches that are given up at once when the tables are full. The records of that lie on the
/// current branch, and one that holds records keeps its row.
const GIVEN_UP_AT_ONCE: usize = 128;

impl Log {
    /// What lies behind the point where the current branch left another one is given up.
    ///
    /// # Errors
    /// [`Failure::NoSuchBranch`], [`Failure::BranchIsMarked`], [`Failure::BranchIsCloned`].
    pub fn drop_branch(&mut self, request: RequestId, id: u64) -> Result<(), Failure> {
        if !self.branches.tails().any(|(row, _)| row.id == id) {
            return Err(Failure::NoSuchBranch);
        }
        self.check_writable()?;
        if self.marks_need(id) {
            return Err(Failure::BranchIsMarked);
        }
        if self.clones_need(id) {
            return Err(Failure::BranchIsCloned);
        }
        self.stage_record(request, Record::DropBranch(id))
    }

    /// The newest content becomes that of `moment`. No change may be in flight, and none is taken
    /// until it is done: the driver has made sure that no client writes.
    ///
    /// # Errors
    /// [`Failure::NoSuchMoment`], [`Failure::TooMany`]; [`Failure::Busy`] while the log is held.
    pub fn revert(&mut self, request: RequestId, moment: Seq) -> Result<(), Failure> {
        self.check_moment(moment)?;
        self.check_writable()?;
        self.begin_branch(request, moment, BranchReason::Revert)
    }

    /// Whether a revert is being done: what is read now is what was there before it.
    pub fn is_reverting(&self) -> bool {
        self.reverting
    }

    /// The newest content becomes what it was before the last revert.
    ///
    /// # Errors
    /// [`Failure::NothingToUndo`].
    pub fn undo_revert(&mut self, request: RequestId) -> Result<(), Failure> {
        let head = self
            .branches
            .undo()
            .map(|row| row.head)
            .ok_or(Failure::NothingToUndo)?;
        self.check_writable()?;
        self.check_moment(head)
            .map_err(|_| Failure::NothingToUndo)?;
        self.begin_branch(request, head, BranchReason::Undo)
    }

    fn begin_branch(
        &mut self,
        request: RequestId,
        fork: Seq,
        reason: BranchReason,
    ) -> Result<(), Failure> {
        if self.held {
            // The changes that wait would have to go before it.
            return Err(Failure::Busy);
        }
        let given_up = self.make_room_for_branch(fork).ok_or(Failure::TooMany)?;
        let lazy = self.lazy_map_of(self.branches.path(fork));
        if lazy.is_none() {
            // What the footers do not say has to be known to be there before it is promised.
            self.push_build(BuildPurpose::Branch {
                request,
                fork,
                reason,
            })?;
        }
        self.reverting = true;
        let drops = given_up.into_iter().map(|id| StagedRecord {
            record: Record::DropBranch(id),
            payload: Vec::new(),
            answer: Answer::Nothing,
        });
        self.records.extend(drops);
        if let Some(map) = lazy {
            self.stage_branch(request, (fork, reason), Next::Lazy(Box::new(map)));
        }
        Ok(())
    }

    /// A branch begins with this when its record is durable.
    pub(super) fn stage_branch(
        &mut self,
        request: RequestId,
        (fork, reason): (Seq, BranchReason),
        next: Next,
    ) {
        self.builds.set_for_branch(next);
        let parent = self.branches.owner(fork);
        self.records.push_back(StagedRecord {
            record: Record::Branch {
                parent,
                fork,
                reason,
            },
            payload: Vec::new(),
            answer: Answer::Branch(request),
        });
    }

    /// Has the tables take one more branch, which begins with `fork`: rows that nothing needs go,
    /// and with [`WhenFull::Shorten`] the oldest branches that no mark lies on, which are returned
    /// and are still to be dropped. `None`: there is no room.
    fn make_room_for_branch(&mut self, fork: Seq) -> Option<Vec<u64>> {
        if self.has_room_for(&self.branches, 1) {
            return Some(Vec::new());
        }
        let mut pinned = self.pinned_moments();
        pinned.push(fork);
        self.branches.compact(&pinned);
        let (mut without, mut given_up) = (self.branches.clone(), Vec::new());
        while !self.has_room_for(&without, 1) {
            let oldest = match self.settings.when_full {
                WhenFull::Shorten => self.oldest_tails(&mut without, fork),
                WhenFull::Refuse => return None,
            };
            if oldest.is_empty() {
                return None;
            }
            without.compact(&pinned);
            given_up.extend(oldest);
        }
        Some(given_up)
    }

    /// Drops the oldest branches beside the current one whose end costs no mark, nor this moment;
    /// which they were.
    fn oldest_tails(&self, branches: &mut Branches, moment: Seq) -> Vec<u64> {
        let ids: Vec<u64> = branches.tails().map(|(row, _)| row.id).collect();
        let mut given_up = Vec::new();
        for id in ids {
            let mut without = branches.clone();
            without.drop_branch(id);
            let kept = without.kept();
            let clones = self.clone_entries().map(|clone| clone.moment);
            let marks = self.marks.rows().map(|mark| mark.moment);
            let mut needed = marks.chain(clones).chain([moment]);
            if needed.all(|moment| kept.keeps(moment)) {
                *branches = without;
                given_up.push(id);
            }
            if given_up.len() == GIVEN_UP_AT_ONCE {
                break;
            }
        }
        given_up
    }

    /// Whether the tables have room for so many more branches than these.
    fn has_room_for(&self, branches: &Branches, more: usize) -> bool {
        let fewer = self.branches.len().saturating_sub(branches.len());
        let bytes = self.tables_bytes() - fewer * BRANCH_BYTES + more * TABLE_MARGIN_BYTES;
        branches.len() + more <= BRANCHES_MAX && bytes <= self.geometry.tables_bytes_max()
    }

    /// Moments that must keep their rows though their branches were dropped.
    fn pinned_moments(&self) -> Vec<Seq> {
        let marks = self.marks.rows().map(|mark| mark.moment);
        let clones = self.clone_entries().map(|clone| clone.moment);
        marks.chain(clones).chain(self.moments_in_use()).collect()
    }

    /// After a branch began or was given up: rows that nothing needs go if there are many.
    pub(super) fn compact_if_many(&mut self) {
        if !self.has_room_for(&self.branches, 1) {
            let pinned = self.pinned_moments();
            self.branches.compact(&pinned);
        }
    }
}
