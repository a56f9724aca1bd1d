//! Vdisks with a history whose disk fails for some seconds of virtual time: what clients hear
//! meanwhile, and that all goes on when the disk is well again.

mod common;

use common::histories::{HISTORY, clone_config, listener, open_at, wait, with_history};
use common::{BLANK, MIB, Machine, TestDisk, crash, new_disk};
use disktime_disks::{DiskErrorKind, Fault, FaultHandle, FaultKind, Operation};
use disktime_engine::{IoError, RequestKind, Service};
use disktime_history::{Moment, WhenFull};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use disktime_volumes::{Format, HistoryReport};
use std::ops::Range;

const QUANTUM: u32 = 128 << 10;
const DISK: u64 = 176 * MIB;
const SIZE: u64 = 4 * MIB;
const WINDOW_NS: u64 = 20_000_000_000;

/// A vdisk with a history, a full copy of it, and its disk.
struct World {
    machine: Machine<TestDisk>,
    handle: FaultHandle,
    copy: Vec<u8>,
    random: SplitMix64,
    when_full: WhenFull,
}

impl World {
    fn new(when_full: WhenFull) -> World {
        let disk = new_disk(DISK, 4096, 1);
        let handle = disk.handle();
        let vdisks = [with_history(SIZE, WINDOW_NS, when_full)];
        let disk = TestDisk::around(disk, QUANTUM);
        let opened = open_at(disk, &vdisks, BLANK, Nanos::ZERO);
        World {
            machine: opened.expect("it opens").0,
            handle,
            copy: vec![0; SIZE as usize],
            random: SplitMix64::new(9),
            when_full,
        }
    }

    /// Where the log lies on the disk.
    fn area(&self) -> Range<u64> {
        let (from, len) = self.machine.set.label().histories()[0].extents()[0];
        assert_eq!(len, HISTORY);
        from..from + len
    }

    fn fail_writes(&self, ranges: &[Range<u64>], kind: DiskErrorKind) {
        for range in ranges {
            self.handle.inject(Fault {
                range_bytes: range.clone(),
                ..Fault::every(Operation::Write, FaultKind::Error(kind))
            });
        }
    }

    /// A write of 256 KiB; where it fails, the content is what it was.
    fn write(&mut self) -> Result<(), IoError> {
        let offset = self.random.below(SIZE / 4096 - 64) * 4096;
        let data = vec![self.random.below(255) as u8 + 1; 256 << 10];
        self.machine.write(0, offset, &data)?;
        self.copy[offset as usize..offset as usize + data.len()].copy_from_slice(&data);
        Ok(())
    }

    /// Time passes without requests.
    fn pass(&mut self, time: Nanos) {
        let until = self.machine.now + time;
        while self.machine.now < until {
            assert!(self.machine.step(), "a history ticks");
        }
    }

    fn report(&self) -> HistoryReport {
        let vdisk = self.machine.handle(0);
        self.machine.set.history(vdisk).expect("a history")
    }

    fn check_content(&mut self, what: &str) {
        let read = self.machine.read(0, 0, SIZE).expect("it can be read");
        assert!(read == self.copy, "{what}");
    }

    /// What a power failure now leaves is what was flushed.
    fn check_after_power_failure(mut self, what: &str) {
        self.machine.flush(0).expect("a flush");
        let now = self.machine.now;
        self.machine.set.abandon();
        let vdisks = [with_history(SIZE, WINDOW_NS, self.when_full)];
        let disk = TestDisk::around(crash(&self.handle, 3), QUANTUM);
        let opened = open_at(disk, &vdisks, Format::Refuse, now);
        self.machine = opened.expect("it opens").0;
        self.check_content(what);
    }
}

#[test]
fn folds_go_on_when_the_image_can_be_written_again() {
    for when_full in [WhenFull::Refuse, WhenFull::Shorten] {
        for kind in [DiskErrorKind::NoSpace, DiskErrorKind::Io] {
            let what = format!("{when_full:?} {kind:?}");
            let mut world = World::new(when_full);
            let area = world.area();
            world.fail_writes(&[0..area.start, area.end..u64::MAX], kind);
            for _ in 0..300 {
                if world.write().is_err() {
                    break;
                }
            }
            assert_eq!(world.write(), Err(IoError::NoSpace), "{what}: it is full");
            world.pass(Nanos(2 * WINDOW_NS));
            assert_eq!(world.write(), Err(IoError::NoSpace), "{what}: it stays so");
            world.machine.flush(0).expect("flushes go on");
            world.check_content(&what);
            let report = world.report();
            let problem = report.fold_problem.expect("it is told");
            let cause = match kind {
                DiskErrorKind::NoSpace => "no space on the disk",
                _ => "the disk failed",
            };
            assert!(problem.contains(cause), "{what}: {problem}");
            assert_eq!(report.status.floor, 0, "{what}: nothing was folded");

            world.handle.clear_faults();
            world.pass(Nanos::from_secs(61));
            let report = world.report();
            assert_eq!(report.fold_problem, None, "{what}");
            assert!(report.status.floor > 0, "{what}: folds go on");
            for _ in 0..24 {
                world.write().expect("there is space again");
            }
            world.check_content(&what);
            world.check_after_power_failure(&what);
        }
    }
}

#[test]
fn writes_of_the_log_that_find_no_space_get_enospc_and_go_on_when_there_is_some() {
    for when_full in [WhenFull::Refuse, WhenFull::Shorten] {
        let mut world = World::new(when_full);
        for round in 0..6 {
            let what = format!("{when_full:?} round {round}");
            for _ in 0..world.random.below(30) {
                world.write().expect("there is space");
            }
            let area = world.area();
            world.fail_writes(&[area], DiskErrorKind::NoSpace);
            for _ in 0..3 {
                assert_eq!(world.write(), Err(IoError::NoSpace), "{what}");
                world.pass(Nanos::from_millis(1500));
            }
            world.machine.flush(0).expect("flushes go on");
            world.check_content(&what);
            assert!(world.report().status.is_out_of_space, "{what}");
            assert!(!world.report().is_broken, "{what}");
            let count = world.machine.set.no_space(world.machine.handle(0));
            assert!(count.expect("a vdisk").get() > 0, "{what}: it is counted");

            world.handle.clear_faults();
            world.pass(Nanos::from_secs(1));
            world.write().expect("there is space again");
            assert!(!world.report().status.is_out_of_space, "{what}");
            world.check_content(&what);
        }
        world.check_after_power_failure(&format!("{when_full:?}"));
    }
}

/// What a medium did with a write that it failed is not known, and the log cannot go around it.
#[test]
fn a_medium_error_of_the_log_fails_changes_until_the_next_start() {
    let mut world = World::new(WhenFull::Shorten);
    world.write().expect("a write");
    world.machine.flush(0).expect("a flush");
    let area = world.area();
    world.fail_writes(&[area], DiskErrorKind::Io);
    assert_eq!(world.write(), Err(IoError::Io));
    world.handle.clear_faults();
    world.pass(Nanos::from_secs(2));
    assert_eq!(world.write(), Err(IoError::Io));
    assert!(world.report().is_broken);
    world.check_content("reads go on");
}

/// A vdisk with a clone whose fold is in flight, up to the moment that the clone began with.
fn folding_with_a_clone() -> World {
    let mut world = World::new(WhenFull::Shorten);
    for _ in 0..45 {
        world.write().expect("there is space");
    }
    let vdisk = world.machine.handle(0);
    let newest = Moment::Seq(world.report().status.newest);
    let (heard, done) = listener();
    let config = clone_config("clone");
    world.machine.set.clone_vdisk(vdisk, &newest, config, done);
    wait(&mut world.machine, &heard).expect("a clone");
    world.machine.flush(0).expect("a flush");
    // What is in flight at a power failure is a write of the same bytes.
    let data = world.copy[..256 << 10].to_vec();
    let place = (0, data.len() as u64);
    while !world.report().status.is_folding {
        if world.machine.replies.pop().is_some() || world.machine.set.is_idle() {
            let write = RequestKind::Write;
            world.machine.submit(0, write, place, Some(&data), false);
        }
        assert!(world.machine.step(), "it folds");
    }
    for _ in 0..12 {
        world.machine.step();
    }
    assert!(world.report().status.is_folding, "the fold is in flight");
    world
}

/// A fold that a power failure interrupted goes on when the disk is opened again, which also opens
/// the moment that a clone begins with. Meanwhile a part of the log cannot be read for a while,
/// each in turn; the opening itself has read what it needs of it.
#[test]
fn a_fold_that_fails_while_a_disk_is_opened_is_tried_again() {
    let vdisks = [with_history(SIZE, WINDOW_NS, WhenFull::Shorten)];
    let mut failed = 0_u32;
    for part in 0..8 {
        let mut world = folding_with_a_clone();
        let (now, area) = (world.machine.now, world.area());
        world.machine.set.abandon();
        let disk = crash(&world.handle, 3);
        world.handle = disk.handle();
        let begins = area.start + part * MIB;
        world.handle.inject(Fault {
            range_bytes: begins..begins + MIB,
            skip: 1,
            times: Some(8),
            ..Fault::every(Operation::Read, FaultKind::Error(DiskErrorKind::Io))
        });
        let disk = TestDisk::around(disk, QUANTUM);
        let opened = open_at(disk, &vdisks, Format::Refuse, now);
        world.machine = opened.expect("it opens").0;
        let report = world.report();
        assert!(report.status.floor < report.status.oldest_restorable);
        if report.fold_problem.is_none() {
            // What failed was read before the fold, or is not read by it.
            world.machine.set.abandon();
            continue;
        }
        failed += 1;
        world.pass(Nanos::from_secs(5));
        let report = world.report();
        assert_eq!(report.fold_problem, None, "part {part}");
        let expected = report.status.oldest_restorable;
        assert_eq!(report.status.floor, expected, "part {part}: it is folded");
        world.check_content(&format!("part {part}"));
    }
    assert!(failed > 0, "no fold failed while the disk was opened");
}
