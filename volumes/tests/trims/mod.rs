//! What becomes of trims: held ones read as zeroes at once, survive a crash once they were flushed,
//! and reach the disk in spare time; ignored ones change nothing.

use crate::common::{
    BLANK, DIRTY, MIB, Machine, TestDisk, configs, disk_for, disk_loop, options, service,
};
use disktime_disks::{Fault, FaultDisk, FaultHandle, FaultKind, Operation};
use disktime_engine::{Limit, PolicyKind, RequestKind, Service, StreamConfig};
use disktime_random::SplitMix64;
use disktime_units::{BackgroundWork, ByBackgroundWork, Nanos, Share, TrimHandling};
use disktime_volumes::{Format, OpenOptions, VdiskConfig, VirtualDriver, VolumeSet};

const CHUNK: u64 = 64 << 10;

fn open(disk: FaultDisk, format: Format, trims: TrimHandling) -> Machine<TestDisk> {
    open_with(disk, format, trims, |_| StreamConfig::BEST_EFFORT)
}

fn open_with(
    disk: FaultDisk,
    format: Format,
    trims: TrimHandling,
    background: fn(BackgroundWork) -> StreamConfig,
) -> Machine<TestDisk> {
    let vdisks: Vec<VdiskConfig> = configs(&[("a", 2 * MIB)])
        .into_iter()
        .map(|mut vdisk| {
            vdisk.trims = trims;
            vdisk.spec.maps_holes = trims == TrimHandling::Hold;
            vdisk
        })
        .collect();
    let disk_loop = disk_loop(TestDisk::around(disk, 128 << 10), PolicyKind::Fahrrad, 64);
    let mut driver = VirtualDriver::default();
    let options = OpenOptions {
        background: ByBackgroundWork::from_fn(background),
        ..options(format)
    };
    let opened = VolumeSet::open(disk_loop, &mut driver, &vdisks, options);
    Machine::around(opened.expect("the disk is in order").0, driver.now)
}

fn holding(disk: FaultDisk, format: Format) -> Machine<TestDisk> {
    open(disk, format, TrimHandling::Hold)
}

/// How much is held.
fn held(machine: &Machine<TestDisk>) -> u64 {
    let held = machine.set.held_trims(machine.handle(0));
    held.expect("its trims are held").get()
}

/// A request, up to its answer and no further.
fn ask(machine: &mut Machine<TestDisk>, kind: RequestKind, place: (u64, u64)) {
    let data = vec![0xA5; place.1 as usize];
    let data = (kind == RequestKind::Write).then_some(data.as_slice());
    let submitted = machine.submit(0, kind, place, data, false);
    assert!(submitted.is_some(), "the queue is empty");
    loop {
        let goes_on = machine.step();
        if !machine.replies.is_empty() {
            break;
        }
        assert!(goes_on, "{kind:?} is not answered");
    }
    let reply = machine.replies.remove(0);
    assert_eq!(reply.result, Ok(()), "{kind:?}");
}

fn disk(format: Format) -> (FaultDisk, FaultHandle) {
    let disk = disk_for(format, 16 * MIB);
    let handle = disk.handle();
    (disk, handle)
}

#[test]
fn a_held_trim_is_answered_at_once_and_reaches_the_disk_when_it_is_idle() {
    for format in [BLANK, DIRTY] {
        let (disk, handle) = disk(format);
        let mut machine = holding(disk, format);
        machine.settle();
        ask(&mut machine, RequestKind::Write, (0, MIB));
        ask(&mut machine, RequestKind::Flush, (0, 0));
        let before = handle.operations();
        ask(&mut machine, RequestKind::Trim, (CHUNK / 2, 8 * CHUNK));
        assert_eq!(handle.operations(), before, "no I/O");
        // The half chunks at both ends keep what they hold.
        assert_eq!(held(&machine), 7 * CHUNK);
        ask(&mut machine, RequestKind::Flush, (0, 0));
        assert_eq!(held(&machine), 7 * CHUNK, "the disk was not idle yet");
        machine.settle();
        assert_eq!(held(&machine), 0);
        let bytes = machine.read(0, 0, 9 * CHUNK).expect("it reads");
        let kept = |at: u64| !(CHUNK..8 * CHUNK).contains(&at);
        for (at, byte) in (0..).zip(bytes) {
            assert_eq!(byte, if kept(at) { 0xA5 } else { 0 }, "at {at}");
        }
    }
}

/// Nothing is discarded before the map that says so is on the disk, also without a flush of a
/// client: the server writes it itself once the disk is idle.
#[test]
fn a_crash_at_any_moment_leaves_what_was_written_or_zeroes() {
    for format in [BLANK, DIRTY] {
        for stop in 0.. {
            let (disk, handle) = disk(format);
            let mut machine = holding(disk, format);
            machine.settle();
            ask(&mut machine, RequestKind::Write, (0, MIB));
            ask(&mut machine, RequestKind::Flush, (0, 0));
            let first = handle.operations();
            ask(&mut machine, RequestKind::Trim, (0, 4 * CHUNK));
            handle.freeze_at(first + stop);
            while machine.step() && !handle.is_frozen() {}
            let is_over = !handle.is_frozen();
            machine.set.abandon();
            let mut random = SplitMix64::new(stop);
            let after = handle.crash(&mut random, service());
            let mut machine = holding(after, Format::Refuse);
            let bytes = machine.read(0, 0, MIB).expect("it reads");
            for (at, chunk) in bytes.chunks_exact(CHUNK as usize).enumerate() {
                let is = |value: u8| chunk.iter().all(|byte| *byte == value);
                assert!(is(0xA5) || (at < 4 && is(0)), "chunk {at}, stop {stop}");
                assert!(!is_over || at >= 4 || is(0), "chunk {at} was told");
            }
            if is_over {
                break;
            }
        }
    }
}

/// What was flushed is a hole after a crash, and the next server tells the disk of it.
#[test]
fn a_flushed_trim_reads_zero_after_a_crash_and_is_held_again() {
    for seed in 0..8 {
        let (disk, handle) = disk(DIRTY);
        let mut machine = holding(disk, DIRTY);
        machine.settle();
        ask(&mut machine, RequestKind::Write, (0, 2 * MIB));
        ask(&mut machine, RequestKind::Flush, (0, 0));
        ask(&mut machine, RequestKind::Trim, (0, MIB));
        ask(&mut machine, RequestKind::Flush, (0, 0));
        machine.set.abandon();
        let after = handle.crash(&mut SplitMix64::new(seed), service());
        let mut machine = holding(after, Format::Refuse);
        assert_eq!(held(&machine), MIB, "it cannot tell what the disk knows");
        let zeroes = machine.read(0, 0, MIB).expect("it reads");
        assert!(zeroes.iter().all(|byte| *byte == 0));
        machine.settle();
        assert_eq!(held(&machine), 0);
    }
}

/// Beside clients that never pause the disk is told all the same, now and then.
#[test]
fn a_disk_that_is_never_idle_is_told_as_well() {
    let (disk, _) = disk(DIRTY);
    let mut machine = holding(disk, DIRTY);
    machine.settle();
    ask(&mut machine, RequestKind::Write, (0, 2 * MIB));
    ask(&mut machine, RequestKind::Trim, (0, MIB));
    ask(&mut machine, RequestKind::Flush, (0, 0));
    let from = machine.now;
    while held(&machine) > 0 {
        ask(&mut machine, RequestKind::Read, (MIB, 4096));
        assert!(machine.now < from + Nanos::from_secs(5), "it was not told");
    }
}

/// Steps until that is so.
fn steps_until(
    machine: &mut Machine<TestDisk>,
    what: &str,
    is_so: impl Fn(&Machine<TestDisk>) -> bool,
) {
    while !is_so(machine) {
        let goes_on = machine.step();
        assert!(goes_on || is_so(machine), "not so: {what}");
    }
}

/// A machine whose disk is full of reads that take a minute, with a discard of a held trim queued
/// behind them.
fn with_a_queued_discard() -> (Machine<TestDisk>, FaultHandle) {
    let (disk, handle) = disk(DIRTY);
    let mut machine = holding(disk, DIRTY);
    machine.settle();
    ask(&mut machine, RequestKind::Write, (0, 2 * MIB));
    // The next one goes long after one that took long.
    let delay = FaultKind::Delay(Nanos::from_millis(20));
    handle.inject(Fault::every(Operation::Discard, delay));
    ask(&mut machine, RequestKind::Trim, (0, CHUNK));
    machine.settle();
    handle.clear_faults();
    ask(&mut machine, RequestKind::Write, (0, CHUNK));
    ask(&mut machine, RequestKind::Trim, (0, MIB));
    ask(&mut machine, RequestKind::Flush, (0, 0));
    assert_eq!(held(&machine), MIB);
    handle.inject(Fault::every(
        Operation::Read,
        FaultKind::Delay(Nanos::from_secs(60)),
    ));
    for number in 0..8 {
        let place = (MIB + number * 2 * CHUNK, 4096);
        let read = machine.submit(0, RequestKind::Read, place, None, false);
        assert!(read.is_some());
    }
    let before = handle.operations();
    steps_until(&mut machine, "it goes beside the reads", |machine| {
        held(machine) < MIB
    });
    assert!(machine.replies.is_empty());
    assert_eq!(handle.operations(), before, "the disk has it");
    (machine, handle)
}

/// A write does not wait for a discard of its range that the disk does not have yet, and what it
/// did not need stays held.
#[test]
fn a_write_takes_the_place_of_a_queued_discard_of_its_range() {
    let (mut machine, handle) = with_a_queued_discard();
    handle.clear_faults();
    handle.inject(Fault::every(Operation::Discard, FaultKind::Stuck));
    let data = [7; 4096];
    let place = (CHUNK, 4096);
    let write = machine.submit(0, RequestKind::Write, place, Some(&data), false);
    let write = write.expect("there is room");
    assert_eq!(held(&machine), MIB - CHUNK, "all but what is written to");
    steps_until(&mut machine, "the write waits for no discard", |machine| {
        machine.replies.iter().any(|reply| reply.handle == write)
    });
    handle.clear_faults();
    handle.release_stuck(machine.now);
    machine.settle();
    assert_eq!(held(&machine), 0, "the rest was told");
    let bytes = machine.read(0, 0, 2 * CHUNK).expect("it reads");
    for (at, byte) in (0..).zip(bytes) {
        let is_data = (CHUNK..CHUNK + 4096).contains(&at);
        assert_eq!(byte, if is_data { 7 } else { 0 }, "at {at}");
    }
}

#[test]
fn a_write_waits_for_a_discard_that_the_disk_has() {
    let (disk, handle) = disk(DIRTY);
    let mut machine = holding(disk, DIRTY);
    machine.settle();
    ask(&mut machine, RequestKind::Write, (0, MIB));
    ask(&mut machine, RequestKind::Trim, (0, CHUNK));
    ask(&mut machine, RequestKind::Flush, (0, 0));
    handle.inject(Fault::every(Operation::Discard, FaultKind::Stuck));
    machine.step();
    steps_until(&mut machine, "it is told", |machine| held(machine) == 0);
    machine.step();
    let write = machine.submit(0, RequestKind::Write, (0, 4096), Some(&[7; 4096]), false);
    write.expect("there is room");
    while machine.step() {}
    assert!(machine.replies.is_empty(), "the disk may discard it yet");
    handle.clear_faults();
    handle.release_stuck(machine.now);
    assert_eq!(machine.settle().len(), 1);
    assert_eq!(machine.read(0, 0, 2), Ok(vec![7, 7]));
}

/// What waits for spare time is for the next server.
#[test]
fn a_stop_waits_for_no_held_trim() {
    let (mut machine, handle) = with_a_queued_discard();
    machine.set.begin_stop();
    assert_eq!(held(&machine), MIB, "all is held again");
    let before = handle.operations();
    steps_until(&mut machine, "it is idle", |machine| machine.set.is_idle());
    assert_eq!(handle.operations(), before, "nothing was discarded");
    assert_eq!(machine.replies.len(), 8);
    machine.now += Nanos::from_secs(100);
    machine.set.turn(machine.now, &mut machine.replies);
    assert_eq!((held(&machine), handle.operations()), (MIB, before));
}

#[test]
fn a_vdisk_that_is_removed_waits_for_no_held_trim() {
    let (mut machine, handle) = with_a_queued_discard();
    let before = handle.operations();
    let uuid = machine.set.remove(machine.handle(0)).expect("it is served");
    steps_until(&mut machine, "it leaves", |machine| {
        !machine.set.is_leaving(uuid)
    });
    let flushes = 1;
    assert_eq!(handle.operations() - before, flushes);
    machine.settle();
}

/// A vdisk that writes to new chunks all the time always has a map that is behind.
#[test]
fn a_vdisk_that_keeps_allocating_has_its_trims_told() {
    let (disk, _) = self::disk(DIRTY);
    let mut machine = holding(disk, DIRTY);
    machine.settle();
    ask(&mut machine, RequestKind::Write, (0, 4 * CHUNK));
    ask(&mut machine, RequestKind::Trim, (0, 4 * CHUNK));
    let from = machine.now;
    for number in 0.. {
        // New chunks, that were made holes before.
        let place = (MIB + number % 8 * 2 * CHUNK, CHUNK);
        ask(&mut machine, RequestKind::Trim, place);
        ask(&mut machine, RequestKind::Write, place);
        if held(&machine) == 0 {
            break;
        }
        assert!(machine.now < from + Nanos::from_secs(20), "it was not told");
    }
}

/// Where the background stream gets no time the vdisk pays for its own trims.
#[test]
fn a_held_trim_that_finds_no_spare_time_is_sent_as_the_vdisks_own() {
    let (disk, handle) = self::disk(DIRTY);
    let mut machine = open_with(disk, DIRTY, TrimHandling::Hold, |work| match work {
        BackgroundWork::Trims => StreamConfig {
            limit: Some(Limit {
                share: Share(1),
                period: Nanos::from_secs(600),
            }),
            ..StreamConfig::BEST_EFFORT
        },
        _ => StreamConfig::BEST_EFFORT,
    });
    // All of a disk that may hold anything is held.
    assert_eq!(held(&machine), 2 * MIB);
    let before = handle.operations();
    steps_until(&mut machine, "it is told", |machine| held(machine) == 0);
    // The first one goes at once; each of the others would wait for ten minutes.
    let took = machine.now;
    assert!(took < Nanos::from_secs(60), "{took}");
    machine.settle();
    assert!(handle.operations() - before >= 2 * MIB / (128 << 10));
}

#[test]
fn a_vdisk_that_cannot_hold_its_trims_is_named_when_it_is_added_too() {
    let mut vdisks = configs(&[("a", 2 * MIB), ("b", 2 * MIB)]);
    vdisks[1].trims = TrimHandling::Hold;
    let disk_loop = disk_loop(
        TestDisk::around(disk(BLANK).0, 128 << 10),
        PolicyKind::Fahrrad,
        64,
    );
    let mut driver = VirtualDriver::default();
    let opened = VolumeSet::open(disk_loop, &mut driver, &vdisks, options(BLANK));
    let (set, report) = opened.expect("the disk is in order");
    let mut machine = Machine::around(set, driver.now);
    let is_told = |notices: &[String]| {
        let told = notices
            .iter()
            .filter(|told| told.contains("vdisk `b` has space without"));
        told.count() == 1
    };
    assert!(is_told(&report.messages), "{report:?}");
    assert!(is_told(&machine.set.notices()));
    machine.set.remove(machine.handle(1)).expect("it is served");
    machine.settle();
    assert!(machine.set.notices().is_empty());
    let added = machine.set.add(&mut driver, &vdisks[1]);
    added.expect("it is on the disk");
    assert!(is_told(&machine.set.notices()));
    machine.settle();
}

/// Whatever overlaps: a range that is written again is never given back.
#[test]
fn held_trims_never_reach_what_was_written_since() {
    for seed in 0..12 {
        let mut random = SplitMix64::new(seed);
        let format = if seed % 2 == 0 { BLANK } else { DIRTY };
        let mut machine = holding(disk(format).0, format);
        let mut model = vec![0u8; 2 * MIB as usize];
        for _ in 0..300 {
            let start = random.below(2 * MIB - 4096) / 512 * 512;
            let most = (2 * MIB - start).min(4 * CHUNK);
            let len = (512 + random.below(most) / 512 * 512).min(most);
            let place = (start, len);
            let range = start as usize..(start + len) as usize;
            match random.below(10) {
                0..=3 => {
                    ask(&mut machine, RequestKind::Write, place);
                    model[range].fill(0xA5);
                }
                4..=6 => {
                    ask(&mut machine, RequestKind::Trim, place);
                    let first = start.next_multiple_of(CHUNK);
                    let last = (start + len) / CHUNK * CHUNK;
                    if first < last {
                        model[first as usize..last as usize].fill(0);
                    }
                }
                7 => {
                    ask(&mut machine, RequestKind::WriteZeroes, place);
                    model[range].fill(0);
                }
                8 => ask(&mut machine, RequestKind::Flush, (0, 0)),
                _ => drop(machine.settle()),
            }
        }
        let bytes = machine.read(0, 0, 2 * MIB).expect("it reads");
        let differs = bytes.iter().zip(&model).position(|(is, was)| is != was);
        assert_eq!(differs, None, "seed {seed}");
    }
}

#[test]
fn an_ignored_trim_changes_nothing() {
    let (disk, handle) = disk(DIRTY);
    let mut machine = open(disk, DIRTY, TrimHandling::Ignore);
    ask(&mut machine, RequestKind::Write, (0, MIB));
    let changed = machine.set.last_change(machine.handle(0)).expect("served");
    let (before, when) = (handle.operations(), changed.since_1970_ns());
    machine.now += Nanos::from_secs(3);
    ask(&mut machine, RequestKind::Trim, (0, MIB));
    assert_eq!(handle.operations(), before);
    assert_eq!(changed.since_1970_ns(), when, "its time stays");
    let bytes = machine.read(0, 0, MIB).expect("it reads");
    assert!(bytes.iter().all(|byte| *byte == 0xA5));
}
