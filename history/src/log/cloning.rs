//! Clones of moments of this vdisk: what is recorded of them, and how that keeps their moments.
//!
//! Invariants: both superblocks say that there are clones, durably, from the opening on, until the
//! log is closed without any, so that no older program moves the floor past the moment of one; a
//! moment is held from the time at which its clone is asked for.
//!
//! What is not known here: what is written to a clone, which is another log's.

use super::Log;
use super::requests::TABLE_MARGIN_BYTES;
use crate::clones::CLONES_MAX;
use crate::format::checkpoint::clone_bytes;
use crate::format::record::{CloneEntry, Record};
use crate::format::{Seq, Uuid};
use crate::steps::{Failure, RequestId};

impl Log {
    /// Records that a clone begins with a moment of this vdisk; from now on the clone holds it.
    ///
    /// # Errors
    /// [`Failure::NoSuchMoment`], [`Failure::CloneExists`], [`Failure::BadName`],
    /// [`Failure::TooManyClones`].
    pub fn record_clone(&mut self, request: RequestId, clone: CloneEntry) -> Result<(), Failure> {
        self.check_writable()?;
        if !clone.is_possible() {
            return Err(Failure::BadName);
        }
        self.check_moment(clone.moment)?;
        if !self.branches_without(None).is_kept(clone.moment) {
            return Err(Failure::NoSuchMoment);
        }
        let is_it = |one: &CloneEntry| one.vdisk == clone.vdisk || one.name == clone.name;
        if self.clone_entries().any(is_it) {
            return Err(Failure::CloneExists);
        }
        let more = TABLE_MARGIN_BYTES + clone_bytes(&clone);
        if self.clone_entries().count() >= CLONES_MAX || !self.tables_have_room(more) {
            return Err(Failure::TooManyClones);
        }
        self.stage_record(request, Record::Clone(clone))
    }

    /// A clone is given up: its moment is not held any more.
    ///
    /// # Errors
    /// [`Failure::NoSuchClone`].
    pub fn drop_clone(&mut self, request: RequestId, vdisk: Uuid) -> Result<(), Failure> {
        let clone = self.clones.of_vdisk(vdisk).ok_or(Failure::NoSuchClone)?;
        let seq = clone.seq;
        self.check_writable()?;
        self.stage_record(request, Record::DropClone(seq))
    }

    /// Whether superblocks that are written now say that there are clones: always while the log can
    /// be written, so that the record of one needs no update of them before it.
    pub(super) fn has_clones(&self) -> bool {
        self.superblock.closed.is_none() || self.clone_entries().next().is_some()
    }

    /// The clones that are recorded, in the order in which they were made.
    pub fn cloned(&self) -> impl Iterator<Item = &CloneEntry> {
        self.clones.rows().map(|row| &row.entry)
    }

    /// The clones that are there, and those that are asked for.
    pub(super) fn clone_entries(&self) -> impl Iterator<Item = &CloneEntry> {
        let there = self.clones.rows().map(|row| &row.entry);
        there.chain(self.clones_asked_for())
    }

    /// Clones whose records are not published yet.
    pub(super) fn clones_asked_for(&self) -> impl Iterator<Item = &CloneEntry> {
        self.asked_for().filter_map(|record| match record {
            Record::Clone(clone) => Some(clone),
            _ => None,
        })
    }

    /// Whether a clone begins with a moment.
    pub(super) fn is_cloned(&self, moment: Seq) -> bool {
        self.clone_entries().any(|clone| clone.moment == moment)
    }
}
