//! Clones of moments, beside full copies: what a clone reads is its moment with what was written to
//! it, whatever becomes of its parent; it survives restarts and power failures; a full one hinders
//! no other; what is refused has changed nothing.

mod cloned;
mod common;

use common::histories::{
    HISTORY, call_moment, clone_config, listener, open_at, wait, with_history,
};
use common::{BLANK, MIB, Machine, TestDisk, crash, new_disk};
use disktime_disks::{FaultDisk, FaultHandle};
use disktime_engine::{Extent, IoError, RequestKind, Service, VdiskId};
use disktime_history::{Moment, WhenFull};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use disktime_volumes::{CloneConfig, Format, VdiskConfig, VirtualDriver};

const QUANTUM: u32 = 128 << 10;
const SIZE: u64 = 4 * MIB;
const DISK: u64 = 480 * MIB;

fn open(disk: FaultDisk, format: Format, now: Nanos) -> Machine<TestDisk> {
    let vdisks = [with_history(SIZE, 1 << 50, WhenFull::Shorten)];
    let disk = TestDisk::around(disk, QUANTUM);
    open_at(disk, &vdisks, format, now).expect("it opens").0
}

/// What a power failure leaves, opened again.
fn reopened(machine: Machine<TestDisk>, handle: &mut FaultHandle, seed: u64) -> Machine<TestDisk> {
    let now = machine.now;
    machine.set.abandon();
    let disk = crash(handle, seed);
    *handle = disk.handle();
    open(disk, Format::Refuse, now)
}

fn new_machine(seed: u64) -> (Machine<TestDisk>, FaultHandle) {
    let disk = new_disk(DISK, 4096, seed);
    let handle = disk.handle();
    (open(disk, BLANK, Nanos::ZERO), handle)
}

fn clone_at(
    machine: &mut Machine<TestDisk>,
    parent: u32,
    moment: &str,
    name: &str,
) -> Result<(VdiskId, u64), String> {
    let (heard, done) = listener();
    let parent = machine.handle(parent);
    let moment = Moment::parse(moment).expect("a moment");
    machine
        .set
        .clone_vdisk(parent, &moment, clone_config(name), done);
    wait(machine, &heard)
}

fn drop_clone(machine: &mut Machine<TestDisk>, name: &str) -> Result<(), String> {
    let (heard, done) = listener();
    let vdisk = machine.set.vdisk_id(name).expect("it is served");
    machine.set.drop_clone(vdisk, done);
    let dropped = wait(machine, &heard);
    machine.settle();
    dropped
}

fn mark(machine: &mut Machine<TestDisk>, vdisk: u32, name: &str) -> u64 {
    common::histories::mark(machine, vdisk, name).expect("a mark")
}

/// The position of a vdisk among those that are served.
fn nth(machine: &Machine<TestDisk>, name: &str) -> u32 {
    let mut names = machine.set.vdisks();
    let at = names.position(|(one, _)| one == name);
    at.expect("it is served") as u32
}

fn read_all(machine: &mut Machine<TestDisk>, name: &str) -> Vec<u8> {
    let vdisk = nth(machine, name);
    machine.read(vdisk, 0, SIZE).expect("it can be read")
}

/// A random write to a vdisk and to its copy.
fn change(machine: &mut Machine<TestDisk>, name: &str, copy: &mut [u8], random: &mut SplitMix64) {
    let vdisk = nth(machine, name);
    let is_whole = random.below(3) > 0;
    let (mut offset, mut len) = (random.below(SIZE), 1 + random.below(96 << 10));
    if is_whole {
        (offset, len) = (offset & !4095, len.next_multiple_of(4096));
    }
    let len = len.min(SIZE - offset);
    let range = offset as usize..(offset + len) as usize;
    if random.below(8) == 0 {
        let place = (offset, len);
        let zeroed = machine.call(vdisk, RequestKind::WriteZeroes, place, None, false);
        zeroed.expect("zeroed");
        copy[range].fill(0);
        return;
    }
    let byte = random.below(255) as u8 + 1;
    let bytes: Vec<u8> = range.clone().map(|at| byte ^ (at >> 12) as u8).collect();
    machine.write(vdisk, offset, &bytes).expect("written");
    copy[range].copy_from_slice(&bytes);
}

/// What has to be there: names and contents, the root first.
type Copies = Vec<(String, Vec<u8>)>;

fn check(machine: &mut Machine<TestDisk>, copies: &Copies, what: &str) {
    for (name, copy) in copies {
        assert!(read_all(machine, name) == *copy, "{what}: {name}");
    }
}

#[test]
fn clones_are_their_full_copies() {
    for seed in 0..3 {
        let mut random = SplitMix64::new(seed);
        let (mut machine, mut handle) = new_machine(seed);
        let mut copies: Copies = vec![("db".to_owned(), vec![0; SIZE as usize])];
        let mut names = 0;
        for step in 0..500 {
            let at = random.below(copies.len() as u64) as usize;
            let (name, mut copy) = copies[at].clone();
            match random.below(40) {
                0 if copies.len() < 5 => {
                    names += 1;
                    let clone = format!("c{names}");
                    let parent = nth(&machine, &name);
                    let marked = format!("m{names}");
                    mark(&mut machine, parent, &marked);
                    for _ in 0..random.below(3) {
                        change(&mut machine, &name, &mut copies[at].1, &mut random);
                    }
                    clone_at(&mut machine, parent, &marked, &clone).expect("a clone");
                    copies.push((clone, copy));
                }
                1 if at > 0 => match drop_clone(&mut machine, &name) {
                    Ok(()) => drop(copies.remove(at)),
                    Err(why) => assert!(why.contains("begins with a moment of it"), "{why}"),
                },
                2 => {
                    let found = read_all(&mut machine, &name);
                    assert!(found == copy, "seed {seed} step {step}: {name}");
                }
                3 => {
                    let vdisk = nth(&machine, &name);
                    machine.flush(vdisk).expect("a flush");
                }
                _ => {
                    change(&mut machine, &name, &mut copy, &mut random);
                    copies[at].1 = copy;
                }
            }
        }
        assert!(names > 2, "clones are made");
        check(&mut machine, &copies, "before a restart");
        for at in 0..copies.len() {
            machine.flush(at as u32).expect("a flush");
        }
        for round in 0..2 {
            if round == 1 {
                let mut driver = VirtualDriver { now: machine.now };
                machine.set.close_histories(&mut driver).expect("it closes");
            }
            machine = reopened(machine, &mut handle, seed);
            check(&mut machine, &copies, "after a restart");
        }
    }
}

/// The parent goes on: it is written, reverted, and folded as far as the clone lets it.
#[test]
fn a_clone_stays_what_it_was_when_its_parent_is_folded() {
    let (mut machine, mut handle) = new_machine(1);
    let mut random = SplitMix64::new(9);
    let mut copy = vec![0; SIZE as usize];
    for _ in 0..300 {
        change(&mut machine, "db", &mut copy, &mut random);
    }
    mark(&mut machine, 0, "golden");
    clone_at(&mut machine, 0, "golden", "clone").expect("a clone");
    let cloned = copy.clone();
    let status = |machine: &Machine<TestDisk>| {
        let db = machine.handle(0);
        machine.set.history(db).expect("a history").status
    };
    // The log is filled: all before the clone is folded, while the clone is read.
    let clone = nth(&machine, "clone");
    for _ in 0..2000 {
        change(&mut machine, "db", &mut copy, &mut random);
        let offset = random.below(SIZE / 4096) * 4096;
        let read = machine.read(clone, offset, 4096).expect("readable");
        let range = offset as usize..offset as usize + 4096;
        assert!(read == cloned[range], "{offset}");
        if status(&machine).floor > 0 {
            break;
        }
    }
    let floor = status(&machine).floor;
    assert!(floor > 0, "the image has a part of what the clone reads");
    assert!(read_all(&mut machine, "clone") == cloned);
    let mut copies = vec![("db".to_owned(), copy), ("clone".to_owned(), cloned)];
    machine.flush(0).expect("a flush");
    machine = reopened(machine, &mut handle, 3);
    check(&mut machine, &copies, "after a crash");
    // A clone of the clone, of what is not in the log of the clone.
    let parent = nth(&machine, "clone");
    change(&mut machine, "clone", &mut copies[1].1, &mut random);
    let newest = {
        let clone = machine.handle(parent);
        machine.set.history(clone).expect("a history").status.newest
    };
    clone_at(&mut machine, parent, &format!("seq:{newest}"), "grand").expect("a clone");
    copies.push(("grand".to_owned(), copies[1].1.clone()));
    change(&mut machine, "grand", &mut copies[2].1, &mut random);
    check(&mut machine, &copies, "three generations");
    let clone = machine.set.vdisk_id("clone").expect("served");
    assert_eq!(machine.set.origin(clone).map(|(name, _)| name), Some("db"));
}

/// A clone that writes without end fails alone, and can still be read.
#[test]
fn a_full_clone_gets_enospc_alone() {
    let (mut machine, _) = new_machine(2);
    machine
        .write(0, 0, &vec![7; MIB as usize])
        .expect("written");
    mark(&mut machine, 0, "golden");
    clone_at(&mut machine, 0, "golden", "clone").expect("a clone");
    clone_at(&mut machine, 0, "golden", "other").expect("a clone");
    let clone = nth(&machine, "clone");
    let data = vec![9; MIB as usize];
    let mut written = 0;
    let error = loop {
        match machine.write(clone, 2 * MIB, &data) {
            Ok(()) => written += MIB,
            Err(error) => break error,
        }
        assert!(written < 2 * HISTORY);
    };
    assert_eq!(error, IoError::NoSpace);
    assert!(written > HISTORY / 4, "{written}");
    let read = machine.read(clone, 0, 4096).expect("readable");
    assert!(read == vec![7; 4096]);
    let read = machine.read(clone, 2 * MIB, 4096).expect("readable");
    assert!(read == vec![9; 4096]);
    machine.flush(clone).expect("what was answered is durable");
    let other = nth(&machine, "other");
    for vdisk in [0, other] {
        machine.write(vdisk, 0, &data).expect("others have space");
    }
    drop_clone(&mut machine, "clone").expect("dropped");
    clone_at(&mut machine, 0, "golden", "clone").expect("its space is free again");
    let clone = nth(&machine, "clone");
    let read = machine.read(clone, 2 * MIB, 4096).expect("readable");
    assert!(read == vec![0; 4096], "nothing of the one before is left");
}

#[test]
fn what_is_refused_changes_nothing() {
    let (mut machine, _) = new_machine(4);
    machine.write(0, 0, &[1; 4096]).expect("written");
    mark(&mut machine, 0, "golden");
    let label = machine.set.label().clone();
    let status = |machine: &Machine<TestDisk>| {
        let db = machine.handle(0);
        let status = machine.set.history(db).expect("a history").status;
        (status.marks.len(), status.clones.len())
    };
    let before = status(&machine);
    let refused = |machine: &mut Machine<TestDisk>, moment: &str, name: &str, says: &str| {
        let why = clone_at(machine, 0, moment, name).expect_err("it is refused");
        assert!(why.contains(says), "{why}");
        machine.settle();
        assert_eq!(status(machine), before);
        assert!(*machine.set.label() == label);
    };
    refused(&mut machine, "seq:999", "x", "the window goes from");
    refused(&mut machine, "silver", "x", "the marks are golden");
    refused(&mut machine, "golden", "db", "give the clone another name");
    let (heard, done) = listener();
    let db = machine.handle(0);
    let moment = Moment::parse("golden").expect("a moment");
    let large = CloneConfig {
        max_bytes: 4096 * MIB,
        ..clone_config("x")
    };
    machine.set.clone_vdisk(db, &moment, large, done);
    let why = wait(&mut machine, &heard).expect_err("too large");
    assert!(why.contains("needs") && why.contains("free"), "{why}");
    machine.settle();
    assert_eq!(status(&machine), before);

    clone_at(&mut machine, 0, "golden", "x").expect("a clone");
    let why = clone_at(&mut machine, 0, "golden", "x").expect_err("it is there");
    assert!(why.contains("another name"), "{why}");
    // What a clone needs stays.
    let (heard, done) = listener();
    machine.set.drop_mark(db, "golden", done);
    let why = wait(&mut machine, &heard).expect_err("a clone begins with it");
    assert!(why.contains("drop the clone first"), "{why}");
    let (heard, done) = listener();
    machine.set.drop_clone(db, done);
    let why = wait(&mut machine, &heard).expect_err("no clone");
    assert!(why.contains("is no clone"), "{why}");
    let x = nth(&machine, "x");
    clone_at(&mut machine, x, "seq:0", "y").expect("a clone of a clone");
    let why = drop_clone(&mut machine, "x").expect_err("another one needs it");
    assert!(why.contains("clone y begins with a moment of it"), "{why}");
    drop_clone(&mut machine, "y").expect("dropped");
    drop_clone(&mut machine, "x").expect("dropped");
    assert!(machine.set.vdisk_id("x").is_none());
    let (heard, done) = listener();
    machine.set.drop_mark(db, "golden", done);
    wait(&mut machine, &heard).expect("nothing needs it");
}

#[test]
fn a_moment_of_a_clone_is_read() {
    let (mut machine, _) = new_machine(6);
    machine.write(0, 0, &vec![1; 64 << 10]).expect("written");
    mark(&mut machine, 0, "golden");
    clone_at(&mut machine, 0, "golden", "x").expect("a clone");
    let x = nth(&machine, "x");
    machine.write(x, 4096, &[2; 4096]).expect("written");
    mark(&mut machine, x, "mine");
    machine.write(x, 0, &[3; 8192]).expect("written");
    let moment = Moment::parse("mine").expect("a moment");
    let opened = common::histories::open_moment(&mut machine, x, &moment);
    let (moment, _) = opened.expect("it opens");
    let read = call_moment(&mut machine, moment, RequestKind::Read, 16 << 10);
    let read = read.expect("readable");
    assert!(read[..4096] == [1; 4096] && read[4096..8192] == [2; 4096]);
    assert!(read[8192..].iter().all(|byte| *byte == 1));
    machine.set.close_moment(moment);
    // Reverting it, too.
    let (heard, done) = listener();
    let vdisk = machine.handle(x);
    let mine = Moment::parse("mine").expect("a moment");
    machine.set.revert(vdisk, &mine, done);
    wait(&mut machine, &heard).expect("reverted");
    let read = machine.read(x, 0, 8192).expect("readable");
    assert!(read[..4096] == [1; 4096] && read[4096..] == [2; 4096]);
    assert!(machine.set.is_idle());
    let extents = machine.status(x, (0, SIZE));
    assert!(extents[0].len_bytes >= 64 << 10 && !extents[0].hole);
    // What neither has is what the parent's image has there.
    let of_parent = machine.status(0, (0, SIZE));
    let kind = |extents: &[Extent]| extents.last().map(|extent| (extent.hole, extent.zero));
    assert_eq!(
        kind(&extents),
        kind(&of_parent),
        "{extents:?} {of_parent:?}"
    );
}

/// The file names a vdisk like a clone: the clone is kept, and not served.
#[test]
fn a_clone_with_the_name_of_another_vdisk_is_kept() {
    let (mut machine, handle) = new_machine(7);
    mark(&mut machine, 0, "golden");
    clone_at(&mut machine, 0, "golden", "x").expect("a clone");
    let x = nth(&machine, "x");
    machine.write(x, 0, &[9; 4096]).expect("written");
    machine.flush(x).expect("a flush");
    let now = machine.now;
    machine.set.abandon();
    let other = common::configs(&[("x", MIB)]).remove(0);
    let vdisks: [VdiskConfig; 2] = [with_history(SIZE, 1 << 50, WhenFull::Shorten), other];
    let disk = crash(&handle, 1);
    let mut handle = disk.handle();
    let disk = TestDisk::around(disk, QUANTUM);
    let (machine, report) = open_at(disk, &vdisks, Format::Refuse, now).expect("it opens");
    assert!(
        report
            .messages
            .iter()
            .any(|one| one.contains("the clone `x` is not served"))
    );
    let mut machine = reopened(machine, &mut handle, 2);
    let read = read_all(&mut machine, "x");
    assert!(read[..4096] == [9; 4096]);
}
