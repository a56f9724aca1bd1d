//! Paths of unix sockets: what the kernel accepts, which form clients get, and whether a socket
//! could be made there. Nothing is made here.

use crate::ListenError;
use crate::listen::has_stale;
use socket2::SockAddr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
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
    let address = SockAddr::unix(path).map_err(|source| ListenError::Unix {
        path: path.to_owned(),
        source,
    })?;
    has_stale(path, &address).map(drop)
}

/// Why this user may not connect to the socket at the path, as a sentence: it, or a directory on
/// the way to it, is another user's.
pub fn other_users_socket(path: &Path) -> String {
    let (shown, remedy) = (
        path.display(),
        "run this as the user who started the server, or as root",
    );
    if let Ok(found) = fs::symlink_metadata(path) {
        let owner = owner(&found);
        return format!(
            "the socket {shown} belongs to {owner}, and only that user may use it; {remedy}"
        );
    }
    let closed = path.ancestors().skip(1).find_map(|directory| {
        let found = fs::metadata(directory).ok()?;
        Some(format!(
            "{}, which belongs to {}",
            directory.display(),
            owner(&found)
        ))
    });
    let closed = closed.unwrap_or_else(|| "a directory of another user".to_owned());
    format!("this user may not enter the way to the socket {shown} below {closed}; {remedy}")
}

/// Whose a file is, for people.
pub(crate) fn owner(found: &fs::Metadata) -> String {
    let uid = found.uid();
    match user_name(uid) {
        Some(name) => format!("user {name}"),
        None => format!("user {uid}"),
    }
}

/// The name of a user in the machine's own list.
fn user_name(uid: u32) -> Option<String> {
    let list = fs::read_to_string("/etc/passwd").ok()?;
    let wanted = uid.to_string();
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1) == Some(wanted.as_str())).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests;
