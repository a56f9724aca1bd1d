//! Drives a disk as an engine does, under either clock.
#![allow(dead_code)] // Each test program uses its part.

use disktime_disks::reset_wake;
use disktime_disks::{Buffer, Completion, Disk, DiskRequest, Operation};
use disktime_units::Nanos;
use std::os::fd::RawFd;
use std::time::{Duration, Instant};

/// A test that waits this long for nothing has found a lost wake-up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A disk, its clock, and its requests in flight.
pub(crate) struct Driver {
    pub disk: Box<dyn Disk + Send>,
    /// `None`: virtual time.
    started: Option<Instant>,
    now: Nanos,
    next_tag: u64,
    in_flight: usize,
}

impl Driver {
    pub(crate) fn real(disk: Box<dyn Disk + Send>) -> Driver {
        Driver {
            disk,
            started: Some(Instant::now()),
            now: Nanos::ZERO,
            next_tag: 1,
            in_flight: 0,
        }
    }

    pub(crate) fn virtual_time(disk: Box<dyn Disk + Send>) -> Driver {
        Driver {
            disk,
            started: None,
            now: Nanos::ZERO,
            next_tag: 1,
            in_flight: 0,
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    pub(crate) fn block(&self) -> usize {
        self.disk.properties().block_bytes as usize
    }

    fn clock(&mut self) -> Nanos {
        if let Some(started) = self.started {
            self.now = started.elapsed().into();
        }
        self.now
    }

    pub(crate) fn submit(&mut self, mut request: DiskRequest) -> u64 {
        request.tag = self.next_tag;
        self.next_tag += 1;
        self.in_flight += 1;
        let (now, tag) = (self.clock(), request.tag);
        self.disk.submit(now, request);
        tag
    }

    /// All requests in flight.
    pub(crate) fn wait_all(&mut self) -> Vec<Completion> {
        let mut completions = Vec::new();
        self.disk.flush_submissions();
        while self.in_flight > 0 {
            let before = completions.len();
            let now = self.clock();
            self.disk.collect(now, &mut completions);
            self.in_flight -= completions.len() - before;
            assert!(
                completions[before..]
                    .iter()
                    .all(|done| done.completed_at <= now)
            );
            assert!(completions[before..].is_sorted_by_key(|done| done.completed_at));
            if self.in_flight > 0 && completions.len() == before {
                self.wait();
            }
        }
        completions
    }

    fn wait(&mut self) {
        let next = self.disk.next_completion();
        let Some(started) = self.started else {
            self.now = self
                .now
                .max(next.expect("virtual time stands still: nothing will happen"));
            return;
        };
        let until_next = next.map(|at| Duration::from(at).saturating_sub(started.elapsed()));
        let limit = until_next.unwrap_or(PATIENCE);
        let woken = self.disk.wake_fd().is_some_and(|fd| readable(fd, limit));
        if !woken && self.disk.wake_fd().is_none() {
            std::thread::sleep(limit);
        }
        assert!(
            woken || until_next.is_some(),
            "nothing woke the driver for {PATIENCE:?}"
        );
        if let Some(fd) = self.disk.wake_fd().filter(|_| woken) {
            reset_wake(fd);
        }
    }

    /// One request, which succeeds.
    pub(crate) fn run(&mut self, request: DiskRequest) -> Completion {
        let tag = self.submit(request);
        let completion = self.wait_all().pop().expect("one was in flight");
        assert_eq!(completion.tag, tag);
        completion.result.as_ref().expect("the request succeeds");
        completion
    }

    pub(crate) fn read(&mut self, offset_bytes: u64, lens: &[usize]) -> Vec<u8> {
        // Old bytes, so that a read that does nothing is noticed.
        let buffers = lens
            .iter()
            .map(|len| Buffer::copy_of(&vec![0xDB; *len]))
            .collect();
        let len_bytes = lens.iter().map(|len| *len as u64).sum();
        let operation = Operation::Read;
        let done = self.run(DiskRequest {
            tag: 0,
            operation,
            offset_bytes,
            len_bytes,
            fua: false,
            buffers,
        });
        assert!(
            done.buffers
                .iter()
                .map(|buffer| buffer.len())
                .eq(lens.iter().copied())
        );
        joined(&done.buffers)
    }

    pub(crate) fn write(&mut self, offset_bytes: u64, data: &[u8], lens: &[usize], fua: bool) {
        let mut rest = data;
        let mut buffers = Vec::new();
        for len in lens {
            let (piece, after) = rest.split_at(*len);
            buffers.push(Buffer::copy_of(piece));
            rest = after;
        }
        let len_bytes = data.len() as u64;
        let operation = Operation::Write;
        let done = self.run(DiskRequest {
            tag: 0,
            operation,
            offset_bytes,
            len_bytes,
            fua,
            buffers,
        });
        assert_eq!(
            joined(&done.buffers),
            data,
            "a write gives its buffers back as they were"
        );
    }
}

pub(crate) fn request(operation: Operation, offset_bytes: u64, len_bytes: u64) -> DiskRequest {
    DiskRequest {
        tag: 0,
        operation,
        offset_bytes,
        len_bytes,
        fua: false,
        buffers: Vec::new(),
    }
}

pub(crate) fn data_request(
    operation: Operation,
    offset_bytes: u64,
    buffers: Vec<Buffer>,
) -> DiskRequest {
    let len_bytes = buffers.iter().map(|buffer| buffer.len() as u64).sum();
    DiskRequest {
        tag: 0,
        operation,
        offset_bytes,
        len_bytes,
        fua: false,
        buffers,
    }
}

pub(crate) fn joined(buffers: &[Buffer]) -> Vec<u8> {
    buffers
        .iter()
        .flat_map(|buffer| buffer.iter().copied())
        .collect()
}

/// Waits by epoll, as the engine does, until the descriptor is readable.
fn readable(fd: RawFd, limit: Duration) -> bool {
    // SAFETY: the call takes plain integers.
    let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
    assert!(epoll >= 0, "no epoll");
    let mut event = libc::epoll_event {
        events: libc::EPOLLIN as u32,
        u64: 0,
    };
    // SAFETY: both descriptors are open, and `event` outlives the call.
    let added = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &raw mut event) };
    assert_eq!(added, 0, "the descriptor cannot be waited for");
    let milliseconds = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: `event` is room for the one event that is asked for, and outlives the call.
    let count = unsafe { libc::epoll_wait(epoll, &raw mut event, 1, milliseconds) };
    let interrupted = count < 0;
    if interrupted {
        let error = std::io::Error::last_os_error();
        assert_eq!(error.raw_os_error(), Some(libc::EINTR), "cannot wait");
    }
    // SAFETY: the descriptor was opened here and is not used any more.
    unsafe { libc::close(epoll) };
    // Work that the kernel has for this thread may also interrupt the wait.
    count > 0 || interrupted
}
