//! An eventfd that wakes the thread that polls it.
//!
//! A thread that waits for its level resets it first ([`reset_wake`]) and looks for completions
//! afterwards: later ones set it again, so none is missed. A thread that waits for its edges need
//! not reset it.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, RawFd};

/// Readable from `set` to `reset`.
#[derive(Debug)]
pub(crate) struct WakeEvent(File);

impl WakeEvent {
    pub(crate) fn new() -> io::Result<WakeEvent> {
        // SAFETY: the call takes plain integers.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and has no other owner.
        Ok(WakeEvent(unsafe { File::from_raw_fd(fd) }))
    }

    pub(crate) fn set(&self) {
        // Fails only when the counter is full, and then it is readable anyway.
        let _ = (&self.0).write(&1_u64.to_ne_bytes());
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Makes the eventfd of [`Disk::wake_fd`](crate::Disk::wake_fd) unreadable until it is set again.
pub fn reset_wake(fd: RawFd) {
    let mut count = [0_u8; 8];
    // SAFETY: room for eight bytes that lives through the call; it fails only when it is not set,
    // as it does not block.
    unsafe { libc::read(fd, count.as_mut_ptr().cast(), count.len()) };
}
