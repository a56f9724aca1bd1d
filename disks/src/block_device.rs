//! What the kernel reports about a block device: its size, its blocks, its request queue.
//!
//! What is not known here: what the device is used for.

use crate::backing::BackingKind;
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The device's size.
pub(crate) fn size_bytes(mut file: &File) -> io::Result<u64> {
    file.seek(SeekFrom::End(0))
}

/// The smallest unit that the device reads and writes.
pub(crate) fn logical_block_bytes(file: &File) -> io::Result<u32> {
    let mut size: libc::c_int = 0;
    // SAFETY: the descriptor is open, and the call writes one int to `size`, which outlives it.
    let status = unsafe { libc::ioctl(file.as_raw_fd(), libc::BLKSSZGET as _, &raw mut size) };
    if status < 0 {
        return Err(io::Error::last_os_error());
    }
    u32::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

/// What is known of a request queue; the default, where it cannot be found.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// The folder under /sys of the whole disk.
    pub(crate) folder: Option<PathBuf>,
    /// The device's name, e.g. `sda`.
    pub(crate) name: String,
    /// The kernel's scheduler in charge.
    pub(crate) scheduler: Option<String>,
    /// Whether it is rotational.
    pub(crate) rotational: Option<bool>,
    /// Whether discards free blocks and read as zeroes afterwards.
    pub(crate) discards: bool,
}

impl Queue {
    /// A warning if the kernel reorders requests below this program.
    pub(crate) fn notice(&self, path: &Path) -> Option<String> {
        let scheduler = self
            .scheduler
            .as_deref()
            .filter(|scheduler| *scheduler != "none")?;
        Some(format!(
            "{}: the kernel's I/O scheduler `{scheduler}` of {} orders requests a second time \
             below disktime; better: `echo none > /sys/block/{}/queue/scheduler`",
            path.display(),
            self.name,
            self.name
        ))
    }
}

/// The request queue of a device, or of the device that a file lies on.
pub(crate) fn queue_below(file: &File, kind: BackingKind) -> Queue {
    let Ok(metadata) = file.metadata() else {
        return Queue::default();
    };
    let device = match kind {
        BackingKind::BlockDevice => metadata.rdev(),
        BackingKind::File => metadata.dev(),
    };
    queue_folder(device).map_or_else(Queue::default, |folder| read_queue(&folder))
}

/// The folder under /sys of the whole disk that the device number belongs to.
fn queue_folder(device: u64) -> Option<PathBuf> {
    let link = format!(
        "/sys/dev/block/{}:{}",
        libc::major(device),
        libc::minor(device)
    );
    let folder = fs::canonicalize(link).ok()?;
    // A partition has no queue of its own: its disk is the folder above.
    [folder.as_path(), folder.parent()?]
        .into_iter()
        .find(|at| at.join("queue").is_dir())
        .map(PathBuf::from)
}

fn read_queue(folder: &Path) -> Queue {
    let field = |name: &str| {
        fs::read_to_string(folder.join("queue").join(name))
            .ok()
            .map(|text| text.trim().to_owned())
    };
    let positive = |name: &str| field(name).is_some_and(|text| text != "0");
    Queue {
        folder: Some(folder.to_owned()),
        name: folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        scheduler: field("scheduler").map(|line| chosen_scheduler(&line).to_owned()),
        rotational: field("rotational").map(|text| text == "1"),
        discards: positive("discard_max_bytes") && positive("write_zeroes_max_bytes"),
    }
}

/// `mq-deadline` out of `none [mq-deadline] kyber`.
fn chosen_scheduler(line: &str) -> &str {
    line.split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'))
        .map_or(line, |(chosen, _)| chosen)
}

/// Whether the kernel refuses writes to a device (`blockdev --setro`, `losetup --read-only`).
pub(crate) fn is_read_only(file: &File) -> bool {
    // Missing in the crate `libc`.
    const BLKROGET: libc::Ioctl = 0x125E;
    let mut read_only: libc::c_int = 0;
    // SAFETY: the descriptor is open; the call writes one `int`, which outlives it.
    let status = unsafe { libc::ioctl(file.as_raw_fd(), BLKROGET, &raw mut read_only) };
    status == 0 && read_only != 0
}

#[cfg(test)]
mod tests;
