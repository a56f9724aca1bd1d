//! A vdisk loses its history: when its log is folded and closed, the labels are written without it,
//! and the vdisk is served from its image alone.
//!
//! Invariant: the label of the log's disk names it as that of an image until the image has
//! everything, durably.
//!
//! Not known here: how that is waited for (`joined/ending.rs`).

use super::VolumeSet;
use crate::VolumeError;
use crate::histories::{Ending, LoggedVdisk};
use crate::ids::VdiskSlot;
use crate::label::{Label, Update, Uuid};
use crate::space;
use disktime_disks::Disk;
use disktime_engine::{Reply, VdiskId};
use disktime_units::Nanos;

impl<D: Disk> VolumeSet<D> {
    fn ended(&mut self, vdisk: VdiskId) -> Result<(VdiskSlot, &mut LoggedVdisk), String> {
        let slot = self.catalog.resolve(vdisk).ok_or("it is not served")?;
        let logged = self.histories.of_mut(slot);
        Ok((slot, logged.ok_or("it could not be opened")?))
    }

    /// The number of the set of a vdisk's log, if that is another.
    pub(crate) fn log_set_of(&mut self, vdisk: VdiskId) -> Option<usize> {
        self.ended(vdisk).ok()?.1.log_set()
    }

    /// Folds everything of a vdisk's log; `None` when the image has it.
    pub(crate) fn advance_ending(&mut self, vdisk: VdiskId) -> Result<Option<Ending>, String> {
        self.ended(vdisk)?.1.advance_ending()
    }

    /// Closes its log; whether that is done.
    pub(crate) fn advance_closing(&mut self, vdisk: VdiskId) -> Result<bool, String> {
        self.ended(vdisk)?.1.advance_closing()
    }

    /// Begins to write that the image of a log on this disk has all of it; what the label will be.
    pub(crate) fn begin_giving_up(&mut self, vdisk: Uuid) -> Result<Label, VolumeError> {
        self.begin_label(space::with_log_given_up(&self.label, vdisk)?)
    }

    /// Begins to write the label without the log of a vdisk, or without saying where it lies; what
    /// it will be.
    pub(crate) fn begin_freeing(&mut self, vdisk: Uuid) -> Result<Label, VolumeError> {
        self.begin_label(space::without_log(&self.label, vdisk)?)
    }

    fn begin_label(&mut self, next: Label) -> Result<Label, VolumeError> {
        let next = next.following(&self.label);
        self.begin_script(Update::change(&next, 0)?);
        Ok(next)
    }

    /// Goes on with that, after answers; whether it is done.
    pub(crate) fn advance_label(
        &mut self,
        now: Nanos,
        replies: &mut Vec<Reply>,
    ) -> Option<Result<(), disktime_engine::IoError>> {
        replies.retain(|reply| !self.clone_works.take_reply(reply));
        self.advance_script(now);
        self.take_script()
    }

    /// It is written.
    pub(crate) fn label_is_written(&mut self, label: Label) {
        self.label = label;
    }

    /// No label of the vdisk's disk names its log any more: it has no history. The slot that the
    /// log had, on the disk of the log.
    pub(crate) fn detach_history(&mut self, vdisk: VdiskId) -> Option<VdiskSlot> {
        let slot = self.catalog.resolve(vdisk)?;
        let at = self.histories.unbind(slot)?;
        let mut logged = self.histories.take_out(at)?;
        logged.refuse_controls("the history was switched off");
        self.data_path.flush_by_own_stream(slot);
        logged.log_slot()
    }

    /// The slot of a log that was detached leaves.
    pub(crate) fn remove_log_slot(&mut self, log_slot: VdiskSlot) {
        self.data_path.remove(log_slot);
    }

    /// Whether it has left.
    pub(crate) fn has_left(&self, log_slot: VdiskSlot) -> bool {
        !self.data_path.is_in_use(log_slot)
    }

    /// Its streams on this disk are not needed any more.
    pub(crate) fn remove_history_streams(&mut self, now: Nanos, name: &str) {
        let disk_loop = self.data_path.disk_loop_mut();
        for streams in self.history_streams.extract_if(.., |one| one.vdisk == name) {
            for stream in streams.log.into_iter().chain(streams.fold) {
                disk_loop.remove_stream(now, stream);
            }
        }
    }
}
