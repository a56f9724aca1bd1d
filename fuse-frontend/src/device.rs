//! The kernel's side of the door: `/dev/fuse` once it is mounted. One read takes one request, one
//! write brings one reply.

use crate::protocol::{REPLY_HEADER_BYTES, reply_header};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

/// A mounted connection.
#[derive(Debug)]
pub(crate) struct Device(OwnedFd);

/// What a read of the device came to, besides errors that nobody expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// A request of so many bytes.
    Request(usize),
    /// There is none now.
    Nothing,
    /// The directory is unmounted, or the connection was cut.
    Gone,
}

impl Device {
    /// A descriptor of `/dev/fuse` that is mounted. From now on reading it does not wait.
    pub(crate) fn new(descriptor: OwnedFd) -> io::Result<Device> {
        // SAFETY: only asks for and sets flags of an open descriptor.
        let set = unsafe {
            let flags = libc::fcntl(descriptor.as_raw_fd(), libc::F_GETFL);
            libc::fcntl(
                descriptor.as_raw_fd(),
                libc::F_SETFL,
                flags | libc::O_NONBLOCK,
            )
        };
        match set {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(Device(descriptor)),
        }
    }

    pub(crate) fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Takes the next request into `parts`, which must have room for the largest.
    pub(crate) fn take(&self, parts: &mut [IoSliceMut<'_>]) -> io::Result<Taken> {
        loop {
            // SAFETY: IoSliceMut has the layout of iovec; the parts live through the call and are
            // written to by nobody else.
            let count = unsafe {
                libc::readv(
                    self.as_raw_fd(),
                    parts.as_mut_ptr().cast(),
                    parts.len() as libc::c_int,
                )
            };
            if let Ok(count) = usize::try_from(count) {
                return Ok(Taken::Request(count));
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                // The program that asked was killed while its request was being read.
                Some(libc::ENOENT | libc::EINTR) => {}
                Some(libc::EAGAIN) => return Ok(Taken::Nothing),
                Some(libc::ENODEV | libc::ECONNABORTED) => return Ok(Taken::Gone),
                _ => return Err(error),
            }
        }
    }

    /// Waits until there is a request, at most so long; whether there is.
    pub(crate) fn wait(&self, patience: Duration) -> io::Result<bool> {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let mut watched = libc::pollfd {
                fd: self.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: one entry, which lives through the call.
            match unsafe { libc::poll(&mut watched, 1, left.as_millis() as libc::c_int) } {
                -1 => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
                0 => return Ok(false),
                _ => return Ok(true),
            }
        }
    }

    /// Answers a request: with an errno and no body, or with 0 and the body.
    pub(crate) fn answer(&self, unique: u64, error: i32, body: &[u8]) {
        let header = reply_header(unique, error, body.len());
        let Err(failure) = self.write(&header, body) else {
            return;
        };
        match failure.raw_os_error() {
            // The program that asked was killed meanwhile, or nobody is left to be told.
            Some(libc::ENOENT | libc::ENODEV | libc::ECONNABORTED | libc::EPERM) => {}
            _ if !body.is_empty() => {
                tracing::error!("the kernel does not take a FUSE reply: {failure}");
                // Or the program would wait for ever.
                self.answer(unique, libc::EIO, &[]);
            }
            _ => tracing::error!("the kernel does not take a FUSE reply: {failure}"),
        }
    }

    fn write(&self, header: &[u8; REPLY_HEADER_BYTES], body: &[u8]) -> io::Result<()> {
        let parts = [IoSlice::new(header), IoSlice::new(body)];
        let count = if body.is_empty() { 1 } else { 2 };
        loop {
            // SAFETY: IoSlice has the layout of iovec, and both live through the call.
            let written = unsafe { libc::writev(self.as_raw_fd(), parts.as_ptr().cast(), count) };
            if written >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}
