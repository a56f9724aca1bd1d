//! A disk's file that was made by opening it. When the disk is then refused, or another disk of the
//! reservation file is, it is taken back, so that a refusal leaves nothing behind.

use disktime_disks::remove_unused;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Takes the file back when it is dropped, unless it was told to keep it.
#[derive(Debug)]
#[must_use = "dropping it takes back the file that opening made"]
pub(crate) struct Untouched {
    /// Path, device and inode of a file that was not there before.
    made: Option<(PathBuf, u64, u64)>,
}

impl Untouched {
    /// To be called when the disk is open. `missing`: its file was not there before.
    pub(crate) fn after_opening(missing: Option<&Path>) -> Untouched {
        let made = missing.and_then(|path| {
            let metadata = std::fs::metadata(path).ok()?;
            Some((path.to_owned(), metadata.dev(), metadata.ino()))
        });
        Untouched { made }
    }

    /// From now on the file is a disk of ours.
    pub(crate) fn keep(mut self) {
        self.made = None;
    }
}

impl Drop for Untouched {
    fn drop(&mut self) {
        let Some((path, device, inode)) = &self.made else {
            return;
        };
        match remove_unused(path, *device, *inode) {
            Ok(true) => {}
            Ok(false) => tracing::info!("{} is used or written by now; it stays", path.display()),
            Err(error) => tracing::warn!("{} cannot be removed again: {error}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests;
