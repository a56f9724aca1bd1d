//! Errors of the disk fail the request that met them, and no other.

mod common;

use common::{BLANK, DIRTY, MIB, Machine, TestDisk, disk_for, open};
use disktime_disks::{DiskErrorKind, Fault, FaultHandle, FaultKind, Operation};
use disktime_engine::{IoError, RequestKind, Service};
use disktime_volumes::Format;
use std::ops::Range;

const IO: FaultKind = FaultKind::Error(DiskErrorKind::Io);
const UNSUPPORTED: FaultKind = FaultKind::Error(DiskErrorKind::NotSupported);

fn machine(format: Format) -> (Machine<TestDisk>, FaultHandle) {
    let disk = disk_for(format, 16 * MIB);
    let handle = disk.handle();
    let specs = [("a", 2 * MIB), ("b", 2 * MIB)];
    (
        open(TestDisk::around(disk, 64 << 10), &specs, format)
            .expect("open")
            .0,
        handle,
    )
}

/// Where a range of the first vdisk lies on the disk.
fn place(machine: &Machine<TestDisk>, range: Range<u64>) -> Range<u64> {
    let start = machine.set.label().vdisks()[0].extents()[0].offset_bytes;
    start + range.start..start + range.end
}

#[test]
fn a_bad_place_fails_the_requests_that_touch_it() {
    for format in [BLANK, DIRTY] {
        let (mut machine, handle) = machine(format);
        machine.write(0, 0, &vec![1; 1 << 20]).expect("write");
        machine.write(1, 0, &vec![2; 1 << 20]).expect("write");
        let range_bytes = place(&machine, 300_000..300_001);
        for operation in [Operation::Read, Operation::Write] {
            let range_bytes = range_bytes.clone();
            handle.inject(Fault {
                range_bytes,
                ..Fault::every(operation, IO)
            });
        }
        let blocks: Vec<(u32, u64)> = (0..128)
            .flat_map(|block| [(0, block * 4096), (1, block * 4096)])
            .collect();
        let bad = 300_000 / 4096 * 4096;
        for kind in [RequestKind::Read, RequestKind::Write] {
            let handles: Vec<_> = blocks
                .iter()
                .map(|(vdisk, at)| {
                    machine.submit(*vdisk, kind, (*at, 4096), Some(&[3; 4096]), false)
                })
                .collect();
            for reply in machine.settle() {
                let at = handles
                    .iter()
                    .position(|handle| *handle == Some(reply.handle));
                let failed = blocks[at.expect("one of ours")] == (0, bad);
                assert_eq!(reply.result, if failed { Err(IoError::Io) } else { Ok(()) });
                assert!(
                    reply.buffer.is_some(),
                    "the buffer comes back with an error, too"
                );
            }
        }
        assert_eq!(
            machine.read(0, 0, 1 << 20),
            Err(IoError::Io),
            "a large one touches it"
        );
        assert_eq!(
            machine.write(0, bad + 10, b"x"),
            Err(IoError::Io),
            "so does a modification"
        );
        assert_eq!(
            machine.flush(0),
            Ok(()),
            "a failed read or write does not fail a flush"
        );
    }
}

#[test]
fn a_failed_first_write_leaves_zeroes_not_what_was_there_before() {
    let (mut machine, handle) = machine(DIRTY);
    let range_bytes = place(&machine, 0..65_536);
    handle.inject(Fault {
        range_bytes,
        times: Some(1),
        ..Fault::every(Operation::Write, IO)
    });
    assert_eq!(machine.write(0, 5000, b"x"), Err(IoError::Io));
    assert_eq!(machine.read(0, 0, 65_536), Ok(vec![0; 65_536]));
    assert_eq!(
        machine.write(0, 5000, b"x"),
        Ok(()),
        "the claim was given up"
    );
}

#[test]
fn a_failed_flush_is_final() {
    let (mut machine, handle) = machine(BLANK);
    machine.write(0, 0, &[1; 4096]).expect("write");
    handle.inject(Fault {
        times: Some(1),
        ..Fault::every(Operation::Flush, IO)
    });
    assert_eq!(machine.flush(0), Err(IoError::Io));
    for vdisk in [0, 1] {
        assert_eq!(machine.flush(vdisk), Err(IoError::Io));
        assert_eq!(machine.write_fua(vdisk, 0, &[1; 512]), Err(IoError::Io));
        assert_eq!(
            machine.write(vdisk, 0, &[1; 512]),
            Ok(()),
            "plain writes go on"
        );
    }
    assert!(machine.set.flush_failed());
}

/// The kernel reports a lost write once, so a flush that succeeds after one that failed proves
/// nothing: neither one that was in flight, nor a later one, nor a durable write.
#[test]
fn a_flush_that_succeeds_after_a_failed_one_is_not_believed() {
    for format in [BLANK, DIRTY] {
        let disk = disk_for(format, 16 * MIB);
        let handle = disk.handle();
        let disk = TestDisk::around(disk, 64 << 10).reporting_once();
        let specs = [("a", 2 * MIB), ("b", 2 * MIB), ("c", 2 * MIB)];
        let (mut machine, _) = open(disk, &specs, format).expect("open");
        for vdisk in 0..3 {
            machine.write(vdisk, 0, &[1; 4096]).expect("write");
        }
        handle.inject(Fault {
            times: Some(1),
            ..Fault::every(Operation::Flush, IO)
        });
        for vdisk in 0..3 {
            machine.submit(vdisk, RequestKind::Flush, (0, 0), None, false);
        }
        let results: Vec<_> = machine.settle().iter().map(|reply| reply.result).collect();
        assert_eq!(results, [Err(IoError::Io); 3], "{format:?}: in flight");
        for vdisk in 0..3 {
            assert_eq!(machine.flush(vdisk), Err(IoError::Io), "a later flush");
            let durable = machine.write_fua(vdisk, 0, &[2; 4096]);
            assert_eq!(durable, Err(IoError::Io), "a later durable write");
        }
        assert!(machine.set.flush_failed());
    }
}

#[test]
fn a_map_block_that_fails_fails_the_flush_and_the_next_one_tries_again() {
    let (mut machine, handle) = machine(DIRTY);
    machine.write(0, 0, &[1; 4096]).expect("write");
    let map = machine.set.label().vdisks()[0].extents()[0]
        .map_offset_bytes
        .expect("it has a map");
    machine.write(1, 0, &[1; 4096]).expect("write");
    handle.inject(Fault {
        range_bytes: map..map + MIB,
        times: Some(1),
        ..Fault::every(Operation::Write, IO)
    });
    assert_eq!(machine.flush(1), Ok(()), "the other vdisk's map is whole");
    assert_eq!(machine.flush(0), Err(IoError::Io));
    assert_eq!(machine.flush(0), Ok(()));
}

#[test]
fn zeroes_are_written_where_a_device_cannot_zero_or_discard() {
    let (mut machine, handle) = machine(BLANK);
    machine.write(0, 0, &vec![9; 300_000]).expect("write");
    handle.inject(Fault::every(Operation::WriteZeroes, UNSUPPORTED));
    handle.inject(Fault::every(Operation::Discard, UNSUPPORTED));
    let zeroed = machine.call(0, RequestKind::WriteZeroes, (1, 299_998), None, true);
    assert_eq!(zeroed.map(drop), Ok(()));
    let mut expected = vec![0; 300_000];
    (expected[0], expected[299_999]) = (9, 9);
    assert_eq!(machine.read(0, 0, 300_000), Ok(expected));
    let trimmed = machine.call(0, RequestKind::Trim, (0, 299_998), None, true);
    assert_eq!(trimmed.map(drop), Ok(()));
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "never answered")]
fn a_request_that_is_never_answered_panics_in_a_debug_build() {
    let (mut machine, _handle) = machine(BLANK);
    machine.submit(0, RequestKind::Read, (0, 4096), None, false);
    drop(machine);
}

#[test]
fn a_stuck_request_holds_up_itself_only() {
    let (mut machine, handle) = machine(BLANK);
    let range_bytes = place(&machine, 0..4096);
    handle.inject(Fault {
        operation: None,
        range_bytes,
        times: Some(1),
        ..Fault::every(Operation::Read, FaultKind::Stuck)
    });
    let stuck = machine.submit(0, RequestKind::Read, (0, 4096), None, false);
    let other = machine.submit(0, RequestKind::Read, (65_536, 4096), None, false);
    while machine.step() {}
    let answered: Vec<_> = machine
        .replies
        .drain(..)
        .map(|reply| Some(reply.handle))
        .collect();
    assert_eq!(answered, [other]);
    assert!(!machine.set.is_idle());
    handle.release_stuck(machine.now);
    while machine.step() {}
    assert_eq!(Some(machine.replies[0].handle), stuck);
}

#[test]
fn what_is_not_begun_when_the_server_gives_up_is_refused_and_what_is_begun_is_finished() {
    for format in [BLANK, DIRTY] {
        let (mut machine, _) = machine(format);
        machine.write(0, 0, &vec![7; 2 << 20]).expect("write");
        let all = (0, 2 * MIB);
        let long = machine.submit(0, RequestKind::ZeroKeepingSpace, all, None, false);
        // It waits until the zeroing is done, and so does what comes behind.
        let data = vec![9; 100_000];
        let waits = machine.submit(0, RequestKind::Write, (1000, 100_000), Some(&data), true);
        let flush = machine.submit(1, RequestKind::Flush, (0, 0), None, false);
        let begun = machine.submit(1, RequestKind::Read, (0, 4096), None, false);
        machine.step();
        machine.set.fail_queued();
        let late = machine.submit(1, RequestKind::Read, (0, 4096), None, false);
        let late_flush = machine.submit(0, RequestKind::Flush, (0, 0), None, false);
        let replies = machine.settle();
        assert_eq!(replies.len(), 6, "each is answered, once");
        for reply in replies {
            let handle = Some(reply.handle);
            let refused = [long, waits, late].contains(&handle);
            assert!(refused || [flush, begun, late_flush].contains(&handle));
            let expected = if refused {
                Err(IoError::Shutdown)
            } else {
                Ok(())
            };
            assert_eq!(reply.result, expected, "{:?}", reply.kind);
        }
    }
}

#[test]
fn a_client_that_is_gone_leaves_its_zeroing_at_the_next_piece_and_its_writes_to_their_end() {
    for format in [BLANK, DIRTY] {
        let (mut machine, handle) = machine(format);
        machine.write(0, 0, &vec![7; 2 << 20]).expect("write");
        let all = (0, 2 * MIB);
        let long = machine.submit(0, RequestKind::ZeroKeepingSpace, all, None, false);
        let data = vec![9; 100_000];
        let write = machine.submit(0, RequestKind::Write, (1000, 100_000), Some(&data), false);
        let flush = machine.submit(0, RequestKind::Flush, (0, 0), None, false);
        machine.step();
        let begun = handle.operations();
        machine.set.client_gone(1);
        let replies = machine.settle();
        assert_eq!(replies.len(), 3, "each is answered, once");
        for reply in replies {
            let handle = Some(reply.handle);
            let expected = match handle == long {
                true => Err(IoError::Shutdown),
                false => Ok(()),
            };
            assert!([long, write, flush].contains(&handle));
            assert_eq!(reply.result, expected, "{:?}", reply.kind);
        }
        assert_eq!(machine.read(0, 1000, 100_000), Ok(data));
        let since = handle.operations() - begun;
        // It has 32 pieces, of which some wait in the loop of the disk already.
        assert!(since < 24, "the zeroing went on: {since} operations");
        // Another's requests are left alone.
        let zeroing = machine.submit(0, RequestKind::ZeroKeepingSpace, all, None, false);
        machine.step();
        machine.set.client_gone(2);
        let replies = machine.settle();
        assert_eq!(replies.len(), 1);
        assert_eq!(
            (Some(replies[0].handle), replies[0].result),
            (zeroing, Ok(()))
        );
    }
}
