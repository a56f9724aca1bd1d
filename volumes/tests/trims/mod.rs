//! What becomes of trims: held ones read as zeroes at once, survive a crash once they were flushed,
//! and reach the disk in spare time; ignored ones change nothing.

use crate::common::{
    BLANK, DIRTY, MIB, Machine, TestDisk, configs, disk_for, disk_loop, options, service,
};
use disktime_disks::{FaultDisk, FaultHandle};
use disktime_engine::{PolicyKind, RequestKind};
use disktime_random::SplitMix64;
use disktime_units::{Nanos, TrimHandling};
use disktime_volumes::{Format, VdiskConfig, VirtualDriver, VolumeSet};

const CHUNK: u64 = 64 << 10;

fn open(disk: FaultDisk, format: Format, trims: TrimHandling) -> Machine<TestDisk> {
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
    let opened = VolumeSet::open(disk_loop, &mut driver, &vdisks, options(format));
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
