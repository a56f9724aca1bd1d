//! Content of which the log has to find the blocks first: moments, and the newest content shortly
//! after a revert.
//!
//! ```text
//!   read ─ known? ── no ─► the log reads pages of its footers ─► asked again
//!            └ yes ─► looked up at once, as a fold may make it necessary to ask again
//! ```
//!
//! Invariant: between the time at which blocks are known and their look-up the log takes no step.
//!
//! Not known here: how the log finds blocks.

use super::clients::BLOCK;
use super::lineage::Elders;
use super::logged_vdisk::{LogPurpose, LoggedVdisk};
use super::reading::{ReadKey, Wanted};
use disktime_engine::IoError;
use disktime_history::{FETCH_BLOCKS_MAX, Failure, Fetched, RequestId, Seq, View, ViewId};

/// What waits for blocks to be found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seeker {
    Reading(Wanted),
    /// A client that asks for block status.
    Status(usize),
}

impl LoggedVdisk {
    /// Reads when all blocks can be looked up: in the log, and if it is a clone in its elders.
    pub(super) fn find_and_read(&mut self, wanted: Wanted) {
        if self.can_look_up(wanted) {
            match self.parts.parent {
                Some(_) => self.waits_for_elders.push_back(wanted),
                None => self.begin_reading(wanted, Elders::NONE),
            }
        }
    }

    /// Whether the blocks of a reading can be looked up now. If not, it goes on when they can, or
    /// has failed.
    pub(super) fn can_look_up(&mut self, wanted: Wanted) -> bool {
        let (mut lba, end) = (wanted.start / BLOCK, wanted.end.div_ceil(BLOCK));
        while lba < end {
            let blocks = (end - lba).min(FETCH_BLOCKS_MAX);
            let request = RequestId(self.asked.vacant_key() as u64);
            match self.parts.log.fetch(request, wanted.view, lba, blocks) {
                Ok(Fetched::Ready) => lba += blocks,
                Ok(Fetched::Later) => {
                    let seeker = Seeker::Reading(wanted);
                    self.asked.insert(LogPurpose::Fetch(seeker));
                    return false;
                }
                Err(why) => {
                    self.reading_fails(wanted.read, why);
                    return false;
                }
            }
        }
        true
    }

    /// Block status is answered when all blocks can be looked up: who asks for it goes through
    /// all, as a rule.
    pub(super) fn find_status(&mut self, key: usize) {
        let view = self.clients.get(key).view();
        let request = RequestId(self.asked.vacant_key() as u64);
        match self.parts.log.fetch_whole(request, view) {
            Ok(Fetched::Ready) => self.statuses.push(key),
            Ok(Fetched::Later) => {
                self.asked.insert(LogPurpose::Fetch(Seeker::Status(key)));
            }
            Err(_) => {
                self.clients.get_mut(key).fail(IoError::Io, None);
                self.answer(key);
            }
        }
    }

    /// Blocks were found, or cannot be.
    pub(super) fn blocks_are_found(&mut self, seeker: Seeker, result: Result<Seq, Failure>) {
        match (seeker, result) {
            (Seeker::Reading(wanted), Ok(_)) => self.find_and_read(wanted),
            (Seeker::Reading(wanted), Err(why)) => self.reading_fails(wanted.read, why),
            (Seeker::Status(key), Ok(_)) => self.find_status(key),
            (Seeker::Status(key), Err(_)) => {
                self.clients.get_mut(key).fail(IoError::Io, None);
                self.answer(key);
            }
        }
    }

    /// What a segment of the log held cannot be said.
    fn reading_fails(&mut self, key: ReadKey, why: Failure) {
        tracing::warn!(vdisk = %self.parts.name, "a read of its history fails: {why}");
        self.fail_reading(key);
    }

    /// Whether all blocks of a moment that is open can be looked up.
    pub(super) fn is_whole(&self, view: ViewId) -> bool {
        self.parts.log.is_whole(View::At(view))
    }

    /// Two views of one moment become one.
    pub(super) fn join_views(&mut self, kept: ViewId, other: ViewId) {
        self.parts.log.join_views(kept, other);
        self.pump();
    }

    /// A view is needed no more.
    pub(super) fn close_view(&mut self, view: ViewId) {
        self.parts.log.close_view(view);
        self.pump();
    }
}
