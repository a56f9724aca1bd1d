//! Clones on a disk that fails, and clones that come and go: what cannot be made is undone, what
//! cannot be served can be dropped and costs no other vdisk, and places are used again.

mod common;

use common::histories::{Heard, clone_config, listener, open_at, wait, with_history};
use common::{BLANK, MIB, Machine, TestDisk, crash, new_disk};
use disktime_disks::{DiskErrorKind, Fault, FaultDisk, FaultHandle, FaultKind, Operation};
use disktime_engine::{IoError, RequestKind, Service, VdiskId};
use disktime_history::{Moment, WhenFull};
use disktime_units::Nanos;
use disktime_volumes::{Format, OpenReport, VdiskConfig};
use std::ops::Range;

const QUANTUM: u32 = 128 << 10;
const SIZE: u64 = 4 * MIB;
const DISK: u64 = 480 * MIB;

fn open(
    disk: FaultDisk,
    others: &[(&str, u64)],
    format: Format,
    now: Nanos,
) -> (Machine<TestDisk>, OpenReport) {
    let mut vdisks: Vec<VdiskConfig> = vec![with_history(SIZE, 1 << 50, WhenFull::Shorten)];
    vdisks.extend(common::configs(others));
    let disk = TestDisk::around(disk, QUANTUM);
    open_at(disk, &vdisks, format, now).expect("it opens")
}

fn new_machine(seed: u64) -> (Machine<TestDisk>, FaultHandle) {
    let disk = new_disk(DISK, 4096, seed);
    let handle = disk.handle();
    let (mut machine, _) = open(disk, &[], BLANK, Nanos::ZERO);
    machine.write(0, 0, &[1; 4096]).expect("written");
    (machine, handle)
}

/// What a power failure leaves, with faults that are there when it is opened again.
fn reopened(
    machine: Machine<TestDisk>,
    handle: &mut FaultHandle,
    others: &[(&str, u64)],
    fault: Option<Fault>,
) -> (Machine<TestDisk>, OpenReport) {
    let now = machine.now;
    machine.set.abandon();
    let disk = crash(handle, 1);
    *handle = disk.handle();
    fault.into_iter().for_each(|fault| handle.inject(fault));
    open(disk, others, Format::Refuse, now)
}

fn make(machine: &mut Machine<TestDisk>, parent: &str, name: &str) -> Result<VdiskId, String> {
    let parent = machine.set.vdisk_id(parent).expect("it is served");
    let (heard, done) = listener();
    let moment = Moment::Ago(0);
    machine
        .set
        .clone_vdisk(parent, &moment, clone_config(name), done);
    wait(machine, &heard).map(|(vdisk, _)| vdisk)
}

fn give_up(machine: &mut Machine<TestDisk>, name: &str) -> Result<(), String> {
    let (heard, done) = listener();
    match machine.set.vdisk_id(name) {
        Some(vdisk) => machine.set.drop_clone(vdisk, done),
        None => machine.set.drop_recorded_clone(name, done),
    }
    let dropped = wait(machine, &heard);
    machine.settle();
    dropped
}

/// The clone writes what it has, so that it has a log.
fn write(machine: &mut Machine<TestDisk>, name: &str) {
    let at = machine.set.vdisks().position(|(one, _)| one == name);
    let written = machine.write(at.expect("served") as u32, 0, &[1; 4096]);
    written.expect("written");
    machine.settle();
}

fn holders(machine: &Machine<TestDisk>) -> usize {
    let report = machine.set.history(machine.handle(0));
    report.expect("a history").space.holders.len()
}

fn logs(machine: &Machine<TestDisk>) -> usize {
    machine.set.label().histories().len()
}

fn says(report: &OpenReport, words: &[&str]) {
    let has = |one: &String| words.iter().all(|word| one.contains(word));
    assert!(report.messages.iter().any(has), "{:?}", report.messages);
}

fn all_are_served(report: &OpenReport) -> bool {
    let mut messages = report.messages.iter();
    !messages.any(|one| one.contains("not served"))
}

/// One copy of the label is damaged and takes no write: the other one is left as it is.
#[test]
fn a_log_is_not_made_while_one_copy_of_the_label_is_whole() {
    for damaged in [0, 512 << 10] {
        let (mut machine, mut handle) = new_machine(1);
        make(&mut machine, "db", "x").expect("it takes no space");
        let unwritable = Fault {
            range_bytes: damaged..damaged + 4096,
            ..Fault::every(Operation::Write, FaultKind::Error(DiskErrorKind::Io))
        };
        machine.settle();
        let now = machine.now;
        machine.set.abandon();
        let mut disk = crash(&handle, 1);
        common::put(&mut disk, damaged, &[0xEB; 4096]);
        handle = disk.handle();
        handle.inject(unwritable);
        let (mut machine, _) = open(disk, &[], Format::Refuse, now);
        let x = machine.set.vdisks().position(|(name, _)| name == "x");
        let x = x.expect("it is served") as u32;
        let whole = || {
            let mut copy = vec![0; 64 << 10];
            handle.peek((512 << 10) - damaged, &mut copy);
            copy
        };
        let before = whole();
        assert_eq!(machine.write(x, 0, &[3; 4096]), Err(IoError::Io));
        assert!(whole() == before, "the copy that is whole stays as it is");
        machine.write(0, 0, &[4; 4096]).expect("its parent goes on");
        let (mut machine, _) = reopened(machine, &mut handle, &[], None);
        machine.write(x, 0, &[3; 4096]).expect("it is healed");
    }
}

#[test]
fn a_clone_that_is_not_served_can_be_dropped() {
    for has_log in [false, true] {
        let (mut machine, mut handle) = new_machine(1);
        make(&mut machine, "db", "x").expect("a clone");
        if has_log {
            write(&mut machine, "x");
        }
        let (mut machine, report) = reopened(machine, &mut handle, &[("x", MIB)], None);
        says(&report, &["the clone `x` is not served", "disktime drop x"]);
        assert!(machine.set.records_clone("x"));
        let expected = (1 + usize::from(has_log), 1);
        assert_eq!((logs(&machine), holders(&machine)), expected);
        let (heard, done) = listener();
        machine.set.drop_recorded_clone("x", done);
        wait(&mut machine, &heard).expect("dropped");
        machine.settle();
        assert_eq!((logs(&machine), holders(&machine)), (1, 0));
        assert!(!machine.set.records_clone("x"));
        let (heard, done) = listener();
        machine.set.drop_recorded_clone("x", done);
        let why = wait(&mut machine, &heard).expect_err("there is none");
        assert!(why.contains("there is no clone `x`"), "{why}");
        let (machine, report) = reopened(machine, &mut handle, &[("x", MIB)], None);
        assert_eq!(report.messages, Vec::<String>::new());
        assert_eq!(logs(&machine), 1);
    }
}

/// Its clones are recorded where nothing can be read now.
#[test]
fn what_may_have_clones_is_not_dropped_unseen() {
    let (mut machine, mut handle) = new_machine(2);
    make(&mut machine, "db", "x").expect("a clone");
    make(&mut machine, "x", "y").expect("a clone of it");
    let (mut machine, report) = reopened(machine, &mut handle, &[("x", MIB)], None);
    says(&report, &["the clone `x` is not served"]);
    let (heard, done) = listener();
    machine.set.drop_recorded_clone("x", done);
    let why = wait(&mut machine, &heard).expect_err("it has one");
    assert!(
        why.contains("the clone y begins with a moment of it"),
        "{why}"
    );
    let (mut machine, _) = reopened(machine, &mut handle, &[], None);
    give_up(&mut machine, "y").expect("dropped");
    give_up(&mut machine, "x").expect("dropped");
    assert_eq!((logs(&machine), holders(&machine)), (1, 0));
}

/// The log of one cannot be read: the others are served, and what is read again is there.
#[test]
fn a_clone_that_cannot_be_read_costs_no_other_vdisk() {
    let (mut machine, mut handle) = new_machine(3);
    for name in ["x", "y", "z"] {
        make(&mut machine, "db", name).expect("a clone");
        write(&mut machine, name);
    }
    let fault = Fault {
        range_bytes: area_of(&machine, "y"),
        ..Fault::every(Operation::Read, FaultKind::Error(DiskErrorKind::Io))
    };
    let (mut machine, report) = reopened(machine, &mut handle, &[], Some(fault));
    says(&report, &["the clone `y` is not served"]);
    let names: Vec<&str> = machine.set.vdisks().map(|(name, _)| name).collect();
    assert_eq!(names, ["db", "x", "z"]);
    for vdisk in 0..3 {
        let read = machine.read(vdisk, 0, 4096).expect("readable");
        assert!(read == [1; 4096]);
    }
    let (machine, report) = reopened(machine, &mut handle, &[], None);
    assert_eq!(report.messages, Vec::<String>::new());
    assert!(machine.set.vdisk_id("y").is_some());
}

/// Errors of writes in a part of the disk.
fn writes_fail(range_bytes: Range<u64>, kind: FaultKind) -> Fault {
    Fault {
        range_bytes,
        ..Fault::every(Operation::Write, kind)
    }
}

/// Where the log of a vdisk lies.
fn area_of(machine: &Machine<TestDisk>, name: &str) -> Range<u64> {
    let vdisk = machine.set.vdisk_id(name).expect("it is served");
    let uuid = machine.set.uuid(vdisk).expect("it has one");
    let entry = machine.set.label().history_of(uuid);
    let (start, len) = entry.expect("it has a log").extents()[0];
    start..start + len
}

/// Whatever write of its log or of the label fails or is cut off by a power failure: what the
/// clone was asked fails, it can be read, the others go on, and it is there afterwards.
#[test]
fn a_clone_whose_log_cannot_be_made_can_be_read() {
    let mut failures = 0;
    for skip in 0..8 {
        let (mut machine, mut handle) = new_machine(6);
        make(&mut machine, "db", "x").expect("a clone");
        make(&mut machine, "db", "y").expect("a clone");
        handle.inject(Fault {
            skip,
            times: Some(1),
            ..Fault::every(Operation::Write, FaultKind::Error(DiskErrorKind::Io))
        });
        let failed = machine.write(1, 0, &[2; 4096]).is_err();
        failures += u64::from(failed);
        handle.clear_faults();
        let read = machine.read(1, 0, 4096).expect("it can be read");
        assert!(read == [if failed { 1 } else { 2 }; 4096], "{skip}");
        machine.flush(2).expect("the other one goes on");
        machine.write(0, 4096, &[3; 4096]).expect("and so does db");
        let (mut machine, report) = reopened(machine, &mut handle, &[], None);
        assert!(all_are_served(&report), "{skip}: {:?}", report.messages);
        let read = machine.read(1, 0, 4096).expect("it can be read");
        assert!(read == [1; 4096] || read == [2; 4096], "{skip}");
        machine.write(1, 0, &[4; 4096]).expect("now it can");
        assert!(machine.read(2, 0, 4096).expect("readable") == [1; 4096]);
    }
    assert!(failures > 4, "{failures}");
}

/// The file system below has no space where the logs of clones would lie: their changes fail, no
/// others do, and when there is space again they are as any.
#[test]
fn a_clone_for_whose_log_a_file_has_no_space_gets_enospc_until_it_has() {
    let (mut machine, mut handle) = new_machine(9);
    for name in ["x", "y", "z"] {
        make(&mut machine, "db", name).expect("a clone");
    }
    write(&mut machine, "x");
    let is_full = FaultKind::Error(DiskErrorKind::NoSpace);
    handle.inject(writes_fail(area_of(&machine, "x").end..DISK, is_full));
    for vdisk in [2, 3, 2] {
        let answer = machine.write(vdisk, 0, &[2; 4096]);
        assert_eq!(answer, Err(IoError::NoSpace), "{vdisk}");
        assert!(machine.read(vdisk, 0, 4096).expect("readable") == [1; 4096]);
        machine.write(0, 4096, &[3; 4096]).expect("db goes on");
        machine.write(1, 4096, &[3; 4096]).expect("and so does x");
    }
    give_up(&mut machine, "x").expect("its log is freed");
    assert_eq!(logs(&machine), 1);
    handle.clear_faults();
    for vdisk in [1, 2] {
        machine.write(vdisk, 0, &[4; 4096]).expect("now it can");
        machine.flush(vdisk).expect("and is durable");
    }
    let (mut machine, report) = reopened(machine, &mut handle, &[], None);
    assert!(all_are_served(&report), "{:?}", report.messages);
    for vdisk in [1, 2] {
        assert!(machine.read(vdisk, 0, 4096).expect("readable") == [4; 4096]);
    }
}

/// Power fails while the log of a clone is being made, at each of its writes.
#[test]
fn a_crash_while_a_log_is_made_loses_no_clone() {
    for writes in 0..12 {
        let (mut machine, mut handle) = new_machine(8);
        make(&mut machine, "db", "x").expect("a clone");
        handle.inject(Fault {
            skip: writes,
            ..Fault::every(Operation::Write, FaultKind::Stuck)
        });
        let data = Some(&[2; 4096][..]);
        let taken = machine.submit(1, RequestKind::Write, (0, 4096), data, true);
        taken.expect("taken");
        for _ in 0..300 {
            machine.step();
        }
        let is_answered = !machine.replies.is_empty();
        let (mut machine, report) = reopened(machine, &mut handle, &[], None);
        assert!(all_are_served(&report), "{writes}: {:?}", report.messages);
        let read = machine.read(1, 0, 4096).expect("it can be read");
        let is_written = read == [2; 4096];
        assert!(is_written || read == [1; 4096], "{writes}");
        assert!(is_written || !is_answered, "{writes}: it was answered");
        machine.write(1, 0, &[4; 4096]).expect("written");
        let (mut machine, _) = reopened(machine, &mut handle, &[], None);
        machine.read(1, 0, 4096).expect("it can be read");
        give_up(&mut machine, "x").expect("dropped");
        assert_eq!((logs(&machine), holders(&machine)), (1, 0));
    }
}

/// What waits for space of the disk when the clone is dropped is answered.
#[test]
fn what_a_dropped_clone_was_asked_is_answered() {
    let (mut machine, handle) = new_machine(7);
    let x = make(&mut machine, "db", "x").expect("a clone");
    machine.write(1, 0, &[2; 4096]).expect("written");
    let is_full = FaultKind::Error(DiskErrorKind::NoSpace);
    handle.inject(writes_fail(area_of(&machine, "x"), is_full));
    assert_eq!(machine.write(1, 0, &[3; 4096]), Err(IoError::NoSpace));
    // What the log writes waits for the next second when one more write has failed just now.
    machine.set.turn(machine.now, &mut machine.replies);
    let (tried, done) = listener();
    machine.set.mark(x, "tried", done);
    loop {
        machine.set.turn(machine.now, &mut machine.replies);
        if tried.lock().expect("no panic").is_some() {
            break;
        }
        machine.now = machine.set.next_wake().expect("a history ticks");
    }
    taken(&tried).expect_err("there is no space");
    let (marked, done) = listener();
    machine.set.mark(x, "m", done);
    let (reverted, done) = listener();
    machine.set.revert(x, &Moment::Ago(0), done);
    give_up(&mut machine, "x").expect("dropped");
    for heard in [marked, reverted] {
        let why = taken(&heard).expect_err("it is not done");
        assert!(why.contains("the clone was dropped"), "{why}");
    }
}

/// Those that are refused as too many wait, and those that wait when the server stops.
#[test]
fn clones_that_are_not_begun_are_answered() {
    let (mut machine, _) = new_machine(8);
    let db = machine.set.vdisk_id("db").expect("it is served");
    let mut makes = Vec::new();
    let mut drops = Vec::new();
    for number in 0..600 {
        let (heard, done) = listener();
        let config = clone_config(&format!("c{number}"));
        machine.set.clone_vdisk(db, &Moment::Ago(0), config, done);
        makes.push(heard);
        let (heard, done) = listener();
        machine.set.drop_recorded_clone("none", done);
        drops.push(heard);
    }
    machine.set.begin_stop();
    machine.settle();
    let makes = makes.iter().map(|heard| taken(heard).map(drop));
    let answers: Vec<_> = makes.chain(drops.iter().map(taken)).collect();
    let are = |words: &str| {
        let has = |one: &&Result<(), String>| one.as_ref().is_err_and(|why| why.contains(words));
        answers.iter().filter(has).count()
    };
    assert_eq!(are("the server is stopping"), 1024);
    assert_eq!(are("too many clones"), 1200 - 1024);
}

fn taken<T>(heard: &Heard<T>) -> Result<T, String> {
    let answer = heard.lock().expect("no panic").take();
    answer.expect("an answer")
}

/// Whatever write of its making fails: there is no clone, nothing is held, and nothing is left that
/// the next start would make one of.
#[test]
fn a_clone_that_cannot_be_made_is_undone() {
    let mut failures = 0;
    for skip in 0..24 {
        let (mut machine, mut handle) = new_machine(4);
        handle.inject(Fault {
            skip,
            times: Some(1),
            ..Fault::every(Operation::Write, FaultKind::Error(DiskErrorKind::Io))
        });
        let made = make(&mut machine, "db", "x");
        handle.clear_faults();
        machine.settle();
        let Err(why) = made else { continue };
        failures += 1;
        assert!(machine.set.vdisk_id("x").is_none(), "{skip}: {why}");
        let moments = machine.set.open_moments(machine.handle(0));
        assert!(moments.is_empty(), "{skip}: {why}");
        let is_undone = !machine.set.records_clone("x");
        assert!(is_undone || why.contains("could not be undone"), "{why}");
        let (machine, _) = reopened(machine, &mut handle, &[], None);
        if is_undone {
            assert!(machine.set.vdisk_id("x").is_none(), "{skip}: {why}");
            assert_eq!((logs(&machine), holders(&machine)), (1, 0), "{skip}");
        }
    }
    assert!(failures > 0, "{failures}");
}

/// Between the request and the record, and while the moment is being opened.
#[test]
fn no_moment_opens_of_a_clone_that_is_being_dropped() {
    for opens_first in [false, true] {
        let (mut machine, _) = new_machine(6);
        let x = make(&mut machine, "db", "x").expect("a clone");
        let (dropped, drop_done) = listener();
        let (opened, open_done) = listener();
        if opens_first {
            machine.set.open_moment(x, &Moment::Ago(0), open_done);
            machine.set.drop_clone(x, drop_done);
        } else {
            machine.set.drop_clone(x, drop_done);
            machine.step();
            machine.set.open_moment(x, &Moment::Ago(0), open_done);
        }
        machine.settle();
        let (dropped, opened) = (taken(&dropped), taken(&opened));
        assert!(dropped.is_ok() != opened.is_ok(), "{dropped:?} {opened:?}");
        if opens_first {
            continue;
        }
        let why = opened.expect_err("it is being dropped");
        assert!(why.contains("being dropped"), "{why}");
        make(&mut machine, "db", "z").expect("its place is free");
        machine.settle();
    }
}

#[test]
fn clones_that_come_and_go_use_the_same_places_again() {
    let (mut machine, _) = new_machine(5);
    let slot = |vdisk: VdiskId| vdisk.0 & 0xFF_FFFF;
    let mut most = 0;
    for round in 0..40 {
        let x = make(&mut machine, "db", "x").expect("a clone");
        let y = make(&mut machine, "x", "y").expect("a clone of it");
        let at = machine.set.vdisks().position(|(name, _)| name == "y");
        let at = at.expect("served") as u32;
        machine.write(at, 4096, &[9; 4096]).expect("written");
        let read = machine.read(at, 0, 8192).expect("readable");
        assert!(read[..4096] == [1; 4096] && read[4096..] == [9; 4096]);
        most = most.max(slot(x)).max(slot(y));
        let moment = {
            let (heard, done) = listener();
            machine.set.open_moment(y, &Moment::Ago(0), done);
            wait(&mut machine, &heard).expect("it opens").0
        };
        let why = give_up(&mut machine, "y").expect_err("a moment of it is open");
        assert!(why.contains("moments of it are being read"), "{why}");
        machine.set.close_moment(moment);
        // The caller that waits for it hears.
        let (heard, done) = listener();
        machine.set.mark(y, &format!("m{round}"), done);
        give_up(&mut machine, "y").expect("dropped");
        let marked = heard.lock().expect("no panic").take();
        assert!(marked.is_some(), "an answer");
        give_up(&mut machine, "x").expect("dropped");
    }
    assert!(most < 12, "{most} is bounded by what was there at once");
}
