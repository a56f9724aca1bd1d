//! A vdisk with a history, beside a full copy of it: what clients read is what they wrote, whatever
//! lies in the log and what in the image; marks, reverts and moments are the copies of their time;
//! all of it survives restarts and power failures.

mod area;
mod common;
mod reverts;
mod rot;

use common::histories::{HISTORY, call_moment, listener, wait};
use common::{BLANK, MIB, Machine, TestDisk, configs, crash, new_disk, soil};
use disktime_disks::{FaultDisk, FaultHandle};
use disktime_engine::{Extent, IoError, RequestKind, VdiskId};
use disktime_history::{Moment, WhenFull};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use disktime_volumes::{Format, OpenReport, VdiskConfig, VirtualDriver, VolumeError};
use std::collections::BTreeMap;

const QUANTUM: u32 = 128 << 10;
const DISK: u64 = 96 * MIB;
const SIZE: u64 = 4 * MIB;

fn with_history(when_full: WhenFull) -> VdiskConfig {
    common::histories::with_history(SIZE, 1 << 50, when_full)
}

fn open_at(
    disk: FaultDisk,
    vdisks: &[VdiskConfig],
    format: Format,
    now: Nanos,
) -> Result<(Machine<TestDisk>, OpenReport), VolumeError> {
    common::histories::open_at(TestDisk::around(disk, QUANTUM), vdisks, format, now)
}

fn open_disk(disk: TestDisk) -> Machine<TestDisk> {
    let vdisks = [with_history(WhenFull::Shorten)];
    let opened = common::histories::open_at(disk, &vdisks, BLANK, Nanos::ZERO);
    opened.expect("it opens").0
}

fn open(disk: FaultDisk, format: Format) -> Machine<TestDisk> {
    let vdisks = [with_history(WhenFull::Shorten)];
    let opened = open_at(disk, &vdisks, format, Nanos::ZERO);
    opened.expect("it opens").0
}

fn mark(machine: &mut Machine<TestDisk>, name: &str) -> Result<u64, String> {
    common::histories::mark(machine, 0, name)
}

fn revert(machine: &mut Machine<TestDisk>, moment: &str) -> Result<u64, String> {
    let (heard, done) = listener();
    let vdisk = machine.handle(0);
    let moment = Moment::parse(moment).expect("a moment");
    machine.set.revert(vdisk, &moment, done);
    wait(machine, &heard)
}

fn undo(machine: &mut Machine<TestDisk>) -> Result<u64, String> {
    let (heard, done) = listener();
    let vdisk = machine.handle(0);
    machine.set.undo_revert(vdisk, done);
    wait(machine, &heard)
}

fn open_moment(machine: &mut Machine<TestDisk>, moment: &str) -> Result<(VdiskId, u64), String> {
    let moment = Moment::parse(moment).expect("a moment");
    common::histories::open_moment(machine, 0, &moment)
}

fn read_all(machine: &mut Machine<TestDisk>) -> Vec<u8> {
    machine.read(0, 0, SIZE).expect("it can be read")
}

/// A random change of vdisk and copy alike.
fn change(machine: &mut Machine<TestDisk>, copy: &mut [u8], random: &mut SplitMix64) {
    let is_whole = random.below(3) > 0;
    let (mut offset, mut len) = (random.below(SIZE), 1 + random.below(96 << 10));
    if is_whole {
        (offset, len) = (offset & !4095, len.next_multiple_of(4096));
    }
    let len = len.min(SIZE - offset);
    let range = offset as usize..(offset + len) as usize;
    let fua = random.below(8) == 0;
    let kind = match random.below(12) {
        0 => RequestKind::WriteZeroes,
        1 => RequestKind::Trim,
        2 => RequestKind::ZeroKeepingSpace,
        _ => RequestKind::Write,
    };
    let mut data = None;
    match kind {
        RequestKind::Write => {
            let byte = random.below(255) as u8 + 1;
            let bytes: Vec<u8> = range.clone().map(|at| byte ^ (at >> 12) as u8).collect();
            copy[range].copy_from_slice(&bytes);
            data = Some(bytes);
        }
        RequestKind::Trim => {
            let (first, end) = (range.start.next_multiple_of(4096), range.end & !4095);
            if first < end {
                copy[first..end].fill(0);
            }
        }
        _ => copy[range].fill(0),
    }
    let done = machine.call(0, kind, (offset, len), data.as_deref(), fua);
    done.expect("a change");
}

#[test]
fn a_vdisk_with_a_history_is_its_full_copy() {
    for seed in 0..3 {
        let mut random = SplitMix64::new(seed);
        let mut disk = new_disk(DISK, 4096, seed);
        let format = if seed == 1 { common::DIRTY } else { BLANK };
        if seed == 1 {
            soil(&mut disk);
        }
        let handle = disk.handle();
        let mut machine = open(disk, format);
        let mut copy = vec![0; SIZE as usize];
        let mut marks: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for step in 0..900 {
            match random.below(40) {
                0 => {
                    let name = format!("m{step}");
                    mark(&mut machine, &name).expect("a mark");
                    marks.insert(name, copy.clone());
                }
                1 if !marks.is_empty() => {
                    let at = random.below(marks.len() as u64) as usize;
                    let (name, content) = marks.iter().nth(at).expect("it is there");
                    let (moment, _) = open_moment(&mut machine, name).expect("it opens");
                    let read = call_moment(&mut machine, moment, RequestKind::Read, SIZE);
                    assert!(
                        read.expect("readable") == *content,
                        "seed {seed} mark {name}"
                    );
                    machine.set.close_moment(moment);
                }
                2 if !marks.is_empty() => {
                    let at = random.below(marks.len() as u64) as usize;
                    let (name, content) = marks.iter().nth(at).expect("it is there");
                    let before = std::mem::replace(&mut copy, content.clone());
                    revert(&mut machine, name).expect("it goes back");
                    assert!(
                        read_all(&mut machine) == copy,
                        "seed {seed} reverted to {name}"
                    );
                    if random.below(2) == 0 {
                        undo(&mut machine).expect("and forth");
                        copy = before;
                        assert!(read_all(&mut machine) == copy, "seed {seed} undone");
                    }
                }
                3 => machine.flush(0).expect("a flush"),
                4 => {
                    let (offset, len) = (random.below(SIZE), 1 + random.below(300 << 10));
                    let len = len.min(SIZE - offset);
                    let read = machine.read(0, offset, len).expect("readable");
                    let range = offset as usize..(offset + len) as usize;
                    assert!(
                        read == copy[range],
                        "seed {seed} step {step} {offset}+{len}"
                    );
                }
                _ => change(&mut machine, &mut copy, &mut random),
            }
        }
        assert!(read_all(&mut machine) == copy, "seed {seed}");
        machine.flush(0).expect("a flush");
        // A restart, after a power failure or in good order.
        let now = machine.now;
        if seed != 2 {
            let mut driver = VirtualDriver { now };
            machine.set.close_histories(&mut driver).expect("it closes");
        }
        machine.set.abandon();
        let vdisks = [with_history(WhenFull::Shorten)];
        let opened = open_at(crash(&handle, seed), &vdisks, Format::Refuse, now);
        let mut machine = opened.expect("it opens again").0;
        assert!(
            read_all(&mut machine) == copy,
            "seed {seed} after a restart"
        );
        for (name, content) in &marks {
            let (moment, _) = open_moment(&mut machine, name).expect("it opens");
            let read = call_moment(&mut machine, moment, RequestKind::Read, SIZE);
            assert!(
                read.expect("readable") == *content,
                "seed {seed} mark {name} afterwards"
            );
            machine.set.close_moment(moment);
        }
    }
}

/// Overwrites the vdisk again and again, until the log has been filled several times.
fn fill(machine: &mut Machine<TestDisk>, mebibytes: u64) -> Result<Vec<u8>, IoError> {
    let mut random = SplitMix64::new(9);
    let mut copy = vec![0; SIZE as usize];
    for _ in 0..4 * mebibytes {
        let offset = random.below(SIZE / 4096 - 64) * 4096;
        let data = vec![random.below(255) as u8 + 1; 256 << 10];
        machine.write(0, offset, &data)?;
        copy[offset as usize..offset as usize + data.len()].copy_from_slice(&data);
    }
    Ok(copy)
}

#[test]
fn a_full_log_is_folded_into_the_image_and_the_window_shrinks() {
    let disk = new_disk(DISK, 4096, 1);
    let handle = disk.handle();
    let mut machine = open(disk, BLANK);
    let copy = fill(&mut machine, 200).expect("folds make space");
    assert!(read_all(&mut machine) == copy);
    let vdisk = machine.handle(0);
    let report = machine.set.history(vdisk).expect("a history");
    assert!(report.status.floor > 0, "{report:?}");
    let refused = open_moment(&mut machine, "#2").expect_err("it is folded");
    let window = format!("from seq:{}", report.status.oldest_restorable);
    assert!(refused.contains(&window), "{refused}");
    // The fold's reads and writes are paid by its own stream, the log's writes by the log's.
    let of_log = &machine.set.history_streams()[0];
    let (log, fold) = (of_log.log, of_log.fold);
    let (log, fold) = log.zip(fold).expect("they lie here");
    let counted = machine.set.report(machine.now);
    let requests = |stream| counted.streams[&stream].windows.total.counters.requests;
    assert!(requests(log) > 1000 && requests(fold) > 100);
    let of_vdisk = machine.set.stream(vdisk).expect("its stream");
    assert!(requests(of_vdisk) < 100, "reads of the image alone");

    machine.flush(0).expect("a flush");
    let now = machine.now;
    machine.set.abandon();
    let vdisks = [with_history(WhenFull::Shorten)];
    let opened = open_at(crash(&handle, 3), &vdisks, Format::Refuse, now);
    assert!(read_all(&mut opened.expect("it opens").0) == copy);
}

#[test]
fn a_log_that_may_not_shorten_its_window_refuses_writes() {
    let vdisks = [with_history(WhenFull::Refuse)];
    let opened = open_at(new_disk(DISK, 4096, 1), &vdisks, BLANK, Nanos::ZERO);
    let mut machine = opened.expect("it opens").0;
    assert_eq!(fill(&mut machine, 200), Err(IoError::NoSpace));
    machine.flush(0).expect("flushes go on");
    assert_eq!(read_all(&mut machine).len() as u64, SIZE);
    assert!(
        open_moment(&mut machine, "#3").is_ok(),
        "the window is whole"
    );
}

#[test]
fn a_moment_is_read_only_and_ends_when_it_is_closed() {
    let mut machine = open(new_disk(DISK, 4096, 1), BLANK);
    machine.write(0, 0, &[1; 8192]).expect("a write");
    let seq = mark(&mut machine, "before").expect("a mark");
    machine.write(0, 0, &[2; 4096]).expect("a write");
    for text in ["before".to_owned(), format!("#{seq}"), "-0s".to_owned()] {
        let (moment, found) = open_moment(&mut machine, &text).expect("it opens");
        let read = call_moment(&mut machine, moment, RequestKind::Read, 8192);
        let first = if text == "-0s" { 2 } else { 1 };
        assert!(read.expect("readable")[..4096] == [first; 4096], "{text}");
        assert!(text == "-0s" || found == seq);
        let written = call_moment(&mut machine, moment, RequestKind::Write, 4096);
        assert_eq!(written, Err(IoError::ReadOnly));
        machine.set.close_moment(moment);
        let stale = call_moment(&mut machine, moment, RequestKind::Read, 4096);
        assert_eq!(stale, Err(IoError::Shutdown));
    }
    let unknown = open_moment(&mut machine, "after").expect_err("no such mark");
    assert!(unknown.contains("the marks are before"), "{unknown}");
    let twice = mark(&mut machine, "before").expect_err("it exists");
    assert!(twice.contains("exists"), "{twice}");
    assert!(
        undo(&mut machine)
            .expect_err("no revert")
            .contains("no revert")
    );
}

#[test]
fn block_status_knows_the_log() {
    let mut machine = open(new_disk(DISK, 4096, 1), BLANK);
    machine.write(0, MIB, &[1; 12288]).expect("a write");
    let zeroed = machine.call(0, RequestKind::WriteZeroes, (MIB, 4096), None, false);
    zeroed.expect("zeroes");
    let extents = machine.status(0, (MIB, 16384));
    let known: Vec<_> = extents
        .iter()
        .map(|extent| (extent.len_bytes, extent.zero))
        .collect();
    assert_eq!(known, [(4096, true), (12_288, false)]);
    assert!(
        extents
            .iter()
            .all(|extent: &Extent| extent.hole == extent.zero)
    );
}

#[test]
fn data_that_was_there_is_the_floor_of_a_history_that_is_switched_on() {
    let disk = new_disk(DISK, 4096, 1);
    let handle = disk.handle();
    let plain = configs(&[("db", SIZE)]);
    let opened = open_at(disk, &plain, BLANK, Nanos::ZERO);
    let mut machine = opened.expect("it opens").0;
    machine.write(0, 4096, &[7; 4096]).expect("a write");
    machine.flush(0).expect("a flush");
    let now = machine.now;
    let vdisks = [with_history(WhenFull::Shorten)];
    let disk = crash(&handle, 1);
    let handle = disk.handle();
    let (mut machine, report) =
        open_at(disk, &vdisks, Format::Refuse, now).expect("it is switched on");
    assert_eq!(report.histories, [("db".to_owned(), HISTORY)]);
    machine.write(0, 4096, &[8; 2048]).expect("a write");
    assert!(machine.read(0, 4096, 4096).expect("readable")[2048..] == [7; 2048]);
    let (moment, _) = open_moment(&mut machine, "#1").expect("before the write");
    let read = call_moment(&mut machine, moment, RequestKind::Read, 8192);
    assert!(read.expect("readable")[4096..] == [7; 4096]);

    // It cannot be left out; nothing is changed by asking.
    machine.flush(0).expect("a flush");
    let now = machine.now;
    machine.set.abandon();
    let disk = crash(&handle, 1);
    let handle = disk.handle();
    let before = head(&handle);
    let opened = open_at(disk, &plain, Format::Refuse, now);
    let refused = opened.map(drop).expect_err("it is refused").to_string();
    assert!(refused.contains("give it its `history` back"), "{refused}");
    assert!(head(&handle) == before);
}

fn head(handle: &FaultHandle) -> Vec<u8> {
    let mut bytes = vec![0; MIB as usize];
    handle.peek(0, &mut bytes);
    bytes
}

#[test]
fn a_log_that_cannot_be_opened_fails_its_vdisk_alone() {
    let disk = new_disk(DISK, 4096, 1);
    let handle = disk.handle();
    let other = configs(&[("other", MIB)]).remove(0);
    let vdisks = [with_history(WhenFull::Shorten), other];
    let opened = open_at(disk, &vdisks, BLANK, Nanos::ZERO);
    let mut machine = opened.expect("it opens").0;
    machine.write(0, 0, &[1; 4096]).expect("a write");
    machine.flush(0).expect("a flush");
    let area = machine.set.label().histories()[0].extents()[0].0;
    let now = machine.now;
    machine.set.abandon();
    let mut disk = crash(&handle, 1);
    for unit in [0, 16] {
        common::put(&mut disk, area + unit * 4096, &[0xEB; 4096]);
    }
    let (mut machine, report) =
        open_at(disk, &vdisks, Format::Refuse, now).expect("the other one is served");
    assert!(
        report.messages[0].contains("cannot be opened"),
        "{report:?}"
    );
    assert_eq!(machine.read(0, 0, 4096), Err(IoError::Io));
    machine.write(1, 0, &[1; 4096]).expect("served");
    let refused = mark(&mut machine, "a").expect_err("no history");
    assert!(refused.contains("could not be opened"), "{refused}");
}
