//! Modelled disks.

use disktime_disks::{Store, VirtualDisk};
use disktime_drive_models::{HddModel, preset};

/// A hard disk of 2008 that seeks over so many bytes.
pub(crate) fn hard_disk(size_bytes: u64, store: Store) -> VirtualDisk<HddModel> {
    let (parameters, _) = preset("desktop-7200-2008").expect("the preset exists");
    let disk = VirtualDisk::hard_disk(&parameters, size_bytes, "hdd0", store);
    disk.expect("a valid model")
}
