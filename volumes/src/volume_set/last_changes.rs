//! When each vdisk of the disk changed last: from the label when it is opened, and back to it when
//! the set is closed in good order.
//!
//! Invariants: no time is older than the last change, whatever ended the server before; between two
//! openings the time of a vdisk that did not change stays, if the first was closed in good order.
//!
//! In between nothing is written: the label says meanwhile that the vdisks may have changed.

use super::VolumeSet;
use crate::VolumeError;
use crate::driver::{Blocking, Driver};
use crate::label::{ChangeTimes, Label, Update, Uuid, VERSION};
use disktime_disks::Disk;
use disktime_engine::LastChange;
use disktime_units::BackgroundWork;
use std::collections::HashMap;

/// The times of vdisks that are not served, and of those that are, when they were opened.
#[derive(Debug)]
pub(super) struct LastChanges {
    /// What is not known did not change after this.
    opened_ns: u64,
    by_uuid: HashMap<Uuid, u64>,
}

impl LastChanges {
    /// What is known when a disk is opened.
    pub(super) fn opened(label: &Label, times: Option<&ChangeTimes>, opened_ns: u64) -> Self {
        let vdisks = label.vdisks().iter();
        let by_uuid = vdisks.map(|vdisk| {
            let stored = times.and_then(|times| Some((times.get(vdisk.uuid())?, times.is_open())));
            let time = match stored {
                Some((time, false)) => time,
                // The clock may have been put back meanwhile.
                Some((time, true)) => opened_ns.max(time.saturating_add(1)),
                None => opened_ns,
            };
            (vdisk.uuid(), time)
        });
        LastChanges {
            opened_ns,
            by_uuid: by_uuid.collect(),
        }
    }

    /// The time of a vdisk that is being opened.
    pub(super) fn of(&self, vdisk: Uuid) -> LastChange {
        let known = self.by_uuid.get(&vdisk).copied();
        LastChange::at(known.unwrap_or(self.opened_ns))
    }

    /// Remembers the time of a vdisk that is served no longer.
    pub(super) fn remember(&mut self, vdisk: Uuid, last: &LastChange) {
        self.by_uuid.insert(vdisk, last.since_1970_ns());
    }
}

impl<D: Disk> VolumeSet<D> {
    /// Writes the times of the last changes to the label, now that nothing is in flight and
    /// everything is durable: the next opening takes them as they are. Without this it takes the
    /// time at which it opens.
    ///
    /// # Errors
    /// The disk's failures; the label is then the old or the new one.
    pub fn close<R: Driver>(&mut self, driver: &mut R) -> Result<(), VolumeError> {
        let holds_data = self.disk_loop().properties().capabilities.holds_data;
        let is_read_only = self.disk_loop().disk().is_read_only();
        let is_sound = !self.label_is_stuck && !self.flush_failed() && !is_read_only;
        // The first change of the table upgrades a label, not this.
        if !holds_data || !is_sound || self.label.version() != VERSION {
            return Ok(());
        }
        let mut by_uuid = self.last_changes.by_uuid.clone();
        for (vdisk, slot, _) in self.catalog.served_vdisks() {
            let last = self.data_path.vdisk(slot).last_change().since_1970_ns();
            by_uuid.extend(self.catalog.uuid(vdisk).map(|uuid| (uuid, last)));
        }
        let next = self.label.clone().with_times(&ChangeTimes::closed(by_uuid));
        let next = next.following(&self.label);
        let update = Update::change(&next, 0)?;
        self.label_is_stuck = true;
        let metadata = *self.background.get(BackgroundWork::Metadata);
        let mut disk = Blocking::new(self.data_path.disk_loop_mut(), driver, metadata);
        disk.update("writing the times of the last changes", update)?;
        self.label_is_stuck = false;
        self.label = next;
        Ok(())
    }
}
