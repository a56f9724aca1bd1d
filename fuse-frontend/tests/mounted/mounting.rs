//! Mounting and unmounting: what a mount needs, what it refuses, and how it ends, also after a
//! kill.

use super::common::{Mounted, Turn, errno_of, mount, runtime};
use super::memory::Memory;
use disktime_engine::RequestKind;
use disktime_fuse::{FuseError, MountHandle};
use disktime_testing::programs::{is_mounted, tool, wait_until};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::RawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

const RERUN: &str = "DISKTIME_FUSE_TEST_DIRECTORY";

fn try_mount(place: &Path) -> Result<MountHandle, FuseError> {
    let memory = Arc::new(Memory::new(&[("web", 4096)]));
    // The reactor is leaked, not stopped, as the handle needs it.
    let served = Box::leak(Box::new(memory.serve()));
    let files = memory.files.clone();
    runtime().block_on(mount(place, files, vec![served.host()]))
}

/// Runs one test of this file again, in a process of its own.
fn rerun(test: &str, directory: &Path) -> Command {
    let (_program, module) = module_path!().split_once("::").expect("a module");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .args([&format!("{module}::{test}"), "--exact", "--nocapture"])
        .env(RERUN, directory);
    command
}

#[test]
fn a_missing_directory_is_created_and_a_full_one_or_a_file_refused() {
    let _turn = Turn::wait();
    let temporary = tempfile::tempdir().expect("a directory");
    let place = temporary.path().join("a/b/c d");
    let handle = try_mount(&place).expect("mounted");
    assert_eq!(handle.path(), place);
    assert_eq!(fs::read(place.join("web")).expect("read").len(), 4096);
    drop(handle);
    assert_eq!(
        fs::read_dir(&place).expect("there").count(),
        0,
        "unmounted with the handle"
    );

    fs::write(place.join("precious"), "x").expect("written");
    let refused = try_mount(&place).expect_err("not empty");
    assert!(matches!(refused, FuseError::NotEmpty { .. }), "{refused}");
    let refused = try_mount(&place.join("precious")).expect_err("a file");
    assert!(
        matches!(refused, FuseError::NotADirectory { .. }),
        "{refused}"
    );
    assert!(!refused.is_missing_support());
    assert_eq!(fs::read(place.join("precious")).expect("kept"), b"x");
}

#[test]
fn the_mount_of_a_running_server_is_refused_and_not_disturbed() {
    let mounted = Mounted::new(&[("web", 4096)]);
    let refused = try_mount(&mounted.path("..").join("vdisks")).expect_err("mounted already");
    assert!(
        matches!(refused, FuseError::AlreadyMounted { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("fuse.disktime"), "{refused}");
    assert_eq!(
        fs::read(mounted.path("web")).expect("still served").len(),
        4096
    );
}

#[test]
fn unmounting_with_nothing_open_says_so() {
    let mut mounted = Mounted::new(&[("web", 4096)]);
    let handle = mounted.handle.take().expect("mounted");
    let place = handle.path().to_path_buf();
    assert!(
        mounted
            .runtime
            .block_on(handle.unmount())
            .expect("unmounted")
    );
    assert!(!is_mounted(&place));
}

#[test]
fn unmounting_waits_for_requests_in_flight_and_refuses_later_ones() {
    let mut mounted = Mounted::new(&[("web", 4096)]);
    let handle = mounted.handle.take().expect("mounted");
    let place = handle.path().to_path_buf();
    let file = mounted.open("web");
    std::thread::scope(|scope| {
        let gate = mounted.memory.close_gate();
        let reader = scope.spawn(|| file.read_at(&mut [0; 100], 0));
        wait_until("the read is in flight", || {
            mounted.memory.count_recorded(RequestKind::Read) == 1
        });
        let unmounting = mounted.runtime.spawn(handle.unmount());
        wait_until("it is removed from the file tree", || !is_mounted(&place));
        assert!(!unmounting.is_finished(), "a request is still in flight");
        drop(gate);
        assert_eq!(reader.join().expect("no panic").expect("answered"), 100);
        let nothing_open = mounted
            .runtime
            .block_on(unmounting)
            .expect("no panic")
            .expect("unmounted");
        assert!(!nothing_open, "a file is open");
    });
    assert_eq!(errno_of(file.read_at(&mut [0; 100], 0)), libc::ESHUTDOWN);
}

#[test]
fn an_unmount_by_the_administrator_is_no_error() {
    let mut mounted = Mounted::new(&[("web", 4096)]);
    let handle = mounted.handle.take().expect("mounted");
    let place = handle.path().to_str().expect("text").to_string();
    tool("fuse3", "fusermount3", &["-u", &place]);
    assert!(
        mounted
            .runtime
            .block_on(handle.unmount())
            .expect("unmounted")
    );
}

#[test]
fn the_mount_of_a_killed_server_is_unmounted() {
    const NAME: &str = "the_mount_of_a_killed_server_is_unmounted";
    let _turn = Turn::wait();
    if let Some(directory) = std::env::var_os(RERUN) {
        let _handle = try_mount(Path::new(&directory)).unwrap_or_else(|error| panic!("{error}"));
        println!("serving");
        loop {
            std::thread::park();
        }
    }
    let temporary = tempfile::tempdir().expect("a directory");
    let place = temporary.path().join("vdisks");
    // Twice, as the second server starts on what the first left.
    for _ in 0..2 {
        let mut server = Killed(
            rerun(NAME, &place)
                .stdout(Stdio::piped())
                .spawn()
                .expect("started"),
        );
        let output = BufReader::new(server.0.stdout.take().expect("piped"));
        let serves = output
            .lines()
            .any(|line| line.expect("text").ends_with("serving"));
        assert!(serves, "the server did not start");
        let file = fs::File::open(place.join("web")).expect("served");
        drop(server);
        // Over io_uring the kernel aborts the connection a little later.
        wait_until("the connection is aborted", || {
            errno_of(fs::metadata(&place)) == libc::ENOTCONN
        });
        assert_eq!(errno_of(file.read_at(&mut [0; 10], 0)), libc::ENOTCONN);
    }
    let handle = try_mount(&place).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        fs::read(place.join("web")).expect("served again").len(),
        4096
    );
    drop(handle);
    assert!(!is_mounted(&place), "no stale mount is left below");
}

/// A process that is killed as hard as possible when it goes out of scope.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_machine_without_fusermount3_gets_the_install_command() {
    let _turn = Turn::wait();
    if let Some(directory) = std::env::var_os(RERUN) {
        let error = try_mount(Path::new(&directory)).expect_err("cannot be mounted");
        assert!(error.is_missing_support());
        println!("error: {error}");
        return;
    }
    let temporary = tempfile::tempdir().expect("a directory");
    let place = temporary.path().join("vdisks");
    let output = rerun(
        "a_machine_without_fusermount3_gets_the_install_command",
        &place,
    )
    .env("PATH", temporary.path())
    .output()
    .expect("started");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("install Debian's package fuse3 (apt-get install fuse3)"),
        "{said}"
    );
    assert!(!place.exists(), "nothing was changed");
}

#[test]
fn programs_that_the_server_starts_do_not_inherit_the_connection() {
    let mounted = Mounted::new(&[("web", 4096)]);
    let mut sessions = 0;
    for entry in fs::read_dir("/proc/self/fd").expect("readable") {
        let entry = entry.expect("an entry");
        // One that another test closed meanwhile has no target.
        if fs::read_link(entry.path()).is_ok_and(|target| target == Path::new("/dev/fuse")) {
            let number: RawFd = entry
                .file_name()
                .to_str()
                .expect("text")
                .parse()
                .expect("a number");
            // SAFETY: only asks for a flag.
            let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
            sessions += usize::from(flags != -1 && flags & libc::FD_CLOEXEC != 0);
        }
    }
    assert!(
        sessions >= 1,
        "the connection of {:?} would be inherited",
        mounted.path("")
    );
}
