//! A guard for a disk's file that was created, or grown, by opening the disk: it removes the file,
//! or gives it its length back, when this disk or another of the reservation file is refused, so
//! that a refused start leaves nothing behind.
//!
//! Invariant: only a file that is still the one that was opened (device and inode), that no other
//! process has open and that was not changed since is removed or cut.

use disktime_disks::{GrownFile, remove_unused, shorten_unused};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What was at a disk's path before the disk was opened.
#[derive(Debug)]
pub(crate) struct FileBefore {
    /// The path, and the length of the regular file there, if there was one.
    found: Option<(PathBuf, Option<u64>)>,
}

/// Undoes what opening did when it is dropped, unless [`CreatedFileGuard::keep`] was called.
#[derive(Debug)]
#[must_use = "dropping it undoes what opening did to the file"]
pub(crate) struct CreatedFileGuard {
    opened: Option<OpenedFile>,
}

/// A file that opening has created or grown.
#[derive(Debug)]
struct OpenedFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    /// `None`: it did not exist before.
    grown: Option<GrownFile>,
}

impl FileBefore {
    /// Called before the disk is opened. `path`: of its file or device, if it has one.
    pub(crate) fn look(path: Option<&Path>) -> FileBefore {
        let found = path.and_then(|path| match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => Some((path.to_owned(), Some(metadata.len()))),
            Ok(_) => None,
            Err(error) if error.kind() == ErrorKind::NotFound => Some((path.to_owned(), None)),
            Err(_) => None,
        });
        FileBefore { found }
    }

    /// Called when the disk is open, or could not be opened.
    pub(crate) fn after_opening(self) -> CreatedFileGuard {
        let opened = self.found.and_then(|(path, before_bytes)| {
            let metadata = std::fs::metadata(&path).ok()?;
            let grown = before_bytes.map(|before_bytes| GrownFile {
                before_bytes,
                now_bytes: metadata.len(),
            });
            let is_changed = grown.is_none_or(|grown| grown.now_bytes > grown.before_bytes);
            is_changed.then(|| OpenedFile {
                path,
                device: metadata.dev(),
                inode: metadata.ino(),
                grown,
            })
        });
        CreatedFileGuard { opened }
    }
}

impl CreatedFileGuard {
    /// Keeps the file as it is: it is a disk of this server now.
    pub(crate) fn keep(mut self) {
        self.opened = None;
    }
}

impl Drop for CreatedFileGuard {
    fn drop(&mut self) {
        let Some(file) = &self.opened else {
            return;
        };
        let shown = file.path.display();
        let (undone, what) = match file.grown {
            None => (
                remove_unused(&file.path, file.device, file.inode),
                "created",
            ),
            Some(lengths) => (
                shorten_unused(&file.path, file.device, file.inode, lengths),
                "grown",
            ),
        };
        match undone {
            Ok(true) => {}
            Ok(false) => tracing::warn!(
                "{shown} was {what} for a start that failed, and is left so: it has been written \
                 to, or another program has it open"
            ),
            Err(error) => tracing::warn!(
                "{shown} was {what} for a start that failed, and that cannot be undone: {error}"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
