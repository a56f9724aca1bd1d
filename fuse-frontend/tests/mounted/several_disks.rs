//! One directory with the files of several disks, each with its own reactor: a disk that does not
//! respond does not affect the others.

use super::common::{MIB, Turn, errno_of, mount, open_with, runtime};
use super::memory::{Memory, QUEUE, Served};
use disktime_engine::RequestKind;
use disktime_fuse::{FileIdentity, FuseFile, MountHandle};
use disktime_testing::bytes::pattern;
use disktime_testing::programs::wait_until;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Two disks; the first has the port.
struct TwoDisks {
    memories: [Arc<Memory>; 2],
    handle: Option<MountHandle>,
    served: Vec<Served>,
    directory: TempDir,
    runtime: Runtime,
    _turn: Turn,
}

impl TwoDisks {
    fn new() -> TwoDisks {
        let turn = Turn::wait();
        let memories = [["near", "near-too"], ["far", "far-too"]];
        let memories = memories.map(|names| Arc::new(Memory::new(&names.map(|name| (name, MIB)))));
        let served: Vec<Served> = memories.iter().map(Memory::serve).collect();
        let files = memories.iter().enumerate().flat_map(|(disk, memory)| {
            let files = memory.files.iter().cloned();
            files.map(move |file| FuseFile {
                identity: FileIdentity(file.identity.0 << 8 | disk as u128),
                disk,
                ..file
            })
        });
        let directory = tempfile::tempdir().expect("a directory");
        let hosts = served.iter().map(Served::host).collect();
        let runtime = runtime();
        let mounted = runtime.block_on(mount(directory.path(), files.collect(), hosts));
        TwoDisks {
            memories,
            handle: Some(mounted.unwrap_or_else(|error| panic!("{error}"))),
            served,
            directory,
            runtime,
            _turn: turn,
        }
    }

    fn open(&self, name: &str) -> File {
        open_with(&self.directory.path().join(name), 0)
    }
}

impl Drop for TwoDisks {
    fn drop(&mut self) {
        let handle = self.handle.take().expect("unmounted once");
        let result = self.runtime.block_on(handle.unmount());
        if !std::thread::panicking() {
            result.unwrap_or_else(|error| panic!("{error}"));
        }
    }
}

#[test]
fn every_file_is_on_its_own_disk() {
    let disks = TwoDisks::new();
    let names = ["near", "near-too", "far", "far-too"];
    for (seed, name) in (1..).zip(names) {
        let file = disks.open(name);
        file.write_all_at(&pattern(200_000, seed), 4097)
            .expect("written");
        file.sync_all().expect("flushed");
        let mut read = vec![0; 200_000];
        file.read_exact_at(&mut read, 4097).expect("read");
        assert!(read == pattern(200_000, seed), "{name}");
    }
    for (position, seed) in (0..4).zip(1..) {
        let content = disks.memories[position / 2].content(position % 2);
        assert!(
            content[4097..204_097] == pattern(200_000, seed),
            "file {position}"
        );
    }
}

/// Reads of a file that are not completed, more than its queue holds; all other files are served.
fn check_that_others_are_served(slow: &str) {
    let disks = TwoDisks::new();
    let position = usize::from(slow == "far");
    let memory = &disks.memories[position];
    let file = disks.open(slow);
    let others = ["near", "near-too", "far", "far-too"];
    let readers = 3 * QUEUE;
    std::thread::scope(|scope| {
        let gate = memory.close_gate_to(0);
        for reader in 0..readers as u64 {
            let file = &file;
            scope.spawn(move || {
                let mut room = [1; 512];
                file.read_exact_at(&mut room, reader * 512)
                    .expect("read in the end");
                assert_eq!(room, [0; 512]);
            });
        }
        let reads = || memory.count_recorded(RequestKind::Read);
        wait_until("its queue is full", || reads() == QUEUE);
        for (seed, name) in (1..).zip(others).filter(|(_, name)| *name != slow) {
            let other = disks.open(name);
            other
                .write_all_at(&pattern(4096, seed), 8192)
                .expect("written");
            let mut read = vec![0; 4096];
            other.read_exact_at(&mut read, 8192).expect("read");
            assert!(read == pattern(4096, seed), "{name}");
        }
        drop(gate);
    });
}

#[test]
fn a_vdisk_that_does_not_respond_blocks_no_other() {
    check_that_others_are_served("near");
}

#[test]
fn a_vdisk_of_another_disk_that_does_not_respond_blocks_no_other() {
    check_that_others_are_served("far");
}

#[test]
fn requests_to_a_disk_whose_reactor_has_ended_fail_and_others_do_not() {
    let mut disks = TwoDisks::new();
    let (near, far) = (disks.open("near"), disks.open("far"));
    far.read_exact_at(&mut [0; 512], 0).expect("read");
    drop(disks.served.pop());
    assert_eq!(errno_of(far.read_at(&mut [0; 512], 0)), libc::ESHUTDOWN);
    near.read_exact_at(&mut [0; 512], 0).expect("read");
}
