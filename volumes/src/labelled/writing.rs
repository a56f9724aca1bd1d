//! Does the steps of the label's updates on the disk, and writes zero maps.

use super::LabelledDisk;
use crate::VolumeError;
use crate::driver::Driver;
use crate::label::{Extent, Label, UNIT_BYTES, Update, Uuid, VERSION};
use crate::program_version::ProgramVersion;
use crate::space::NewHistory;
use crate::zero_map::{MapKey, ZeroMap};
use disktime_disks::Disk;

impl<D: Disk> LabelledDisk<D> {
    /// Makes `next` the table, in both copies.
    pub(super) fn change<R: Driver>(
        &mut self,
        driver: &mut R,
        next: Label,
    ) -> Result<(), VolumeError> {
        if self.update_failed {
            return Err(VolumeError::UpdateFailed);
        }
        let next = next.following(&self.label);
        let update = Update::change(&next, self.first_copy)?;
        if self.holds_data() {
            self.heal(driver)?;
            self.run(driver, "writing the label", update)?;
        }
        let found = self.label.version();
        if found != VERSION {
            self.messages.push(format!(
                "the label was upgraded from version {found} to version {VERSION}; programs that know \
                 only version {found} refuse the disk from now on"
            ));
        }
        self.first_copy = 0;
        self.label = next;
        Ok(())
    }

    /// Writes the copy again that is older or damaged, if one is.
    pub(super) fn heal<R: Driver>(&mut self, driver: &mut R) -> Result<(), VolumeError> {
        if let Some(healing) = self.healing.take() {
            self.run(driver, "healing a copy of the label", healing.update)?;
            self.messages.push(healing.message);
        }
        Ok(())
    }

    /// Whole copies, so that the signatures of what was there before are gone as well. Both are
    /// written before any vdisk exists: a crash in between leaves an empty table.
    pub(super) fn format<R: Driver>(&mut self, driver: &mut R) -> Result<(), VolumeError> {
        self.unwritten = false;
        if !self.holds_data() {
            return Ok(());
        }
        let label = self.label.clone().following(&self.label);
        let update = Update::format(&label, self.first_copy)?;
        self.run(driver, "formatting", update)?;
        self.label = label;
        self.first_copy = 0;
        self.wipe_tail(driver)
    }

    pub(super) fn run<R: Driver>(
        &mut self,
        driver: &mut R,
        doing: &'static str,
        update: Update,
    ) -> Result<(), VolumeError> {
        // Until the last step is done.
        self.update_failed = true;
        self.blocking(driver).update(doing, update)?;
        self.update_failed = false;
        Ok(())
    }

    /// Writes the zero maps of new extents, with their vdisks' uuids, and makes them durable.
    pub(super) fn write_maps<R: Driver>(
        &mut self,
        driver: &mut R,
        maps: &[(Uuid, Extent)],
    ) -> Result<(), VolumeError> {
        if !self.holds_data() || maps.is_empty() {
            return Ok(());
        }
        let disk_uuid = self.label.disk_uuid();
        let mut disk = self.blocking(driver);
        for (vdisk_uuid, extent) in maps {
            let Some(map_offset_bytes) = extent.map_offset_bytes else {
                continue;
            };
            let key = MapKey::new(*vdisk_uuid, disk_uuid, map_offset_bytes);
            let bytes = ZeroMap::encode_fresh(&key, extent.len_bytes);
            disk.write("writing a zero map", map_offset_bytes, &bytes)?;
        }
        disk.flush("making a zero map durable")
    }

    /// Writes the superblocks of new logs, so that nothing that lay there before is taken for one.
    pub(super) fn format_logs<R: Driver>(
        &mut self,
        driver: &mut R,
        histories: &[NewHistory],
    ) -> Result<(), VolumeError> {
        if !self.holds_data() {
            return Ok(());
        }
        let mut disk = self.blocking(driver);
        for history in histories {
            let version = ProgramVersion::this().numbers();
            let (block, extent) = (
                disktime_history::new_log(history.geometry, version),
                history.entry.extents().first(),
            );
            let (Some(block), Some((start, _))) = (block, extent) else {
                continue;
            };
            // Both lie in the first MiB of the area.
            for unit in disktime_history::SUPERBLOCK_UNITS {
                let at = start + u64::from(unit) * UNIT_BYTES as u64;
                disk.write("making a history", at, &block)?;
                disk.flush("making a history")?;
            }
        }
        Ok(())
    }

    /// The backup of a partition table would come back to life under some tools.
    fn wipe_tail<R: Driver>(&mut self, driver: &mut R) -> Result<(), VolumeError> {
        let tail = self.read_tail(driver)?;
        if tail.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let offset_bytes = self.label.size_bytes() - tail.len() as u64;
        let mut disk = self.blocking(driver);
        disk.write("formatting", offset_bytes, &vec![0; tail.len()])?;
        disk.flush("formatting")
    }
}
