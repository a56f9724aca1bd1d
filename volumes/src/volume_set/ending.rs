//! A vdisk loses its history: when its log is folded and closed, the label is written without it,
//! and the vdisk is served from its image alone.
//!
//! Invariant: the label names the log until the image has everything, durably.
//!
//! Not known here: how that is waited for (`joined/ending.rs`).

use super::VolumeSet;
use crate::VolumeError;
use crate::histories::{Ending, LoggedVdisk};
use crate::ids::VdiskSlot;
use crate::label::{Label, Update};
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

    /// Folds everything of a vdisk's log; `None` when the image has it. Not if the label cannot be
    /// written without the log afterwards.
    pub(crate) fn advance_ending(&mut self, vdisk: VdiskId) -> Result<Option<Ending>, String> {
        self.require_known_label()?;
        self.ended(vdisk)?.1.advance_ending()
    }

    /// Closes its log; whether that is done.
    pub(crate) fn advance_closing(&mut self, vdisk: VdiskId) -> Result<bool, String> {
        self.ended(vdisk)?.1.advance_closing()
    }

    /// Begins to write the label without the log of a vdisk; what it will be.
    pub(crate) fn begin_freeing(&mut self, vdisk: VdiskId) -> Result<Label, VolumeError> {
        let uuid = self.catalog.uuid(vdisk).unwrap_or_default();
        let next = space::without_log(&self.label, uuid)?.following(&self.label);
        self.begin_script(Update::change(&next, 0)?);
        Ok(next)
    }

    /// Goes on with that, after answers; whether it is done.
    pub(crate) fn advance_freeing(
        &mut self,
        now: Nanos,
        replies: &mut Vec<Reply>,
    ) -> Option<Result<(), disktime_engine::IoError>> {
        replies.retain(|reply| !self.clone_works.take_reply(reply));
        self.advance_script(now);
        self.take_script()
    }

    /// The label is written: the vdisk has no history any more. The slot that its log leaves.
    pub(crate) fn detach_history(&mut self, vdisk: VdiskId, label: Label) -> Option<VdiskSlot> {
        self.label = label;
        let slot = self.catalog.resolve(vdisk)?;
        let at = self.histories.unbind(slot)?;
        let mut logged = self.histories.take_out(at)?;
        logged.refuse_controls("the history was switched off");
        self.data_path.flush_by_own_stream(slot);
        let log_slot = logged.log_slot()?;
        self.data_path.remove(log_slot);
        Some(log_slot)
    }

    /// Whether a log that was detached has left; then its streams are gone, too.
    pub(crate) fn has_left(&mut self, now: Nanos, vdisk: VdiskId, log_slot: VdiskSlot) -> bool {
        if self.data_path.is_in_use(log_slot) {
            return false;
        }
        let name = self.name(vdisk).unwrap_or_default().to_owned();
        let disk_loop = self.data_path.disk_loop_mut();
        for streams in self.history_streams.extract_if(.., |one| one.vdisk == name) {
            for stream in streams.log.into_iter().chain(streams.fold) {
                disk_loop.remove_stream(now, stream);
            }
        }
        true
    }
}
