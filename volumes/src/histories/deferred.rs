//! A clone to which nothing was written: it has no log on the disk. What needs one waits here until
//! the set has made it.
//!
//! ```text
//!   absent ─ a change, a mark, a revert, a clone of it ─► wanted ─► making ─► beginning ─► there
//!     ▲                                                               │
//!     └── no space: what waits fails, and the next one tries again ───┘
//! ```
//!
//! Invariants: what waits is begun in order when the log takes requests, or fails; reads, and a
//! flush, for which there is nothing to do, do not wait.
//!
//! Not known here: where the space comes from.

use super::controls::{HistoryError, SeqDone};
use super::inner::Ground;
use super::logged_vdisk::LoggedVdisk;
use crate::ids::VdiskSlot;
use disktime_engine::IoError;
use disktime_history::{Failure, Geometry, Log, RequestId};
use std::collections::VecDeque;

/// Marks, clones and the like that wait, at most.
const CONTROLS_MAX: usize = 1024;

/// What is asked of a log, as often as it has to be.
pub(super) type Ask = Box<dyn FnMut(&mut Log, RequestId) -> Result<(), Failure> + Send>;

/// How far the area of a log is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    There,
    /// Nothing needs it.
    Absent,
    /// The set has not heard of it.
    Wanted,
    /// The set makes it.
    Making,
    /// The log writes what it begins with.
    Beginning,
}

/// What waits for the area of a log.
#[derive(Default)]
pub(super) struct Deferred {
    stage: Stage,
    /// Clients with changes, in order.
    changes: VecDeque<usize>,
    controls: VecDeque<(SeqDone, Ask)>,
    has_revert: bool,
}

impl Deferred {
    /// Of a log that is on the disk, or is not.
    pub(super) fn of_log(log: &Log) -> Deferred {
        Deferred {
            stage: match log.is_unwritten() {
                true => Stage::Absent,
                false => Stage::There,
            },
            ..Deferred::default()
        }
    }

    pub(super) fn is_there(&self) -> bool {
        self.stage == Stage::There
    }

    /// Nothing waits, and the set makes nothing.
    pub(super) fn is_quiet(&self) -> bool {
        let is_settled = matches!(self.stage, Stage::There | Stage::Absent);
        is_settled && self.changes.is_empty() && self.controls.is_empty() && !self.has_revert
    }

    /// A revert waits, and is tried again when the log takes requests.
    pub(super) fn has_revert(&self) -> bool {
        self.has_revert
    }

    fn want(&mut self) {
        if self.stage == Stage::Absent {
            self.stage = Stage::Wanted;
        }
    }
}

impl LoggedVdisk {
    /// Whether the log lies on the disk.
    pub(crate) fn has_area(&self) -> bool {
        matches!(self.deferred.stage, Stage::There | Stage::Beginning)
    }

    /// Whether a change waits until the log is there; then it is begun again later.
    pub(super) fn waits_for_area(&mut self, key: usize) -> bool {
        if self.deferred.is_there() {
            return false;
        }
        self.deferred.changes.push_back(key);
        self.deferred.want();
        true
    }

    /// Something that the log has refused because nothing of it is on the disk waits.
    pub(super) fn control_waits_for_area(&mut self, done: SeqDone, ask: Ask) {
        if self.deferred.controls.len() >= CONTROLS_MAX {
            return done(Err(self.sentence(Failure::Busy)));
        }
        self.deferred.controls.push_back((done, ask));
        self.deferred.want();
    }

    /// The same, of the revert that is being done.
    pub(super) fn revert_waits_for_area(&mut self) {
        self.deferred.has_revert = true;
        self.deferred.want();
    }

    /// Whether the set is to make the area; it is told once.
    pub(super) fn take_area_wish(&mut self) -> bool {
        let is_wanted = self.deferred.stage == Stage::Wanted;
        if is_wanted {
            self.deferred.stage = Stage::Making;
        }
        is_wanted
    }

    /// What the log is for which an area is to be made, with its size; `None` if that is not
    /// needed any more.
    pub(crate) fn wanted_area(&self) -> Option<(Geometry, u64)> {
        let is_wanted = self.deferred.stage == Stage::Making && self.parts.log.is_unwritten();
        is_wanted.then(|| (self.parts.log.geometry(), self.parts.max_bytes))
    }

    /// The bytes of both superblocks with which the log begins.
    pub(crate) fn first_superblock(&mut self) -> Vec<u8> {
        self.parts.log.first_superblock()
    }

    /// The area is there, with the superblocks, in a slot of the data path.
    pub(crate) fn area_is_there(&mut self, slot: VdiskSlot, area_bytes: u64) {
        self.parts.area = Ground {
            slot,
            ..self.parts.area
        };
        self.parts.area_bytes = area_bytes;
        self.deferred.stage = Stage::Beginning;
        self.parts.log.begin_writing();
        self.pump();
    }

    /// There is none: what waits fails, and what needs it next tries again.
    pub(crate) fn area_failed(&mut self, error: IoError, why: &HistoryError) {
        if self.deferred.stage == Stage::Making {
            self.deferred.stage = Stage::Absent;
        }
        self.fail_deferred(error, why);
    }

    /// What waits for the area fails.
    pub(super) fn fail_deferred(&mut self, error: IoError, why: &HistoryError) {
        // An answer may release a range for a change behind it, which waits here then, too.
        while let Some(key) = self.deferred.changes.pop_front() {
            self.clients.get_mut(key).fail(error, None);
            self.answer(key);
        }
        for (done, _) in std::mem::take(&mut self.deferred.controls) {
            done(Err(format!("`{}`: {why}", self.parts.name)));
        }
        if std::mem::take(&mut self.deferred.has_revert) {
            self.refuse_revert(why);
        }
        if self.deferred.stage == Stage::Wanted {
            self.deferred.stage = Stage::Absent;
        }
    }

    /// It stops: what waits for an area that the set has not begun to make is not done.
    pub(super) fn stop_deferred(&mut self) {
        if !self.has_area() {
            self.fail_deferred(IoError::Shutdown, &"the server is stopping".to_owned());
        }
    }

    /// The log takes requests, or never will.
    pub(super) fn log_has_begun(&mut self) {
        if self.deferred.stage != Stage::Beginning {
            return;
        }
        self.deferred.stage = Stage::There;
        // A revert that waits is begun again by the next turn.
        self.deferred.has_revert = false;
        for key in std::mem::take(&mut self.deferred.changes) {
            self.begin_change(key);
        }
        for (done, ask) in std::mem::take(&mut self.deferred.controls) {
            self.control(done, ask);
        }
    }

    /// The disk has no space for what the log begins with.
    pub(super) fn beginning_has_no_space(&mut self) {
        if self.deferred.stage == Stage::Beginning {
            let why = Failure::NoSpace.to_string();
            self.fail_deferred(IoError::NoSpace, &why);
        }
    }
}
