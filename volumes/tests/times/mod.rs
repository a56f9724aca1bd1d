//! When a vdisk changed last: what changes it, and what is known of it after a stop, after a kill
//! and after a power failure at every write.

use crate::common::{
    self, BLANK, MIB, Machine, TestDisk, configs, disk_loop, new_disk, options, service,
};
use disktime_disks::{DiskErrorKind, Fault, FaultDisk, FaultKind, Operation};
use disktime_engine::{LastChange, PolicyKind, RequestKind, Service};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use disktime_volumes::{VirtualDriver, VolumeError, VolumeSet};
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

const SPECS: [(&str, u64); 2] = [("a", MIB), ("b", MIB)];
const SECOND: u64 = 1_000_000_000;

/// Opens the disk at a time; so many writes and flushes reach it.
fn open_at(
    seconds: u64,
    disk: &Rc<RefCell<FaultDisk>>,
    left: Option<u64>,
) -> Result<Machine<TestDisk>, VolumeError> {
    let disk = TestDisk::sharing(disk, 128 << 10, left);
    let now = Nanos::from_secs(seconds);
    let mut driver = VirtualDriver { now };
    let disk_loop = disk_loop(disk, PolicyKind::Fifo, 24);
    let (set, _) = VolumeSet::open(disk_loop, &mut driver, &configs(&SPECS), options(BLANK))?;
    Ok(Machine::around(set, driver.now))
}

fn last(machine: &Machine<TestDisk>, vdisk: u32) -> LastChange {
    let handle = machine.handle(vdisk);
    machine.set.last_change(handle).expect("it is served")
}

fn times(machine: &Machine<TestDisk>) -> [u64; 2] {
    [0, 1].map(|vdisk| last(machine, vdisk).since_1970_ns())
}

fn close(mut machine: Machine<TestDisk>) -> Result<(), VolumeError> {
    let mut driver = VirtualDriver { now: machine.now };
    let closed = machine.set.close(&mut driver);
    machine.set.abandon();
    closed
}

fn fresh() -> Rc<RefCell<FaultDisk>> {
    Rc::new(RefCell::new(new_disk(16 * MIB, 4096, 1)))
}

#[test]
fn every_change_of_the_content_moves_the_time_and_nothing_else_does() {
    let disk = fresh();
    let mut machine = open_at(10, &disk, None).expect("open");
    let (changed, other) = (last(&machine, 0), last(&machine, 1));
    let opened = other.since_1970_ns();
    let mut before = changed.since_1970_ns();
    assert!(before >= 10 * SECOND);
    let kinds = [
        (RequestKind::Write, true),
        (RequestKind::Read, false),
        (RequestKind::Trim, true),
        (RequestKind::Flush, false),
        (RequestKind::WriteZeroes, true),
        (RequestKind::Cache, false),
        (RequestKind::ZeroKeepingSpace, true),
        (RequestKind::Status, false),
    ];
    for (kind, changes) in kinds {
        for fua in [false, changes] {
            machine.now += Nanos::from_secs(1);
            let asked_at = machine.now.0;
            let place = if kind == RequestKind::Flush {
                (0, 0)
            } else {
                (4096, 70_000)
            };
            let data = (kind == RequestKind::Write).then_some([7; 70_000].as_slice());
            machine.call(0, kind, place, data, fua).expect("done");
            let after = changed.since_1970_ns();
            assert_eq!(after > before, changes, "{kind:?}");
            assert!(!changes || after >= asked_at, "{kind:?}");
            before = after;
        }
    }
    machine
        .write(0, MIB - 1, &[1; 2])
        .expect_err("beyond the end");
    machine.write(0, 0, &[]).expect("nothing to do");
    assert_eq!(changed.since_1970_ns(), before, "nothing was changed");
    assert_eq!(other.since_1970_ns(), opened, "the other vdisk's");
}

fn failing_writes(range_bytes: Range<u64>) -> Fault {
    Fault {
        range_bytes,
        ..Fault::every(Operation::Write, FaultKind::Error(DiskErrorKind::Io))
    }
}

#[test]
fn a_change_that_failed_counts() {
    let disk = fresh();
    let mut machine = open_at(10, &disk, None).expect("open");
    let before = times(&machine)[0];
    disk.borrow().handle().inject(failing_writes(MIB..16 * MIB));
    machine.write(0, 0, &[7; 4096]).expect_err("the disk fails");
    assert!(times(&machine)[0] > before);
}

#[test]
fn times_stay_over_a_stop_and_move_on_over_a_kill() {
    let disk = fresh();
    let mut machine = open_at(10, &disk, None).expect("open");
    machine.write(0, 0, &[1; 4096]).expect("write");
    let closed = times(&machine);
    machine.flush(0).expect("flush");
    close(machine).expect("close");
    // Stopped in good order, twice, even if the clock was put back.
    let machine = open_at(20, &disk, None).expect("open");
    assert_eq!(times(&machine), closed);
    close(machine).expect("close");
    let mut machine = open_at(1, &disk, None).expect("open");
    assert_eq!(times(&machine), closed);
    machine.write(1, 0, &[2; 4096]).expect("write");
    let [first, second] = times(&machine);
    assert!(first == closed[0] && second > closed[1]);
    // Killed: whatever was written before, and even if the clock was put back.
    machine.set.abandon();
    let machine = open_at(30, &disk, None).expect("open");
    assert!(times(&machine).iter().all(|time| *time >= 30 * SECOND));
    machine.set.abandon();
    let machine = open_at(2, &disk, None).expect("open");
    let again = times(&machine);
    assert!(
        again
            .iter()
            .zip(closed)
            .all(|(time, closed)| *time > closed)
    );
}

#[test]
fn a_copy_of_the_label_that_cannot_be_written_makes_no_time_too_old() {
    for (copy, is_damaged) in [(0, false), (1, false), (0, true), (1, true)] {
        let disk = fresh();
        close(open_at(10, &disk, None).expect("open")).expect("close");
        let handle = disk.borrow().handle();
        if is_damaged {
            common::put(&mut disk.borrow_mut(), copy * MIB / 2, &[0xEE; 4096]);
        }
        handle.inject(failing_writes(copy * MIB / 2..(copy + 1) * MIB / 2));
        let mut machine = open_at(20, &disk, None).expect("it is served all the same");
        machine.write(0, 0, &[2; 4096]).expect("write");
        assert!(close(machine).is_ok(), "the label is left as it is");
        handle.clear_faults();
        let machine = open_at(30, &disk, None).expect("open");
        let time = times(&machine)[0];
        assert!(time > 20 * SECOND, "copy {copy}, damaged: {is_damaged}");
        machine.set.abandon();
    }
}

#[test]
fn a_label_that_says_nothing_new_is_not_written() {
    let disk = fresh();
    let handle = disk.borrow().handle();
    open_at(10, &disk, None).expect("open").set.abandon();
    let count = || handle.operations();
    let before = count();
    let machine = open_at(20, &disk, None).expect("open");
    let reopened = count() - before;
    machine.set.abandon();
    let machine = open_at(30, &disk, None).expect("open");
    close(machine).expect("close");
    let before = count();
    open_at(40, &disk, None).expect("open").set.abandon();
    let marked = count() - before;
    let before = count();
    open_at(50, &disk, None).expect("open").set.abandon();
    assert_eq!(
        count() - before,
        reopened,
        "it says already that it is open"
    );
    // A flush, and each copy with a flush behind it.
    assert_eq!(marked, reopened + 5);
}

/// A session on a disk that was closed in good order, of which so many writes and flushes reach the
/// disk: the content that a later one finds is not newer than the time that it finds.
#[test]
fn after_a_power_failure_no_time_is_older_than_the_content() {
    let base = fresh();
    close(open_at(10, &base, None).expect("open")).expect("close");
    let base = base.borrow().handle();
    let mut outcomes = [0; 3];
    for left in 0.. {
        for seed in 0..8 {
            let rebuilt = common::crash(&base, 1);
            let disk = Rc::new(RefCell::new(rebuilt));
            let handle = disk.borrow().handle();
            let reached_the_end = session(&disk, left);
            let after = handle.crash(&mut SplitMix64::new(seed), service());
            let disk = Rc::new(RefCell::new(after));
            let mut machine = open_at(3000, &disk, None).expect("a whole copy is left");
            let time = times(&machine)[0];
            let is_new = machine.read(0, 0, 4096).expect("read") == [9; 4096];
            assert!(
                !is_new || time >= 2000 * SECOND,
                "{left} writes, seed {seed}"
            );
            outcomes[usize::from(is_new) + usize::from(reached_the_end)] += 1;
            if reached_the_end {
                assert!(time < 2001 * SECOND, "it was closed in good order");
                assert!(outcomes[0] > 0 && outcomes[1] > 0, "{outcomes:?}");
                return;
            }
        }
    }
}

/// Whether it was closed.
fn session(disk: &Rc<RefCell<FaultDisk>>, left: u64) -> bool {
    let Ok(mut machine) = open_at(1000, disk, Some(left)) else {
        return false;
    };
    machine.now = machine.now.max(Nanos::from_secs(2000));
    let data = [9; 4096];
    for (kind, data) in [
        (RequestKind::Write, Some(&data)),
        (RequestKind::Flush, None),
    ] {
        let place = (0, data.map_or(0, |data| data.len() as u64));
        let data = data.map(<[u8; 4096]>::as_slice);
        machine.submit(0, kind, place, data, false).expect("room");
        while machine.step() {}
    }
    if !machine.set.is_idle() {
        machine.set.abandon();
        return false;
    }
    close(machine).is_ok()
}
