//! What the tests of the mounted directory share: vdisks in memory that keep a record of what they
//! were asked, a mount of them, and the programs that some tests need.

use crate::TRANSPORT;
use disktime_engine::{
    Buffer, Extent, IoError, PortHost, Reactor, ReactorHandle, Reply, ReplyDetail, Request,
    RequestKind, Service, StoredBytes, VdiskId,
};
use disktime_fuse::{FuseError, FuseFile, MountHandle, Transport};
use disktime_units::Nanos;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub const MIB: u64 = 1 << 20;

/// Long enough for anything that ends at all.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What the backend was asked, in order of arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    pub kind: RequestKind,
    pub offset_bytes: u64,
    pub len_bytes: u64,
    pub fua: bool,
}

/// Vdisks in memory.
#[derive(Debug)]
pub struct Memory {
    pub files: Vec<FuseFile>,
    contents: Vec<Mutex<Vec<u8>>>,
    asked: Mutex<Vec<Asked>>,
    /// If set, every request gets this answer.
    failure: Mutex<Option<IoError>>,
    /// Reads and writes wait while it is closed: to one vdisk, or to all.
    gate: AtomicU32,
}

const OPEN: u32 = u32::MAX;
const CLOSED_TO_ALL: u32 = u32::MAX - 1;

impl Memory {
    pub fn new(files: &[(&str, u64)]) -> Memory {
        let files: Vec<FuseFile> = files
            .iter()
            .map(|(name, size_bytes)| FuseFile {
                name: (*name).into(),
                size_bytes: *size_bytes,
                stored: (*name == "sparse").then(StoredBytes::default),
                read_only: name.starts_with("read-only"),
                optimal_io_bytes: 64 << 10,
                disk: 0,
                vdisk: VdiskId(0),
            })
            .zip(0..)
            .map(|(file, number)| FuseFile {
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
            asked: Mutex::default(),
            failure: Mutex::default(),
            gate: AtomicU32::new(OPEN),
        }
    }

    pub fn content(&self, file: usize) -> MutexGuard<'_, Vec<u8>> {
        self.contents[file]
            .lock()
            .expect("no test panics with this lock")
    }

    /// What was asked since the last call.
    pub fn take_asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().expect("no panic with this lock"))
    }

    /// As [`Memory::take_asked`] without flushes, which every closing of a written file is.
    pub fn take_transfers(&self) -> Vec<Asked> {
        let mut asked = self.take_asked();
        asked.retain(|asked| asked.kind != RequestKind::Flush);
        asked
    }

    pub fn count_asked(&self, kind: RequestKind) -> usize {
        let asked = self.asked.lock().expect("no panic with this lock");
        asked.iter().filter(|asked| asked.kind == kind).count()
    }

    pub fn fail_with(&self, failure: Option<IoError>) {
        *self.failure.lock().expect("no panic with this lock") = failure;
    }

    /// Holds reads and writes from now on, until the gate is dropped. Flushes are not held: a program
    /// that the test starts gets its open files, closes them, which is a flush, and would never begin.
    pub fn close_gate(self: &Arc<Memory>) -> ClosedGate {
        self.close_gate_to(CLOSED_TO_ALL)
    }

    /// The same for one vdisk.
    pub fn close_gate_to(self: &Arc<Memory>, vdisk: u32) -> ClosedGate {
        self.gate.store(vdisk, Ordering::SeqCst);
        ClosedGate(Arc::clone(self))
    }

    fn lets_pass(&self, request: &Request) -> bool {
        let gate = self.gate.load(Ordering::SeqCst);
        request.kind == RequestKind::Flush || (gate != CLOSED_TO_ALL && gate != request.vdisk.0)
    }

    /// A reactor that serves these vdisks, on a thread of its own.
    pub fn serve(self: &Arc<Memory>) -> Served {
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

    fn perform(&self, request: &mut Request) -> Option<Buffer> {
        let mut content = self.content(request.vdisk.0 as usize);
        let start = request.offset_bytes as usize;
        let content = &mut content[start..start + request.len_bytes as usize];
        match (request.kind, request.buffer.take()) {
            (RequestKind::Read, Some(mut buffer)) => {
                buffer.copy_from_slice(content);
                Some(buffer)
            }
            (RequestKind::Write, Some(buffer)) => {
                content.copy_from_slice(&buffer);
                Some(buffer)
            }
            (RequestKind::Status, Some(mut buffer)) => {
                tell_extents(content, request.offset_bytes, &mut buffer);
                Some(buffer)
            }
            (kind, None) if kind.zeroes() => {
                content.fill(0);
                None
            }
            (RequestKind::Flush, None) => None,
            (kind, buffer) => panic!("{kind:?} with {buffer:?} is not a request"),
        }
    }
}

/// What lies where, in pieces of 64 KiB, as much as there is room for: what is zeroes is a hole.
fn tell_extents(content: &[u8], offset_bytes: u64, room: &mut Buffer) {
    const PIECE: usize = 64 << 10;
    let mut extents: Vec<Extent> = Vec::new();
    let (mut rest, mut at) = (content, offset_bytes as usize);
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.len().min(PIECE - at % PIECE));
        let zero = piece.iter().all(|byte| *byte == 0);
        let len_bytes = piece.len() as u64;
        match extents.last_mut() {
            Some(last) if last.zero == zero => last.len_bytes += len_bytes,
            _ => extents.push(Extent {
                len_bytes,
                hole: zero,
                zero,
            }),
        }
        (rest, at) = (behind, at + piece.len());
    }
    let (entries, _) = room.as_chunks_mut::<{ Extent::BYTES }>();
    let told = extents.len().min(entries.len());
    for (entry, extent) in entries.iter_mut().zip(&extents) {
        *entry = extent.encode();
    }
    room.set_len(told * Extent::BYTES);
}

/// Holds requests until it is dropped, by a failing test too, so that nothing waits for ever.
pub struct ClosedGate(Arc<Memory>);

impl Drop for ClosedGate {
    fn drop(&mut self) {
        self.0.gate.store(OPEN, Ordering::SeqCst);
    }
}

/// The reactor of vdisks in memory; it ends with this.
pub struct Served {
    handle: ReactorHandle<MemoryService>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    pub fn host(&self) -> Arc<dyn PortHost> {
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
pub const QUEUE: usize = 16;

/// Serves vdisks in memory.
pub struct MemoryService {
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
        let asked = Asked {
            kind: request.kind,
            offset_bytes: request.offset_bytes,
            len_bytes: request.len_bytes,
            fua: request.fua,
        };
        self.memory
            .asked
            .lock()
            .expect("no panic with this lock")
            .push(asked);
        self.waiting.push_back(request);
        Ok(())
    }

    fn turn(&mut self, now: Nanos, replies: &mut Vec<Reply>) {
        self.now = now;
        for _ in 0..self.waiting.len() {
            let Some(mut request) = self.waiting.pop_front() else {
                return;
            };
            if !self.memory.lets_pass(&request) {
                self.waiting.push_back(request);
                continue;
            }
            let failure = *self.memory.failure.lock().expect("no panic with this lock");
            let (result, buffer) = match failure {
                Some(failure) => (Err(failure), request.buffer.take()),
                None => (Ok(()), self.memory.perform(&mut request)),
            };
            replies.push(Reply {
                origin: request.origin,
                handle: request.handle,
                kind: request.kind,
                result,
                buffer,
                detail: ReplyDetail::Nothing,
            });
        }
    }

    fn next_wake(&self) -> Option<Nanos> {
        (!self.waiting.is_empty()).then_some(self.now + Nanos::from_millis(1))
    }

    fn wake_fd(&self) -> Option<RawFd> {
        None
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}

/// Held by a test for as long as it has a mount. The tests of one program share one process, and a
/// program that one of them starts gets, until its `exec`, a copy of every open file: of `/dev/fuse`,
/// which keeps a connection alive whose server is gone, and of files in that mount, whose closing waits
/// for this very server. A real server opens no files of its own mount.
pub struct Turn(#[allow(dead_code, reason = "only held")] MutexGuard<'static, ()>);

impl Turn {
    pub fn wait() -> Turn {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        // A test that failed leaves nothing behind that the next one could see.
        Turn(ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A mounted directory of vdisks in memory. A reactor's thread answers the kernel, so the test's own
/// may block in system calls.
pub struct Mounted {
    pub memory: Arc<Memory>,
    pub handle: Option<MountHandle>,
    _served: Served,
    pub runtime: Runtime,
    pub directory: TempDir,
    /// Last, as fields are dropped in order.
    _turn: Turn,
}

impl Mounted {
    pub fn new(files: &[(&str, u64)]) -> Mounted {
        let turn = Turn::wait();
        let memory = Arc::new(Memory::new(files));
        let runtime = runtime();
        let directory = tempfile::tempdir().expect("a temporary directory");
        let place = directory.path().join("vdisks");
        let served = memory.serve();
        let mount = mount(&place, memory.files.clone(), vec![served.host()]);
        let mounted = runtime.block_on(mount);
        let handle = Some(mounted.unwrap_or_else(|error| panic!("{error}")));
        Mounted {
            memory,
            handle,
            _served: served,
            runtime,
            directory,
            _turn: turn,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("vdisks").join(name)
    }

    pub fn open(&self, name: &str) -> File {
        open_with(&self.path(name), 0)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            let result = self.runtime.block_on(handle.unmount());
            if !std::thread::panicking() {
                result.unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }
}

/// Mounts with the first of the reactors as home, by the transport that this program is for.
pub async fn mount(
    place: &Path,
    files: Vec<FuseFile>,
    hosts: Vec<Arc<dyn PortHost>>,
) -> Result<MountHandle, FuseError> {
    if TRANSPORT == Transport::Best {
        switch_on_io_uring();
    }
    let handle = disktime_fuse::mount(place, files, hosts, 0, TRANSPORT).await?;
    assert_eq!(handle.is_over_io_uring(), TRANSPORT == Transport::Best);
    Ok(handle)
}

/// FUSE over io_uring is off until the kernel is told otherwise.
fn switch_on_io_uring() {
    const SWITCH: &str = "/sys/module/fuse/parameters/enable_uring";
    let state = std::fs::read_to_string(SWITCH).unwrap_or_else(|error| {
        panic!("this test needs FUSE over io_uring, Linux 6.14 or later: {SWITCH}: {error}")
    });
    if state.trim() != "Y"
        && let Err(error) = std::fs::write(SWITCH, "Y")
    {
        panic!("this test needs FUSE over io_uring ({error}): echo Y | sudo tee {SWITCH}");
    }
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Opens for reading and writing with additional flags.
pub fn open_with(path: &Path, flags: i32) -> File {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open(path)
        .unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

pub fn fallocate(file: &File, mode: i32, offset_bytes: u64, len_bytes: u64) -> io::Result<()> {
    // SAFETY: only passes numbers.
    let result = unsafe {
        libc::fallocate(
            file.as_raw_fd(),
            mode,
            offset_bytes as i64,
            len_bytes as i64,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The system's number for an error.
#[track_caller]
pub fn errno_of<T: std::fmt::Debug>(result: io::Result<T>) -> i32 {
    result
        .expect_err("must fail")
        .raw_os_error()
        .expect("from the system")
}

/// Bytes that differ from place to place.
pub fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(len);
    for _ in 0..len {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        bytes.push((state >> 56) as u8);
    }
    bytes
}

/// Runs a program of a Debian package and returns what it printed; a missing or failing one fails the test.
#[track_caller]
pub fn run(package: &str, program: &str, arguments: &[&str]) -> String {
    let output = command(program, arguments).output();
    let output = output.unwrap_or_else(|error| {
        panic!("this test needs {program} ({error}): apt-get install {package}")
    });
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {arguments:?} ended with {}\n{said}{complained}",
        output.status
    );
    said
}

/// Waits until `is_so`; fails the test when it never is.
#[track_caller]
pub fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A program that may be one for administrators, whose folders are not in everybody's PATH.
pub fn command(program: &str, arguments: &[&str]) -> Command {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let mut command = Command::new(program);
    command.args(arguments).env("PATH", path);
    command
}
