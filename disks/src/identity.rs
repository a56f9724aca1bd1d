//! What a device or file is, found out without opening it for writing: size, model, queue, and what
//! uses it.
//!
//! Invariant: nothing is changed, and nothing is locked.
//!
//! What is not known here: what is on the device.

use crate::BackingError;
use crate::backing::{BackingKind, kind_found};
use crate::backing_error::system;
use crate::block_device::{queue_below, size_bytes};
use crate::file_space::hole_bytes;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A device or file, as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskIdentity {
    /// The path as given.
    pub path: PathBuf,
    /// Whether it is a block device; otherwise it is a regular file.
    pub is_device: bool,
    /// Its size.
    pub size_bytes: u64,
    /// Its model; that of the device below, for a file.
    pub model: Option<String>,
    /// Its serial number; that of the device below, for a file.
    pub serial: Option<String>,
    /// Whether it is rotational, where the kernel says so.
    pub rotational: Option<bool>,
    /// The kernel's scheduler above it.
    pub scheduler: Option<String>,
    /// The name of the kernel's queue, as in `/sys/block/NAME`.
    pub queue_name: String,
    /// Whether it answers writes before they are on the medium.
    pub write_cache: Option<bool>,
    /// Whether the kernel refuses writes to it.
    pub read_only: bool,
    /// What uses it, as the end of a sentence.
    pub used_by: Option<String>,
    /// Bytes of the file that were never written: reads of them cost nothing, also where space is
    /// set aside for them.
    pub hole_bytes: u64,
}

/// Describes what is at `path`.
///
/// # Errors
/// There is nothing, or it is neither a regular file nor a block device, or it cannot be read.
pub fn identify_disk(path: &Path) -> Result<DiskIdentity, BackingError> {
    let failed = |source| system(path, "examine it", source);
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(BackingError::Missing {
                path: path.to_owned(),
                remedy: "check the name with `lsblk`, or with `ls` for a file".to_owned(),
            });
        }
        Err(error) => return Err(failed(error)),
    };
    let kind = kind_found(path, &metadata)?;
    let file = File::open(path).map_err(failed)?;
    let is_device = kind == BackingKind::BlockDevice;
    let size_bytes = size_bytes(&file).map_err(failed)?;
    let queue = queue_below(&file, kind);
    let number = if is_device {
        metadata.rdev()
    } else {
        metadata.dev()
    };
    let folder = device_folder(number);
    let disk = queue.folder.clone();
    let text = |name: &str| {
        let at = disk.as_ref()?;
        let text = fs::read_to_string(at.join(name)).ok()?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let used_by = if is_device {
        folder.as_deref().and_then(|folder| user_of(number, folder))
    } else {
        swap_file(&metadata)
    };
    Ok(DiskIdentity {
        path: path.to_owned(),
        is_device,
        size_bytes,
        model: text("device/model"),
        serial: text("device/serial").or_else(|| text("serial")),
        rotational: queue.rotational,
        scheduler: queue.scheduler,
        queue_name: queue.name,
        write_cache: text("queue/write_cache").map(|cache| cache == "write back"),
        read_only: if is_device {
            let flag = folder.map(|folder| fs::read_to_string(folder.join("ro")));
            flag.is_some_and(|flag| flag.is_ok_and(|flag| flag.trim() == "1"))
        } else {
            metadata.permissions().readonly()
        },
        used_by,
        hole_bytes: if is_device { 0 } else { hole_bytes(&file) },
    })
}

/// The folder under /sys of a disk or partition.
fn device_folder(number: u64) -> Option<PathBuf> {
    fs::canonicalize(format!("/sys/dev/block/{}", shown(number))).ok()
}

fn shown(number: u64) -> String {
    format!("{}:{}", libc::major(number), libc::minor(number))
}

/// What uses a block device or one of its partitions.
fn user_of(number: u64, folder: &Path) -> Option<String> {
    let mut numbers = vec![shown(number)];
    let parts = fs::read_dir(folder).into_iter().flatten().flatten();
    for part in parts.filter(|part| part.path().join("partition").exists()) {
        let number = fs::read_to_string(part.path().join("dev"));
        numbers.extend(number.map(|number| number.trim().to_owned()));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if let Some(place) = mounted_at(&mounts, &numbers) {
        return Some(format!(
            "it is mounted at {place}; unmount it: `umount {place}`"
        ));
    }
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    for path in swap_paths(&swaps) {
        let rdev = fs::metadata(path).map(|swap| shown(swap.rdev()));
        if rdev.is_ok_and(|rdev| numbers.contains(&rdev)) {
            return Some(format!(
                "the system swaps to it; stop that: `swapoff {path}`"
            ));
        }
    }
    let holders = fs::read_dir(folder.join("holders"))
        .ok()?
        .flatten()
        .next()?;
    let name = holders.file_name().to_string_lossy().into_owned();
    Some(format!(
        "{name} (LVM, RAID or encryption) lies on it; measure /dev/{name}, or take that apart"
    ))
}

fn swap_file(metadata: &fs::Metadata) -> Option<String> {
    let swaps = fs::read_to_string("/proc/swaps").ok()?;
    let path = swap_paths(&swaps).find(|path| {
        let swap = fs::metadata(path);
        swap.is_ok_and(|swap| swap.ino() == metadata.ino() && swap.dev() == metadata.dev())
    })?;
    Some(format!(
        "the system swaps to it; stop that: `swapoff {path}`"
    ))
}

/// Where one of the devices is mounted, by the kernel's list.
fn mounted_at<'a>(mounts: &'a str, numbers: &[String]) -> Option<&'a str> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let number = fields.nth(2)?;
        let place = fields.nth(1)?;
        numbers.iter().any(|one| one == number).then_some(place)
    })
}

/// The paths of the kernel's list of swap areas.
fn swap_paths(swaps: &str) -> impl Iterator<Item = &str> {
    let lines = swaps.lines().skip(1);
    lines.filter_map(|line| line.split_whitespace().next())
}

#[cfg(test)]
mod tests;
