//! Why the directory cannot be mounted or unmounted: sentences that say what to do.

use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why the directory cannot be mounted or unmounted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FuseError {
    /// `fusermount3` is not in the PATH.
    #[error(
        "the FUSE directory cannot be mounted: the program fusermount3 is not in PATH; \
         install Debian's package fuse3 (apt-get install fuse3)"
    )]
    NotInstalled,
    /// No `/dev/fuse`.
    #[error(
        "the FUSE directory cannot be mounted: /dev/fuse does not exist; load the kernel module \
         (modprobe fuse), or give the container the device (--device /dev/fuse)"
    )]
    NoDevice,
    /// `/dev/fuse` cannot be opened.
    #[error(
        "the FUSE directory cannot be mounted: /dev/fuse cannot be opened ({source}); a \
         container needs the device (--device /dev/fuse) and the capability SYS_ADMIN"
    )]
    DeviceRefused {
        /// The kernel's error.
        source: io::Error,
    },
    /// The directory cannot be created, accessed or read.
    #[error(
        "the directory {path:?} cannot be {operation} ({source}); choose another directory for \
            the FUSE mount, or correct its permissions"
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// "created", "read", …
        operation: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
    /// The path exists and is not a directory.
    #[error(
        "{path:?} is not a directory; the FUSE mount needs a directory, or a path where it can \
            create one"
    )]
    NotADirectory {
        /// The directory.
        path: PathBuf,
    },
    /// The directory has files that the mount would hide.
    #[error(
        "the directory {path:?} is not empty, and the FUSE mount would hide its files; move them \
            or choose another directory"
    )]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The directory is the mount of a running FUSE server.
    #[error(
        "{path:?} is already the mount of another FUSE server (type {file_system}); stop that \
            server, or \
         unmount it with `fusermount3 -u {}`", path.display()
    )]
    AlreadyMounted {
        /// The directory.
        path: PathBuf,
        /// The type that the kernel reports.
        file_system: String,
    },
    /// The directory is a stale mount that is not disktime's or cannot be unmounted.
    #[error(
        "{path:?} is the stale mount of a FUSE server that has ended (type {file_system}), and it \
            was not unmounted: {reason}; \
         unmount it with `fusermount3 -u -z {}`", path.display()
    )]
    Stale {
        /// The directory.
        path: PathBuf,
        /// The type that the kernel reports.
        file_system: String,
        /// Why it was not unmounted.
        reason: String,
    },
    /// A file's name is not one component of a path.
    #[error(
        "{name:?} cannot be the name of a file in the FUSE directory: a name has 1 to 255 bytes, \
            no '/', and is not '.' or '..'"
    )]
    BadName {
        /// The name.
        name: String,
    },
    /// Two files have the same name, or are the same vdisk.
    #[error("two files of the FUSE directory have the name {name:?} or are one vdisk; rename one")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// The mount itself failed.
    #[error(
        "the FUSE directory cannot be mounted on {path:?} ({source}); \
         a container needs the capability SYS_ADMIN, and a user other than root needs to own the \
         directory"
    )]
    Mount {
        /// The directory.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// The unmount failed.
    #[error("the FUSE directory {path:?} cannot be unmounted: {reason}; unmount it with \
        `fusermount3 -u -z {}`", path.display())]
    Unmount {
        /// The directory.
        path: PathBuf,
        /// The kernel's error, or the error output of fusermount3.
        reason: String,
    },
}

impl FuseError {
    /// Whether this machine has no FUSE at all: a server with other frontends logs it and
    /// continues.
    pub fn is_missing_support(&self) -> bool {
        matches!(
            self,
            FuseError::NotInstalled | FuseError::NoDevice | FuseError::DeviceRefused { .. }
        )
    }
}
