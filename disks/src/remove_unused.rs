//! Undoes what opening did to the file of a disk which was then refused, and never to one that is
//! in use: it is removed, or gets its length back, only while it is locked, while the path still
//! names it, and while nothing was done to it since.

use crate::image_lock::{LockOutcome, lock_image};
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The length of a file that was grown, then and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GrownFile {
    /// Before it was grown.
    pub before_bytes: u64,
    /// As it was grown.
    pub now_bytes: u64,
}

/// Removes the file at `path` if it is the one of that device and inode, no program has locked it,
/// and no byte of it was ever written. Returns whether it did.
///
/// # Errors
/// The system's error.
pub fn remove_unused(path: &Path, device: u64, inode: u64) -> io::Result<bool> {
    match locked(path, (device, inode))? {
        Some((_locked, found)) if found.blocks() == 0 => {
            std::fs::remove_file(path)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Gives the file at `path` the length back that it had before it was grown, if it is the one of
/// that device and inode, has the grown length still, and no program has locked it. Returns whether
/// it did.
///
/// # Errors
/// The system's error.
pub fn shorten_unused(
    path: &Path,
    device: u64,
    inode: u64,
    lengths: GrownFile,
) -> io::Result<bool> {
    match locked(path, (device, inode))? {
        Some((file, found)) if found.len() == lengths.now_bytes => {
            file.set_len(lengths.before_bytes)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// The file, locked; `None` if it is another one, or is in use.
fn locked(path: &Path, identity: (u64, u64)) -> io::Result<Option<(File, Metadata)>> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    match lock_image(&file, path) {
        Ok(LockOutcome::Held) => {}
        // In use, or on a file system without locks, where that cannot be found out.
        Ok(LockOutcome::Unsupported(_)) | Err(_) => return Ok(None),
    }
    let (locked, named) = (file.metadata()?, std::fs::metadata(path)?);
    let is_it = |metadata: &Metadata| (metadata.dev(), metadata.ino()) == identity;
    Ok((is_it(&locked) && is_it(&named)).then_some((file, locked)))
}

#[cfg(test)]
mod tests;
