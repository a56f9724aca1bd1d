//! Why a disk cannot be opened, as sentences for the user.

use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Why a disk cannot be opened. Every message names the path, the cause and what to do.
#[derive(Debug, Error)]
pub enum BackingError {
    /// There is nothing at the path.
    #[error("{}: there is no such file or device; {remedy}", path.display())]
    Missing {
        /// The path as given.
        path: PathBuf,
        /// What to do.
        remedy: String,
    },
    /// There is something else at the path.
    #[error("{}: this is {found}; give a regular file or a block device", path.display())]
    NotADisk {
        /// The path as given.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// The system does not let this user open it.
    #[error(
        "{}: permission denied; run as a user that may read and write it (for a device: root or \
         the group `disk`)",
        path.display()
    )]
    Permission {
        /// The path as given.
        path: PathBuf,
    },
    /// It is smaller than asked, and cannot grow.
    #[error("{}: it holds {size_bytes} bytes, but {needed_bytes} are needed; {remedy}",
        path.display())]
    TooSmall {
        /// The path as given.
        path: PathBuf,
        /// Its size.
        size_bytes: u64,
        /// The size that was wanted.
        needed_bytes: u64,
        /// What to do.
        remedy: &'static str,
    },
    /// Another program uses it.
    #[error("{}: it is in use: {cause}; stop that program (`fuser {}` names it) or give another \
             disk", path.display(), path.display())]
    InUse {
        /// The path as given.
        path: PathBuf,
        /// How that is known.
        cause: String,
    },
    /// A disk in memory is larger than the memory that the system gives.
    #[error("{size_bytes} bytes of memory cannot be had: {source}; choose a smaller \"size\"")]
    Memory {
        /// The size that was wanted.
        size_bytes: u64,
        /// The system's error.
        source: io::Error,
    },
    /// The system refused something else.
    #[error("{}: cannot {action}: {source}", path.display())]
    System {
        /// The path as given.
        path: PathBuf,
        /// What failed, as a verb.
        action: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

/// The error of a system call.
pub(crate) fn system(path: &Path, action: &'static str, source: io::Error) -> BackingError {
    match source.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => BackingError::Permission {
            path: path.to_owned(),
        },
        Some(libc::EBUSY) => BackingError::InUse {
            path: path.to_owned(),
            cause: "the system says so (it is mounted, or another program opened it exclusively)"
                .to_owned(),
        },
        _ => BackingError::System {
            path: path.to_owned(),
            action,
            source,
        },
    }
}
