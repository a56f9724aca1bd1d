//! What clones read of their parents: who pays, and what is written over meanwhile.

use super::common::histories::{listener, open_at, wait, with_history};
use super::common::{self, BLANK, MIB, Machine, TestDisk, new_disk};
use super::{DISK, QUANTUM, SIZE, clone_at, clone_config, mark, new_machine, nth};
use disktime_engine::{
    IoError, Limit, PolicyKind, RequestKind, StreamConfig, StreamId, StreamReport,
};
use disktime_history::{Moment, WhenFull};
use disktime_units::{Nanos, Share};
use disktime_volumes::{CloneConfig, VirtualDriver, VolumeSet};

/// What its stream and all others were charged.
fn charged(machine: &Machine<TestDisk>, name: &str) -> (u64, u64) {
    let vdisk = machine.set.vdisk_id(name).expect("served");
    let stream = machine.set.stream(vdisk).expect("it has one");
    let report = machine.set.report(machine.now);
    let of = |(id, stream): (&StreamId, &StreamReport)| {
        let counters = stream.windows.total.counters;
        (*id, (counters.reserved + counters.spare).0)
    };
    let all: Vec<(StreamId, u64)> = report.streams.iter().map(of).collect();
    let is_it = |one: &&(StreamId, u64)| one.0 == stream;
    let own: u64 = all.iter().filter(is_it).map(|one| one.1).sum();
    (own, all.iter().map(|one| one.1).sum::<u64>() - own)
}

#[test]
fn a_clone_pays_for_what_it_reads_of_its_parent() {
    let (mut machine, _) = new_machine(8);
    machine
        .write(0, 0, &vec![1; MIB as usize])
        .expect("written");
    mark(&mut machine, 0, "golden");
    clone_at(&mut machine, 0, "golden", "x").expect("a clone");
    machine.settle();
    let x = nth(&machine, "x");
    let (own, _) = charged(&machine, "x");
    let (of_parent, _) = charged(&machine, "db");
    // From the parent's log, and from its image.
    for offset in [0, 2 * MIB] {
        machine.read(x, offset, MIB).expect("readable");
    }
    let (own_after, _) = charged(&machine, "x");
    let (of_parent_after, _) = charged(&machine, "db");
    // One I/O takes 100 µs, and eight go at a time.
    assert!(own_after - own >= 200_000, "{own} {own_after}");
    assert_eq!(of_parent_after, of_parent, "the parent does not pay");
}

/// A clone that has no log of its own reads that of its parent in its own queue, and needs no other
/// vdisk for it.
#[test]
fn a_clone_reads_beside_a_vdisk_that_leaves() {
    let mut vdisks = common::configs(&[("first", MIB)]);
    vdisks.push(with_history(SIZE, 1 << 50, WhenFull::Shorten));
    let disk = TestDisk::around(new_disk(DISK, 4096, 1), QUANTUM);
    let opened = open_at(disk, &vdisks, BLANK, Nanos::ZERO);
    let mut machine = opened.expect("it opens").0;
    machine.write(1, 0, &[3; 8192]).expect("written");
    mark(&mut machine, 1, "golden");
    clone_at(&mut machine, 1, "golden", "x").expect("a clone");
    let first = machine.handle(0);
    machine.set.remove(first).expect("it has no history");
    machine.settle();
    let x = nth(&machine, "x");
    assert!(machine.read(x, 0, 8192).expect("readable") == [3; 8192]);
}

/// The reads of a clone, and the rest of a block that it changes in part, take seconds, as it has
/// nearly nothing of the disk's time. Meanwhile its parent folds what they read and writes over it,
/// until its log is full.
#[test]
fn what_a_clone_reads_is_found_where_a_fold_has_moved_it() {
    let vdisks = [with_history(SIZE, 1 << 50, WhenFull::Shorten)];
    let disk = TestDisk::around(new_disk(DISK, 4096, 1), QUANTUM);
    let disk_loop = common::disk_loop(disk, PolicyKind::Fahrrad, 24);
    let mut driver = VirtualDriver::default();
    let opened = VolumeSet::open(disk_loop, &mut driver, &vdisks, common::options(BLANK));
    let mut machine = Machine::around(opened.expect("it opens").0, driver.now);
    machine.ticks = true;
    let half = 512 << 10;
    for round in 1..=2 {
        for part in 0..8 {
            let data = vec![round * 16 + part; half as usize];
            machine
                .write(0, u64::from(part) * half, &data)
                .expect("written");
        }
    }
    mark(&mut machine, 0, "golden");
    let (heard, done) = listener();
    let db = machine.handle(0);
    let moment = Moment::parse("golden").expect("a moment");
    let slow = CloneConfig {
        stream: StreamConfig {
            limit: Some(Limit {
                share: Share(200),
                period: Nanos::from_secs(1),
            }),
            ..StreamConfig::BEST_EFFORT
        },
        ..clone_config("x")
    };
    machine.set.clone_vdisk(db, &moment, slow, done);
    wait(&mut machine, &heard).expect("a clone");
    machine.settle();
    let x = nth(&machine, "x");
    let mut reads = Vec::new();
    for part in 0..8 {
        let place = (part * half + 512, 4096);
        let read = machine.submit(x, RequestKind::Read, place, None, false);
        reads.push(read.expect("taken"));
    }
    let changed = 7 * half + 8192;
    let place = (changed + 512, 512);
    let change = machine.submit(x, RequestKind::Write, place, Some(&[1; 512]), false);
    let change = change.expect("taken");
    let mut replies = Vec::new();
    let mut writes = 0;
    loop {
        let data = vec![255; half as usize];
        let place = (writes % 8 * half, half);
        let write = machine.submit(0, RequestKind::Write, place, Some(&data), false);
        let write = write.expect("taken");
        writes += 1;
        let result = loop {
            assert!(machine.step(), "it is answered");
            replies.append(&mut machine.replies);
            if let Some(at) = replies.iter().position(|reply| reply.handle == write) {
                break replies.remove(at).result;
            }
        };
        match result {
            Err(IoError::NoSpace) => break,
            _ => result.expect("written"),
        }
    }
    replies.extend(machine.settle());
    let db = machine.handle(0);
    let floor = machine.set.history(db).expect("a history").status.floor;
    assert!(floor > 0 && writes > 40, "{floor} {writes}");
    for (part, read) in (0..).zip(reads) {
        let reply = replies.iter().find(|reply| reply.handle == read);
        let reply = reply.expect("it is answered");
        assert_eq!(reply.result, Ok(()), "part {part}");
        let data = reply.buffer.as_deref().expect("data");
        assert!(data == vec![32 + part; 4096], "part {part}");
    }
    let mut replies = replies.iter();
    assert!(replies.any(|reply| reply.handle == change && reply.result == Ok(())));
    let block = machine.read(x, changed, 4096).expect("readable");
    assert!(block[..512] == [39; 512] && block[512..1024] == [1; 512]);
    assert!(block[1024..] == [39; 3072]);
}
