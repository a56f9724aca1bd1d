//! Taking back a file that was made for a disk which was then refused, without ever taking one that
//! somebody uses: it goes only while it is locked, while the path still names it, and while nothing
//! was written to it.

use crate::image_lock::{LockOutcome, lock_image};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Removes the file at `path` if it is the one of that device and inode, nobody has it locked, and
/// not a byte of it was ever written. Returns whether it did.
///
/// # Errors
/// What the system said.
pub fn remove_unused(path: &Path, device: u64, inode: u64) -> io::Result<bool> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    match lock_image(&file, path) {
        Ok(LockOutcome::Held) => {}
        // Used by somebody, or on a file system without locks, where nobody can tell.
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
