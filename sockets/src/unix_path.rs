//! Paths of unix sockets: what the kernel accepts, which form clients get, and whether a socket
//! could be made there. Nothing is made here.

use crate::ListenError;
use socket2::SockAddr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Longest path of a unix socket, in bytes.
pub const MAX_SOCKET_PATH_BYTES: usize = 107;

/// Whether the kernel accepts a path of this length.
fn fits(path: &Path) -> bool {
    path.as_os_str().as_bytes().len() <= MAX_SOCKET_PATH_BYTES
}

/// The path that clients connect to: absolute, so that it works in every directory; as it is if
/// only that is short enough.
pub fn client_path(path: &Path) -> PathBuf {
    match std::path::absolute(path) {
        Ok(absolute) if fits(&absolute) || !fits(path) => absolute,
        _ => path.to_owned(),
    }
}

/// Whether clients in other directories cannot connect to this path, though it is short enough by
/// itself: its absolute form is too long. Returns that form's length in bytes.
pub fn only_works_here(path: &Path) -> Option<usize> {
    let absolute = std::path::absolute(path).ok()?;
    (fits(path) && !fits(&absolute)).then(|| absolute.as_os_str().as_bytes().len())
}

/// Whether a path is short enough for a socket.
///
/// # Errors
/// It is not.
pub fn check_socket_path(path: &Path) -> Result<(), ListenError> {
    if fits(path) {
        return Ok(());
    }
    Err(ListenError::PathTooLong(path.to_owned()))
}

/// Whether the path is free for a socket: nothing is there, or the socket of a server that is gone.
///
/// # Errors
/// As [`crate::UnixSocket::bind`].
pub fn check_unix_free(path: &Path) -> Result<(), ListenError> {
    check_socket_path(path)?;
    let failed = |source| ListenError::Unix {
        path: path.to_owned(),
        source,
    };
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(ListenError::NotASocket(path.to_owned()));
        }
        Ok(_) => {
            let address = SockAddr::unix(path).map_err(failed)?;
            if crate::listen::is_answered(&address) {
                return Err(ListenError::SocketInUse(path.to_owned()));
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
