//! Removes a file that was created for a disk which was then refused, and never one that is in use:
//! it is removed only while it is locked, while the path still names it, and while nothing was
//! written to it.

use crate::image_lock::{LockOutcome, lock_image};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Removes the file at `path` if it is the one of that device and inode, no program has locked it,
/// and no byte of it was ever written. Returns whether it did.
///
/// # Errors
/// The system's error.
pub fn remove_unused(path: &Path, device: u64, inode: u64) -> io::Result<bool> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    match lock_image(&file, path) {
        Ok(LockOutcome::Held) => {}
        // In use, or on a file system without locks, where that cannot be found out.
        Ok(LockOutcome::Unsupported(_)) | Err(_) => return Ok(false),
    }
    let (locked, named) = (file.metadata()?, std::fs::metadata(path)?);
    let is_it = |metadata: &std::fs::Metadata| (metadata.dev(), metadata.ino()) == (device, inode);
    if !is_it(&locked) || !is_it(&named) || locked.blocks() != 0 {
        return Ok(false);
    }
    std::fs::remove_file(path)?;
    Ok(true)
}

#[cfg(test)]
mod tests;
