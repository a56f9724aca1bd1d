//! Adding and removing vdisks while others are served.
//!
//! Invariants: a removed vdisk's handle is stale at once, and a request with it is answered with an
//! error; requests taken in before are answered as usual; its stream is removed after its last
//! I/O, so no other vdisk pays for it; its uuid and name are free only then.
//!
//! Not done here: making, growing and freeing vdisks on the disk, which changes the label.

use super::known::{
    MetadataSource, enter, handle_trims, open_vdisk, read_known, refuse_taken, unknown,
};
use super::{VdiskConfig, VolumeSet};
use crate::VolumeError;
use crate::data_path::DataPath;
use crate::driver::Driver;
use crate::label::Uuid;
use disktime_disks::{ContentMap, Disk};
use disktime_engine::VdiskId;
use disktime_units::Nanos;

impl<D: Disk> VolumeSet<D> {
    /// Serves a vdisk that the disk's label has and that is not served. Its zero maps are read
    /// while others are served; `driver` waits for that.
    ///
    /// # Errors
    /// A vdisk that is not on the disk, has another size there, is served or is still leaving; the
    /// disk's failures. Nothing has changed then.
    pub fn add<R: Driver>(
        &mut self,
        driver: &mut R,
        config: &VdiskConfig,
    ) -> Result<VdiskId, VolumeError> {
        let name = &config.spec.name;
        let entry = self.label.find(name);
        let entry = entry.ok_or_else(|| unknown(&self.label, name))?;
        if entry.size_bytes() != config.spec.size_bytes {
            return Err(VolumeError::BadSpec {
                name: name.clone(),
                reason: "its size differs from that on the disk, which changes only when the disk \
                         is opened",
            });
        }
        if config.history.is_some() || self.label.history_of(entry.uuid()).is_some() {
            return Err(VolumeError::BadSpec {
                name: name.clone(),
                reason: "a vdisk with a history is served only from the opening of its disk on",
            });
        }
        refuse_taken(&self.catalog, entry)?;
        let source = &mut (&mut self.data_path, &mut *driver);
        let known = read_known(entry, self.label.disk_uuid(), source)?;
        let slot = enter(&mut self.catalog, entry)?;
        let disk_loop = self.data_path.disk_loop_mut();
        let stream = self.groups.add_stream(disk_loop, driver.now(), config);
        let last_change = self.last_changes.of(entry.uuid());
        let opened = open_vdisk(entry, known, stream, last_change);
        let holds_data = self.disk_loop().properties().capabilities.holds_data;
        let opened = handle_trims(opened, config.trims, holds_data);
        for notice in opened.notices() {
            tracing::warn!("{notice}");
        }
        self.data_path.add_later(slot, opened);
        Ok(self.catalog.handle(slot))
    }

    /// Ends the service of a vdisk; its data stays on the disk. It has left when its requests are
    /// answered and what they wrote is durable ([`VolumeSet::is_leaving`]). Returns its identity;
    /// `None` if the handle is not valid, or if the vdisk has a history, which is closed with the
    /// disk only.
    pub fn remove(&mut self, vdisk: VdiskId) -> Option<Uuid> {
        let uuid = self.catalog.uuid(vdisk)?;
        let slot = self.catalog.resolve(vdisk)?;
        if self.histories.of(slot).is_some() {
            return None;
        }
        let slot = self.catalog.close(vdisk)?;
        self.data_path.remove(slot);
        Some(uuid)
    }

    /// Whether a vdisk was removed and has not left yet.
    pub fn is_leaving(&self, uuid: Uuid) -> bool {
        self.catalog.is_leaving(uuid)
    }

    /// Forgets the vdisks that have left.
    pub(super) fn finish_removals(&mut self, now: Nanos) {
        while let Some((slot, vdisk)) = self.data_path.take_left() {
            if self.catalog.release_reserved(slot) {
                // The log of a clone, whose stream goes with the clone.
                continue;
            }
            let disk_loop = self.data_path.disk_loop_mut();
            self.groups.remove_stream(disk_loop, now, vdisk.stream());
            let (uuid, _) = self.catalog.release(slot);
            self.last_changes.remember(uuid, vdisk.last_change());
            if vdisk.last_commit().is_err() {
                tracing::warn!(
                    vdisk = %vdisk.name(),
                    "it was removed, and its last flush failed: what was written since the last \
                     flush that succeeded may be lost"
                );
            }
        }
    }
}

impl<D: Disk, R: Driver> MetadataSource for (&mut DataPath<D>, &mut R) {
    fn holds_data(&self) -> bool {
        let properties = self.0.disk_loop().properties();
        properties.capabilities.holds_data
    }

    fn is_read_only(&self) -> bool {
        self.0.disk_loop().disk().is_read_only()
    }

    fn read(&mut self, doing: &'static str, at: u64, len: u64) -> Result<Vec<u8>, VolumeError> {
        self.0.read_metadata(&mut *self.1, doing, at, len)
    }

    fn content_map(&self) -> Option<&dyn ContentMap> {
        self.0.disk_loop().disk().content_map()
    }

    fn block_bytes(&self) -> u64 {
        u64::from(self.0.disk_loop().properties().block_bytes)
    }
}
