//! The handshake, the first request of a mount: the kernel says what it supports, and the reply
//! says what is used.

use crate::device::{Device, DeviceRead};
use crate::protocol::{InitReply, Operation, encode_init};
use crate::read_buffer::{REQUEST_BYTES_MAX, ReadBuffer};
use crate::ring::Ring;
use crate::transport::Transport;
use std::io;
use std::time::Duration;

/// The limit of asynchronous requests (those for which no program waits in a system call, as of a
/// loop device) that the kernel sends at once. Its own default is 12.
const BACKGROUND_MAX: u16 = 512;

/// How long to wait for the kernel's first request, which it sends at the mount.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The features that are used if the kernel has them.
const WANTED: u64 = ASYNC_READ
    | ATOMIC_TRUNCATE
    | BIG_WRITES
    | READ_DIRECTORY_PLUS
    | READ_DIRECTORY_PLUS_AUTO
    | ASYNC_DIRECT_IO
    | PARALLEL_DIRECTORY_OPERATIONS
    | MAX_PAGES
    | EXTENDED;
const ASYNC_READ: u64 = 1 << 0;
/// `open` carries O_TRUNC, so that it can be refused with a reason.
const ATOMIC_TRUNCATE: u64 = 1 << 3;
/// Writes of more than a page.
const BIG_WRITES: u64 = 1 << 5;
const READ_DIRECTORY_PLUS: u64 = 1 << 13;
const READ_DIRECTORY_PLUS_AUTO: u64 = 1 << 14;
/// Asynchronous direct I/O stays asynchronous, and large requests are split into several at once.
const ASYNC_DIRECT_IO: u64 = 1 << 15;
const PARALLEL_DIRECTORY_OPERATIONS: u64 = 1 << 18;
/// Requests of more than 128 KiB.
const MAX_PAGES: u64 = 1 << 22;
/// There are more than 32 flags.
const EXTENDED: u64 = 1 << 30;

/// Requests may come by a ring.
const OVER_IO_URING: u64 = 1 << 41;

/// The oldest minor version of protocol 7 that has all that is needed (Linux 5.2).
const MINOR_MIN: u32 = 31;

/// Does the handshake. If it returns a ring, requests come by the ring from now on, and the kernel
/// waits until it is registered.
///
/// # Errors
/// If the kernel does not begin the handshake, or its protocol is too old.
pub(crate) fn run(device: &Device, transport: Transport) -> io::Result<Option<Ring>> {
    if !device.wait(TIMEOUT)? {
        return Err(io::Error::other(
            "the kernel sent no FUSE handshake within 10 s",
        ));
    }
    let mut read_buffer = ReadBuffer::new();
    match read_buffer.fill(device)? {
        DeviceRead::Request(_) => {}
        DeviceRead::Empty | DeviceRead::Disconnected => {
            return Err(io::Error::other(
                "it was unmounted before the FUSE handshake",
            ));
        }
    }
    let unexpected = |_| io::Error::other("the kernel's first FUSE request is not a handshake");
    let header = read_buffer.header().map_err(unexpected)?;
    let Operation::Init {
        major,
        minor,
        readahead_bytes,
        flags,
    } = read_buffer.operation(&header).map_err(unexpected)?
    else {
        return Err(io::Error::other(
            "the kernel's first FUSE request is not a handshake",
        ));
    };
    if major != 7 || minor < MINOR_MIN {
        device.reply(header.unique, libc::EPROTO, &[]);
        let message = format!(
            "expected FUSE protocol 7.{MINOR_MIN} or later (Linux 5.2), found {major}.{minor}"
        );
        return Err(io::Error::other(message));
    }
    let ring = match transport {
        Transport::Best if flags & OVER_IO_URING != 0 => ring(device),
        Transport::Best | Transport::Device => None,
    };
    let wanted = WANTED | if ring.is_some() { OVER_IO_URING } else { 0 };
    let mut body = Vec::new();
    let reply = InitReply {
        readahead_bytes,
        flags: flags & wanted,
        background_max: ring.as_ref().map_or(BACKGROUND_MAX, Ring::background_max),
        request_bytes_max: REQUEST_BYTES_MAX,
    };
    encode_init(&mut body, &reply);
    device.reply(header.unique, 0, &body);
    Ok(ring)
}

fn ring(device: &Device) -> Option<Ring> {
    Ring::new(device.as_raw_fd())
        .inspect_err(|error| {
            tracing::warn!(
                "the kernel offers FUSE over io_uring, but a ring cannot be created ({error}); \
                    requests \
                 come by /dev/fuse, which costs more processor time; check \
                 kernel.io_uring_disabled, \
                 seccomp and memory limits"
            );
        })
        .ok()
}
