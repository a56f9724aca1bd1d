//! What the tests of the mounted directory share: a mount of vdisks in memory, and system calls on
//! its files.

use super::memory::{Memory, Served};
use crate::TRANSPORT;
use disktime_engine::PortHost;
use disktime_fuse::{FuseError, FuseFile, MountHandle, Transport};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(super) const MIB: u64 = 1 << 20;

/// Held by a test while it has a mount. The tests of one program share one process, and a program
/// that one of them starts gets, until its `exec`, a copy of every open file: of `/dev/fuse`, which
/// keeps a connection alive whose server is gone, and of files in that mount, whose closing waits
/// for this very server. A real server opens no files of its own mount.
pub(super) struct Turn(#[allow(dead_code, reason = "only held")] MutexGuard<'static, ()>);

impl Turn {
    pub(super) fn wait() -> Turn {
        static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
        // A test that failed leaves no state that the next one could see.
        Turn(ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A mounted directory of vdisks in memory. A reactor's thread answers the kernel, so the test's
/// own may block in system calls.
pub(super) struct Mounted {
    pub memory: Arc<Memory>,
    pub handle: Option<MountHandle>,
    _served: Served,
    pub runtime: Runtime,
    pub directory: TempDir,
    /// Last, as fields are dropped in order.
    _turn: Turn,
}

impl Mounted {
    pub(super) fn new(files: &[(&str, u64)]) -> Mounted {
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

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("vdisks").join(name)
    }

    pub(super) fn open(&self, name: &str) -> File {
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
pub(super) async fn mount(
    place: &Path,
    files: Vec<FuseFile>,
    hosts: Vec<Arc<dyn PortHost>>,
) -> Result<MountHandle, FuseError> {
    let over_io_uring = TRANSPORT == Transport::Best && switch_on_io_uring();
    let handle = disktime_fuse::mount(place, files, hosts, 0, TRANSPORT).await?;
    assert_eq!(handle.is_over_io_uring(), over_io_uring);
    Ok(handle)
}

/// Switches on FUSE over io_uring in the kernel; whether it is on now. A kernel that
/// does not have it yet serves the test by `/dev/fuse`, and the test counts as skipped.
fn switch_on_io_uring() -> bool {
    const SWITCH: &str = "/sys/module/fuse/parameters/enable_uring";
    let Ok(state) = std::fs::read_to_string(SWITCH) else {
        let thread = std::thread::current();
        let test = thread.name().unwrap_or("a test");
        println!(
            "SKIPPED over_io_uring {test}: this kernel has no FUSE over io_uring (Linux 6.14)"
        );
        return false;
    };
    if state.trim() == "Y" {
        return true;
    }
    if let Err(error) = std::fs::write(SWITCH, "Y") {
        panic!("this test needs FUSE over io_uring ({error}): echo Y | sudo tee {SWITCH}");
    }
    // The harness captures what is printed by macros alone; this concerns the whole machine.
    let note = format!(
        "\nFUSE over io_uring is switched on for the tests and stays on until the machine \
         restarts; switch it off with: echo N | sudo tee {SWITCH}\n"
    );
    let _ = io::stderr().write_all(note.as_bytes());
    true
}

pub(super) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Opens for reading and writing with additional flags.
pub(super) fn open_with(path: &Path, flags: i32) -> File {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags)
        .open(path)
        .unwrap_or_else(|error| panic!("{path:?}: {error}"))
}

pub(super) fn fallocate(
    file: &File,
    mode: i32,
    offset_bytes: u64,
    len_bytes: u64,
) -> io::Result<()> {
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

/// The errno of an error.
#[track_caller]
pub(super) fn errno_of<T: std::fmt::Debug>(result: io::Result<T>) -> i32 {
    result
        .expect_err("must fail")
        .raw_os_error()
        .expect("from the system")
}
