//! The vdisks that have something to send, in turn.
//!
//! Invariant: a vdisk is in the row at most once, so a vdisk with many requests gets no more turns
//! than one with few. No allocation once the row has grown to the number of vdisks.

use crate::ids::VdiskSlot;
use std::collections::VecDeque;

/// A row of vdisks; the first goes next.
#[derive(Debug, Default)]
pub(crate) struct Rotation {
    row: VecDeque<VdiskSlot>,
    /// By slot: whether it is in the row.
    waits: Vec<bool>,
}

impl Rotation {
    /// Makes space for a vdisk.
    pub(crate) fn make_room(&mut self, slot: VdiskSlot) {
        if self.waits.len() <= slot.index() {
            self.waits.resize(slot.index() + 1, false);
        }
        self.row.reserve(self.waits.len() - self.row.len());
    }

    /// Puts a vdisk at the end of the row, unless it is in it.
    pub(crate) fn join(&mut self, slot: VdiskSlot) {
        let waits = &mut self.waits[slot.index()];
        if !*waits {
            *waits = true;
            self.row.push_back(slot);
        }
    }

    /// Takes a vdisk out of the row, if it is in it.
    pub(crate) fn leave(&mut self, slot: VdiskSlot) {
        if std::mem::take(&mut self.waits[slot.index()]) {
            self.row.retain(|other| *other != slot);
        }
    }

    /// Takes the first out of the row.
    pub(crate) fn take_next(&mut self) -> Option<VdiskSlot> {
        let slot = self.row.pop_front()?;
        self.waits[slot.index()] = false;
        Some(slot)
    }
}

#[cfg(test)]
mod tests;
