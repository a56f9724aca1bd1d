//! Withdrawing a request that is queued.
//!
//! The scheduler keeps it, as taking it out would need a way out of every policy's structures. When
//! its turn comes it is answered instead of sent.

use super::{DiskLoop, Slot};
use disktime_disks::{Disk, Operation};

impl<D: Disk> DiskLoop<D> {
    /// Withdraws a discard: it is answered when its turn comes, as one that took no time, and
    /// nothing is done for it. False if the disk has it already, or it was answered. Takes time
    /// linear in what is queued.
    pub fn withdraw_discard(&mut self, tag: u64) -> bool {
        let is_meant = |slot: &Slot| slot.io.tag == tag && slot.io.operation == Operation::Discard;
        let mut slots = self.slots.iter_mut().map(|(_, slot)| slot);
        let Some(slot) = slots.find(|slot| is_meant(slot) && !slot.is_withdrawn) else {
            return false;
        };
        if slot.is_sent {
            return false;
        }
        slot.is_withdrawn = true;
        self.withdrawn += 1;
        true
    }
}
