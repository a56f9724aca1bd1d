//! What a vdisk knows of its holes: never written, trimmed, zeroed; and what that saves.

mod common;
mod space;

use common::{BLANK, DIRTY, MIB, Machine, TestDisk, crash, linear_disk, new_disk, open, soil};
use disktime_disks::{Disk, FaultHandle, VirtualLinearDisk};
use disktime_engine::{Buffer, Extent, IoError, ReplyDetail, Request, RequestKind, Service};
use disktime_random::SplitMix64;
use disktime_volumes::Format;

const CHUNK: u64 = 64 << 10;

fn blank() -> Machine<VirtualLinearDisk> {
    let specs = [("a", 4 * MIB + 100)];
    open(linear_disk(32 * MIB), &specs, BLANK).expect("open").0
}

/// A disk that held something else before.
fn dirty() -> Machine<TestDisk> {
    let mut disk = new_disk(16 * MIB, 4096, 1);
    soil(&mut disk);
    let disk = TestDisk::around(disk, 128 << 10);
    open(disk, &[("a", 4 * MIB + 100)], DIRTY).expect("open").0
}

/// The ranges that hold data, as far as is known; the rest is reported as a hole of zeroes. As
/// much is counted as stored.
fn held<D: Disk>(machine: &mut Machine<D>) -> Vec<(u64, u64)> {
    let (mut at, mut found) = (0, Vec::new());
    for extent in machine.status(0, (0, 4 * MIB + 100)) {
        assert_eq!(extent.hole, extent.zero);
        if !extent.zero {
            found.push((at, at + extent.len_bytes));
        }
        at += extent.len_bytes;
    }
    assert_eq!(at, 4 * MIB + 100);
    let chunks = |(start, end): &(u64, u64)| end.div_ceil(CHUNK) - start / CHUNK;
    let stored = machine
        .set
        .stored(machine.handle(0))
        .expect("it has one")
        .get();
    assert_eq!(stored, found.iter().map(chunks).sum::<u64>() * CHUNK);
    found
}

fn call<D: Disk>(machine: &mut Machine<D>, kind: RequestKind, start: u64, end: u64) {
    let done = machine.call(0, kind, (start, end - start), None, false);
    assert_eq!(done.map(drop), Ok(()), "{kind:?} of {start}..{end}");
}

/// What both kinds of space have in common.
fn story<D: Disk>(machine: &mut Machine<D>) {
    assert_eq!(held(machine), [], "nothing was written yet");
    machine.write(0, 3 * CHUNK + 5, &[7; 10]).expect("write");
    machine.write(0, 4 * MIB + 50, &[8; 50]).expect("write");
    let last = (4 * MIB, 4 * MIB + 100);
    assert_eq!(held(machine), [(3 * CHUNK, 4 * CHUNK), last]);
    // Less than a chunk is not known of.
    call(machine, RequestKind::WriteZeroes, 3 * CHUNK, 4 * CHUNK - 1);
    assert_eq!(held(machine), [(3 * CHUNK, 4 * CHUNK), last]);
    call(machine, RequestKind::WriteZeroes, 3 * CHUNK - 1, 4 * CHUNK);
    assert_eq!(held(machine), [last]);
    // The last chunk is whole although the vdisk ends in it.
    call(machine, RequestKind::WriteZeroes, 4 * MIB, 4 * MIB + 100);
    assert_eq!(held(machine), []);
    machine
        .write(0, CHUNK, &[9; 2 * CHUNK as usize])
        .expect("write");
    call(machine, RequestKind::Trim, CHUNK, 2 * CHUNK);
    assert_eq!(held(machine), [(2 * CHUNK, 3 * CHUNK)]);
    assert_eq!(machine.read(0, CHUNK, CHUNK), Ok(vec![0; CHUNK as usize]));
    assert_eq!(machine.read(0, 2 * CHUNK, 2), Ok(vec![9; 2]));
    call(machine, RequestKind::ZeroKeepingSpace, 2 * CHUNK, 3 * CHUNK);
    assert_eq!(held(machine), [(2 * CHUNK, 3 * CHUNK)], "its space is kept");
    assert_eq!(machine.read(0, 2 * CHUNK, 2), Ok(vec![0; 2]));
}

#[test]
fn space_that_was_zeroes_knows_its_holes() {
    story(&mut blank());
    let mut machine = blank();
    call(&mut machine, RequestKind::ZeroKeepingSpace, 0, CHUNK);
    assert_eq!(held(&mut machine), [(0, CHUNK)], "its space is taken");
}

#[test]
fn space_with_a_map_knows_its_holes() {
    story(&mut dirty());
}

#[test]
fn holes_with_a_map_are_read_and_zeroed_without_the_disk() {
    let mut machine = dirty();
    machine
        .write(0, 0, &[7; 4 * CHUNK as usize])
        .expect("write");
    let before = machine.now;
    call(&mut machine, RequestKind::ZeroFast, 0, 2 * CHUNK);
    call(&mut machine, RequestKind::ZeroFast, CHUNK, 3 * CHUNK);
    let zeroes = vec![0; 3 * CHUNK as usize];
    assert_eq!(machine.read(0, 0, 3 * CHUNK), Ok(zeroes));
    assert_eq!(machine.now, before, "the disk was asked");
}

#[test]
fn a_fast_zeroing_that_would_write_is_refused_and_changes_nothing() {
    let mut machine = dirty();
    machine.write(0, 0, &[7; CHUNK as usize]).expect("write");
    let place = (4096, 8192);
    let refused = machine.call(0, RequestKind::ZeroFast, place, None, false);
    assert_eq!(refused.map(drop), Err(IoError::NotSupported));
    assert_eq!(machine.read(0, 4096, 4), Ok(vec![7; 4]));
    // Never written, so there is nothing to do.
    call(
        &mut machine,
        RequestKind::ZeroFast,
        2 * CHUNK + 5,
        2 * CHUNK + 6,
    );
    let mut machine = blank();
    machine.write(0, 0, &[7; CHUNK as usize]).expect("write");
    call(&mut machine, RequestKind::ZeroFast, 0, CHUNK);
    assert_eq!(machine.read(0, 0, 4), Ok(vec![0; 4]));
}

#[test]
fn holes_survive_what_a_flush_survives() {
    let mut disk = new_disk(16 * MIB, 4096, 3);
    soil(&mut disk);
    let handle = disk.handle();
    let disk = TestDisk::around(disk, 128 << 10);
    let specs = [("a", 4 * MIB + 100)];
    let (mut machine, _) = open(disk, &specs, DIRTY).expect("open");
    machine
        .write(0, 0, &[7; 4 * CHUNK as usize])
        .expect("write");
    machine.flush(0).expect("flush");
    call(&mut machine, RequestKind::WriteZeroes, 0, CHUNK);
    machine.flush(0).expect("flush");
    let place = (CHUNK, CHUNK);
    let durable = machine.call(0, RequestKind::WriteZeroes, place, None, true);
    assert_eq!(durable.map(drop), Ok(()));
    // The second finds the hole that the first made, which is not durable by itself.
    let place = (2 * CHUNK, CHUNK);
    for (kind, fua) in [
        (RequestKind::WriteZeroes, false),
        (RequestKind::ZeroKeepingSpace, true),
    ] {
        let zeroed = machine.call(0, kind, place, None, fua);
        assert_eq!(zeroed.map(drop), Ok(()));
    }
    let disk = TestDisk::around(crash(&handle, 5), 128 << 10);
    drop(machine);
    let (mut machine, _) = open(disk, &specs, Format::Refuse).expect("open");
    assert_eq!(held(&mut machine), [(3 * CHUNK, 4 * CHUNK)]);
    assert_eq!(
        machine.read(0, 0, 3 * CHUNK),
        Ok(vec![0; 3 * CHUNK as usize])
    );
}

/// A chunk whose bit is on the disk is zeroed, so the bit is cleared in memory; then a durable
/// write and a flush that saves the cleared bit overlap in every way. The write must not be lost.
#[test]
fn a_durable_write_into_a_fresh_hole_survives_a_flush_at_the_same_time() {
    for steps in 0..40 {
        let mut disk = new_disk(16 * MIB, 4096, steps);
        soil(&mut disk);
        let handle = disk.handle();
        let specs = [("a", 4 * MIB + 100)];
        let disk = TestDisk::around(disk, 128 << 10);
        let (mut machine, _) = open(disk, &specs, DIRTY).expect("open");
        machine.write(0, 0, &[7; CHUNK as usize]).expect("write");
        machine.flush(0).expect("flush");
        call(&mut machine, RequestKind::WriteZeroes, 0, CHUNK);
        let first = if steps % 2 == 0 {
            RequestKind::Write
        } else {
            RequestKind::Flush
        };
        for kind in [first, RequestKind::Write, RequestKind::Flush] {
            if kind == RequestKind::Write {
                machine.submit(0, kind, (10, 5), Some(b"hello"), true);
            } else {
                machine.submit(0, kind, (0, 0), None, false);
            }
            for _ in 0..steps / 2 {
                machine.step();
            }
        }
        assert!(machine.settle().iter().all(|reply| reply.result.is_ok()));
        let disk = TestDisk::around(crash(&handle, steps), 128 << 10);
        drop(machine);
        let (mut machine, _) = open(disk, &specs, Format::Refuse).expect("open");
        let mut expected = vec![0; 20];
        expected[10..15].copy_from_slice(b"hello");
        assert_eq!(machine.read(0, 0, 20), Ok(expected), "{steps} steps");
    }
}

/// A write that comes while its chunk is trimmed, or just before, is never called a hole.
fn overlap<D: Disk>(mut machine: Machine<D>) {
    let kinds = [
        RequestKind::Trim,
        RequestKind::WriteZeroes,
        RequestKind::ZeroFast,
    ];
    for (round, kind) in kinds.into_iter().cycle().take(30).enumerate() {
        // Whole blocks: what is less has its block alone anyway.
        let data = [round as u8 + 1; 4096];
        let at = CHUNK + 4096 * (round as u64 % 10);
        machine.submit(0, RequestKind::Write, (at, 4096), Some(&data), false);
        machine.submit(0, kind, (0, 3 * CHUNK), None, false);
        for _ in 0..round % 5 {
            machine.step();
        }
        machine.submit(0, RequestKind::Write, (at, 4096), Some(&data), false);
        machine.settle();
        assert_eq!(machine.read(0, at, 4096), Ok(data.to_vec()), "{kind:?}");
        assert_eq!(held(&mut machine), [(CHUNK, 2 * CHUNK)]);
    }
}

#[test]
fn writes_and_trims_at_the_same_place_keep_their_order() {
    overlap(blank());
    overlap(dirty());
}

/// The ranges of a read that its answer calls zeroes; they are.
#[track_caller]
fn told_zeroes<D: Disk>(machine: &mut Machine<D>, start: u64, len: u64) -> Vec<(u64, u64)> {
    machine.submit(0, RequestKind::Read, (start, len), None, false);
    let reply = machine.settle().remove(0);
    let data = reply.buffer.expect("its data");
    let ranges = match reply.detail {
        ReplyDetail::Zeroes {
            first_bytes,
            last_bytes,
            middle,
        } => [(0, first_bytes)]
            .into_iter()
            .chain(middle.runs())
            .chain([(len as u32 - last_bytes, len as u32)])
            .filter(|(from, to)| from < to)
            .collect(),
        _ => Vec::new(),
    };
    let place = |(from, to): (u32, u32)| {
        let zeroes = &data[from as usize..to as usize];
        assert!(zeroes.iter().all(|byte| *byte == 0), "{from}..{to}");
        (start + u64::from(from), start + u64::from(to))
    };
    ranges.into_iter().map(place).collect()
}

#[test]
fn reads_know_which_of_their_parts_are_holes() {
    let mut machine = blank();
    machine
        .write(0, 2 * CHUNK, &[7; 2 * CHUNK as usize])
        .expect("write");
    let mut told = |start: u64, end: u64| told_zeroes(&mut machine, start, end - start);
    let all = 4 * MIB + 100;
    assert_eq!(told(2 * CHUNK, 3 * CHUNK), []);
    assert_eq!(told(5, 10), [(5, 10)]);
    let start = 2 * CHUNK - 9;
    let ends = [(start, 2 * CHUNK), (4 * CHUNK, 4 * CHUNK + 3)];
    assert_eq!(told(start, 4 * CHUNK + 3), ends);
    assert_eq!(told(3 * CHUNK, all), [(4 * CHUNK, all)]);
    assert_eq!(told(0, all), [(0, 2 * CHUNK), (4 * CHUNK, all)]);
    machine.write(0, 7 * CHUNK, b"x").expect("write");
    let parts = [(2 * CHUNK - 1, 2 * CHUNK), (4 * CHUNK, 7 * CHUNK)];
    assert_eq!(told_zeroes(&mut machine, 2 * CHUNK - 1, 6 * CHUNK), parts);
}

/// What reads say of zeroes is what a status says, whatever was written, trimmed and zeroed.
fn as_a_status_says<D: Disk>(mut machine: Machine<D>, seed: u64) {
    let mut random = SplitMix64::new(seed);
    let mut below = move |limit: u64| random.below(limit);
    for _ in 0..150 {
        let (at, len) = (below(4 * MIB), 1 + below(5 * CHUNK));
        let end = (at + len).min(4 * MIB + 100);
        match below(4) {
            0 => call(&mut machine, RequestKind::Trim, at, end),
            1 => call(&mut machine, RequestKind::WriteZeroes, at, end),
            _ => machine.write(0, at, &[7; 100]).expect("write"),
        }
        // No longer than is known to the chunk.
        let (start, len) = (below(MIB), 1 + below(3 * MIB));
        let mut at = start;
        let mut expected = Vec::new();
        for extent in machine.status(0, (start, len)) {
            if extent.zero {
                expected.push((at, at + extent.len_bytes));
            }
            at += extent.len_bytes;
        }
        assert_eq!(told_zeroes(&mut machine, start, len), expected);
        held(&mut machine);
    }
}

#[test]
fn reads_know_of_the_holes_that_a_status_knows() {
    for seed in 1..5 {
        as_a_status_says(blank(), seed);
        as_a_status_says(dirty(), seed);
    }
}

#[test]
fn a_status_fits_into_the_room_that_it_is_given() {
    let mut machine = blank();
    for chunk in [1, 3, 5] {
        machine.write(0, chunk * CHUNK, b"x").expect("write");
    }
    for room in [1, 2, 4] {
        let request = Request {
            origin: 1,
            handle: 1000,
            vdisk: machine.handle(0),
            kind: RequestKind::Status,
            offset_bytes: 100,
            len_bytes: 4 * MIB,
            fua: false,
            buffer: Some(Buffer::zeroed(room * Extent::BYTES)),
        };
        machine
            .set
            .submit(machine.now, request)
            .expect("there is room");
        let replies = machine.settle();
        let told = replies[0]
            .buffer
            .as_deref()
            .map(|told| Extent::read_all(told).collect());
        let told: Vec<Extent> = told.expect("its buffer");
        assert_eq!(told.len(), room);
        assert_eq!(told[0].len_bytes, CHUNK - 100);
    }
    let beyond = machine.call(0, RequestKind::Status, (4 * MIB, 101), None, false);
    assert_eq!(beyond.map(drop), Err(IoError::Invalid));
}

/// A flush is for the whole disk, so one is enough, and one more for each vdisk whose zero map
/// changed.
#[test]
fn few_flushes_make_all_vdisks_durable() {
    let mut disk = new_disk(32 * MIB, 4096, 1);
    soil(&mut disk);
    let handle = disk.handle();
    let specs = [("a", MIB), ("b", MIB), ("c", MIB), ("d", MIB)];
    let disk = TestDisk::around(disk, 128 << 10);
    let (mut machine, _) = open(disk, &specs, DIRTY).expect("open");
    let to_flush = |machine: &Machine<TestDisk>| machine.set.vdisks_to_flush().len();
    assert_eq!(to_flush(&machine), 1);
    for vdisk in [1, 3] {
        machine.write(vdisk, 0, &[7; 4096]).expect("write");
    }
    assert_eq!(to_flush(&machine), 3, "a, b and d");
    for vdisk in [0, 1, 3] {
        machine.flush(vdisk).expect("flush");
    }
    assert_eq!(to_flush(&machine), 1);
    // The map has that chunk already; the data is covered by the flush of another vdisk.
    machine.write(3, 4096, &[8; 4096]).expect("write");
    assert_eq!(to_flush(&machine), 1);
    machine.flush(0).expect("flush");
    drop(machine);
    let disk = TestDisk::around(crash(&handle, 1), 128 << 10);
    let (mut machine, _) = open(disk, &specs, Format::Refuse).expect("open");
    assert_eq!(machine.read(1, 0, 4096), Ok(vec![7; 4096]));
    assert_eq!(
        machine.read(3, 0, 8192),
        Ok([[7; 4096], [8; 4096]].concat())
    );
    assert_eq!(machine.read(2, 0, 4096), Ok(vec![0; 4096]));
}

/// At the end of a disk a flush is for all of its vdisks, however many zero maps have changed.
#[test]
fn at_the_end_all_vdisks_share_a_few_flushes() {
    let mut disk = new_disk(256 * MIB, 4096, 1);
    soil(&mut disk);
    let handle = disk.handle();
    let names: Vec<String> = (0..60).map(|number| format!("v{number}")).collect();
    let specs: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), MIB)).collect();
    let disk = TestDisk::around(disk, 128 << 10);
    let (mut machine, _) = open(disk, &specs, DIRTY).expect("open");
    for vdisk in 0..60 {
        machine.write(vdisk, 0, &[7; 4096]).expect("write");
    }
    let before = handle.operations();
    machine.set.share_flushes();
    for vdisk in 0..60 {
        machine.submit(vdisk, RequestKind::Flush, (0, 0), None, false);
    }
    assert!(machine.settle().iter().all(|reply| reply.result.is_ok()));
    let blocks = 2 * 60;
    let flushes = handle.operations() - before - blocks;
    assert!((3..10).contains(&flushes), "{flushes} flushes");
    drop(machine);
    let disk = TestDisk::around(crash(&handle, 1), 128 << 10);
    let (mut machine, _) = open(disk, &specs, Format::Refuse).expect("open");
    for vdisk in 0..60 {
        assert_eq!(machine.read(vdisk, 0, 4096), Ok(vec![7; 4096]));
    }
}

/// A disk that held something else before, whose file system has so much left.
fn with_free_bytes(free_bytes: u64) -> (Machine<TestDisk>, FaultHandle) {
    let mut disk = new_disk(16 * MIB, 4096, 1);
    soil(&mut disk);
    let handle = disk.handle();
    let mut disk = TestDisk::around(disk, 128 << 10);
    disk.free.set(free_bytes);
    disk.tells_space = true;
    let specs = [("a", 4 * MIB + 100)];
    (open(disk, &specs, DIRTY).expect("open").0, handle)
}

#[test]
fn setting_space_aside_zeroes_the_holes_below_and_changes_nothing() {
    let (mut machine, handle) = with_free_bytes(1 << 40);
    machine.write(0, CHUNK + 5, &[7; 10]).expect("write");
    let before = handle.operations();
    call(&mut machine, RequestKind::Allocate, 100, 3 * CHUNK + 1);
    assert_eq!(handle.operations() - before, 2, "a hole on either side");
    let mut expected = vec![0; 4 * CHUNK as usize];
    expected[CHUNK as usize + 5..][..10].fill(7);
    assert_eq!(machine.read(0, 0, 4 * CHUNK), Ok(expected));
    call(&mut machine, RequestKind::Allocate, 0, 4 * MIB + 100);
    assert_eq!(machine.read(0, CHUNK + 5, 10), Ok(vec![7; 10]));
}

#[test]
fn space_that_cannot_be_there_is_refused_before_any_is_taken() {
    let (mut machine, handle) = with_free_bytes(2 * MIB);
    // Of these two, one is taken by it.
    machine.write(0, 0, &[7; MIB as usize]).expect("write");
    let before = handle.operations();
    let whole = (0, 4 * MIB + 100);
    let refused = machine.call(0, RequestKind::Allocate, whole, None, false);
    assert_eq!(refused.map(drop), Err(IoError::NoSpace));
    assert_eq!(handle.operations(), before);
    call(&mut machine, RequestKind::Allocate, MIB / 2, 2 * MIB);
    // Zeroes need no space where a map says that nothing is stored.
    call(&mut machine, RequestKind::ZeroKeepingSpace, 0, whole.1);
}
