//! Clones on a disk that is not served: what they begin with is kept.

use super::LabelledDisk;
use crate::VolumeError;
use crate::driver::Driver;
use crate::histories::look_into_log;
use crate::label::{HistoryEntry, UNIT_BYTES, Uuid, VdiskEntry};
use crate::volume_set::{area_layout, log_settings};
use disktime_disks::Disk;
use disktime_history::SUPERBLOCK_UNITS;
use disktime_units::BackgroundWork;

impl<D: Disk> LabelledDisk<D> {
    /// Refuses what would take away what a clone on this disk begins with.
    pub(super) fn refuse_cloned<R: Driver>(
        &mut self,
        driver: &mut R,
        name: &str,
    ) -> Result<(), VolumeError> {
        match self.label.find(name).map(VdiskEntry::uuid) {
            Some(vdisk) => self.refuse_log_of_cloned(driver, (name, vdisk)),
            None => Ok(()),
        }
    }

    /// The same, of a vdisk whose log lies here and that may lie on another disk itself.
    pub(super) fn refuse_log_of_cloned<R: Driver>(
        &mut self,
        driver: &mut R,
        (name, vdisk): (&str, Uuid),
    ) -> Result<(), VolumeError> {
        let refuse = |clones: usize| {
            Err(VolumeError::History {
                name: name.to_owned(),
                problem: format!(
                    "{clones} clones begin with moments of it, so it cannot be removed; drop them \
                     first on the running server (`disktime drop CLONE`)"
                ),
            })
        };
        // Clones to which nothing was written are recorded in its own log only.
        let log = self.label.history_of(vdisk).cloned();
        if let Some(log) = log.filter(|log| log.log_disk() == self.label.disk_uuid())
            && let Some(clones) = self.recorded_in(driver, &log)?
        {
            return match clones {
                0 => Ok(()),
                clones => refuse(clones),
            };
        }
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
        match clones {
            0 => Ok(()),
            clones => refuse(clones),
        }
    }

    /// How many clones a log on this disk records; `None` if it cannot be opened.
    fn recorded_in<R: Driver>(
        &mut self,
        driver: &mut R,
        log: &HistoryEntry,
    ) -> Result<Option<usize>, VolumeError> {
        let stream = self.background(BackgroundWork::Metadata);
        let layout = area_layout(log, stream);
        let disk_loop = self.disk_loop_mut();
        let settings = log_settings(disk_loop);
        let found = look_into_log(disk_loop, driver, (log, &layout, None), stream, settings)?;
        Ok(found.ok().map(|log| log.cloned().count()))
    }
}
