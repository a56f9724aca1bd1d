//! A guard for a disk's file that was created by opening the disk: it removes the file when this
//! disk or another of the reservation file is refused, so that a refused start leaves nothing
//! behind.
//!
//! Invariant: only a file that is still the created one (device and inode), that no other process
//! has open and that holds nothing is removed.

use disktime_disks::remove_unused;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Removes the created file when it is dropped, unless [`CreatedFileGuard::keep`] was called.
#[derive(Debug)]
#[must_use = "dropping it removes the file that opening created"]
pub(crate) struct CreatedFileGuard {
    /// Path, device and inode of a file that did not exist before.
    created: Option<(PathBuf, u64, u64)>,
}

impl CreatedFileGuard {
    /// Called when the disk is open. `missing`: the path of its file, if that did not exist before.
    pub(crate) fn after_opening(missing: Option<&Path>) -> CreatedFileGuard {
        let created = missing.and_then(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((path.to_owned(), metadata.dev(), metadata.ino()))
        });
        CreatedFileGuard { created }
    }

    /// Keeps the file: it is a disk of this server now.
    pub(crate) fn keep(mut self) {
        self.created = None;
    }
}

impl Drop for CreatedFileGuard {
    fn drop(&mut self) {
        let Some((path, device, inode)) = &self.created else {
            return;
        };
        match remove_unused(path, *device, *inode) {
            Ok(true) => {}
            Ok(false) => tracing::info!(
                "{} is kept: it has been written to, or another program has it open",
                path.display()
            ),
            Err(error) => tracing::warn!(
                "{} was created for a start that failed, and cannot be removed: {error}",
                path.display()
            ),
        }
    }
}

#[cfg(test)]
mod tests;
