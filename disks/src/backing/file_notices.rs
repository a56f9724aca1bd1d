//! What people should know of a disk's file: who else may read it, and whether its file system can
//! hold what the file may still take. Nothing is changed here.

use std::fs::File;
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

fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}
