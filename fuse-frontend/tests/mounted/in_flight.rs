//! Requests in flight while their vdisk does not complete them, and what happens to the programs
//! and to the server meanwhile.

use super::common::{MIB, Mounted, Turn, errno_of, mount, open_with, runtime};
use super::memory::{Memory, QUEUE};
use disktime_engine::RequestKind;
use disktime_testing::bytes::pattern;
use disktime_testing::programs::wait_until;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// More than the entries of one processor's queue over io_uring.
const MANY: usize = 700;

#[test]
fn more_requests_than_a_queue_holds_are_all_completed() {
    let mounted = Mounted::new(&[("web", MANY as u64 * 512), ("db", 4096)]);
    for number in 0..MANY {
        mounted.memory.content(0)[number * 512..][..512].fill(number as u8);
    }
    let file = mounted.open("web");
    std::thread::scope(|scope| {
        let gate = mounted.memory.close_gate_to(0);
        for number in 0..MANY {
            let file = &file;
            let reader = std::thread::Builder::new().stack_size(64 << 10);
            let read = move || {
                let mut room = [0; 512];
                file.read_exact_at(&mut room, number as u64 * 512)
                    .expect("read in the end");
                assert_eq!(room, [number as u8; 512]);
            };
            reader.spawn_scoped(scope, read).expect("started");
        }
        wait_until("its queue is full", || {
            mounted.memory.count_recorded(RequestKind::Read) == QUEUE
        });
        drop(gate);
    });
    assert_eq!(mounted.memory.count_recorded(RequestKind::Read), MANY);
}

#[test]
fn a_program_that_is_killed_ends_when_its_request_is_completed() {
    let mounted = Mounted::new(&[("web", MIB)]);
    let gate = mounted.memory.close_gate();
    let mut reader = Command::new("dd")
        .args(["of=/dev/null", "bs=4096", "count=1", "iflag=direct"])
        .arg(format!("if={}", mounted.path("web").display()))
        .stderr(Stdio::null())
        .spawn()
        .expect("dd is there");
    wait_until("its read is in flight", || {
        mounted.memory.count_recorded(RequestKind::Read) == 1
    });
    reader.kill().expect("it runs");
    // The kernel's message about the interruption has come and is ignored.
    mounted.open("web").sync_all().expect("others are served");
    drop(gate);
    let ended = reader.wait().expect("it ends");
    assert_eq!(ended.signal(), Some(libc::SIGKILL));
    let mut byte = [1];
    mounted
        .open("web")
        .read_exact_at(&mut byte, MIB - 1)
        .expect("read");
    assert_eq!(byte, [0]);
}

#[test]
fn a_read_whose_buffer_is_kept_fails_and_other_requests_do_not() {
    let mounted = Mounted::new(&[("web", MIB)]);
    let file = mounted.open("web");
    mounted.memory.keep_buffers(true);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| file.read_at(&mut [0; 4096], 0));
        wait_until("the read is in flight", || {
            mounted.memory.count_recorded(RequestKind::Read) == 1
        });
        // A write has its own memory, and is served meanwhile.
        file.write_all_at(&[7; 4096], 4096).expect("written");
        mounted.memory.keep_buffers(false);
        assert_eq!(errno_of(reader.join().expect("no panic")), libc::EIO);
    });
    let mut room = [0; 8192];
    file.read_exact_at(&mut room, 0).expect("read");
    assert!(room[..4096] == [0; 4096] && room[4096..] == [7; 4096]);
}

#[test]
fn open_files_fail_when_the_reactor_of_the_mount_ends() {
    let _turn = Turn::wait();
    let memory = Arc::new(Memory::new(&[("web", 4096)]));
    let served = memory.serve();
    let temporary = tempfile::tempdir().expect("a directory");
    let place = temporary.path().join("vdisks");
    let runtime = runtime();
    let mounted = mount(&place, memory.files.clone(), vec![served.host()]);
    let handle = runtime
        .block_on(mounted)
        .unwrap_or_else(|error| panic!("{error}"));
    let file = open_with(&place.join("web"), 0);
    file.read_exact_at(&mut [0; 512], 0).expect("read");
    drop(served);
    wait_until("the connection is aborted", || {
        errno_of(file.read_at(&mut [0; 512], 0)) == libc::ENOTCONN
    });
    let unmounted = runtime.block_on(handle.unmount());
    assert!(!unmounted.expect("unmounted"), "a file is open");
}

#[test]
fn large_and_small_requests_use_the_same_memory_one_after_the_other() {
    const THREADS: u64 = 8;
    let mounted = Mounted::new(&[("web", THREADS * 2 * MIB)]);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let file = open_with(&mounted.path("web"), libc::O_DIRECT);
            scope.spawn(move || {
                let (start, mut sizes) = (thread * 2 * MIB, [MIB, 512, 65_536, 7, 4096 * 3 + 1]);
                sizes.rotate_left(thread as usize % 5);
                for (round, size) in (0..6).flat_map(|round| sizes.map(|size| (round, size))) {
                    let data = pattern(size as usize, thread * 1000 + round);
                    file.write_all_at(&data, start + round * 4099)
                        .expect("written");
                    let mut read = vec![0; data.len()];
                    file.read_exact_at(&mut read, start + round * 4099)
                        .expect("read");
                    assert!(read == data, "{size} bytes of thread {thread}");
                }
            });
        }
    });
}
