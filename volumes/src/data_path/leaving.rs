//! Adding a vdisk, and removing one, while others are served. Of one that is removed:
//!
//! ```text
//!   handle stale ─► its requests are answered ─► a last commit ─► it has left
//! ```
//!
//! Invariants: requests that were taken in are answered as usual; what was answered is durable when
//! the vdisk has left, unless its last commit failed, so nothing is lost when its layout is
//! forgotten; a vdisk that has left has no I/O in flight and its slot can be used again.

use super::DataPath;
use crate::ids::VdiskSlot;
use crate::vdisk::OpenVdisk;
use disktime_disks::Disk;

/// A vdisk that is leaving.
#[derive(Debug)]
pub(super) struct Leaving {
    slot: VdiskSlot,
    /// Its last commit was asked for.
    is_committing: bool,
}

impl<D: Disk> DataPath<D> {
    /// As [`DataPath::add`], of one that the loop was not made for. It gets room for a full queue,
    /// so that a slow vdisk leaves the others theirs.
    pub(crate) fn add_later(&mut self, slot: VdiskSlot, vdisk: OpenVdisk) {
        // In a slot that is used again the one before had it.
        if slot.index() >= self.vdisks.len() {
            self.io.make_room_in_loop();
        }
        self.add(slot, vdisk);
    }

    /// Begins to remove a vdisk. From now on no request for it is submitted: its handle is stale.
    pub(crate) fn remove(&mut self, slot: VdiskSlot) {
        self.end_held_of(slot);
        let is_committing = false;
        self.leaving.push(Leaving {
            slot,
            is_committing,
        });
        self.turn_due = true;
    }

    /// The history of a vdisk was given up: nothing else pays for its flushes any more.
    pub(crate) fn flush_by_own_stream(&mut self, slot: VdiskSlot) {
        self.vdisk_mut(slot).flush_by_own_stream();
    }

    /// Whether a vdisk is in a slot, leaving or not.
    pub(crate) fn is_in_use(&self, slot: VdiskSlot) -> bool {
        self.vdisks[slot.index()].is_some()
    }

    /// Takes a vdisk that has left out of its slot.
    pub(crate) fn take_left(&mut self) -> Option<(VdiskSlot, OpenVdisk)> {
        self.left.pop()
    }

    /// Asks for the last commits of vdisks whose requests are answered, and takes those out of
    /// their slots whose last commit has ended.
    pub(super) fn advance_leaving(&mut self) {
        let mut leaving = std::mem::take(&mut self.leaving);
        leaving.retain_mut(|leaving| !self.has_left(leaving));
        self.leaving = leaving;
    }

    fn has_left(&mut self, leaving: &mut Leaving) -> bool {
        let slot = leaving.slot;
        let has_requests = self.requests.len_of(slot) > 0 || self.held.is_busy_with(slot);
        if has_requests || !self.vdisk(slot).commits().is_idle() {
            return false;
        }
        if !leaving.is_committing && !self.vdisk(slot).is_damaged() {
            leaving.is_committing = true;
            self.vdisk_mut(slot).commits_mut().ask();
            self.schedule(slot);
            return false;
        }
        self.rotation.leave(slot);
        self.left
            .extend(self.vdisks[slot.index()].take().map(|vdisk| (slot, vdisk)));
        true
    }
}
