//! Loop devices: a file or device and the loop devices over it are the same bytes under several
//! names, and the kernel lets each be opened as if it were alone.
//!
//! Who opens a loop device claims what lies below it ([`claim_below`]); who opens a file or device
//! asks whether a loop device over it is in use ([`refuse_used_above`]). Each claims first and asks
//! then, so of two that start at once at least one sees the other.
//!
//! Invariant: nothing is written. What is not known here: other stacks of devices, which claim what
//! lies below themselves.

use crate::BackingError;
use crate::backing_error::system;
use crate::image_lock::lock_image;
use std::fs::{self, File, Metadata, OpenOptions};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Loop devices over loop devices; more are not followed.
const DEEPEST: usize = 8;

/// Claims what lies below an open loop device, for as long as the result is kept: a file by the
/// locks of an image, a device exclusively. Nothing for other devices.
///
/// # Errors
/// When another program uses it.
pub(crate) fn claim_below(device: &File, path: &Path) -> Result<Vec<File>, BackingError> {
    let failed = |source| system(path, "examine what lies below it", source);
    let mut claimed = Vec::new();
    let mut number = device.metadata().map_err(failed)?.rdev();
    while let Some(below) = below(number).filter(|_| claimed.len() < DEEPEST) {
        let Ok(metadata) = fs::metadata(&below.file) else {
            // It was deleted: no other program can open it any more.
            break;
        };
        if metadata.file_type().is_block_device() {
            number = metadata.rdev();
            claimed.push(exclusive(&below.file).map_err(|source| {
                let in_use = system(&below.file, "open it exclusively", source);
                as_in_use(in_use, path, &below.file)
            })?);
            continue;
        }
        let file = File::open(&below.file).map_err(failed)?;
        lock_image(&file, &below.file).map_err(|error| as_in_use(error, path, &below.file))?;
        // The other partitions of the device are disks of their own, of this server or another.
        if !below.is_shared {
            claimed.push(file);
        }
        break;
    }
    Ok(claimed)
}

/// Refuses a file or device if a loop device over it is mounted or in use.
///
/// # Errors
/// The loop device.
pub(crate) fn refuse_used_above(file: &File, path: &Path) -> Result<(), BackingError> {
    let metadata = file
        .metadata()
        .map_err(|source| system(path, "examine it", source))?;
    for (name, backing) in loop_devices() {
        if !fs::metadata(backing).is_ok_and(|other| is_same(&metadata, &other)) {
            continue;
        }
        let device = Path::new("/dev").join(&name);
        // A device that this user may not open says nothing; its locks on the file may.
        let opened = exclusive(&device);
        if opened.is_err_and(|error| error.raw_os_error() == Some(libc::EBUSY)) {
            return Err(BackingError::InUse {
                path: path.to_owned(),
                cause: format!(
                    "{}, a loop device over it, is mounted or served",
                    device.display()
                ),
            });
        }
    }
    Ok(())
}

/// What a loop device, or a partition of one, lies on.
struct Below {
    file: PathBuf,
    /// Whether other partitions lie on it, too.
    is_shared: bool,
}

fn below(number: u64) -> Option<Below> {
    let (major, minor) = (libc::major(number), libc::minor(number));
    let folder = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")).ok()?;
    let is_shared = folder.join("partition").exists();
    let whole = if is_shared { folder.parent()? } else { &folder };
    let file = backing_file(whole)?;
    Some(Below { file, is_shared })
}

/// All loop devices that are attached: name, and what each lies on.
fn loop_devices() -> impl Iterator<Item = (String, PathBuf)> {
    let entries = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        Some((name, backing_file(&entry.path())?))
    })
}

fn backing_file(folder: &Path) -> Option<PathBuf> {
    let text = fs::read_to_string(folder.join("loop/backing_file")).ok()?;
    Some(PathBuf::from(text.trim_end_matches('\n')))
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    if one.file_type().is_block_device() {
        return other.file_type().is_block_device() && one.rdev() == other.rdev();
    }
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn exclusive(path: &Path) -> std::io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_EXCL | libc::O_NONBLOCK)
        .open(path)
}

/// The error of what lies below a device, as one of the device.
fn as_in_use(error: BackingError, path: &Path, below: &Path) -> BackingError {
    match error {
        BackingError::InUse { cause, .. } => BackingError::InUse {
            path: path.to_owned(),
            cause: format!("it is a loop device over {}: {cause}", below.display()),
        },
        error => error,
    }
}
