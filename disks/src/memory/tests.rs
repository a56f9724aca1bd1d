//! Unit tests of `memory`.

use super::*;
use crate::{DiskOptions, Medium, open_disk};

const SIZE_BYTES: u64 = 8 << 20;

fn open(medium: Medium) -> Box<dyn Disk + Send> {
    let options = DiskOptions {
        medium,
        size_bytes: Some(SIZE_BYTES),
        ..DiskOptions::new("")
    };
    open_disk(&options).expect("a disk in memory")
}

fn run(
    disk: &mut dyn Disk,
    operation: Operation,
    offset_bytes: u64,
    len_bytes: u64,
    buffers: Vec<Buffer>,
) -> Completion {
    let request = DiskRequest {
        tag: 7,
        operation,
        offset_bytes,
        len_bytes,
        fua: false,
        buffers,
    };
    disk.submit(Nanos(5), request);
    assert_eq!(disk.next_completion(), Some(Nanos(5)));
    let mut completions = Vec::new();
    disk.collect(Nanos(9), &mut completions);
    assert_eq!(disk.next_completion(), None);
    let completion = completions.pop().expect("it is served at once");
    assert_eq!(
        (completion.tag, completion.completed_at),
        (7, Nanos(9)),
        "the time is that of `collect`"
    );
    completion
}

fn write(disk: &mut dyn Disk, offset_bytes: u64, byte: u8, len: usize) {
    let mut buffer = Buffer::zeroed(len);
    buffer.fill(byte);
    let done = run(
        disk,
        Operation::Write,
        offset_bytes,
        len as u64,
        vec![buffer],
    );
    assert_eq!(done.result, Ok(()));
}

fn read(disk: &mut dyn Disk, offset_bytes: u64, len: usize) -> Vec<u8> {
    let mut buffer = Buffer::zeroed(len);
    buffer.fill(0xEE);
    let done = run(
        disk,
        Operation::Read,
        offset_bytes,
        len as u64,
        vec![buffer],
    );
    assert_eq!(done.result, Ok(()));
    done.buffers[0].to_vec()
}

#[test]
fn memory_gives_back_what_was_written_and_zeroes_elsewhere() {
    let mut disk = open(Medium::Memory);
    write(&mut *disk, 3 << 20, 0xAB, 8192);
    let around = read(&mut *disk, (3 << 20) - 4096, 16384);
    let expected = |at: usize| if (4096..12288).contains(&at) { 0xAB } else { 0 };
    assert!((0..16384).all(|at| around[at] == expected(at)));
    write(&mut *disk, SIZE_BYTES - 4096, 0xCD, 4096);
    assert!(
        read(&mut *disk, SIZE_BYTES - 4096, 4096)
            .iter()
            .all(|byte| *byte == 0xCD)
    );
}

#[test]
fn zeroes_and_discards_leave_zeroes_and_their_neighbours_alone() {
    for operation in [Operation::WriteZeroes, Operation::Discard] {
        let mut disk = open(Medium::Memory);
        write(&mut *disk, 0, 0xAB, 4 << 20);
        // Odd in pages at both ends, and long enough for whole pages to be given back.
        let (start, len) = (512, (3 << 20) - 1024);
        let done = run(&mut *disk, operation, start, len, Vec::new());
        assert_eq!(done.result, Ok(()));
        let found = read(&mut *disk, 0, 4 << 20);
        let hole = start as usize..(start + len) as usize;
        assert!(
            found
                .iter()
                .enumerate()
                .all(|(at, byte)| *byte == if hole.contains(&at) { 0 } else { 0xAB }),
            "{operation:?}"
        );
    }
}

#[test]
fn null_keeps_a_label_and_drops_the_rest() {
    let mut disk = open(Medium::Null);
    write(&mut *disk, NULL_KEPT_BYTES - 4096, 0xAB, 8192);
    let found = read(&mut *disk, NULL_KEPT_BYTES - 4096, 8192);
    assert!(found[..4096].iter().all(|byte| *byte == 0xAB));
    assert!(
        found[4096..].iter().all(|byte| *byte == 0),
        "it kept what lies behind the label"
    );
}

#[test]
fn beyond_the_end_is_refused() {
    for medium in [Medium::Memory, Medium::Null] {
        let mut disk = open(medium);
        let buffers = vec![Buffer::zeroed(8192)];
        let done = run(
            &mut *disk,
            Operation::Read,
            SIZE_BYTES - 4096,
            8192,
            buffers,
        );
        assert_eq!(
            done.result.map_err(|error| error.kind),
            Err(DiskErrorKind::Io)
        );
        assert_eq!(done.buffers.len(), 1, "its buffer is lost");
    }
}

#[test]
fn more_than_there_can_be_is_refused_with_a_remedy() {
    let options = DiskOptions {
        medium: Medium::Memory,
        size_bytes: Some(1 << 60),
        ..DiskOptions::new("")
    };
    let error = open_disk(&options)
        .err()
        .expect("no machine has that much memory")
        .to_string();
    assert!(error.contains("\"size\""), "{error}");
}
