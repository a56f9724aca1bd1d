//! What is learned of a real device while it serves, shared by all its requests.

use crate::{Backing, DiskError, DiskErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU8};

/// What the device turned out to do, learned from its refusals; and whether it can still be
/// trusted to make anything durable. Shared by all requests of a disk.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) block_bytes: u64,
    pub(crate) direct: bool,
    pub(crate) discards: bool,
    pub(crate) zeroing: AtomicU8,
    pub(crate) dsync_works: AtomicBool,
    pub(crate) flush_failed: AtomicBool,
}

/// How zeroes get on the device, best first.
pub(crate) const ZERO_RANGE: u8 = 0;
pub(crate) const PUNCH_HOLE: u8 = 1;
pub(crate) const WRITE_ZEROES: u8 = 2;

impl Device {
    pub(crate) fn new(backing: &Backing) -> Device {
        Device {
            name: backing.path.display().to_string(),
            block_bytes: u64::from(backing.block_bytes),
            direct: backing.direct,
            discards: backing.discards,
            zeroing: AtomicU8::new(ZERO_RANGE),
            dsync_works: AtomicBool::new(true),
            flush_failed: AtomicBool::new(false),
        }
    }
}

/// The answer to whoever wants durability after a flush has failed.
pub(crate) fn flush_failed_before(device: &Device) -> DiskError {
    DiskError {
        kind: DiskErrorKind::FlushFailedBefore,
        context: format!(
            "{}: an earlier flush failed, so writes may have been lost; check the device, then \
             restart the server",
            device.name
        ),
    }
}
