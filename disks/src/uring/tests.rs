//! What the conformance tests cannot reach: the ring of older kernels, and drops in mid-air.

use super::*;
use crate::backing::BackingOptions;
use crate::reset_wake;
use crate::{Buffer, DiskOptions, Operation, open_disk};
use std::path::Path;

const PIECE: u64 = 64 << 10;
const COUNT: u64 = 16;

fn disk_at(path: &Path, deferred: bool) -> UringDisk {
    let mut options = DiskOptions::new(path);
    options.size_bytes = Some(PIECE * COUNT);
    options.create = true;
    options.has_seeks = Some(false);
    let described = open_disk(&options).expect("a temporary file can be a disk");
    let properties = described.properties().clone();
    drop(described);
    let backing = Backing::open(&BackingOptions {
        path: path.to_owned(),
        size_bytes: None,
        create: false,
        read_only: false,
        direct: true,
    })
    .expect("is free again");
    let ring = ring_with(properties.max_in_flight, deferred).expect("this test needs io_uring");
    UringDisk::new(ring, backing, properties)
}

fn submit_all(disk: &mut UringDisk, operation: Operation) {
    for number in 0..COUNT {
        let data = vec![number as u8 + 1; PIECE as usize];
        disk.submit(
            Nanos(1),
            DiskRequest {
                tag: number,
                operation,
                offset_bytes: number * PIECE,
                len_bytes: PIECE,
                fua: false,
                buffers: vec![Buffer::copy_of(&data)],
            },
        );
    }
    disk.flush_submissions();
}

fn wait_all(disk: &mut UringDisk) -> Vec<Completion> {
    let mut completions = Vec::new();
    while disk.in_flight() > 0 {
        let mut poll = libc::pollfd {
            fd: disk.wake_fd().expect("a real disk has one"),
            events: libc::POLLIN,
            revents: 0,
        };
        // SAFETY: `poll` outlives the call.
        let ready = unsafe { libc::poll(&raw mut poll, 1, 30_000) };
        assert_ne!(
            ready,
            0,
            "nothing was heard of {} requests",
            disk.in_flight()
        );
        reset_wake(poll.fd);
        disk.collect(Nanos(2), &mut completions);
    }
    completions
}

fn holds_all(path: &Path) -> bool {
    let content = std::fs::read(path).expect("readable");
    let mut pieces = content.chunks(PIECE as usize).zip(1_u8..);
    pieces.all(|(piece, value)| piece.iter().all(|byte| *byte == value))
}

#[test]
fn a_ring_without_deferred_completions_serves_too() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("plain.disk");
    let mut disk = disk_at(&path, false);
    submit_all(&mut disk, Operation::Write);
    let completions = wait_all(&mut disk);
    assert_eq!(completions.len() as u64, COUNT);
    assert!(
        completions
            .iter()
            .all(|completion| completion.result.is_ok())
    );
    assert!(holds_all(&path));
}

#[test]
fn a_drop_waits_for_what_is_in_flight() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for deferred in [true, false] {
        let path = folder.path().join(format!("dropped-{deferred}.disk"));
        let mut disk = disk_at(&path, deferred);
        submit_all(&mut disk, Operation::Write);
        drop(disk);
        assert!(holds_all(&path), "a write was lost by the drop");
    }
}

#[test]
fn a_drop_by_another_thread_neither_hangs_nor_frees_what_the_kernel_uses() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut disk = disk_at(&folder.path().join("moved.disk"), true);
    submit_all(&mut disk, Operation::Write);
    std::thread::spawn(move || drop(disk))
        .join()
        .expect("the drop ends");
}

#[test]
fn a_disk_may_move_to_its_thread_before_it_is_used() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("moved.disk");
    let mut disk = disk_at(&path, true);
    let user = std::thread::spawn(move || {
        submit_all(&mut disk, Operation::Write);
        wait_all(&mut disk).len() as u64
    });
    assert_eq!(user.join().expect("the thread ends"), COUNT);
    assert!(holds_all(&path));
}
