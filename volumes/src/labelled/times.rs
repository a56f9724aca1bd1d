//! The times of the last changes, in the label: marked open before the vdisks are served.

use super::LabelledDisk;
use crate::VolumeError;
use crate::driver::Driver;
use crate::label::{ChangeTimes, Update};
use disktime_disks::Disk;

impl<D: Disk> LabelledDisk<D> {
    /// What the label says of the last changes. It counts only if both copies said the same: a
    /// server that could not mark one of them leaves them different.
    pub(crate) fn times(&self) -> Option<ChangeTimes> {
        self.label.times().filter(|_| self.copies_agree)
    }

    /// Marks the times open, durably: vdisks may change from now on.
    pub(crate) fn open_times<R: Driver>(&mut self, driver: &mut R) -> Result<(), VolumeError> {
        let times = self.label.times().filter(|times| !times.is_open());
        let Some(times) =
            times.filter(|_| self.holds_data() && !self.update_failed && !self.is_read_only())
        else {
            return Ok(());
        };
        let next = self.label.clone().with_times(&times.opened());
        let next = next.following(&self.label);
        let mut failed = None;
        // One copy that says it is enough.
        for first in [0, 1] {
            let update = Update::change(&next, first)?;
            match self.run(driver, "marking the label as in use", update) {
                Ok(()) => {
                    self.label = next;
                    return Ok(());
                }
                Err(error) if error.is_bad_sector() => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        self.messages.extend(failed.map(|error| {
            format!(
                "{error}; a copy of the label cannot be written. The vdisks are served, and none \
                 can be made, grown or freed until the disk takes that write"
            )
        }));
        Ok(())
    }

    /// Whether the label may not be changed, as it is not known what is on the disk.
    pub(crate) fn is_stuck(&self) -> bool {
        self.update_failed
    }
}
