//! A vdisk with a history, and its log, grow at a start: its past keeps the sizes it had, a revert
//! keeps the present one, and a power failure at any write of it leaves what was there, and the
//! next start finishes it.

mod common;

use common::histories::{
    HISTORY, Heard, call_moment, clone_config, listener, mark, open_fault_disk as open,
    open_moment, wait, with_history,
};
use common::{BLANK, DIRTY, MIB, Machine, TestDisk, crash, disk_for};
use disktime_disks::{FaultDisk, FaultHandle};
use disktime_engine::{IoError, RequestKind};
use disktime_history::{Moment, WhenFull};
use disktime_units::Nanos;
use disktime_volumes::{ChangedBlocks, Format, OpenReport, VdiskConfig, VirtualDriver};

const DISK: u64 = 240 * MIB;
const SMALL: u64 = 2 * MIB - 4096;
const LARGE: u64 = 4 * MIB + 8192;

fn sized(size_bytes: u64, window_ns: u64) -> [VdiskConfig; 1] {
    [with_history(size_bytes, window_ns, WhenFull::Shorten)]
}

/// What a power failure leaves, opened again.
fn reopened(
    machine: Machine<TestDisk>,
    handle: &mut FaultHandle,
    vdisks: &[VdiskConfig],
) -> (Machine<TestDisk>, OpenReport) {
    let now = machine.now;
    machine.set.abandon();
    let disk = crash(handle, 1);
    *handle = disk.handle();
    open(disk, vdisks, Format::Refuse, now).expect("it opens")
}

fn old_data() -> Vec<u8> {
    (0..SMALL).map(|at| (at / 4096 % 250) as u8 + 1).collect()
}

/// The old data, then zeroes.
fn grown_data(size_bytes: u64) -> Vec<u8> {
    let mut data = old_data();
    data.resize(size_bytes as usize, 0);
    data
}

fn size(machine: &Machine<TestDisk>) -> u64 {
    let vdisk = machine.handle(0);
    machine.set.size_bytes(vdisk).expect("it is served")
}

fn change(
    machine: &mut Machine<TestDisk>,
    begin: impl FnOnce(&mut Machine<TestDisk>, common::histories::Done<u64>),
) {
    let (heard, done) = listener();
    begin(machine, done);
    wait(machine, &heard).expect("it is done");
}

fn revert(machine: &mut Machine<TestDisk>, to: &str) {
    let moment = Moment::parse(to).expect("a moment");
    let vdisk = machine.handle(0);
    change(machine, |machine, done| {
        machine.set.revert(vdisk, &moment, done)
    });
}

fn changed(machine: &mut Machine<TestDisk>, since: &str, until: Option<&str>) -> Vec<(u64, u64)> {
    let [since, until] = [Some(since), until].map(|text| text.map(Moment::parse));
    let since = since.expect("given").expect("a moment");
    let until = until.map(|until| until.expect("a moment"));
    let (heard, done): (Heard<ChangedBlocks>, _) = listener();
    let vdisk = machine.handle(0);
    machine.set.changed(vdisk, &since, until, done);
    wait(machine, &heard).expect("they are listed").ranges
}

/// Reads a moment, which has this size.
fn moment(machine: &mut Machine<TestDisk>, name: &str, size_bytes: u64) -> Vec<u8> {
    let text = Moment::parse(name).expect("a moment");
    let (moment, seq) = open_moment(machine, 0, &text).expect("it opens");
    let vdisk = machine.handle(0);
    assert_eq!(machine.set.size_bytes_at(vdisk, seq), Some(size_bytes));
    let read = call_moment(machine, moment, RequestKind::Read, size_bytes);
    let beyond = call_moment(machine, moment, RequestKind::Read, size_bytes + 4096);
    assert_eq!(beyond, Err(IoError::Invalid), "it ends where it ended then");
    machine.set.close_moment(moment);
    read.expect("readable")
}

#[test]
fn moments_keep_their_size_and_a_revert_keeps_the_present_one() {
    for format in [BLANK, DIRTY] {
        let disk = disk_for(format, DISK);
        let mut handle = disk.handle();
        let vdisks = sized(SMALL, 1 << 50);
        let (mut machine, _) = open(disk, &vdisks, format, Nanos::ZERO).expect("it opens");
        machine.write(0, 0, &old_data()).expect("a write");
        mark(&mut machine, 0, "small").expect("a mark");

        let vdisks = sized(LARGE, 1 << 50);
        let (mut machine, report) = reopened(machine, &mut handle, &vdisks);
        assert_eq!(report.grown, [("db".to_owned(), SMALL, LARGE)]);
        assert!(report.messages.is_empty(), "{report:?}");
        assert_eq!(size(&machine), LARGE);
        assert!(machine.read(0, 0, LARGE).expect("readable") == grown_data(LARGE));
        // Over the old end, and up to the new one.
        machine
            .write(0, SMALL - 4096, &[0xAA; 8192])
            .expect("a write");
        machine
            .write(0, LARGE - 4096, &[0xBB; 4096])
            .expect("a write");
        let behind = machine.write(0, LARGE - 4096, &[1; 8192]);
        assert_eq!(behind, Err(IoError::NoSpace), "behind the end");
        mark(&mut machine, 0, "large").expect("a mark");
        let mut large = grown_data(LARGE);
        large[SMALL as usize - 4096..SMALL as usize + 4096].fill(0xAA);
        large[LARGE as usize - 4096..].fill(0xBB);
        assert_eq!(
            changed(&mut machine, "small", None),
            [(SMALL - 4096, 8192), (LARGE - 4096, 4096)]
        );
        // The other way round the end is that of the older moment.
        let back = changed(&mut machine, "large", Some("small"));
        assert_eq!(back, [(SMALL - 4096, 4096)]);

        for _ in 0..2 {
            assert!(moment(&mut machine, "small", SMALL) == old_data());
            assert!(moment(&mut machine, "large", LARGE) == large);
            revert(&mut machine, "small");
            assert_eq!(size(&machine), LARGE);
            assert!(machine.read(0, 0, LARGE).expect("readable") == grown_data(LARGE));
            let vdisk = machine.handle(0);
            change(&mut machine, |machine, done| {
                machine.set.undo_revert(vdisk, done)
            });
            assert!(machine.read(0, 0, LARGE).expect("readable") == large);
            (machine, _) = reopened(machine, &mut handle, &vdisks);
        }

        // A clone has the size of its moment, whatever its parent has now.
        for (name, size_bytes) in [("small", SMALL), ("large", LARGE)] {
            let (heard, done) = listener();
            let at = Moment::parse(name).expect("a moment");
            let config = clone_config(&format!("of-{name}"));
            let vdisk = machine.handle(0);
            machine.set.clone_vdisk(vdisk, &at, config, done);
            let made = wait(&mut machine, &heard);
            // The disk has space for one of them.
            if let Ok((clone, _)) = made {
                assert_eq!(machine.set.size_bytes(clone), Some(size_bytes));
            }
        }
        let (machine, report) = reopened(machine, &mut handle, &vdisks);
        assert!(report.messages.is_empty(), "{report:?}");
        let clone = machine.set.vdisk_id("of-small").expect("it is served");
        assert_eq!(machine.set.size_bytes(clone), Some(SMALL));
        machine.set.abandon();
    }
}

/// What lies behind the old end of the image is written by folds, and by those only.
#[test]
fn folds_write_behind_the_old_end() {
    let disk = disk_for(DIRTY, DISK);
    let mut handle = disk.handle();
    // A window of nothing: every tick folds what is sealed.
    let (mut machine, _) = open(disk, &sized(SMALL, 1), DIRTY, Nanos::ZERO).expect("it opens");
    machine.write(0, 0, &old_data()).expect("a write");
    machine.flush(0).expect("a flush");
    let vdisks = sized(LARGE, 1);
    (machine, _) = reopened(machine, &mut handle, &vdisks);
    let mut expected = grown_data(LARGE);
    for round in 0..80_u8 {
        let at = LARGE - (1 << 20) * (1 + u64::from(round) % 3);
        let data = vec![round + 1; 1 << 20];
        machine.write(0, at, &data).expect("a write");
        expected[at as usize..at as usize + (1 << 20)].copy_from_slice(&data);
    }
    let vdisk = machine.handle(0);
    let floor = |machine: &Machine<TestDisk>| {
        let report = machine.set.history(vdisk).expect("a history");
        report.status.floor
    };
    while floor(&machine) < 70 {
        assert!(machine.step(), "a tick folds");
    }
    assert!(machine.read(0, 0, LARGE).expect("readable") == expected);
    machine.flush(0).expect("a flush");
    let (mut machine, _) = reopened(machine, &mut handle, &vdisks);
    assert!(machine.read(0, 0, LARGE).expect("readable") == expected);
    machine.set.abandon();
}

/// A vdisk with data and a mark, closed or not; the disk is as a power failure leaves it.
fn base(format: Format) -> FaultDisk {
    let disk = disk_for(format, 72 * MIB);
    let handle = disk.handle();
    let (mut machine, _) =
        open(disk, &sized(SMALL, 1 << 50), format, Nanos::ZERO).expect("it opens");
    machine.write(0, 0, &old_data()).expect("a write");
    mark(&mut machine, 0, "small").expect("a mark");
    let mut driver = VirtualDriver { now: machine.now };
    machine.set.close_histories(&mut driver).expect("it closes");
    machine.set.abandon();
    crash(&handle, 1)
}

#[test]
fn a_crash_at_any_write_of_a_growth_is_finished_by_the_next_start() {
    let now = Nanos::from_secs(10);
    let vdisks = sized(LARGE, 1 << 50);
    for format in [BLANK, DIRTY] {
        let disk = base(format);
        let handle = disk.handle();
        let (machine, _) = open(disk, &vdisks, Format::Refuse, now).expect("it grows");
        machine.set.abandon();
        let operations = handle.operations();
        // Maps or known zero space, label, superblocks twice, EPOCH, RESIZE, and flushes.
        assert!(operations > 15, "{operations}");
        let mut outcomes = [0, 0];
        // Zero maps differ, and little else.
        let step = if format == DIRTY { 3 } else { 1 };
        for point in (0..operations).step_by(step) {
            let disk = base(format);
            let handle = disk.handle();
            handle.freeze_at(point);
            let stopped = open(disk, &vdisks, Format::Refuse, now).map(drop);
            assert!(stopped.is_err(), "the power fails");
            let disk = crash(&handle, point);
            let opened = open(disk, &vdisks, Format::Refuse, now + Nanos::from_secs(1));
            let (mut machine, report) = opened.expect("the next start");
            outcomes[usize::from(report.grown.is_empty())] += 1;
            assert_eq!(size(&machine), LARGE, "point {point}");
            let there = machine.read(0, 0, LARGE).expect("readable");
            assert!(there == grown_data(LARGE), "point {point}");
            assert!(moment(&mut machine, "small", SMALL) == old_data());
            machine
                .write_fua(0, LARGE - 4096, &[7; 4096])
                .expect("a write");
            machine.set.abandon();
        }
        assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
    }
}

#[test]
fn sizes_that_cannot_be_are_refused_and_nothing_is_changed() {
    let disk = base(BLANK);
    let mut handle = disk.handle();
    for (size_bytes, words) in [
        (SMALL - 4096, "vdisks do not shrink"),
        (LARGE + 512, "multiple of 4 KiB"),
        (40 * MIB, "free"),
        (1 << 47, "64TiB at most"),
    ] {
        let disk = crash(&handle, 1);
        handle = disk.handle();
        let opened = open(
            disk,
            &sized(size_bytes, 1),
            Format::Refuse,
            Nanos::from_secs(9),
        );
        let refused = opened.map(drop).expect_err("it is refused").to_string();
        assert!(refused.contains(words), "{refused}");
        assert_eq!(handle.operations(), 0, "{words}: something is written");
    }
}

/// The same with so much space for the log.
fn with_max(history_bytes: u64) -> [VdiskConfig; 1] {
    let mut vdisks = [with_history(SMALL, 1 << 50, WhenFull::Refuse)];
    vdisks[0].spec.history_bytes = Some(history_bytes);
    vdisks
}

/// Writes 1 MiB again and again until the log is full; how often.
fn fill(machine: &mut Machine<TestDisk>) -> u64 {
    for round in 0..200 {
        let data = vec![round as u8 | 1; MIB as usize];
        match machine.write(0, 0, &data) {
            Ok(()) => {}
            Err(error) => {
                assert_eq!(error, IoError::NoSpace);
                return round;
            }
        }
    }
    panic!("the log is never full");
}

#[test]
fn a_log_that_is_full_goes_on_when_it_gets_more_space() {
    let disk = disk_for(DIRTY, DISK);
    let mut handle = disk.handle();
    let vdisks = with_max(HISTORY);
    let (mut machine, _) = open(disk, &vdisks, DIRTY, Nanos::ZERO).expect("it opens");
    machine.write(0, 0, &old_data()).expect("a write");
    mark(&mut machine, 0, "small").expect("a mark");
    let first = fill(&mut machine);
    machine.flush(0).expect("a flush");
    // More than once, in pieces that lie apart: the vdisk grows in between.
    let mut vdisks = with_max(HISTORY + 20 * MIB);
    let (machine, report) = reopened(machine, &mut handle, &vdisks);
    let grown = ("db".to_owned(), HISTORY, HISTORY + 20 * MIB);
    assert_eq!(report.grown_histories, [grown]);
    vdisks[0].spec.size_bytes = LARGE;
    let (machine, report) = reopened(machine, &mut handle, &vdisks);
    assert!(report.grown_histories.is_empty() && report.messages.is_empty());
    vdisks[0].spec.history_bytes = Some(HISTORY + 40 * MIB);
    let (mut machine, report) = reopened(machine, &mut handle, &vdisks);
    assert!(report.messages.is_empty(), "{report:?}");
    let entry = &machine.set.label().histories()[0];
    assert_eq!(entry.area_bytes(), HISTORY + 40 * MIB);
    assert!(entry.extents().len() > 1, "{entry:?}");
    let second = fill(&mut machine);
    assert!(
        first > 20 && second > 15,
        "{first} and {second} times 1 MiB"
    );
    assert!(moment(&mut machine, "small", SMALL) == old_data());
    let before = machine.read(0, 0, LARGE).expect("readable");
    machine.flush(0).expect("a flush");
    let (mut machine, _) = reopened(machine, &mut handle, &vdisks);
    assert!(machine.read(0, 0, LARGE).expect("readable") == before);
    assert!(moment(&mut machine, "small", SMALL) == old_data());
    machine.set.abandon();
}

#[test]
fn a_crash_at_any_write_of_a_larger_log_is_finished_by_the_next_start() {
    let now = Nanos::from_secs(10);
    let vdisks = with_max(HISTORY + 3 * MIB);
    let slots = |machine: &Machine<TestDisk>| {
        let report = machine.set.history(machine.handle(0)).expect("a history");
        report.status.units / 256
    };
    let mut points = 0..1;
    while let Some(point) = points.next() {
        let disk = base(DIRTY);
        let handle = disk.handle();
        if point > 0 {
            handle.freeze_at(point - 1);
        }
        let opened = open(disk, &vdisks, Format::Refuse, now);
        if point == 0 {
            opened.expect("it grows").0.set.abandon();
            points.end = handle.operations() + 1;
            continue;
        }
        assert!(opened.map(drop).is_err(), "the power fails");
        let disk = crash(&handle, point);
        let opened = open(disk, &vdisks, Format::Refuse, now + Nanos::from_secs(1));
        let (mut machine, _) = opened.expect("the next start");
        assert_eq!(slots(&machine), 66, "point {point}");
        assert!(machine.read(0, 0, SMALL).expect("readable") == old_data());
        machine.write_fua(0, 0, &[7; 4096]).expect("a write");
        machine.set.abandon();
    }
    assert!(points.end > 10, "{points:?}");
}

#[test]
fn spaces_that_a_log_cannot_have_are_refused_and_nothing_is_changed() {
    let disk = base(BLANK);
    let mut handle = disk.handle();
    for (history_bytes, words) in [
        (HISTORY - MIB, "does not shrink: write \"max\": \"64MiB\""),
        (HISTORY + 7 * MIB, "`db (its history)` needs 7MiB"),
        // 4096 slots of 1 MiB, and less than one more.
        (5 << 30, "write \"max\": \"4097MiB\" at most"),
        (1 << 40, "write \"max\": \"4097MiB\" at most"),
    ] {
        let disk = crash(&handle, 1);
        handle = disk.handle();
        let opened = open(
            disk,
            &with_max(history_bytes),
            Format::Refuse,
            Nanos::from_secs(9),
        );
        let refused = opened.map(drop).expect_err("it is refused").to_string();
        assert!(refused.contains(words), "{refused}");
        assert_eq!(handle.operations(), 0, "{words}: something is written");
    }
}
