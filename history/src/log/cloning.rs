//! Clones of moments of this vdisk: what is recorded of them, and how that keeps their moments.
//!
//! Invariants: both superblocks say that there are clones, durably, before the record of one is
//! written and until it is durable that the last one is dropped, so that no older program moves the
//! floor past its moment; a moment is held from the time at which its clone is asked for.
//!
//! What is not known here: what is written to a clone, which is another log's.

use super::Log;
use super::pipeline::{Answer, Flight, StagedRecord};
use super::requests::TABLE_MARGIN_BYTES;
use crate::clones::CLONES_MAX;
use crate::format::checkpoint::clone_bytes;
use crate::format::record::{CloneEntry, Record};
use crate::format::{Seq, Uuid};
use crate::steps::{Failure, RequestId};
use std::mem;

/// Clones that are asked for, until their records may be written.
#[derive(Debug, Default)]
pub(super) struct Announcing {
    waiting: Vec<StagedRecord>,
    /// Both superblocks say that there are clones.
    is_announced: bool,
    /// When the last clone was dropped.
    last_drop: Seq,
}

impl Announcing {
    /// Of a log whose superblocks say so, or not.
    pub(super) fn of_found(has_clones: bool) -> Announcing {
        Announcing {
            waiting: Vec::new(),
            is_announced: has_clones,
            last_drop: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A clone is dropped, which may not be durable yet.
    pub(super) fn note_drop(&mut self, seq: Seq) {
        self.last_drop = seq;
    }

    /// The answers of what waits, which is given up.
    pub(super) fn take_answers(&mut self) -> Vec<Answer> {
        let waiting = mem::take(&mut self.waiting);
        waiting.into_iter().map(|staged| staged.answer).collect()
    }
}

impl Log {
    /// Records that a clone begins with a moment of this vdisk; from now on the clone holds it.
    ///
    /// # Errors
    /// [`Failure::NoSuchMoment`], [`Failure::CloneExists`], [`Failure::BadName`],
    /// [`Failure::TooMany`].
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
        let waiting = self.records.len() * TABLE_MARGIN_BYTES;
        let more = TABLE_MARGIN_BYTES + clone_bytes(&clone) + waiting;
        if self.clone_entries().count() >= CLONES_MAX || !self.tables_have_room(more) {
            return Err(Failure::TooMany);
        }
        self.announcing.waiting.push(StagedRecord {
            record: Record::Clone(clone),
            payload: Vec::new(),
            answer: Answer::Request(request),
        });
        match self.announcing.is_announced {
            true => self.write_announced_clones(),
            false => self.want_superblocks(),
        }
        Ok(())
    }

    /// A clone is given up: its moment is not held any more.
    ///
    /// # Errors
    /// [`Failure::NoSuchClone`].
    pub fn drop_clone(&mut self, request: RequestId, vdisk: Uuid) -> Result<(), Failure> {
        self.check_writable()?;
        let clone = self.clones.of_vdisk(vdisk).ok_or(Failure::NoSuchClone)?;
        let seq = clone.seq;
        self.stage_record(request, Record::DropClone(seq))
    }

    /// Whether superblocks that are written now say that there are clones.
    pub(super) fn has_clones(&self) -> bool {
        // After a power failure the clone may be there again.
        let is_dropped = self.announcing.last_drop <= self.durable_seq;
        !is_dropped || self.clone_entries().next().is_some()
    }

    /// Superblocks are being written that say this.
    pub(super) fn superblocks_will_say(&mut self, has_clones: bool) {
        self.announcing.is_announced &= has_clones;
    }

    /// Both superblocks say this, durably.
    pub(super) fn superblocks_say(&mut self, has_clones: bool) {
        self.announcing.is_announced = has_clones;
        if has_clones {
            self.write_announced_clones();
        } else if !self.announcing.is_empty() {
            self.want_superblocks();
        }
    }

    fn write_announced_clones(&mut self) {
        let waiting = mem::take(&mut self.announcing.waiting);
        self.records.extend(waiting);
    }

    /// The clones that are there, and those that are asked for.
    pub(super) fn clone_entries(&self) -> impl Iterator<Item = &CloneEntry> {
        let there = self.clones.rows().map(|row| &row.entry);
        there.chain(self.clones_asked_for())
    }

    /// Clones whose records are not published yet.
    pub(super) fn clones_asked_for(&self) -> impl Iterator<Item = &CloneEntry> {
        let waiting = self.announcing.waiting.iter().chain(&self.records);
        let waiting = waiting.map(|staged| &staged.record);
        let in_flight = self.flight.iter().filter_map(Flight::record);
        waiting.chain(in_flight).filter_map(|record| match record {
            Record::Clone(clone) => Some(clone),
            _ => None,
        })
    }

    /// Whether a clone begins with a moment.
    pub(super) fn is_cloned(&self, moment: Seq) -> bool {
        self.clone_entries().any(|clone| clone.moment == moment)
    }
}
