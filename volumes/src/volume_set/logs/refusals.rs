//! What is refused of histories before anything is written: settings that do not go together, logs
//! that no image knows, histories that cannot be given up.

use super::super::VdiskConfig;
use super::{area_layout, settings};
use crate::VolumeError;
use crate::driver::Driver;
use crate::histories::look_into_log;
use crate::label::{HistoryEntry, Uuid, VdiskEntry};
use crate::labelled::LabelledDisk;
use disktime_disks::Disk;
use disktime_history::WhenFull;
use disktime_units::{BackgroundWork, Share, TrimHandling};

/// Refuses a history that cannot be kept. `holds_data`: the vdisk's disk and that of its log do.
pub(crate) fn check_history(vdisk: &VdiskConfig, holds_data: bool) -> Result<(), VolumeError> {
    let refuse = |problem: &str| {
        Err(VolumeError::History {
            name: vdisk.spec.name.clone(),
            problem: problem.to_owned(),
        })
    };
    if vdisk.history.is_some() != vdisk.spec.history_bytes.is_some() {
        return refuse("its space and how it is kept are given together");
    }
    if vdisk.history.is_none() {
        return Ok(());
    }
    if !holds_data {
        return refuse(
            "its disk keeps no data (a `null` disk), and a history is made of data; use a file or a \
             device",
        );
    }
    if vdisk.trims == TrimHandling::Hold {
        return refuse("its trims go to the log, so they cannot be held; use \"trim\": \"pass\"");
    }
    Ok(())
}

/// Refuses a log that no image knows of and that holds something: the image's disk is older than
/// the log.
pub(crate) fn require_untouched<D: Disk, R: Driver>(
    disk: &mut LabelledDisk<D>,
    driver: &mut R,
    (name, entry): &(String, HistoryEntry),
) -> Result<(), VolumeError> {
    let stream = disk.background(BackgroundWork::Metadata);
    let layout = area_layout(entry, stream);
    let disk_loop = disk.disk_loop_mut();
    let settings = settings(disk_loop, (WhenFull::Shorten, 0, Share::WHOLE));
    let of_vdisk = (entry, &layout, None);
    let found = look_into_log(disk_loop, driver, of_vdisk, stream, settings)?;
    if found.is_ok_and(|log| log.status().newest == 0) {
        return Ok(());
    }
    Err(VolumeError::History {
        name: name.clone(),
        problem: "this disk holds a log of it with changes, and the disk of the vdisk knows of \
                  none: it is an older copy of itself. Bring the newer one back; to give the log up, \
                  take the vdisk out of the file and free it with `disktime remove`"
            .to_owned(),
    })
}

/// Refuses to give up a history that others need, or that the image does not have all of. Nothing
/// is written. `image`, `log`: the numbers of the disks.
pub(crate) fn require_endable<D: Disk, R: Driver>(
    disks: &mut [LabelledDisk<D>],
    driver: &mut R,
    (image, log): (usize, usize),
    name: &str,
) -> Result<(), VolumeError> {
    let uuid = disks[image].label().find(name).map(VdiskEntry::uuid);
    if uuid.is_some() && (disks[image].is_read_only() || disks[log].is_read_only()) {
        return Err(VolumeError::ReadOnlyDisk);
    }
    match uuid {
        Some(uuid) => require_endable_log(&mut disks[log], driver, (name, uuid)),
        None => Ok(()),
    }
}

/// The same, of the log of a vdisk, if it is on a disk, which may be open for reading only.
///
/// # Errors
/// Why it cannot be given up; the disk's failures.
pub fn require_endable_log<D: Disk, R: Driver>(
    disk: &mut LabelledDisk<D>,
    driver: &mut R,
    (name, vdisk): (&str, Uuid),
) -> Result<(), VolumeError> {
    let refuse = |problem: String| {
        Err(VolumeError::History {
            name: name.to_owned(),
            problem: format!("it cannot be switched off: {problem}"),
        })
    };
    let label = disk.label();
    let entry = label.history_of(vdisk);
    let here = entry.filter(|entry| entry.log_disk() == label.disk_uuid());
    let Some(entry) = here.cloned() else {
        return Ok(());
    };
    let stream = disk.background(BackgroundWork::Metadata);
    let layout = area_layout(&entry, stream);
    let disk_loop = disk.disk_loop_mut();
    let settings = settings(disk_loop, (WhenFull::Shorten, 0, Share::WHOLE));
    let of_vdisk = (&entry, &layout, None);
    let found = look_into_log(disk_loop, driver, of_vdisk, stream, settings)?;
    let log = match found {
        Ok(log) => log,
        Err(why) => return refuse(why),
    };
    let status = log.status();
    let clones: Vec<&str> = log.cloned().map(|clone| &*clone.name).collect();
    if !clones.is_empty() {
        return refuse(format!(
            "the clones {} begin with moments of it; give it its `history` back, and drop them \
             first (`disktime drop CLONE`)",
            clones.join(", ")
        ));
    }
    if status.lost_from.is_some() {
        return refuse(
            "it has lost data that was durable; give it its `history` back, and accept that first \
             (`disktime accept-loss`)"
                .to_owned(),
        );
    }
    if log.image_lacks_blocks() {
        return refuse(
            "it has lost blocks that the vdisk's own space lacks, and the log alone knows which; \
             give it its `history` back, and write them again (`disktime verify` lists them)"
                .to_owned(),
        );
    }
    Ok(())
}
