//! What people should know of a disk's file: who else may read it, and whether its file system can
//! hold what the file may still take. Nothing is changed here.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What people should know of a sparse file that its file system cannot hold when it is full:
/// `free_bytes` are left there.
pub(super) fn overcommitted(file: &File, path: &Path, free_bytes: u64) -> Option<String> {
    let metadata = file.metadata().ok()?;
    let (promised_bytes, stored_bytes) = (metadata.len(), metadata.blocks() * 512);
    let missing_bytes = promised_bytes
        .saturating_sub(stored_bytes)
        .checked_sub(free_bytes)
        .filter(|missing_bytes| *missing_bytes > 0)?;
    Some(format!(
        "{}: its file system cannot hold it when it is full: {} are promised, {} are stored, {} \
         are free, so {} are missing. Writes that find no space fail with ENOSPC; make room, or \
         use smaller disks",
        path.display(),
        gib(promised_bytes),
        gib(stored_bytes),
        gib(free_bytes),
        gib(missing_bytes)
    ))
}

/// What people should know of a file that others than its owner may read or write.
pub(super) fn loose_mode(file: &File, path: &Path) -> Option<String> {
    let mode = file.metadata().ok()?.mode() & 0o777;
    let who = match (mode & 0o006, mode & 0o060) {
        (0, 0) => return None,
        (0, _) => "its group",
        (_, _) => "other users",
    };
    let may = match mode & 0o022 {
        0 => "read",
        _ => "read or write",
    };
    Some(format!(
        "{path}: its mode is {mode:04o}, so {who} may {may} what all its vdisks hold, without \
         disktime; if that is not meant: `chmod 600 {path}`",
        path = path.display()
    ))
}

/// What people should know of a file on ext2 or ext3: direct writes into holes go through the page
/// cache there, and the kernel reports pages that it cannot drop afterwards as a failed write.
/// ext4 has the same number in `statfs`, so the kernel's list of mounts decides.
pub(super) fn old_ext(file: &File, path: &Path) -> Option<String> {
    let device = file.metadata().ok()?.dev();
    let number = format!("{}:{}", libc::major(device), libc::minor(device));
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let kind = file_system_of(&mounts, &number)?;
    matches!(kind, "ext2" | "ext3").then(|| {
        format!(
            "{}: it lies on {kind}, which writes into holes of a file through the page cache; if \
             the kernel cannot drop a page afterwards (another program reads the file), it reports \
             a failed write, and a flush that fails is final until the server is restarted. Use \
             ext4 or XFS",
            path.display()
        )
    })
}

/// The type of the file system with that device number, by the kernel's list of mounts.
fn file_system_of<'a>(mounts: &'a str, number: &str) -> Option<&'a str> {
    mounts.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        let is_it = mount.split(' ').nth(2) == Some(number);
        file_system.split(' ').next().filter(|_| is_it)
    })
}

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

#[cfg(test)]
mod tests;
