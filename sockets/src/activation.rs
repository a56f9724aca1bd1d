//! Socket activation: listening sockets that the parent process (systemd, or a client that starts
//! its server) passes as open descriptors, announced in the environment.
//!
//! Invariants: the variables are removed from the environment, so that no child process takes them
//! for its own; variables that are meant for another process have no effect.

use std::ffi::OsString;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use thiserror::Error;

/// The first passed descriptor.
const FIRST: RawFd = 3;
/// A larger number of descriptors is taken for an error.
const COUNT_MAX: i32 = 64;

/// Why the announced sockets cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ActivationError {
    /// The announced number is not a number, or too large.
    #[error(
        "LISTEN_FDS is {0:?}: it has to be the number of passed sockets, 0 to {COUNT_MAX}; unset it \
         if none are passed"
    )]
    Count(String),
    /// An announced descriptor is not open.
    #[error("LISTEN_FDS counts {count} sockets, but descriptor {descriptor} is not open")]
    NotOpen {
        /// The announced number.
        count: i32,
        /// The descriptor.
        descriptor: RawFd,
    },
}

/// Takes the passed sockets, each with a name for messages, and removes their announcement from the
/// environment. Empty if the process was not started by socket activation.
///
/// # Safety
/// No other thread runs, and no other code owns descriptors above the standard ones: call it once,
/// at the start of the program.
///
/// # Errors
/// When the environment announces sockets that are not there.
#[allow(
    unsafe_code,
    reason = "descriptors and the environment belong to the whole process"
)]
pub unsafe fn take_passed_sockets() -> Result<Vec<(String, OwnedFd)>, ActivationError> {
    let take = |name: &str| {
        let value = std::env::var_os(name);
        // SAFETY: no other thread reads the environment, as the caller guarantees.
        unsafe { std::env::remove_var(name) };
        value
    };
    let [process, count, names] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"].map(take);
    take("LISTEN_PIDFDID");
    let process = process.and_then(|text| text.to_str()?.parse::<u32>().ok());
    let (Some(count), true) = (count, process == Some(std::process::id())) else {
        return Ok(Vec::new());
    };
    let count = parse_count(&count)?;
    let names = names.unwrap_or_default();
    let names: Vec<_> = names.as_bytes().split(|byte| *byte == b':').collect();
    let socket = |index: i32| {
        let descriptor = FIRST + index;
        // SAFETY: queries the flags of a descriptor, which is valid for any number.
        if unsafe { libc::fcntl(descriptor, libc::F_GETFD) } == -1 {
            return Err(ActivationError::NotOpen { count, descriptor });
        }
        let name = names.get(index as usize).copied().unwrap_or_default();
        let name = match String::from_utf8_lossy(name) {
            name if name.is_empty() => format!("descriptor {descriptor}"),
            name => format!("descriptor {descriptor}, {name}"),
        };
        // SAFETY: it is open and has no other owner, as the caller guarantees.
        Ok((name, unsafe { OwnedFd::from_raw_fd(descriptor) }))
    };
    (0..count).map(socket).collect()
}

fn parse_count(text: &OsString) -> Result<i32, ActivationError> {
    let text = text.to_string_lossy();
    text.parse()
        .ok()
        .filter(|count| (0..=COUNT_MAX).contains(count))
        .ok_or_else(|| ActivationError::Count(text.into_owned()))
}

#[cfg(test)]
mod tests;
