//! Locks that keep a second writer off a disk's file, understood by QEMU's programs too.
//!
//! QEMU's convention for image files: every permission that a program may hold has a number: 0
//! consistent read, 1 write, 2 write unchanged, 3 resize. A program that holds a permission keeps a
//! shared lock on byte 100 plus its number; one that does not let others hold it keeps one on byte
//! 200 plus its number. Having taken its own locks, a program asks whether it *could* take an
//! exclusive lock on the second byte for each permission that it holds, and on the first byte for
//! each that it does not share; if not, another program conflicts, and it gives up. As each takes
//! its locks before it asks, at least one of two programs that start at once sees the other.
//!
//! Invariants: the locks belong to the open file description (OFD locks), so they end with it, also
//! when the process is killed, and they also work within one process. A lock that was refused
//! leaves no other behind.

use crate::BackingError;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;

const HELD_FROM: i64 = 100;
const UNSHARED_FROM: i64 = 200;

const CONSISTENT_READ: u32 = 1 << 0;
const WRITE: u32 = 1 << 1;
const WRITE_UNCHANGED: u32 = 1 << 2;
const RESIZE: u32 = 1 << 3;
const PERMISSIONS: [(u32, &str); 4] = [
    (CONSISTENT_READ, "reads"),
    (WRITE, "writes"),
    (WRITE_UNCHANGED, "rewrites"),
    (RESIZE, "resizes"),
];

/// This program reads, writes and grows the file.
const HELD: u32 = CONSISTENT_READ | WRITE | RESIZE;
/// Others may read a file in use (QEMU's `--force-share`); no other program may write.
const SHARED: u32 = CONSISTENT_READ | WRITE_UNCHANGED;

/// The result of locking.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum LockOutcome {
    /// The locks are held until the file is closed.
    Held,
    /// The file system cannot lock; the sentence is for the user.
    Unsupported(String),
}

/// Locks `file` for reading, writing and resizing, against every other such lock.
pub(crate) fn lock_image(file: &File, path: &Path) -> Result<LockOutcome, BackingError> {
    match try_lock(file) {
        Ok(None) => Ok(LockOutcome::Held),
        Ok(Some(what)) => {
            unlock(file);
            Err(BackingError::InUse {
                path: path.to_owned(),
                cause: format!("another program {what} it"),
            })
        }
        Err(error) => {
            unlock(file);
            Ok(LockOutcome::Unsupported(format!(
                "{}: the file system cannot lock the file ({error}), so nothing keeps a second \
                 server or QEMU from writing to it at the same time",
                path.display()
            )))
        }
    }
}

/// Takes the locks, then checks for conflicts; returns what a conflicting program does, if any.
fn try_lock(file: &File) -> io::Result<Option<&'static str>> {
    for (bit, what) in PERMISSIONS {
        let position = i64::from(bit.trailing_zeros());
        let held = (HELD & bit != 0).then_some(HELD_FROM + position);
        let unshared = (SHARED & bit == 0).then_some(UNSHARED_FROM + position);
        for byte in [held, unshared].into_iter().flatten() {
            if !set_lock(file, libc::F_RDLCK, byte)? {
                return Ok(Some(what));
            }
        }
    }
    conflict(file)
}

/// What a program does that holds conflicting locks, if any.
pub(crate) fn conflict(file: &File) -> io::Result<Option<&'static str>> {
    for (bit, what) in PERMISSIONS {
        let position = i64::from(bit.trailing_zeros());
        if SHARED & bit == 0 && would_conflict(file, HELD_FROM + position)? {
            return Ok(Some(what));
        }
        if HELD & bit != 0 && would_conflict(file, UNSHARED_FROM + position)? {
            return Ok(Some("has locked"));
        }
    }
    Ok(None)
}

fn unlock(file: &File) {
    for (bit, _) in PERMISSIONS {
        let position = i64::from(bit.trailing_zeros());
        for byte in [HELD_FROM + position, UNSHARED_FROM + position] {
            // Closing the file releases the remaining locks, so an error here has no effect.
            let _ = set_lock(file, libc::F_UNLCK, byte);
        }
    }
}

fn one_byte(kind: libc::c_int, byte: i64) -> libc::flock {
    // SAFETY: `flock` is a plain C struct for which all zeroes is a valid value; OFD locks ask for
    // `l_pid` to be zero.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = kind as libc::c_short;
    lock.l_whence = libc::SEEK_SET as libc::c_short;
    lock.l_start = byte;
    lock.l_len = 1;
    lock
}

/// Whether the lock was taken; `false` if another program holds an exclusive one.
fn set_lock(file: &File, kind: libc::c_int, byte: i64) -> io::Result<bool> {
    let lock = one_byte(kind, byte);
    // SAFETY: the descriptor is open and `lock` outlives the call.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) } == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EACCES) => Ok(false),
        _ => Err(error),
    }
}

/// Whether another open file holds any lock on the byte.
fn would_conflict(file: &File, byte: i64) -> io::Result<bool> {
    let mut lock = one_byte(libc::F_WRLCK, byte);
    // SAFETY: the descriptor is open, and `lock` is valid to read and to write and outlives the
    // call.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_GETLK, &raw mut lock) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(lock.l_type != libc::F_UNLCK as libc::c_short)
}

#[cfg(test)]
mod tests;
