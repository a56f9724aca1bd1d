//! What the engines learn of a real device while it serves: which calls it refuses, whether a flush
//! has failed, and where its file was cut. Shared by all requests of a disk.
//!
//! Invariants: a failed flush is final, as the kernel reports a lost write only once; a method that
//! the device refused is never tried again; what was cut off is neither read nor written.

use crate::backing::Backing;
use crate::{CutMark, DiskError, DiskErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

/// How zeroes get on the device, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ZeroMethod {
    /// fallocate with ZERO_RANGE.
    ZeroRange,
    /// fallocate with PUNCH_HOLE, then without, so that the space stays.
    PunchHole,
    /// Writes of zeroes.
    Write,
}

const METHODS: [ZeroMethod; 3] = [
    ZeroMethod::ZeroRange,
    ZeroMethod::PunchHole,
    ZeroMethod::Write,
];

/// What is known of a device.
#[derive(Debug)]
pub(crate) struct DeviceState {
    name: String,
    block_bytes: u64,
    direct: bool,
    discards: bool,
    /// Index of the method in [`METHODS`].
    zero_method: AtomicU8,
    dsync_works: AtomicBool,
    flush_failed: AtomicBool,
    cut: CutMark,
}

impl DeviceState {
    /// Of a device that has just been opened.
    pub(crate) fn new(backing: &Backing) -> DeviceState {
        DeviceState::described(
            backing.path().display().to_string(),
            u64::from(backing.block_bytes()),
            backing.is_direct(),
            backing.discards(),
        )
    }

    /// Of a device with these properties.
    pub(crate) fn described(
        name: String,
        block_bytes: u64,
        direct: bool,
        discards: bool,
    ) -> DeviceState {
        DeviceState {
            name,
            block_bytes,
            direct,
            discards,
            zero_method: AtomicU8::new(0),
            dsync_works: AtomicBool::new(true),
            flush_failed: AtomicBool::new(false),
            cut: CutMark::default(),
        }
    }

    /// Its path, for messages.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The unit of its requests.
    pub(crate) fn block_bytes(&self) -> u64 {
        self.block_bytes
    }

    /// Whether I/O bypasses the page cache.
    pub(crate) fn is_direct(&self) -> bool {
        self.direct
    }

    /// Whether discards do anything.
    pub(crate) fn discards(&self) -> bool {
        self.discards
    }

    /// The best method of zeroing that it has not refused.
    pub(crate) fn zero_method(&self) -> ZeroMethod {
        METHODS[usize::from(self.zero_method.load(Ordering::Relaxed)).min(METHODS.len() - 1)]
    }

    /// It refused the present method of zeroing: the next one is used from now on.
    pub(crate) fn zero_method_refused(&self) {
        let next = match self.zero_method() {
            ZeroMethod::ZeroRange => 1,
            ZeroMethod::PunchHole | ZeroMethod::Write => 2,
        };
        self.zero_method.fetch_max(next, Ordering::Relaxed);
    }

    /// Whether writes with RWF_DSYNC work, as far as is known.
    pub(crate) fn dsync_works(&self) -> bool {
        self.dsync_works.load(Ordering::Relaxed)
    }

    /// It refused a write with RWF_DSYNC.
    pub(crate) fn dsync_refused(&self) {
        self.dsync_works.store(false, Ordering::Relaxed);
    }

    /// Where its file was cut.
    pub(crate) fn cut_mark(&self) -> &CutMark {
        &self.cut
    }

    /// The error of a request for bytes that were cut off.
    pub(crate) fn cut_off(&self) -> DiskError {
        let len_bytes = self.cut.cut_at().unwrap_or(0);
        DiskError {
            kind: DiskErrorKind::Io,
            context: format!(
                "{}: it was cut to {len_bytes} bytes while it is served, so what lay beyond is \
                 lost; stop the server and restore it",
                self.name
            ),
        }
    }

    /// Whether a flush has failed.
    pub(crate) fn flush_failed(&self) -> bool {
        self.flush_failed.load(Ordering::SeqCst)
    }

    /// A flush has failed: nothing can be called durable any more.
    pub(crate) fn note_flush_failure(&self) {
        self.flush_failed.store(true, Ordering::SeqCst);
    }

    /// The error of requests that need durability after a flush has failed.
    pub(crate) fn flush_failed_before(&self) -> DiskError {
        DiskError {
            kind: DiskErrorKind::FlushFailedBefore,
            context: format!(
                "{}: an earlier flush failed, so writes may have been lost; check the device, then \
                 restart the server",
                self.name
            ),
        }
    }
}
