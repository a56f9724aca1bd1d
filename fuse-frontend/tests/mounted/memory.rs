//! Vdisks in memory that record their requests, and a reactor that serves them.

use disktime_engine::{
    Buffer, IoError, LastChange, PortHost, Reactor, ReactorHandle, Reply, Request, RequestKind,
    Service, StoredBytes, VdiskId,
};
use disktime_fuse::{FileIdentity, FuseFile};
use disktime_testing::memory::perform;
use disktime_units::Nanos;
use std::collections::VecDeque;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Instant;

/// A request that the vdisks received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recorded {
    pub kind: RequestKind,
    pub offset_bytes: u64,
    pub len_bytes: u64,
    pub fua: bool,
}

/// Vdisks in memory.
#[derive(Debug)]
pub(super) struct Memory {
    pub files: Vec<FuseFile>,
    contents: Vec<Mutex<Vec<u8>>>,
    recorded: Mutex<Vec<Recorded>>,
    /// If set, every request fails with this error.
    failure: Mutex<Option<IoError>>,
    /// If set, reads are completed without their buffers, which are kept here.
    kept: Mutex<Option<Vec<Buffer>>>,
    /// Reads and writes wait while it is closed: to one vdisk, or to all.
    gate: AtomicU32,
}

const OPEN: u32 = u32::MAX;
const CLOSED_TO_ALL: u32 = u32::MAX - 1;

impl Memory {
    pub(super) fn new(files: &[(&str, u64)]) -> Memory {
        let files: Vec<FuseFile> = files
            .iter()
            .map(|(name, size_bytes)| FuseFile {
                identity: FileIdentity(0),
                name: (*name).into(),
                size_bytes: *size_bytes,
                stored: (*name == "sparse").then(StoredBytes::default),
                last_change: LastChange::default(),
                clients: Default::default(),
                read_only: name.starts_with("read-only"),
                punches_holes: !name.starts_with("no-holes"),
                optimal_io_bytes: 64 << 10,
                disk: 0,
                vdisk: VdiskId(0),
            })
            .zip(0..)
            .map(|(file, number)| FuseFile {
                identity: FileIdentity(u128::from(number)),
                vdisk: VdiskId(number),
                ..file
            })
            .collect();
        Memory {
            contents: files
                .iter()
                .map(|file| Mutex::new(vec![0; file.size_bytes as usize]))
                .collect(),
            files,
            recorded: Mutex::default(),
            failure: Mutex::default(),
            kept: Mutex::default(),
            gate: AtomicU32::new(OPEN),
        }
    }

    pub(super) fn content(&self, file: usize) -> MutexGuard<'_, Vec<u8>> {
        self.contents[file]
            .lock()
            .expect("no test panics with this lock")
    }

    /// The requests since the last call.
    pub(super) fn take_recorded(&self) -> Vec<Recorded> {
        std::mem::take(&mut *self.recorded.lock().expect("no panic with this lock"))
    }

    /// As [`Memory::take_recorded`] without flushes, because closing a written file is a flush.
    pub(super) fn take_transfers(&self) -> Vec<Recorded> {
        let mut recorded = self.take_recorded();
        recorded.retain(|recorded| recorded.kind != RequestKind::Flush);
        recorded
    }

    pub(super) fn count_recorded(&self, kind: RequestKind) -> usize {
        let recorded = self.recorded.lock().expect("no panic with this lock");
        recorded
            .iter()
            .filter(|recorded| recorded.kind == kind)
            .count()
    }

    pub(super) fn fail_with(&self, failure: Option<IoError>) {
        *self.failure.lock().expect("no panic with this lock") = failure;
    }

    /// Keeps the buffers of reads from now on, or lets go of those it has.
    pub(super) fn keep_buffers(&self, keep: bool) {
        *self.kept.lock().expect("no panic with this lock") = keep.then(Vec::new);
    }

    /// Holds reads and writes from now on, until the gate is dropped. Flushes are not held: a
    /// program that the test starts gets its open files, closes them, which is a flush, and would
    /// never begin.
    pub(super) fn close_gate(self: &Arc<Memory>) -> ClosedGate {
        self.close_gate_to(CLOSED_TO_ALL)
    }

    /// The same for one vdisk.
    pub(super) fn close_gate_to(self: &Arc<Memory>, vdisk: u32) -> ClosedGate {
        self.gate.store(vdisk, Ordering::SeqCst);
        ClosedGate(Arc::clone(self))
    }

    fn lets_pass(&self, request: &Request) -> bool {
        let gate = self.gate.load(Ordering::SeqCst);
        request.kind == RequestKind::Flush
            || (gate != CLOSED_TO_ALL && u64::from(gate) != request.vdisk.0)
    }

    /// A reactor that serves these vdisks, on a thread of its own.
    pub(super) fn serve(self: &Arc<Memory>) -> Served {
        let service = MemoryService {
            memory: Arc::clone(self),
            waiting: VecDeque::new(),
            now: Nanos::ZERO,
        };
        let (reactor, handle) = Reactor::new(service, Instant::now()).expect("a reactor");
        let thread = std::thread::spawn(move || {
            reactor.run().expect("it can wait");
        });
        Served {
            handle,
            thread: Some(thread),
        }
    }

    fn perform(&self, request: Request) -> Reply {
        if let Some(failure) = *self.failure.lock().expect("no panic with this lock") {
            return request.reply(Err(failure));
        }
        let mut content = self.content(request.vdisk.0 as usize);
        let mut reply = perform(&mut content, request);
        let mut kept = self.kept.lock().expect("no panic with this lock");
        if let (RequestKind::Read, Some(kept)) = (reply.kind, &mut *kept) {
            kept.extend(reply.buffer.take());
        }
        reply
    }
}

/// Holds requests until it is dropped, by a failing test too, so that nothing waits for ever.
pub(super) struct ClosedGate(Arc<Memory>);

impl Drop for ClosedGate {
    fn drop(&mut self) {
        self.0.gate.store(OPEN, Ordering::SeqCst);
    }
}

/// The reactor of vdisks in memory; it ends with this.
pub(super) struct Served {
    handle: ReactorHandle<MemoryService>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub(super) fn host(&self) -> Arc<dyn PortHost> {
        Arc::new(self.handle.clone())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It has ended already only if its thread panicked, which the join shows.
        let _ = self.handle.stop();
        let ended = self.thread.take().expect("joined once").join();
        assert!(
            ended.is_ok() || std::thread::panicking(),
            "a reactor panicked"
        );
    }
}

/// Requests of a vdisk that are taken at once at most.
pub(super) const QUEUE: usize = 16;

/// Serves vdisks in memory.
pub(super) struct MemoryService {
    memory: Arc<Memory>,
    waiting: VecDeque<Request>,
    now: Nanos,
}

impl Service for MemoryService {
    fn submit(&mut self, now: Nanos, request: Request) -> Result<(), Request> {
        self.now = now;
        let of_vdisk = |waiting: &&Request| waiting.vdisk == request.vdisk;
        if self.waiting.iter().filter(of_vdisk).count() >= QUEUE {
            return Err(request);
        }
        let recorded = Recorded {
            kind: request.kind,
            offset_bytes: request.offset_bytes,
            len_bytes: request.len_bytes,
            fua: request.fua,
        };
        self.memory
            .recorded
            .lock()
            .expect("no panic with this lock")
            .push(recorded);
        self.waiting.push_back(request);
        Ok(())
    }

    fn turn(&mut self, now: Nanos, replies: &mut Vec<Reply>) {
        self.now = now;
        for _ in 0..self.waiting.len() {
            let Some(request) = self.waiting.pop_front() else {
                return;
            };
            if !self.memory.lets_pass(&request) {
                self.waiting.push_back(request);
                continue;
            }
            replies.push(self.memory.perform(request));
        }
    }

    fn next_wake(&self) -> Option<Nanos> {
        (!self.waiting.is_empty()).then_some(self.now + Nanos::from_millis(1))
    }

    fn wake_fds(&self) -> Vec<RawFd> {
        Vec::new()
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}
