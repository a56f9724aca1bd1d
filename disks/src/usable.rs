//! Whether a disk could be opened for writing, found out without opening it so, locking it or
//! creating it: permissions, and other users of the file or device.
//!
//! Invariant: nothing is changed; no program that starts meanwhile is kept out.

use crate::BackingError;
use crate::backing::{BackingKind, is_write_refused, kind_found};
use crate::backing_error::system;
use crate::block_device;
use crate::image_lock::conflict;
use crate::loop_device::{claim_below, refuse_used_above};
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// Whether this process may read and write what is at the path, if anything is.
///
/// # Errors
/// Why not.
pub fn require_writable(path: &Path) -> Result<(), BackingError> {
    if !path.exists() {
        return Ok(());
    }
    permitted(path, libc::R_OK | libc::W_OK)
        .map_err(|source| system(path, "open it for reading and writing", source))
}

/// Whether what is at the path refuses to be written to by anyone: a file on a read-only file
/// system or with the attribute `immutable`, a write-protected device.
pub fn is_write_protected(path: &Path) -> bool {
    if is_write_refused(path) {
        return true;
    }
    let is_device = std::fs::metadata(path).is_ok_and(|found| found.file_type().is_block_device());
    is_device && File::open(path).is_ok_and(|device| block_device::is_read_only(&device))
}

/// Whether no other program uses the file or device, under this name or that of a loop device.
///
/// # Errors
/// What uses it.
pub fn require_unused(path: &Path) -> Result<(), BackingError> {
    let failed = |source| system(path, "examine it", source);
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    let file = match kind_found(path, &metadata)? {
        BackingKind::File => File::open(path).map_err(failed)?,
        BackingKind::BlockDevice => {
            let mut exclusive = OpenOptions::new();
            exclusive.read(true).custom_flags(libc::O_EXCL);
            let device = exclusive.open(path).map_err(failed)?;
            claim_below(&device, path)?;
            device
        }
    };
    if let Some(what) = conflict(&file).ok().flatten() {
        return Err(BackingError::InUse {
            path: path.to_owned(),
            cause: format!("another program {what} it"),
        });
    }
    refuse_used_above(&file, path)
}

/// Asks for the effective user, whose permissions count when a file is opened.
fn permitted(path: &Path, wanted: libc::c_int) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the path is a C string that outlives the call.
    let answer =
        unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), wanted, libc::AT_EACCESS) };
    match answer {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
