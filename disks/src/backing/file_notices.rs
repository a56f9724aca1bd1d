//! What people should know of a disk's file: who else may read it, and what its file system does to
//! it. Nothing is changed here.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

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

#[cfg(test)]
mod tests;
