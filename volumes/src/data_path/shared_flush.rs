//! Flushes that several vdisks share, at the end of a disk.
//!
//! A flush is for the whole disk. While vdisks are served, each pays for its own. When the disk is
//! closed, the runs of all commits go side by side, and those that want a flush share the next one:
//! a disk with a thousand changed zero maps needs a handful of flushes, not three thousand.
//!
//! Invariants: one shared flush is in flight at a time; it covers the runs that wanted a flush
//! before it was sent, so what they wrote before is complete.

use super::DataPath;
use crate::ids::VdiskSlot;
use crate::target::{DiskIndex, Target};
use disktime_disks::Disk;
use disktime_engine::IoError;
use disktime_units::Nanos;

/// Whose runs want a flush, and whose the one in flight covers.
#[derive(Debug, Default)]
pub(super) struct SharedFlush {
    wanted: Vec<VdiskSlot>,
    covered: Vec<VdiskSlot>,
}

impl<D: Disk> DataPath<D> {
    /// From now on runs of commits share their flushes.
    pub(crate) fn share_flushes(&mut self) {
        self.shared_flush.get_or_insert_default();
    }

    /// Whether the run of a vdisk gets its flush with others; then it is wanted from now on.
    pub(super) fn wants_shared_flush(&mut self, slot: VdiskSlot) -> bool {
        let Some(shared) = &mut self.shared_flush else {
            return false;
        };
        shared.wanted.push(slot);
        true
    }

    /// Sends the flush for all that want one, if none is in flight.
    pub(super) fn send_shared_flush(&mut self, now: Nanos) {
        let metadata = self.metadata;
        let Some(shared) = &mut self.shared_flush else {
            return;
        };
        if shared.covered.is_empty() && !shared.wanted.is_empty() && self.io.has_room() {
            std::mem::swap(&mut shared.wanted, &mut shared.covered);
            let target = Target::whole_disk(DiskIndex::FIRST, metadata);
            self.io.send_shared_flush(now, target);
        }
    }

    /// The shared flush is back.
    pub(super) fn complete_shared_flush(&mut self, result: Result<(), IoError>) {
        let covered = self
            .shared_flush
            .as_mut()
            .map(|shared| std::mem::take(&mut shared.covered));
        for slot in covered.into_iter().flatten() {
            let result = result.and(self.refuse_if_cut(slot));
            self.complete_commit_io(slot, result);
            self.schedule(slot);
        }
    }
}
