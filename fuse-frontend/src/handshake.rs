//! The first request of a mount: the kernel says what it can do, and is told what is wanted of it.

use crate::Transport;
use crate::device::{Device, Taken};
use crate::inbox::{Inbox, REQUEST_BYTES_MAX};
use crate::protocol::{InitReply, Operation, encode_init};
use crate::ring::Ring;
use std::io;
use std::time::Duration;

/// Requests that the kernel hands out at once of those that nobody waits for in a system call
/// (asynchronous ones, as a loop device's). Its own default holds at 12.
const BACKGROUND_MAX: u16 = 512;

/// The kernel sends it at the mount.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is wanted, if the kernel has it.
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
/// `open` is told of O_TRUNC, so that it can be refused with a reason.
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

/// Requests may come through a ring.
const OVER_IO_URING: u64 = 1 << 41;

/// The oldest protocol of 7 that has what is relied on (Linux 5.2).
const MINOR_MIN: u32 = 31;

/// Greets the kernel. A ring, if there is one, is what requests come by from now on, and the kernel
/// waits for it to be registered.
///
/// # Errors
/// If it does not greet, or speaks a protocol that is too old.
pub(crate) fn greet(device: &Device, transport: Transport) -> io::Result<Option<Ring>> {
    if !device.wait(PATIENCE)? {
        return Err(io::Error::other("the kernel does not begin to speak FUSE"));
    }
    let mut inbox = Inbox::new();
    match inbox.fill(device)? {
        Taken::Request(_) => {}
        Taken::Nothing | Taken::Gone => {
            return Err(io::Error::other("it was unmounted at once"));
        }
    }
    let unexpected = |_| io::Error::other("the kernel does not greet first");
    let header = inbox.header().map_err(unexpected)?;
    let Operation::Init {
        major,
        minor,
        readahead_bytes,
        flags,
    } = inbox.operation(&header).map_err(unexpected)?
    else {
        return Err(io::Error::other("the kernel does not greet first"));
    };
    if major != 7 || minor < MINOR_MIN {
        device.answer(header.unique, libc::EPROTO, &[]);
        let message = format!(
            "the kernel speaks FUSE {major}.{minor}; this needs 7.{MINOR_MIN}, Linux 5.2 or later"
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
    device.answer(header.unique, 0, &body);
    Ok(ring)
}

fn ring(device: &Device) -> Option<Ring> {
    Ring::new(device.as_raw_fd())
        .inspect_err(|error| {
            tracing::warn!(
                "the kernel offers FUSE over io_uring, but no ring for it ({error}), so requests come by \
                 /dev/fuse, which costs more; see kernel.io_uring_disabled, seccomp and memory limits"
            );
        })
        .ok()
}
