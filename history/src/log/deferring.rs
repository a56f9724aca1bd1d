//! A log that is on a disk only when something is written to it: that of a clone.
//!
//! ```text
//!   deferred ── open, empty ── first_superblock ─► the driver writes it ── begin_writing ── open
//!                  │ what would write: Failure::Unwritten                 │ it can be read
//! ```
//!
//! Invariant: nothing is asked of the disk before the driver says that the superblocks are there.
//!
//! What is not known here: where its area lies, and whether there is space for one.

use super::{Log, Phase};
use crate::steps::Notice;

/// Whether a log waits for its area.
#[derive(Debug, Default)]
pub(super) struct Deferral {
    is_deferred: bool,
    /// It is closed as soon as it is open.
    is_ending: bool,
}

impl Deferral {
    pub(super) fn is_deferred(&self) -> bool {
        self.is_deferred
    }

    pub(super) fn closes_when_open(&self) -> bool {
        self.is_ending
    }
}

impl Log {
    /// Of a log that was made just now, in memory: it is open at once, empty, and takes what reads.
    /// What would write fails with [`Failure::Unwritten`] until [`Log::begin_writing`].
    ///
    /// [`Failure::Unwritten`]: crate::Failure::Unwritten
    pub fn deferred(mut self) -> Log {
        self.deferral.is_deferred = true;
        self
    }

    /// Whether it waits for [`Log::begin_writing`].
    pub fn is_unwritten(&self) -> bool {
        self.phase == Phase::Unwritten
    }

    /// The bytes of both superblocks of a log that is deferred, which are to be durable before
    /// [`Log::begin_writing`]. They begin an epoch, so that opening needs no second update of them.
    pub fn first_superblock(&mut self) -> Vec<u8> {
        if self.is_unwritten() {
            self.next_epoch();
            self.renew_superblock();
        }
        self.superblock.encode()
    }

    /// Its superblocks are durable. `Notice::Opened` says, once more, when it takes all requests;
    /// moments that are open stay, and it can be read meanwhile.
    pub fn begin_writing(&mut self) {
        if self.is_unwritten() {
            self.epoch_begins();
        }
    }

    /// Whether it writes what it begins with: if there is no space for that, it tries again.
    pub(super) fn begins_deferred(&self) -> bool {
        self.deferral.is_deferred && self.phase == Phase::BeginningBranch
    }

    /// It is being closed; whether it was not open for writing yet.
    pub(super) fn close_deferred(&mut self) -> bool {
        match self.phase {
            Phase::Unwritten => {
                self.phase = Phase::Closed;
                self.notices.push_back(Notice::Closed);
            }
            Phase::BeginningEpoch | Phase::BeginningBranch => self.deferral.is_ending = true,
            _ => return false,
        }
        true
    }
}
