//! What this process may do with a directory, found out without doing it.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Whether files may be made in a directory.
///
/// # Errors
/// The system's error.
pub(crate) fn may_make_files(directory: &Path) -> io::Result<()> {
    if !std::fs::metadata(directory)?.is_dir() {
        return Err(io::Error::from(io::ErrorKind::NotADirectory));
    }
    let path = CString::new(directory.as_os_str().as_bytes())?;
    let wanted = libc::W_OK | libc::X_OK;
    // SAFETY: the path is a C string that outlives the call.
    let answer =
        unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), wanted, libc::AT_EACCESS) };
    match answer {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The directory, or the nearest one above it that exists: in that one the others would be made.
pub(crate) fn nearest_directory(directory: &Path) -> &Path {
    let shown = |path: &Path| match path.as_os_str().is_empty() {
        true => Path::new(".").exists(),
        false => path.exists(),
    };
    let nearest = directory.ancestors().find(|path| shown(path));
    match nearest {
        Some(path) if !path.as_os_str().is_empty() => path,
        _ => Path::new("."),
    }
}
