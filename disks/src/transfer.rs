//! One request as a sequence of system calls: which call comes next, and what its result means.
//!
//! Both real engines drive this one state machine, so that they agree on short transfers, zeroing
//! without help from the device, and durability. A request is a sequence of [`Step`]s:
//!
//! - read, write: as many vectored calls as it takes, each continuing where the last one stopped;
//!   a durable write uses RWF_DSYNC, or is followed by fdatasync where that is not known;
//! - discard: punch a hole; no call on a device that cannot;
//! - write zeroes, which keeps the space: the first method that works of: zero the range; punch a
//!   hole and allocate it again; write zeroes;
//! - flush: fdatasync.
//!
//! A request for bytes that were cut off fails without a call.
//!
//! Invariants: the buffers stay where they are from start to [`Transfer::finish`], and `iovecs`
//! is not touched between `next_step` and the `settle` of its result, so a kernel may read both.
//!
//! What is not known here: which engine makes the calls.

use crate::device_state::{DeviceState, ZeroMethod};
use crate::{Buffer, Completion, DiskError, DiskErrorKind, DiskRequest, Operation};
use disktime_units::Nanos;
use std::io;
use std::sync::OnceLock;

/// Most pieces that the kernel takes at once (IOV_MAX).
const PIECES_MAX: usize = 1024;
/// Zeroes are written from one shared block of this size, several times per call.
const ZERO_BLOCK_BYTES: usize = 64 << 10;
/// How many zeroes one call writes at most, so that one request does not hold up the device.
const ZERO_STEP_BYTES: u64 = 1 << 20;

/// One system call on the disk's file. A vectored one uses the transfer's `pieces()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// preadv.
    Read { offset_bytes: u64 },
    /// pwritev2, with RWF_DSYNC if `durable`.
    Write { offset_bytes: u64, durable: bool },
    /// fallocate.
    Allocate {
        mode: i32,
        offset_bytes: u64,
        len_bytes: u64,
    },
    /// fdatasync.
    Sync,
}

/// A request in flight, or room for one.
#[derive(Debug, Default)]
pub(crate) struct Transfer {
    request: Option<DiskRequest>,
    /// The pieces of all that is left or, for zeroes, of the next call.
    iovecs: Vec<libc::iovec>,
    first: usize,
    done_bytes: u64,
    step: Option<Step>,
    result: Option<Result<(), DiskError>>,
}

// SAFETY: the addresses in `iovecs` point into buffers that `request` owns (or to static zeroes),
// and move to another thread together with them.
unsafe impl Send for Transfer {}

impl Transfer {
    /// Takes a request; reuses the memory of the pieces.
    pub(crate) fn start(&mut self, request: DiskRequest, device: &DeviceState) {
        debug_assert!(
            self.request.is_none(),
            "a transfer serves one request at a time"
        );
        self.first = 0;
        self.done_bytes = 0;
        self.step = None;
        self.result = None;
        self.iovecs.clear();
        let request = self.request.insert(request);
        if request.operation.moves_data() {
            self.iovecs.extend(request.buffers.iter_mut().map(piece));
            let held: u64 = request
                .buffers
                .iter()
                .map(|buffer| buffer.len() as u64)
                .sum();
            if held != request.len_bytes {
                self.result = Some(Err(DiskError {
                    kind: DiskErrorKind::Io,
                    context: format!(
                        "{}: a request of {} bytes came with buffers of {held}",
                        device.name(),
                        request.len_bytes
                    ),
                }));
                return;
            }
        }
        self.step = self.first_step(device);
        if self.step.is_none() && self.result.is_none() {
            self.result = Some(Ok(()));
        }
    }

    /// The call to make now; `None` when the request is done.
    pub(crate) fn next_step(&self) -> Option<Step> {
        self.step
    }

    /// The pieces of memory for a vectored step.
    pub(crate) fn pieces(&self) -> &[libc::iovec] {
        let rest = &self.iovecs[self.first..];
        &rest[..rest.len().min(PIECES_MAX)]
    }

    /// Takes the result of the step: what the call returned, or the negative error number.
    pub(crate) fn settle(&mut self, returned: i64, device: &DeviceState) {
        let Some(step) = self.step.take() else { return };
        self.step = match step {
            _ if returned == -i64::from(libc::EINTR) || returned == -i64::from(libc::EAGAIN) => {
                Some(step)
            }
            Step::Read { .. } | Step::Write { .. } => self.settle_bytes(step, returned, device),
            Step::Allocate { mode, .. } => self.settle_allocate(mode, returned, device),
            Step::Sync => {
                if returned < 0 {
                    device.note_flush_failure();
                    self.result = Some(Err(self.error(returned, device)));
                }
                None
            }
        };
        if self.step.is_none() && self.result.is_none() {
            self.result = Some(Ok(()));
        }
    }

    /// Whether its request says what is durable, of whatever was written.
    pub(crate) fn is_flush(&self) -> bool {
        let request = self.request.as_ref();
        request.is_some_and(|request| request.operation == Operation::Flush)
    }

    /// The completion of a request whose `next_step` is `None`.
    pub(crate) fn finish(&mut self, now: Nanos, device: &DeviceState) -> Option<Completion> {
        let mut result = self.result.take()?;
        let request = self.request.take()?;
        let promises = request.operation == Operation::Flush || request.fua;
        if promises && result.is_ok() && device.flush_failed() {
            // The kernel reports a lost write to one flush only; the success of one that ran at the
            // same time proves nothing.
            result = Err(device.flush_failed_before());
        }
        Some(Completion {
            tag: request.tag,
            result,
            completed_at: now,
            buffers: request.buffers,
        })
    }

    fn first_step(&mut self, device: &DeviceState) -> Option<Step> {
        let request = self.request.as_ref()?;
        let promises = request.operation == Operation::Flush || request.fua;
        if promises && device.flush_failed() {
            self.result = Some(Err(device.flush_failed_before()));
            return None;
        }
        if request.len_bytes == 0 && request.operation != Operation::Flush {
            return None;
        }
        if device
            .cut_mark()
            .reaches(request.offset_bytes + request.len_bytes)
        {
            self.result = Some(Err(device.cut_off()));
            return None;
        }
        match request.operation {
            Operation::Read => Some(Step::Read {
                offset_bytes: request.offset_bytes,
            }),
            Operation::Write => Some(self.write_step(device)),
            Operation::Flush => Some(Step::Sync),
            Operation::Discard if device.discards() => {
                Some(self.allocate_step(libc::FALLOC_FL_PUNCH_HOLE))
            }
            Operation::Discard => None,
            Operation::WriteZeroes => Some(self.zero_step(device)),
        }
    }

    fn place(&self) -> (u64, u64) {
        self.request.as_ref().map_or((0, 0), |request| {
            (
                request.offset_bytes + self.done_bytes,
                request.len_bytes - self.done_bytes,
            )
        })
    }

    fn fua(&self) -> bool {
        self.request.as_ref().is_some_and(|request| request.fua)
    }

    fn write_step(&self, device: &DeviceState) -> Step {
        let durable = self.fua() && device.dsync_works();
        Step::Write {
            offset_bytes: self.place().0,
            durable,
        }
    }

    fn allocate_step(&self, mode: i32) -> Step {
        let (offset_bytes, len_bytes) = self.place();
        Step::Allocate {
            mode: mode | libc::FALLOC_FL_KEEP_SIZE,
            offset_bytes,
            len_bytes,
        }
    }

    fn zero_step(&mut self, device: &DeviceState) -> Step {
        match device.zero_method() {
            ZeroMethod::ZeroRange => self.allocate_step(libc::FALLOC_FL_ZERO_RANGE),
            ZeroMethod::PunchHole => self.allocate_step(libc::FALLOC_FL_PUNCH_HOLE),
            ZeroMethod::Write => {
                let (offset_bytes, left) = self.place();
                self.iovecs.clear();
                self.first = 0;
                let mut fill = left.min(ZERO_STEP_BYTES);
                while fill > 0 {
                    let len = fill.min(ZERO_BLOCK_BYTES as u64);
                    self.iovecs.push(libc::iovec {
                        iov_base: zeroes().as_ptr().cast_mut().cast(),
                        iov_len: len as usize,
                    });
                    fill -= len;
                }
                // Made durable by one sync at the end, not piece by piece.
                Step::Write {
                    offset_bytes,
                    durable: false,
                }
            }
        }
    }

    fn settle_bytes(&mut self, step: Step, returned: i64, device: &DeviceState) -> Option<Step> {
        let durable = matches!(step, Step::Write { durable: true, .. });
        if durable && returned == -i64::from(libc::EOPNOTSUPP) {
            device.dsync_refused();
            return Some(self.write_step(device));
        }
        if returned < 0 {
            // Through the page cache a failed sync may have dropped other requests' data. With
            // O_DIRECT the failure concerns this write only.
            let error = self.error(returned, device);
            // Of a write that was not allowed nothing is in the cache.
            if durable && !device.is_direct() && error.kind != DiskErrorKind::ReadOnly {
                device.note_flush_failure();
            }
            self.result = Some(Err(error));
            return None;
        }
        // O_DIRECT continues at whole blocks only; the incomplete block is transferred again.
        let returned = returned.unsigned_abs();
        let moved = returned - returned % device.block_bytes();
        if moved == 0 {
            self.result = Some(Err(self.ended_early(device)));
            return None;
        }
        self.done_bytes += moved;
        let (offset_bytes, left) = self.place();
        let zeroing = self
            .request
            .as_ref()
            .is_some_and(|r| r.operation == Operation::WriteZeroes);
        if left == 0 {
            let synced = durable || !self.fua() || matches!(step, Step::Read { .. });
            return (!synced).then_some(Step::Sync);
        }
        if zeroing {
            return Some(self.zero_step(device));
        }
        self.advance(moved);
        Some(match step {
            Step::Read { .. } => Step::Read { offset_bytes },
            _ => self.write_step(device),
        })
    }

    fn advance(&mut self, mut moved: u64) {
        while let Some(piece) = self.iovecs.get_mut(self.first) {
            let len = piece.iov_len as u64;
            if moved < len {
                piece.iov_base = piece.iov_base.wrapping_byte_add(moved as usize);
                piece.iov_len -= moved as usize;
                return;
            }
            moved -= len;
            self.first += 1;
        }
    }

    fn settle_allocate(&mut self, mode: i32, returned: i64, device: &DeviceState) -> Option<Step> {
        let zeroing = self
            .request
            .as_ref()
            .is_some_and(|r| r.operation == Operation::WriteZeroes);
        if returned >= 0 && zeroing && mode & libc::FALLOC_FL_PUNCH_HOLE != 0 {
            // The zeroed range keeps its space.
            return Some(self.allocate_step(0));
        }
        if returned >= 0 {
            return self.fua().then_some(Step::Sync);
        }
        let unsupported = [libc::EOPNOTSUPP, libc::ENOSYS, libc::EINVAL]
            .into_iter()
            .any(|number| returned == -i64::from(number));
        if unsupported && zeroing {
            device.zero_method_refused();
            return Some(self.zero_step(device));
        }
        let mut error = self.error(returned, device);
        if unsupported {
            // The caller continues without the discard; it must not be reported as done, because a
            // discard that is done leaves zeroes.
            error.kind = DiskErrorKind::NotSupported;
        }
        self.result = Some(Err(error));
        None
    }

    fn error(&self, returned: i64, device: &DeviceState) -> DiskError {
        let number = i32::try_from(-returned).unwrap_or(libc::EIO);
        let kind = match number {
            libc::ENOSPC | libc::EDQUOT | libc::EFBIG => DiskErrorKind::NoSpace,
            libc::EOPNOTSUPP | libc::ENOSYS => DiskErrorKind::NotSupported,
            libc::EROFS | libc::EPERM => DiskErrorKind::ReadOnly,
            _ => DiskErrorKind::Io,
        };
        let cause = io::Error::from_raw_os_error(number);
        DiskError {
            kind,
            context: format!("{}: {cause}", self.what(device)),
        }
    }

    fn ended_early(&self, device: &DeviceState) -> DiskError {
        DiskError {
            kind: DiskErrorKind::Io,
            context: format!(
                "{}: the device or file ended before the request did; was it truncated?",
                self.what(device)
            ),
        }
    }

    fn what(&self, device: &DeviceState) -> String {
        let Some(request) = &self.request else {
            return device.name().to_owned();
        };
        let word = match request.operation {
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Flush => return format!("{}: flush failed", device.name()),
            Operation::Discard => "discard",
            Operation::WriteZeroes => "zeroing",
        };
        let (offset, len) = (request.offset_bytes, request.len_bytes);
        format!(
            "{}: {word} of {len} bytes at byte {offset} failed",
            device.name()
        )
    }
}

fn piece(buffer: &mut Buffer) -> libc::iovec {
    libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    }
}

/// Zeroes for devices that cannot make their own. Only ever read.
fn zeroes() -> &'static Buffer {
    static ZEROES: OnceLock<Buffer> = OnceLock::new();
    ZEROES.get_or_init(|| Buffer::zeroed(ZERO_BLOCK_BYTES))
}

#[cfg(test)]
mod tests;
