//! A disk served by io_uring: the fast engine for block devices and files.
//!
//! Each request in flight has a slot, which owns its buffers and the pieces that the kernel reads;
//! the slot's number travels through the ring. Submissions gather in the submission queue and go to
//! the kernel with one call per turn ([`Disk::flush_submissions`] or [`Disk::collect`]).
//!
//! Invariants: a slot is not touched between the push of its operation and its completion, even if
//! the call in between fails, and dropping the disk waits for the requests in flight; each slot has
//! at most one operation in flight and there are fewer slots than entries in either queue, so
//! neither can overflow; in steady state nothing is allocated.
//!
//! With SINGLE_ISSUER and DEFER_TASKRUN the kernel finishes operations only when the ring's own
//! thread asks it to. The ring is therefore created disabled and belongs to the thread that first
//! submits or collects. Its own descriptor does not wake a poller for work that is waiting to be
//! asked for (seen on Linux 6.18 with writes that a worker thread finishes); a registered eventfd
//! does.

use crate::backing::Backing;
use crate::device_state::DeviceState;
use crate::transfer::{Step, Transfer};
use crate::wake_event::WakeEvent;
use crate::{
    Completion, ContentMap, CutMark, Disk, DiskError, DiskErrorKind, DiskProperties, DiskRequest,
    FreeSpace, Operation,
};
use disktime_units::Nanos;
use io_uring::types::{Fd, FsyncFlags};
use io_uring::{IoUring, Probe, opcode, squeue};
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{Ordering, fence};

/// When the kernel takes no submissions for lack of memory, they are tried again after this; and a
/// kernel flag that brought no completion is checked again after this.
const RETRY_AFTER: Nanos = Nanos::from_millis(1);

/// Serves requests on a block device or file through io_uring.
pub(crate) struct UringDisk {
    /// Before `backing` and `slots`, so that it is closed first.
    ring: IoUring,
    /// Set by the kernel when there is something to collect.
    wake: WakeEvent,
    /// Whether the thread that will own the ring still has to enable it.
    disabled: bool,
    /// The kernel refused the last submission for another reason; logged once.
    refused: bool,
    backing: Backing,
    properties: DiskProperties,
    device: DeviceState,
    /// Of all operations.
    flags: squeue::Flags,
    slots: Vec<Transfer>,
    free: Vec<usize>,
    /// Completed without the kernel, or refused.
    ready: Vec<Completion>,
    /// The time of the last call, for retries.
    last_now: Nanos,
    /// Whether the last call left submissions behind.
    backlog: bool,
    /// The kernel's flag announced work, and asking for it brought none: checked again soon.
    unsure: bool,
    /// The file's length was asked for since the kernel was called last.
    length_is_known: bool,
}

impl UringDisk {
    /// Serves `backing`, which the caller has described by `properties`, with a ring made for its
    /// `max_in_flight`.
    pub(crate) fn new(ring: NewRing, backing: Backing, properties: DiskProperties) -> UringDisk {
        let slots = properties.max_in_flight.max(1);
        let NewRing {
            ring,
            wake,
            disabled,
        } = ring;
        let device = DeviceState::new(&backing);
        // The kernel tries an operation on the thread that submits it first, where it could wait.
        let flags = match backing.waits_for_others() {
            true => squeue::Flags::ASYNC,
            false => squeue::Flags::empty(),
        };
        UringDisk {
            flags,
            ring,
            wake,
            disabled,
            refused: false,
            backing,
            properties,
            device,
            slots: (0..slots).map(|_| Transfer::default()).collect(),
            free: (0..slots).rev().collect(),
            ready: Vec::with_capacity(slots),
            last_now: Nanos::ZERO,
            backlog: false,
            unsure: false,
            length_is_known: false,
        }
    }

    fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Queues the next call of a slot, or completes its request if there is none.
    fn advance(&mut self, slot: usize, now: Nanos) {
        let transfer = &mut self.slots[slot];
        let Some(step) = transfer.next_step() else {
            if transfer.is_flush() {
                self.backing.note_cut(self.device.cut_mark());
            }
            let completion = transfer.finish(now, &self.device);
            self.free.push(slot);
            self.ready.extend(completion);
            return;
        };
        let entry = entry_for(step, transfer, Fd(self.backing.fd()))
            .user_data(slot as u64)
            .flags(self.flags);
        // SAFETY: the slot owns buffers and pieces and leaves them alone until the completion of
        // this operation has been taken from the ring.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        assert!(
            pushed.is_ok(),
            "the submission queue has an entry for every slot"
        );
    }

    /// Calls the kernel if there is anything to submit or to be finished.
    fn enter(&mut self) {
        if self.disabled {
            if let Err(error) = self.ring.submitter().register_enable_rings() {
                tracing::error!(%error, disk = %self.properties.description,
                    "the ring cannot be enabled; its requests wait");
                self.backlog = true;
                return;
            }
            self.disabled = false;
        }
        let queue = self.ring.submission();
        let work = !queue.is_empty() || queue.taskrun() || queue.cq_overflow();
        drop(queue);
        if !work {
            self.backlog = false;
            return;
        }
        // Submissions that are not taken now stay queued with their slots, and are tried again.
        let result = self.ring.submit();
        self.backlog = !self.ring.submission().is_empty();
        if let Err(error) = result
            && !matches!(
                error.raw_os_error(),
                Some(libc::EINTR | libc::EAGAIN | libc::EBUSY)
            )
        {
            if !std::mem::replace(&mut self.refused, true) {
                tracing::error!(%error, disk = %self.properties.description,
                    "the kernel takes no submissions; requests wait until it does");
            }
            self.backlog = true;
        } else {
            self.refused = false;
        }
    }

    /// Takes finished operations. Those that the first call finishes are taken here, so the eventfd
    /// is disabled for them; later ones set it as usual.
    ///
    /// The kernel finishes a limited number of operations per call and announces the rest by its
    /// flag only, so a set flag is followed by another call as long as that brings completions. The
    /// flag may also be stale: set by an interrupt on another processor just after its work was
    /// taken here; then it stays set until the next work. To follow it without a limit would be a
    /// livelock.
    fn take_finished(&mut self, now: Nanos) {
        let mut first = true;
        loop {
            if first {
                self.ring.completion().disable_eventfd();
            }
            self.enter();
            let before = self.ready.len();
            let goes_on = self.reap(now);
            let reaped = goes_on || self.ready.len() > before;
            if first {
                self.ring.completion().enable_eventfd();
                // Completions up to here were not announced; the check after the fence sees them.
                fence(Ordering::SeqCst);
            }
            let more = self.ring.submission().taskrun() || !self.ring.completion().is_empty();
            self.unsure = more && self.in_flight() > 0;
            if self.backlog || !(goes_on || more) || !(first || reaped) {
                return;
            }
            first = false;
        }
    }

    /// Takes finished operations from the ring; returns whether any request continues.
    fn reap(&mut self, now: Nanos) -> bool {
        let mut goes_on = false;
        loop {
            let entry = self.ring.completion().next();
            let Some(entry) = entry else { return goes_on };
            let slot = entry.user_data() as usize;
            self.slots[slot].settle(i64::from(entry.result()), &self.device);
            goes_on |= self.slots[slot].next_step().is_some();
            self.advance(slot, now);
        }
    }
}

impl Disk for UringDisk {
    fn properties(&self) -> &DiskProperties {
        &self.properties
    }

    fn submit(&mut self, now: Nanos, request: DiskRequest) {
        self.last_now = now;
        if changes_file(&request) && !std::mem::replace(&mut self.length_is_known, true) {
            self.backing.note_cut(self.device.cut_mark());
        }
        match self.free.pop() {
            Some(slot) => {
                self.slots[slot].start(request, &self.device);
                self.advance(slot, now);
            }
            None => self.ready.push(too_many(request, now, &self.properties)),
        }
    }

    fn flush_submissions(&mut self) {
        self.length_is_known = false;
        self.enter();
    }

    fn collect(&mut self, now: Nanos, completions: &mut Vec<Completion>) {
        self.last_now = now;
        self.unsure = false;
        self.length_is_known = false;
        if self.in_flight() > 0 {
            self.take_finished(now);
        }
        for mut completion in self.ready.drain(..) {
            completion.completed_at = now;
            completions.push(completion);
        }
    }

    fn next_completion(&self) -> Option<Nanos> {
        if !self.ready.is_empty() {
            return Some(self.last_now);
        }
        (self.backlog || self.unsure).then(|| self.last_now.saturating_add(RETRY_AFTER))
    }

    fn wake_fd(&self) -> Option<RawFd> {
        Some(self.wake.fd())
    }

    fn content_map(&self) -> Option<&dyn ContentMap> {
        Some(&self.backing)
    }

    fn free_space(&self) -> Option<&FreeSpace> {
        self.backing.free_space()
    }

    fn is_read_only(&self) -> bool {
        self.backing.is_read_only()
    }

    fn cut_mark(&self) -> Option<&CutMark> {
        Some(self.device.cut_mark())
    }
}

impl Drop for UringDisk {
    fn drop(&mut self) {
        while self.in_flight() > 0 {
            if self.disabled {
                self.enter();
            }
            match self.ring.submit_and_wait(1) {
                Ok(_) => {
                    self.reap(Nanos::ZERO);
                }
                Err(error)
                    if matches!(
                        error.raw_os_error(),
                        Some(libc::EINTR | libc::EAGAIN | libc::EBUSY)
                    ) =>
                {
                    self.reap(Nanos::ZERO);
                }
                Err(error) => {
                    // Dropped by another thread than the ring's. The kernel may still write to the
                    // buffers, so their memory must never be reused.
                    tracing::warn!(%error, "a disk was dropped with requests in flight by a \
                        thread that cannot wait for them; their memory is given up");
                    std::mem::forget(std::mem::take(&mut self.slots));
                    return;
                }
            }
        }
    }
}

/// Whether a request could make a file longer.
pub(crate) fn changes_file(request: &DiskRequest) -> bool {
    matches!(request.operation, Operation::Write | Operation::WriteZeroes)
}

/// The completion of a request beyond the bound, which is the caller's error.
pub(crate) fn too_many(
    request: DiskRequest,
    now: Nanos,
    properties: &DiskProperties,
) -> Completion {
    Completion {
        tag: request.tag,
        result: Err(DiskError {
            kind: DiskErrorKind::Io,
            context: format!(
                "{}: more than {} requests were submitted at once",
                properties.description, properties.max_in_flight
            ),
        }),
        completed_at: now,
        buffers: request.buffers,
    }
}

/// A ring that no disk uses yet.
pub(crate) struct NewRing {
    ring: IoUring,
    wake: WakeEvent,
    disabled: bool,
}

/// A ring with room for `slots` operations, or the kernel's error.
pub(crate) fn new_ring(slots: usize) -> io::Result<NewRing> {
    match ring_with(slots, true) {
        // Kernels before 6.1 do not know the flags.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => ring_with(slots, false),
        made => made,
    }
}

/// A ring whose completions are deferred until this thread asks for them, or a plain one.
fn ring_with(slots: usize, deferred: bool) -> io::Result<NewRing> {
    let entries = u32::try_from(slots.max(2).next_power_of_two())
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut wanted = IoUring::builder();
    wanted.dontfork();
    if deferred {
        wanted
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_r_disabled()
            .setup_submit_all();
    }
    let ring = wanted.build(entries)?;
    let mut probe = Probe::new();
    ring.submitter().register_probe(&mut probe)?;
    let needed = [
        opcode::Readv::CODE,
        opcode::Writev::CODE,
        opcode::Fsync::CODE,
        opcode::Fallocate::CODE,
    ];
    if !needed.into_iter().all(|code| probe.is_supported(code)) {
        return Err(io::Error::from_raw_os_error(libc::ENOSYS));
    }
    let wake = WakeEvent::new()?;
    ring.submitter().register_eventfd(wake.fd())?;
    Ok(NewRing {
        ring,
        wake,
        disabled: deferred,
    })
}

fn entry_for(step: Step, transfer: &Transfer, fd: Fd) -> squeue::Entry {
    let pieces = transfer.pieces();
    let (start, count) = (pieces.as_ptr(), pieces.len() as u32);
    match step {
        Step::Read { offset_bytes } => opcode::Readv::new(fd, start, count)
            .offset(offset_bytes)
            .build(),
        Step::Write {
            offset_bytes,
            durable,
        } => opcode::Writev::new(fd, start, count)
            .offset(offset_bytes)
            .rw_flags(if durable { libc::RWF_DSYNC } else { 0 })
            .build(),
        Step::Allocate {
            mode,
            offset_bytes,
            len_bytes,
        } => opcode::Fallocate::new(fd, len_bytes)
            .offset(offset_bytes)
            .mode(mode)
            .build(),
        Step::Sync => opcode::Fsync::new(fd).flags(FsyncFlags::DATASYNC).build(),
    }
}

#[cfg(test)]
mod tests;
