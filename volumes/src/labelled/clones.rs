//! Clones on a disk that is not served: their logs are made, and what they begin with is kept.

use super::LabelledDisk;
use crate::VolumeError;
use crate::driver::Driver;
use crate::label::{UNIT_BYTES, VdiskEntry};
use crate::space::NewClone;
use disktime_disks::Disk;
use disktime_history::{Origin, SUPERBLOCK_UNITS};

impl<D: Disk> LabelledDisk<D> {
    /// Writes the log of a clone, and the table that names it.
    pub(crate) fn make_clone_log<R: Driver>(
        &mut self,
        driver: &mut R,
        new: &NewClone,
        origin: Origin,
    ) -> Result<(), VolumeError> {
        if self.update_failed {
            return Err(VolumeError::UpdateFailed);
        }
        self.heal(driver)?;
        let (update, next) = new.update(&self.label, origin, self.first_copy)?;
        self.run(driver, "making the space of a clone", update)?;
        self.first_copy = 0;
        self.label = next;
        Ok(())
    }

    /// Refuses what would take away what a clone on this disk begins with.
    pub(super) fn refuse_cloned<R: Driver>(
        &mut self,
        driver: &mut R,
        name: &str,
    ) -> Result<(), VolumeError> {
        let Some(vdisk) = self.label.find(name).map(VdiskEntry::uuid) else {
            return Ok(());
        };
        let of_clones = self.label.histories().iter();
        let of_clones = of_clones.filter(|entry| entry.is_of_clone());
        let starts = of_clones.filter_map(|entry| Some(entry.extents().first()?.0));
        let mut clones = 0;
        for start in starts.collect::<Vec<u64>>() {
            for unit in SUPERBLOCK_UNITS {
                let at = start + u64::from(unit) * UNIT_BYTES as u64;
                let mut disk = self.blocking(driver);
                let block = disk.read("reading the log of a clone", at, UNIT_BYTES as u64)?;
                let origin = disktime_history::origin_of(&block);
                if origin.is_some_and(|origin| origin.vdisk == vdisk.to_bytes()) {
                    clones += 1;
                    break;
                }
            }
        }
        if clones == 0 {
            return Ok(());
        }
        Err(VolumeError::History {
            name: name.to_owned(),
            problem: format!(
                "{clones} clones begin with moments of it, so it cannot be removed; drop them first \
                 on the running server (`disktime drop CLONE`)"
            ),
        })
    }
}
