//! What was written between two moments: for backups of what has changed.
//!
//! Not known here: who reads the moments, and how.

use super::clients::BLOCK;
use super::controls::{HistoryError, Then};
use super::logged_vdisk::{LogPurpose, LoggedVdisk};
use disktime_history::{Moment, RequestId, Seq};

/// The ranges in which two moments of a vdisk can differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedBlocks {
    /// The earlier moment.
    pub since: Seq,
    /// The later one.
    pub until: Seq,
    /// Offset and length in bytes, by offset and apart from each other.
    pub ranges: Vec<(u64, u64)>,
}

/// Hears of what was written between two moments.
pub type ChangedDone = Box<dyn FnOnce(Result<ChangedBlocks, HistoryError>) + Send>;

impl LoggedVdisk {
    /// Lists what was written between two moments; without the second one, up to now.
    pub(crate) fn changed(&mut self, since: &Moment, until: Option<Moment>, done: ChangedDone) {
        self.resolve(since, Then::Since(until, done));
    }

    /// The first moment is known.
    pub(super) fn changed_since(&mut self, since: Seq, until: Option<Moment>, done: ChangedDone) {
        match until {
            Some(until) => self.resolve(&until, Then::Until(since, done)),
            None => {
                let newest = self.parts.log.status().newest;
                self.changed_between(since, newest, done);
            }
        }
    }

    /// Both moments are known.
    pub(super) fn changed_between(&mut self, since: Seq, until: Seq, done: ChangedDone) {
        let entry = self.asked.vacant_entry();
        let request = RequestId(entry.key() as u64);
        match self.parts.log.changed(request, since, until) {
            Ok(()) => {
                entry.insert(LogPurpose::Changed(since, until, done));
                self.pump();
            }
            Err(why) => done(Err(self.sentence(why))),
        }
    }

    /// Runs of blocks as ranges of bytes.
    pub(super) fn changed_blocks(
        &self,
        since: Seq,
        until: Seq,
        runs: Vec<(u64, u64)>,
    ) -> ChangedBlocks {
        // The earlier one may have been larger: what lies behind its end is none of the later one.
        let size_bytes = self.size_bytes_at(until);
        let range = |(first, blocks): (u64, u64)| {
            let start = first * BLOCK;
            let len_bytes = (blocks * BLOCK).min(size_bytes.checked_sub(start)?);
            (len_bytes > 0).then_some((start, len_bytes))
        };
        ChangedBlocks {
            since,
            until,
            ranges: runs.into_iter().filter_map(range).collect(),
        }
    }
}
