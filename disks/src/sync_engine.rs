//! A disk served by plain system calls on a few threads: for systems that refuse io_uring.
//!
//! It uses the same [`Transfer`] state machine as the ring; a worker drives it to its end. It is
//! slower, because each request crosses to another thread and back, and behaves the same otherwise.
//!
//! Invariants: requests waiting for a worker and completions waiting to be collected are together
//! bounded by `max_in_flight`; dropping the disk finishes the submitted requests.

use crate::backing::Backing;
use crate::device_state::DeviceState;
use crate::transfer::{Step, Transfer};
use crate::uring::{changes_file, too_many};
use crate::wake_event::WakeEvent;
use crate::{Completion, ContentMap, CutMark, Disk, DiskProperties, DiskRequest, FreeSpace};
use disktime_units::Nanos;
use std::collections::VecDeque;
use std::io;
use std::os::fd::RawFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Enough to keep a device busy; more would only cost wake-ups.
const WORKERS_MAX: usize = 4;

/// Serves requests on a block device or file by preadv, pwritev2 and fallocate.
pub(crate) struct SyncDisk {
    properties: DiskProperties,
    shared: Arc<WorkerShared>,
    workers: Vec<JoinHandle<()>>,
    in_flight: usize,
    /// Completed without a worker, or refused.
    ready: Vec<Completion>,
    /// Room for the transfers that workers have finished.
    finished: Vec<Transfer>,
    spare: Vec<Transfer>,
    last_now: Nanos,
}

/// What the disk and its workers share.
struct WorkerShared {
    backing: Backing,
    device: DeviceState,
    /// Readable while `finished` may hold something.
    wake: WakeEvent,
    queue: Mutex<WorkQueue>,
    work: Condvar,
}

#[derive(Default)]
struct WorkQueue {
    waiting: VecDeque<Transfer>,
    finished: Vec<Transfer>,
    stop: bool,
}

impl WorkerShared {
    /// The queue; a worker that panicked cannot have left it inconsistent.
    fn lock(&self) -> MutexGuard<'_, WorkQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SyncDisk {
    /// Threads for `backing`, which the caller has described by `properties`.
    ///
    /// # Errors
    /// When the system refuses threads or an eventfd.
    pub(crate) fn new(backing: Backing, properties: DiskProperties) -> io::Result<SyncDisk> {
        let slots = properties.max_in_flight.max(1);
        let queue = WorkQueue {
            waiting: VecDeque::with_capacity(slots),
            finished: Vec::with_capacity(slots),
            stop: false,
        };
        let shared = Arc::new(WorkerShared {
            device: DeviceState::new(&backing),
            backing,
            wake: WakeEvent::new()?,
            queue: Mutex::new(queue),
            work: Condvar::new(),
        });
        let mut disk = SyncDisk {
            properties,
            shared,
            workers: Vec::new(),
            in_flight: 0,
            ready: Vec::with_capacity(slots),
            finished: Vec::with_capacity(slots),
            spare: (0..slots).map(|_| Transfer::default()).collect(),
            last_now: Nanos::ZERO,
        };
        for number in 0..slots.min(WORKERS_MAX) {
            let shared = Arc::clone(&disk.shared);
            let worker = std::thread::Builder::new()
                .name(format!("disk-io-{number}"))
                .spawn(move || work(&shared))?;
            disk.workers.push(worker);
        }
        Ok(disk)
    }
}

impl Disk for SyncDisk {
    fn properties(&self) -> &DiskProperties {
        &self.properties
    }

    fn submit(&mut self, now: Nanos, request: DiskRequest) {
        self.last_now = now;
        let Some(mut transfer) = self.spare.pop() else {
            self.ready.push(too_many(request, now, &self.properties));
            return;
        };
        if changes_file(&request) {
            self.shared.backing.note_cut(self.shared.device.cut_mark());
        }
        transfer.start(request, &self.shared.device);
        if transfer.next_step().is_none() {
            self.ready.extend(transfer.finish(now, &self.shared.device));
            self.spare.push(transfer);
            return;
        }
        self.in_flight += 1;
        self.shared.lock().waiting.push_back(transfer);
        self.shared.work.notify_one();
    }

    fn collect(&mut self, now: Nanos, completions: &mut Vec<Completion>) {
        self.last_now = now;
        for mut completion in self.ready.drain(..) {
            completion.completed_at = now;
            completions.push(completion);
        }
        // Also with nothing in flight: a worker sets the eventfd a moment after its request can be
        // collected.
        std::mem::swap(&mut self.shared.lock().finished, &mut self.finished);
        self.in_flight -= self.finished.len();
        for mut transfer in self.finished.drain(..) {
            completions.extend(transfer.finish(now, &self.shared.device));
            self.spare.push(transfer);
        }
    }

    fn next_completion(&self) -> Option<Nanos> {
        (!self.ready.is_empty()).then_some(self.last_now)
    }

    fn wake_fd(&self) -> Option<RawFd> {
        Some(self.shared.wake.fd())
    }

    fn content_map(&self) -> Option<&dyn ContentMap> {
        Some(&self.shared.backing)
    }

    fn free_space(&self) -> Option<&FreeSpace> {
        self.shared.backing.free_space()
    }

    fn is_read_only(&self) -> bool {
        self.shared.backing.is_read_only()
    }

    fn cut_mark(&self) -> Option<&CutMark> {
        Some(self.shared.device.cut_mark())
    }
}

impl Drop for SyncDisk {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.work.notify_all();
        for worker in self.workers.drain(..) {
            if worker.join().is_err() {
                tracing::error!(disk = %self.properties.description, "an I/O thread panicked");
            }
        }
    }
}

/// A worker: serves requests until the disk is dropped and none is left.
fn work(shared: &WorkerShared) {
    loop {
        let mut state = shared.lock();
        let mut transfer = loop {
            if let Some(transfer) = state.waiting.pop_front() {
                break transfer;
            }
            if state.stop {
                return;
            }
            state = shared
                .work
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        while let Some(step) = transfer.next_step() {
            let returned = call(step, &transfer, shared.backing.fd());
            transfer.settle(returned, &shared.device);
        }
        if transfer.is_flush() {
            shared.backing.note_cut(shared.device.cut_mark());
        }
        shared.lock().finished.push(transfer);
        shared.wake.set();
    }
}

/// Makes the call of a step; returns its result, or the negative error number.
fn call(step: Step, transfer: &Transfer, fd: RawFd) -> i64 {
    let pieces = transfer.pieces();
    let (start, count) = (pieces.as_ptr(), pieces.len() as libc::c_int);
    let returned = match step {
        Step::Read { offset_bytes } => {
            // SAFETY: the pieces lie in buffers that only the transfer owns.
            unsafe { libc::preadv(fd, start, count, offset_bytes as libc::off_t) as i64 }
        }
        Step::Write {
            offset_bytes,
            durable,
        } => {
            let flags = if durable { libc::RWF_DSYNC } else { 0 };
            // SAFETY: the pieces lie in buffers that the transfer owns, or in static zeroes.
            unsafe { libc::pwritev2(fd, start, count, offset_bytes as libc::off_t, flags) as i64 }
        }
        Step::Allocate {
            mode,
            offset_bytes,
            len_bytes,
        } => {
            // SAFETY: the call takes plain integers.
            i64::from(unsafe {
                libc::fallocate(
                    fd,
                    mode,
                    offset_bytes as libc::off_t,
                    len_bytes as libc::off_t,
                )
            })
        }
        // SAFETY: the call takes plain integers.
        Step::Sync => i64::from(unsafe { libc::fdatasync(fd) }),
    };
    if returned >= 0 {
        return returned;
    }
    -i64::from(
        io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EIO),
    )
}
