//! `/dev/fuse` once it is mounted. One read takes one request, one write sends one reply.

use crate::protocol::{REPLY_HEADER_BYTES, reply_header};
use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// The device of a mounted directory.
#[derive(Debug)]
pub(crate) struct Device(Arc<File>);

/// The result of a read of the device, besides unexpected errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeviceRead {
    /// A request of so many bytes.
    Request(usize),
    /// There is no request now.
    Empty,
    /// The directory is unmounted, or the connection was aborted.
    Disconnected,
}

impl Device {
    /// Takes a descriptor of `/dev/fuse` that is mounted and makes it non-blocking.
    pub(crate) fn new(descriptor: OwnedFd) -> io::Result<Device> {
        // SAFETY: reads and sets flags of an open descriptor only.
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
            _ => Ok(Device(Arc::new(descriptor.into()))),
        }
    }

    /// The same device as long as this one lives: the connection ends with it.
    pub(crate) fn borrowed(&self) -> Weak<File> {
        Arc::downgrade(&self.0)
    }

    pub(crate) fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Reads the next request into `parts`, which must have space for the largest.
    pub(crate) fn read(&self, parts: &mut [IoSliceMut<'_>]) -> io::Result<DeviceRead> {
        loop {
            // SAFETY: IoSliceMut has the layout of iovec; the parts outlive the call, and
            // the exclusive borrow keeps other code from them.
            let count = unsafe {
                libc::readv(
                    self.as_raw_fd(),
                    parts.as_mut_ptr().cast(),
                    parts.len() as libc::c_int,
                )
            };
            if let Ok(count) = usize::try_from(count) {
                return Ok(DeviceRead::Request(count));
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                // The program was killed while its request was being read.
                Some(libc::ENOENT | libc::EINTR) => {}
                Some(libc::EAGAIN) => return Ok(DeviceRead::Empty),
                Some(libc::ENODEV | libc::ECONNABORTED) => return Ok(DeviceRead::Disconnected),
                _ => return Err(error),
            }
        }
    }

    /// Waits for a request, at most for `timeout`; whether there is one.
    pub(crate) fn wait(&self, timeout: Duration) -> io::Result<bool> {
        let until = Instant::now() + timeout;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let mut watched = libc::pollfd {
                fd: self.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: one entry, which outlives the call.
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

    /// Replies to a request with an errno and no body, or with 0 and the body.
    pub(crate) fn reply(&self, unique: u64, error: i32, body: &[u8]) {
        let header = reply_header(unique, error, body.len());
        let Err(failure) = self.write(&header, body) else {
            return;
        };
        match failure.raw_os_error() {
            // The program was killed meanwhile, or the directory is unmounted.
            Some(libc::ENOENT | libc::ENODEV | libc::ECONNABORTED | libc::EPERM) => {}
            _ if !body.is_empty() => {
                tracing::error!("the kernel refused a FUSE reply, so the request fails: {failure}");
                // Without any reply the program would wait for ever.
                self.reply(unique, libc::EIO, &[]);
            }
            _ => tracing::error!("the kernel refused a FUSE reply: {failure}"),
        }
    }

    fn write(&self, header: &[u8; REPLY_HEADER_BYTES], body: &[u8]) -> io::Result<()> {
        let parts = [IoSlice::new(header), IoSlice::new(body)];
        let count = if body.is_empty() { 1 } else { 2 };
        loop {
            // SAFETY: IoSlice has the layout of iovec, and both outlive the call.
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
