//! Where a clone's blocks lie: in its own log, in that of a vdisk that it was cloned from, at a
//! moment of that, or in the image of the first of them.
//!
//! Invariants: a clone comes behind its parent in the list of its set, so its elders are a part of
//! the list; what it reads of them waits in the clone's own queues and is paid by its own stream;
//! no elder waits for reads of its clones.
//!
//! Not known here: how clones are made and dropped.

use super::logged_vdisk::LoggedVdisk;
use crate::ids::VdiskSlot;
use disktime_engine::VdiskId;
use disktime_history::{CloneEntry, Run, Seq, Source, UNIT_BYTES, View, ViewId};

/// What a clone was cloned from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parent {
    /// Where in the set's list it is.
    pub at: usize,
    /// The moment, which is open as long as the clone is served, as a whole map.
    pub view: ViewId,
}

/// The vdisks before one in the list of its set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Elders<'e>(&'e [Option<LoggedVdisk>]);

impl<'e> Elders<'e> {
    /// Of a vdisk that is no clone.
    pub(super) const NONE: Elders<'static> = Elders(&[]);

    pub(super) fn new(before: &'e [Option<LoggedVdisk>]) -> Elders<'e> {
        Elders(before)
    }

    pub(super) fn get(&self, at: usize) -> Option<&'e LoggedVdisk> {
        self.0.get(at)?.as_ref()
    }
}

/// Where blocks were found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'e> {
    pub run: Run,
    /// Of so many blocks from there on the younger vdisks have nothing.
    pub limit: u64,
    /// The vdisk that has them and where in the list it is, if that is not the one that was asked.
    pub elder: Option<(usize, &'e LoggedVdisk)>,
    /// Of that vdisk.
    pub view: View,
    /// How many look-ups that took.
    pub look_ups: usize,
}

impl LoggedVdisk {
    /// Where the block at `lba` lies, and those behind it that lie with it, at most `limit`.
    pub(super) fn find<'e>(
        &self,
        elders: Elders<'e>,
        view: View,
        lba: u64,
        limit: u64,
    ) -> Option<Found<'e>> {
        let run = self.parts.log.look_up(view, lba, limit)?;
        let mut found = Found {
            run,
            limit,
            elder: None,
            view,
            look_ups: 1,
        };
        let mut parent = self.parts.parent;
        while let (Source::Image, Some(Parent { at, view })) = (found.run.source, parent) {
            let (elder, view) = (elders.get(at)?, View::At(view));
            let limit = found.run.blocks;
            found = Found {
                run: elder.parts.log.look_up(view, lba, limit)?,
                limit,
                elder: Some((at, elder)),
                view,
                look_ups: found.look_ups + 1,
            };
            parent = elder.parts.parent;
        }
        Some(found)
    }

    /// Whether something waits to be looked up in its elders.
    pub(super) fn waits_for_elders(&self) -> bool {
        !self.waits_for_elders.is_empty()
    }

    /// Begins the reads that wait to be looked up in its elders.
    pub(super) fn ask_elders(&mut self, elders: Elders<'_>) {
        while let Some(wanted) = self.waits_for_elders.pop_front() {
            if self.can_look_up(wanted) {
                self.begin_reading(wanted, elders);
            }
        }
    }
}

/// What the set asks of a clone, or of what it was cloned from.
impl LoggedVdisk {
    /// What it was cloned from, if it is a clone.
    pub(crate) fn parent(&self) -> Option<Parent> {
        self.parts.parent
    }

    /// Bytes whose newest version lies in its log.
    pub(super) fn index_bytes(&self) -> u64 {
        self.parts.log.index_blocks() * UNIT_BYTES as u64
    }

    pub(crate) fn name(&self) -> &str {
        &self.parts.name
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.parts.size_bytes
    }

    /// The size that it had at a moment.
    pub(crate) fn size_bytes_at(&self, moment: Seq) -> u64 {
        self.parts.log.vdisk_blocks_at(moment) * UNIT_BYTES as u64
    }

    /// Of its log.
    pub(crate) fn log_uuid(&self) -> [u8; 16] {
        self.parts.log.uuid()
    }

    /// The moment of a view that is open.
    pub(crate) fn moment_of(&self, view: ViewId) -> Option<Seq> {
        self.parts.log.moment_of(view)
    }

    /// The clones that its log records.
    pub(crate) fn clone_entries(&self) -> impl Iterator<Item = &CloneEntry> {
        self.parts.log.cloned()
    }

    /// The names of its clones.
    pub(crate) fn clone_names(&self) -> Vec<String> {
        self.clone_entries()
            .map(|clone| clone.name.clone())
            .collect()
    }

    /// It is a clone, and a user of the moment with this handle.
    pub(crate) fn begins_with(&mut self, moment: VdiskId) {
        self.moment = Some(moment);
    }

    /// The handle of the moment that a clone begins with.
    pub(crate) fn moment(&self) -> Option<VdiskId> {
        self.moment
    }

    /// The slot of the data path of its log's disk: where that is another disk, it reads there what
    /// it was cloned from, before it has a log.
    pub(crate) fn log_slot(&self) -> Option<VdiskSlot> {
        let is_there = self.has_area() || self.log_set().is_some();
        is_there.then_some(self.parts.area.slot)
    }
}
