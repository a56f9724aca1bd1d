//! Unmounting the directory: by a system call where that is allowed, else by fusermount3.
//!
//! Invariants: what counts is the table of mounts, not what an attempt reported: a program that was
//! killed may have unmounted before, and another program may unmount meanwhile. A directory whose
//! files are open is detached.

use super::{FILE_SYSTEM, fuse_mount_at};
use crate::FuseError;
use crate::fusermount::fusermount;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How an unmount ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unmounted {
    /// No file was open, and the connection has ended.
    Now,
    /// Removed from the file tree; open files keep the connection until they are closed.
    WhenFilesAreClosed,
}

/// What an attempt does about open files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnmountMode {
    /// It fails.
    Whole,
    /// It removes the directory from the file tree all the same.
    Detach,
}

/// Unmounts a directory that [`super::prepare`] prepared. It may be unmounted already.
///
/// # Errors
/// When it is still mounted.
pub(crate) fn unmount(path: &Path) -> Result<Unmounted, FuseError> {
    unmount_by(
        path,
        || Ok(fuse_mount_at(path)?.as_deref() == Some(FILE_SYSTEM)),
        |mode| attempt(mode, path),
    )
}

fn unmount_by(
    path: &Path,
    is_mounted: impl Fn() -> Result<bool, FuseError>,
    mut attempt: impl FnMut(UnmountMode) -> Result<(), String>,
) -> Result<Unmounted, FuseError> {
    if !is_mounted()? || attempt(UnmountMode::Whole).is_ok() || !is_mounted()? {
        return Ok(Unmounted::Now);
    }
    match attempt(UnmountMode::Detach) {
        Err(reason) if is_mounted()? => Err(FuseError::Unmount {
            path: path.into(),
            reason,
        }),
        _ => Ok(Unmounted::WhenFilesAreClosed),
    }
}

/// Tries once.
///
/// # Errors
/// The kernel's error, or the error output of fusermount3.
pub(super) fn attempt(mode: UnmountMode, path: &Path) -> Result<(), String> {
    let (flags, options): (_, &[&str]) = match mode {
        UnmountMode::Whole => (0, &["-u", "-q"]),
        UnmountMode::Detach => (libc::MNT_DETACH, &["-u", "-z"]),
    };
    match by_system_call(path, flags | libc::UMOUNT_NOFOLLOW) {
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => fusermount(options, path),
        result => result.map_err(|error| error.to_string()),
    }
}

fn by_system_call(path: &Path, flags: libc::c_int) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: reads a string that ends with a zero and lives through the call.
    match unsafe { libc::umount2(path.as_ptr(), flags) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
