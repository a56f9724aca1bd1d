//! Vdisks with a history to which nothing happens, in virtual time: a turn does not look at them,
//! and whatever is asked of them or becomes due is done all the same.

mod common;

use common::histories::{HISTORY, clone_config, listener, mark, open_at, wait, with_history};
use common::{BLANK, MIB, Machine, TestDisk, new_disk};
use disktime_disks::{DiskErrorKind, Fault, FaultHandle, FaultKind, Operation};
use disktime_engine::{IoError, RequestKind, Service};
use disktime_history::{Moment, WhenFull};
use disktime_units::Nanos;
use disktime_volumes::HistoryReport;

const SIZE: u64 = 4 * MIB;
const DISK: u64 = 480 * MIB;
const WINDOW_NS: u64 = 20_000_000_000;
const CLONES: usize = 5;
const PART: usize = 256 << 10;

fn machine(when_full: WhenFull) -> (Machine<TestDisk>, FaultHandle) {
    let disk = new_disk(DISK, 4096, 1);
    let handle = disk.handle();
    let vdisks = [with_history(SIZE, WINDOW_NS, when_full)];
    let opened = open_at(
        TestDisk::around(disk, 128 << 10),
        &vdisks,
        BLANK,
        Nanos::ZERO,
    );
    (opened.expect("it opens").0, handle)
}

fn report(machine: &Machine<TestDisk>) -> HistoryReport {
    let db = machine.set.vdisk_id("db").expect("it is served");
    machine.set.history(db).expect("a history")
}

/// Time passes without requests until something is so.
fn pass_until(machine: &mut Machine<TestDisk>, is_so: impl Fn(&Machine<TestDisk>) -> bool) {
    let until = machine.now + Nanos::from_secs(200);
    while !is_so(machine) {
        assert!(machine.now < until, "it comes in time");
        assert!(machine.step(), "a history ticks");
    }
}

/// Branches that reverts have left and that are not given up.
fn left_behind(machine: &Machine<TestDisk>) -> usize {
    let branches = report(machine).status.branches;
    let left = branches.iter().filter(|branch| branch.3 != 0 && !branch.4);
    left.count()
}

fn is_quiet(machine: &Machine<TestDisk>) -> bool {
    machine.set.busy_histories() == 0
}

fn nth(machine: &Machine<TestDisk>, name: &str) -> u32 {
    let at = machine.set.vdisks().position(|(one, _)| one == name);
    at.expect("it is served") as u32
}

fn clone(machine: &mut Machine<TestDisk>, moment: &str, name: &str) {
    let (heard, done) = listener();
    let db = machine.set.vdisk_id("db").expect("it is served");
    let moment = Moment::parse(moment).expect("a moment");
    machine
        .set
        .clone_vdisk(db, &moment, clone_config(name), done);
    wait(machine, &heard).expect("a clone");
}

#[test]
fn a_turn_looks_only_at_vdisks_that_have_something_to_do() {
    let (mut machine, _) = machine(WhenFull::Shorten);
    machine.write(0, 0, &[1; PART]).expect("written");
    mark(&mut machine, 0, "golden").expect("a mark");
    for at in 0..CLONES {
        clone(&mut machine, "golden", &format!("c{at}"));
    }
    pass_until(&mut machine, is_quiet);

    for name in ["db", "c1", "c4"] {
        let vdisk = nth(&machine, name);
        let place = (0, PART as u64);
        let data = vec![2; PART];
        let write = RequestKind::Write;
        let taken = machine.submit(vdisk, write, place, Some(&data), false);
        assert!(taken.is_some(), "{name}");
        assert_eq!(machine.set.busy_histories(), 1, "{name}");
        while !machine.set.is_idle() {
            assert!(machine.step());
            assert!(machine.set.busy_histories() <= 1, "{name} and no other one");
        }
        let replies = machine.settle();
        assert!(replies.iter().all(|reply| reply.result.is_ok()), "{name}");
        assert!(machine.read(vdisk, 0, place.1).expect("read") == data);
        pass_until(&mut machine, is_quiet);
    }
    let untouched = nth(&machine, "c2");
    assert!(machine.read(untouched, 0, PART as u64).expect("read") == [1; PART]);
    // What is asked of one that is quiet is done.
    pass_until(&mut machine, is_quiet);
    let c3 = nth(&machine, "c3");
    mark(&mut machine, c3, "own").expect("a mark");
    pass_until(&mut machine, is_quiet);
    let (heard, done) = listener();
    let c1 = machine.set.vdisk_id("c1").expect("it is served");
    machine.set.drop_clone(c1, done);
    wait(&mut machine, &heard).expect("dropped");
    pass_until(&mut machine, is_quiet);
}

#[test]
fn a_branch_of_a_quiet_vdisk_expires() {
    let (mut machine, _) = machine(WhenFull::Shorten);
    machine.write(0, 0, &[1; PART]).expect("written");
    mark(&mut machine, 0, "before").expect("a mark");
    machine.write(0, 0, &[2; PART]).expect("written");
    let (heard, done) = listener();
    let db = machine.handle(0);
    let before = Moment::parse("before").expect("a moment");
    machine.set.revert(db, &before, done);
    wait(&mut machine, &heard).expect("reverted");
    pass_until(&mut machine, is_quiet);
    assert_eq!(left_behind(&machine), 1);
    pass_until(&mut machine, |machine| {
        left_behind(machine) == 0 && is_quiet(machine)
    });
}

#[test]
fn a_fold_of_a_quiet_vdisk_is_tried_again() {
    let (mut machine, handle) = machine(WhenFull::Refuse);
    let (from, len) = machine.set.label().histories()[0].extents()[0];
    assert_eq!(len, HISTORY);
    for range_bytes in [0..from, from + len..u64::MAX] {
        handle.inject(Fault {
            range_bytes,
            ..Fault::every(Operation::Write, FaultKind::Error(DiskErrorKind::Io))
        });
    }
    let is_full = (0..300).any(|_| machine.write(0, 0, &[1; PART]) == Err(IoError::NoSpace));
    assert!(is_full, "the window is whole");
    pass_until(&mut machine, |machine| {
        report(machine).fold_problem.is_some() && is_quiet(machine)
    });
    handle.clear_faults();
    pass_until(&mut machine, |machine| {
        report(machine).status.floor > 0 && is_quiet(machine)
    });
    assert_eq!(report(&machine).fold_problem, None);
    machine.write(0, 0, &[2; PART]).expect("there is space");
}
