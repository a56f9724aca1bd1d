//! Why the directory cannot be mounted or unmounted: sentences with the remedy.

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why the directory cannot be mounted or unmounted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FuseError {
    /// `fusermount3` is not in the PATH.
    #[error(
        "the program fusermount3 is not there, so the FUSE directory cannot be mounted; \
         install Debian's package fuse3 (apt-get install fuse3)"
    )]
    NotInstalled,
    /// No `/dev/fuse`.
    #[error(
        "/dev/fuse is not there, so the FUSE directory cannot be mounted; load the kernel module \
         (modprobe fuse), or give the container the device (--device /dev/fuse)"
    )]
    NoDevice,
    /// `/dev/fuse` cannot be opened.
    #[error(
        "/dev/fuse cannot be opened ({source}), so the FUSE directory cannot be mounted; a \
         container needs the device (--device /dev/fuse) and the capability SYS_ADMIN"
    )]
    DeviceRefused {
        /// What the kernel said.
        source: io::Error,
    },
    /// The directory cannot be made, looked at or read.
    #[error(
        "the directory {path:?} cannot be {operation} ({source}); choose another for the FUSE mount, or mend its permissions"
    )]
    Directory {
        /// Which.
        path: PathBuf,
        /// "created", "read", …
        operation: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Something that is no directory is there.
    #[error(
        "{path:?} is not a directory; the FUSE mount needs one, which may be missing but not something else"
    )]
    NotADirectory {
        /// Where.
        path: PathBuf,
    },
    /// Files are there that the mount would hide.
    #[error(
        "the directory {path:?} is not empty, and a FUSE mount would hide what is in it; move that away or choose another directory"
    )]
    NotEmpty {
        /// Which.
        path: PathBuf,
    },
    /// A living FUSE mount is there.
    #[error(
        "{path:?} is already the mount of another FUSE server (type {file_system}); stop that server, or \
         unmount it with `fusermount3 -u {}`", path.display()
    )]
    AlreadyMounted {
        /// Where.
        path: PathBuf,
        /// The type that the kernel reports.
        file_system: String,
    },
    /// A dead mount is there that is not ours or does not go away.
    #[error(
        "{path:?} is the mount of a FUSE server that is gone (type {file_system}) and was not cleaned up: {reason}; \
         unmount it with `fusermount3 -u -z {}`", path.display()
    )]
    Stale {
        /// Where.
        path: PathBuf,
        /// The type that the kernel reports.
        file_system: String,
        /// Why it is still there.
        reason: String,
    },
    /// A file's name is not one component of a path.
    #[error(
        "{name:?} cannot be the name of a file in the FUSE directory: a name has 1 to 255 bytes, no '/', and is not '.' or '..'"
    )]
    BadName {
        /// The name.
        name: String,
    },
    /// Two files have one name.
    #[error("two files of the FUSE directory have the name {name:?}; rename one")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// The mount itself failed.
    #[error(
        "the FUSE directory cannot be mounted on {path:?} ({source}); \
         a container needs the capability SYS_ADMIN, another user than root a directory of their own"
    )]
    Mount {
        /// Where.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// The unmount failed.
    #[error("the FUSE directory {path:?} cannot be unmounted: {reason}; unmount it with `fusermount3 -u -z {}`", path.display())]
    Unmount {
        /// Where.
        path: PathBuf,
        /// What was said.
        reason: String,
    },
}

impl FuseError {
    /// Whether this machine has no FUSE at all: a server with other doors says so and goes on.
    pub fn is_missing_support(&self) -> bool {
        matches!(
            self,
            FuseError::NotInstalled | FuseError::NoDevice | FuseError::DeviceRefused { .. }
        )
    }
}
