//! Writing the label while requests are served: one step after the other, each a request of the
//! data path, paid by the stream of metadata.
//!
//! Invariant: while steps are done it is not known what the label is, nor when one has failed
//! behind the first that writes a copy of it; and nothing else changes it then.

use super::super::VolumeSet;
use crate::histories::{HistoryError, ORIGIN};
use crate::ids::VdiskSlot;
use crate::label::{EXTENT_ALIGNMENT_BYTES, Step, Update};
use crate::layout::{Known, Layout, MappedExtent};
use crate::request::InnerTerms;
use crate::target::{DiskIndex, Target};
use crate::vdisk::OpenVdisk;
use disktime_disks::{Buffer, Disk};
use disktime_engine::{IoError, LastChange, Request, RequestKind, VdiskId};
use disktime_units::{BackgroundWork, Nanos};

/// Steps that are done one after the other.
pub(super) struct Script {
    pub(super) steps: Update,
    pub(super) waits: bool,
    /// A copy of the label may have been written.
    reached_label: bool,
    pub(super) result: Option<Result<(), IoError>>,
}

/// Of requests of scripts: no log has this position.
pub(super) const SCRIPT_HANDLE: u64 = u64::MAX;

impl Script {
    pub(super) fn can_go_on(&self) -> bool {
        !self.waits
    }
}

impl<D: Disk> VolumeSet<D> {
    /// What a script needs: one that failed, or a copy that could not be healed, leaves a label of
    /// which one copy may be all that is whole.
    ///
    /// # Errors
    /// Why there can be none.
    pub(crate) fn require_known_label(&self) -> Result<(), HistoryError> {
        match self.label_is_stuck {
            true => Err(
                "the label of the disk cannot be written until the server is started again"
                    .to_owned(),
            ),
            false => Ok(()),
        }
    }

    pub(in crate::volume_set) fn begin_script(&mut self, steps: Update) {
        debug_assert!(!self.label_is_stuck, "it is asked for before");
        // Until it has ended it is not known what the label is.
        self.label_is_stuck = true;
        self.clone_works.script = Some(Script {
            steps,
            waits: false,
            reached_label: false,
            result: None,
        });
    }

    /// How the script has ended, if it has.
    pub(in crate::volume_set) fn take_script(&mut self) -> Option<Result<(), IoError>> {
        let has_ended = |script: &mut Script| script.result.is_some();
        let script = self.clone_works.script.take_if(has_ended)?;
        let result = script.result?;
        self.label_is_stuck = result.is_err() && script.reached_label;
        Some(result)
    }

    pub(in crate::volume_set) fn advance_script(&mut self, now: Nanos) {
        let ready = |script: &&mut Script| !script.waits && script.result.is_none();
        let Some(script) = self.clone_works.script.as_mut().filter(ready) else {
            return;
        };
        let Some(step) = script.steps.next() else {
            script.result = Some(Ok(()));
            return;
        };
        script.waits = true;
        script.reached_label |= step.writes_copy();
        let (kind, offset_bytes, buffer) = match step {
            Step::Flush => (RequestKind::Flush, 0, None),
            Step::Write {
                offset_bytes,
                bytes,
            } => (
                RequestKind::Write,
                offset_bytes,
                Some(Buffer::copy_of(&bytes)),
            ),
        };
        let request = Request {
            origin: ORIGIN,
            handle: SCRIPT_HANDLE,
            vdisk: VdiskId(0),
            kind,
            offset_bytes,
            len_bytes: buffer.as_ref().map_or(0, |buffer| buffer.len() as u64),
            fua: false,
            buffer,
        };
        let slot = self.label_slot();
        let terms = InnerTerms::default();
        let taken = self.data_path.submit_inner(now, slot, request, terms);
        debug_assert!(taken.is_ok(), "one at a time is always taken");
    }

    /// A slot of the data path that is the whole disk.
    fn label_slot(&mut self) -> VdiskSlot {
        if let Some(slot) = self.clone_works.label_slot {
            return slot;
        }
        let slot = self.catalog.reserve_slot();
        let stream = *self.background.get(BackgroundWork::Metadata);
        let end = self.label.size_bytes() / EXTENT_ALIGNMENT_BYTES * EXTENT_ALIGNMENT_BYTES;
        let target = Target::whole_disk(DiskIndex::FIRST, stream);
        let whole = MappedExtent::new((0, end), target, Known::Nothing);
        let layout = Layout::new(vec![whole], end);
        let label = OpenVdisk::new(
            "the label".to_owned(),
            stream,
            layout,
            false,
            LastChange::default(),
        );
        self.data_path.add_later(slot, label);
        self.clone_works.label_slot = Some(slot);
        slot
    }
}
