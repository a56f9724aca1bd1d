//! The space of a vdisk on real files: what is given back, what is set aside, and what is known of
//! both before and after the disk is opened again.

mod cut;

use super::common::{BLANK, MIB, Machine, TestDisk, configs, disk_loop, new_disk, open, options};
use disktime_disks::{Disk, DiskErrorKind, DiskOptions, Fault, FaultKind, Operation, open_disk};
use disktime_engine::{IoError, PolicyKind, RequestKind};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use disktime_volumes::{Format, RealDriver, VolumeSet};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const CHUNK: u64 = 64 << 10;
const BLOCK: u64 = 4096;
const SIZE: u64 = 8 * MIB;

type RealMachine = Machine<Box<dyn Disk + Send>>;

/// Folders on the file systems that every machine has: one with FIEMAP, usually, and one without.
fn folders() -> Vec<tempfile::TempDir> {
    let mut folders = vec![tempfile::tempdir().expect("a temporary folder")];
    folders.extend(tempfile::tempdir_in("/dev/shm").ok());
    folders
}

fn driver() -> RealDriver<impl FnMut() -> Nanos> {
    RealDriver::new(|| Nanos::ZERO)
}

/// Serves a file with a vdisk `a`.
fn serve(path: &Path, has_seeks: bool, format: Format) -> RealMachine {
    let disk = open_disk(&DiskOptions {
        size_bytes: Some(16 * MIB),
        create: true,
        has_seeks: Some(has_seeks),
        ..DiskOptions::new(path)
    });
    let disk_loop = disk_loop(disk.expect("a disk"), PolicyKind::Fifo, 24);
    let vdisks = configs(&[("a", SIZE)]);
    let opened = VolumeSet::open(disk_loop, &mut driver(), &vdisks, options(format));
    Machine::around(opened.expect("a set").0, Nanos::ZERO)
}

fn again(machine: RealMachine, path: &Path, has_seeks: bool) -> RealMachine {
    drop(machine);
    serve(path, has_seeks, Format::Refuse)
}

/// Bytes of the file that have space; what is on its way to the disk counts.
fn blocks_bytes(path: &Path) -> u64 {
    let file = File::open(path).expect("it is there");
    file.sync_all().expect("a file system");
    file.metadata().expect("an open file").blocks() * 512
}

/// The list of a file's extents takes a few blocks itself.
#[track_caller]
fn is_about(path: &Path, expected: u64) {
    let found = blocks_bytes(path);
    let differs = found.abs_diff(expected);
    assert!(
        differs <= 4 * BLOCK,
        "{}: {found}, not {expected}",
        path.display()
    );
}

fn done(machine: &mut RealMachine, kind: RequestKind, start: u64, len: u64) {
    let done = machine.call(0, kind, (start, len), None, false);
    assert_eq!(done.map(drop), Ok(()), "{kind:?} of {len} from {start} on");
}

/// Begin, end, hole and zero of what a status says.
fn status<D: Disk>(machine: &mut Machine<D>, start: u64, len: u64) -> Vec<(u64, u64, bool, bool)> {
    let mut at = start;
    let extents = machine.status(0, (start, len));
    let places = extents.into_iter().map(|extent| {
        let from = at;
        at += extent.len_bytes;
        (from, at, extent.hole, extent.zero)
    });
    places.collect()
}

const DATA: (bool, bool) = (false, false);
const HOLE: (bool, bool) = (true, true);
const SET_ASIDE: (bool, bool) = (false, true);

fn is<D: Disk>(machine: &mut Machine<D>, expected: &[(u64, u64, (bool, bool))]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(from, to, (hole, zero))| (*from, *to, *hole, *zero))
        .collect();
    let (start, end) = (expected[0].0, expected.last().expect("not empty").1);
    assert_eq!(status(machine, start, end - start), expected);
}

/// With seeks or without, and whatever the file system.
fn each(story: impl Fn(&Path, bool)) {
    for folder in folders() {
        for has_seeks in [true, false] {
            let path: PathBuf = folder.path().join(format!("seeks-{has_seeks}.disk"));
            story(&path, has_seeks);
        }
    }
}

#[test]
fn zeroes_give_space_back_with_seeks_or_without() {
    each(|path, has_seeks| {
        let mut machine = serve(path, has_seeks, BLANK);
        machine.write(0, 0, &[7; 2 * MIB as usize]).expect("write");
        let before = blocks_bytes(path);
        done(&mut machine, RequestKind::WriteZeroes, 0, MIB);
        is_about(path, before - MIB);
        done(&mut machine, RequestKind::WriteZeroes, MIB + 1, 65 * BLOCK);
        is_about(path, before - MIB - 64 * BLOCK);
        is(&mut machine, &[(0, MIB, HOLE), (MIB, MIB + BLOCK, DATA)]);
        assert_eq!(machine.read(0, MIB, 2), Ok(vec![7, 0]));
        done(&mut machine, RequestKind::ZeroKeepingSpace, MIB, MIB);
        is_about(path, before - MIB);
    });
}

#[test]
fn a_trim_of_zeroes_that_have_space_reaches_the_file() {
    each(|path, has_seeks| {
        let mut machine = serve(path, has_seeks, BLANK);
        let before = blocks_bytes(path);
        for kind in [RequestKind::Allocate, RequestKind::ZeroKeepingSpace] {
            for is_opened_again in [false, true] {
                for gives_back in [RequestKind::Trim, RequestKind::WriteZeroes] {
                    done(&mut machine, kind, MIB, 2 * MIB);
                    is_about(path, before + 2 * MIB);
                    if is_opened_again {
                        machine = again(machine, path, has_seeks);
                    }
                    done(&mut machine, gives_back, MIB + BLOCK, MIB);
                    is_about(path, before + MIB);
                    done(&mut machine, gives_back, 0, SIZE);
                    is_about(path, before);
                    is(&mut machine, &[(0, SIZE, HOLE)]);
                }
            }
        }
    });
}

#[test]
fn what_is_set_aside_is_zeroes_and_no_hole_after_a_restart_too() {
    each(|path, has_seeks| {
        let mut machine = serve(path, has_seeks, BLANK);
        machine.write(0, MIB, &[7; BLOCK as usize]).expect("write");
        done(&mut machine, RequestKind::Allocate, MIB, MIB);
        let all = [
            (0, MIB, HOLE),
            (MIB, MIB + CHUNK, DATA),
            (MIB + CHUNK, 2 * MIB, SET_ASIDE),
            (2 * MIB, SIZE, HOLE),
        ];
        is(&mut machine, &all);
        let stored =
            |machine: &RealMachine| machine.set.stored(machine.handle(0)).map(|it| it.get());
        assert_eq!(stored(&machine), Some(MIB));
        let mut machine = again(machine, path, has_seeks);
        if path.starts_with("/dev/shm") {
            // It does not tell what is set aside: what may be none is called a hole.
            let is_hole = status(&mut machine, MIB + CHUNK, CHUNK)[0].2;
            assert!(is_hole);
            return;
        }
        is(&mut machine, &all);
        assert_eq!(stored(&machine), Some(MIB));
    });
}

#[test]
fn a_part_of_a_chunk_is_a_hole_where_the_file_has_one() {
    each(|path, has_seeks| {
        let mut machine = serve(path, has_seeks, BLANK);
        let at = 3 * CHUNK + 2 * BLOCK;
        machine.write(0, at, &[7; BLOCK as usize]).expect("write");
        machine.write(0, at + 3 * BLOCK + 5, b"x").expect("write");
        let mut all = vec![
            (0, at, HOLE),
            (at, at + BLOCK, DATA),
            (at + BLOCK, at + 3 * BLOCK, HOLE),
            (at + 3 * BLOCK, at + 4 * BLOCK, DATA),
            (at + 4 * BLOCK, MIB, HOLE),
        ];
        is(&mut machine, &all);
        machine = again(machine, path, has_seeks);
        is(&mut machine, &all);
        done(&mut machine, RequestKind::Trim, at, BLOCK);
        all.splice(0..3, [(0, at + 3 * BLOCK, HOLE)]);
        is(&mut machine, &all);
        machine = again(machine, path, has_seeks);
        is(&mut machine, &all);
    });
}

/// Where a zero map says what was written, what lay there before has its space.
#[test]
fn below_a_zero_map_the_space_is_given_back_too() {
    each(|path, has_seeks| {
        std::fs::write(path, vec![0xEB; 16 * MIB as usize]).expect("writable");
        let force = Format::Force { known_zero: false };
        let mut machine = serve(path, has_seeks, force);
        is(&mut machine, &[(0, SIZE, SET_ASIDE)]);
        machine.write(0, CHUNK, b"x").expect("write");
        let before = blocks_bytes(path);
        done(&mut machine, RequestKind::WriteZeroes, 0, MIB + 5);
        is_about(path, before - MIB);
        done(&mut machine, RequestKind::Trim, MIB, MIB);
        is_about(path, before - 2 * MIB);
        is(
            &mut machine,
            &[(0, 2 * MIB, HOLE), (2 * MIB, SIZE, SET_ASIDE)],
        );
        // The padding of a first write is written, so its chunk has its space.
        machine.write(0, CHUNK + 5, b"x").expect("write");
        done(&mut machine, RequestKind::Trim, CHUNK + BLOCK, 2 * BLOCK);
        is(
            &mut machine,
            &[
                (0, CHUNK, HOLE),
                (CHUNK, CHUNK + BLOCK, DATA),
                (CHUNK + BLOCK, CHUNK + 3 * BLOCK, HOLE),
                (CHUNK + 3 * BLOCK, 2 * CHUNK, DATA),
                (2 * CHUNK, 2 * MIB, HOLE),
            ],
        );
        machine.flush(0).expect("flush");
        let before = status(&mut machine, 0, SIZE);
        let mut machine = again(machine, path, has_seeks);
        assert_eq!(status(&mut machine, 0, SIZE), before);
    });
}

/// Whatever is done, what is called zero is zero, and what is called a hole is one in the file.
#[test]
fn what_is_known_of_holes_is_what_the_file_system_knows() {
    for seed in 0..2 {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("random.disk");
        let mut random = SplitMix64::new(seed);
        let mut below = move |limit: u64| random.below(limit);
        let mut machine = serve(&path, seed % 2 == 0, BLANK);
        let mut model = vec![0u8; 2 * MIB as usize];
        for step in 0..120 {
            let unit = [1, 512, BLOCK, CHUNK][below(4) as usize];
            let start = below(2 * MIB / unit) * unit;
            let len = (unit * (1 + below(40))).min(2 * MIB - start);
            let range = start as usize..(start + len) as usize;
            match below(8) {
                0 => done(&mut machine, RequestKind::Allocate, start, len),
                1 => {
                    done(&mut machine, RequestKind::ZeroKeepingSpace, start, len);
                    model[range].fill(0);
                }
                2 => {
                    done(&mut machine, RequestKind::WriteZeroes, start, len);
                    model[range].fill(0);
                }
                3 => {
                    // Of a disk that zeroes what it discards; parts of blocks stay.
                    done(&mut machine, RequestKind::Trim, start, len);
                    let block = machine.set.disk_loop().properties().block_bytes as usize;
                    let whole = range.start.next_multiple_of(block)..range.end - range.end % block;
                    if whole.start < whole.end {
                        model[whole].fill(0);
                    }
                }
                4 if step % 8 == 0 => machine = again(machine, &path, seed % 2 == 0),
                _ => {
                    let data = vec![step as u8 + 1; len as usize];
                    machine.write(0, start, &data).expect("write");
                    model[range].fill(step as u8 + 1);
                }
            }
            assert_eq!(
                machine.read(0, 0, 2 * MIB).as_ref(),
                Ok(&model),
                "step {step}"
            );
            for (from, to, hole, zero) in status(&mut machine, 0, 2 * MIB) {
                assert!(zero || !hole, "{from}..{to}: a hole with data");
                let bytes = &model[from as usize..to as usize];
                assert!(!zero || bytes.iter().all(|byte| *byte == 0), "{from}..{to}");
            }
        }
        let holes = |machine: &mut RealMachine| -> Vec<(u64, bool)> {
            let extents = status(machine, 0, 2 * MIB);
            let mut holes: Vec<_> = extents.iter().map(|it| (it.0, it.2)).collect();
            holes.dedup_by_key(|it| it.1);
            holes
        };
        let known = holes(&mut machine);
        let mut machine = again(machine, &path, seed % 2 == 0);
        assert_eq!(known, holes(&mut machine), "seed {seed}");
    }
}

/// A disk of which nothing has its space yet.
fn sparse() -> (Machine<TestDisk>, disktime_disks::FaultHandle) {
    let disk = new_disk(16 * MIB, 4096, 1);
    let handle = disk.handle();
    let mut disk = TestDisk::around(disk, 128 << 10);
    disk.tells_space = true;
    (open(disk, &[("a", SIZE)], BLANK).expect("open").0, handle)
}

/// Some of what a write that failed had may be there, so nothing of its range is called zeroes; and
/// setting space aside for it changes nothing that is read.
#[test]
fn a_write_that_fails_leaves_what_counts_as_data() {
    for kind in [DiskErrorKind::NoSpace, DiskErrorKind::Io] {
        let (mut machine, handle) = sparse();
        let error = FaultKind::Error(kind);
        handle.inject(Fault::every(Operation::Write, error));
        let refused = machine.write(0, CHUNK, &[7; 8 * BLOCK as usize]);
        let expected = match kind {
            DiskErrorKind::NoSpace => IoError::NoSpace,
            _ => IoError::Io,
        };
        assert_eq!(refused, Err(expected));
        handle.clear_faults();
        let left = machine.read(0, 0, SIZE).expect("it reads");
        assert!(left.contains(&7) && left[CHUNK as usize..][..8 * BLOCK as usize].contains(&0));
        let data = (CHUNK, CHUNK + 8 * BLOCK, DATA);
        let (front, behind) = ((0, CHUNK), (CHUNK + 8 * BLOCK, SIZE));
        is(
            &mut machine,
            &[(front.0, front.1, HOLE), data, (behind.0, behind.1, HOLE)],
        );
        // Its space is not known, so it is set aside like the rest.
        let before = handle.operations();
        let done = machine.call(0, RequestKind::Allocate, (CHUNK, 8 * BLOCK), None, false);
        assert_eq!(done.map(drop), Ok(()));
        assert!(handle.operations() > before, "nothing was set aside");
        assert_eq!(
            machine.read(0, 0, SIZE).as_ref(),
            Ok(&left),
            "it was changed"
        );
        let before = handle.operations();
        let done = machine.call(0, RequestKind::Allocate, (CHUNK, 8 * BLOCK), None, false);
        assert_eq!(done.map(drop), Ok(()));
        assert_eq!(handle.operations(), before, "it has its space");
        // A trim gives all of it back.
        let done = machine.call(0, RequestKind::Trim, (CHUNK, CHUNK), None, false);
        assert_eq!(done.map(drop), Ok(()));
        if machine
            .set
            .disk_loop()
            .properties()
            .capabilities
            .discard_zeroes()
        {
            is(&mut machine, &[(0, SIZE, HOLE)]);
        }
    }
}

#[test]
fn a_write_that_is_not_allowed_leaves_a_hole() {
    let (mut machine, handle) = sparse();
    let read_only = FaultKind::Error(DiskErrorKind::ReadOnly);
    handle.inject(Fault::every(Operation::Write, read_only));
    assert!(machine.write(0, CHUNK, &[7; BLOCK as usize]).is_err());
    is(&mut machine, &[(0, SIZE, HOLE)]);
    handle.clear_faults();
}

#[test]
fn who_found_no_space_is_counted() {
    let (mut machine, handle) = sparse();
    let no_space = FaultKind::Error(DiskErrorKind::NoSpace);
    handle.inject(Fault {
        times: Some(2),
        ..Fault::every(Operation::Write, no_space)
    });
    let refused = machine.write(0, CHUNK, &[7; BLOCK as usize]);
    assert_eq!(refused, Err(IoError::NoSpace));
    // Beyond the end is another matter.
    assert_eq!(machine.write(0, SIZE, b"x"), Err(IoError::NoSpace));
    let count = machine
        .set
        .no_space(machine.handle(0))
        .expect("it is served");
    assert_eq!(count.get(), 1);
}

#[test]
fn writes_go_on_while_space_is_set_aside() {
    let (mut machine, handle) = sparse();
    let aside = machine.submit(0, RequestKind::Allocate, (0, SIZE), None, false);
    let aside = aside.expect("there is room");
    for place in [0, SIZE / 2 + 5, SIZE - 10] {
        let before = handle.operations();
        let write = machine.submit(0, RequestKind::Write, (place, 10), Some(&[7; 10]), false);
        let write = write.expect("there is room");
        while !machine.replies.iter().any(|reply| reply.handle == write) {
            assert!(machine.step(), "it is not answered");
        }
        // A step is a piece. A read-modify-write is two, with the next steps beside them.
        assert!(handle.operations() - before <= 6, "{place}");
    }
    assert!(
        machine.replies.iter().all(|reply| reply.handle != aside),
        "it was too short"
    );
    assert_eq!(machine.settle().len(), 4);
    for place in [0, SIZE / 2 + 5, SIZE - 10] {
        assert_eq!(machine.read(0, place, 10), Ok(vec![7; 10]));
    }
    assert!(status(&mut machine, 0, SIZE).iter().all(|extent| !extent.2));
}

#[test]
fn a_server_that_stops_ends_the_setting_aside_at_its_next_step() {
    let (mut machine, handle) = sparse();
    let aside = machine.submit(0, RequestKind::Allocate, (0, SIZE), None, true);
    aside.expect("there is room");
    for _ in 0..3 {
        machine.step();
    }
    let before = handle.operations();
    disktime_engine::Service::fail_queued(&mut machine.set);
    let replies = machine.settle();
    assert_eq!(replies[0].result, Err(IoError::Shutdown));
    assert!(handle.operations() - before <= 1);
}

/// What has its space is not counted again: not even where all that is free is less.
#[test]
fn setting_aside_what_has_its_space_needs_none() {
    let (mut machine, handle) = sparse();
    let aside = |machine: &mut Machine<TestDisk>| {
        let done = machine.call(0, RequestKind::Allocate, (0, SIZE), None, false);
        done.map(drop)
    };
    assert_eq!(aside(&mut machine), Ok(()));
    let before = handle.operations();
    machine.set.disk_loop().disk().free.set(MIB);
    assert_eq!(aside(&mut machine), Ok(()));
    assert_eq!(handle.operations(), before);
    machine.write(0, 0, b"x").expect("write");
    let (mut machine, _) = sparse();
    machine.set.disk_loop().disk().free.set(MIB);
    assert_eq!(aside(&mut machine), Err(IoError::NoSpace));
    // What is taken and given back is counted between two looks at the file system.
    let free = |machine: &Machine<TestDisk>| machine.set.disk_loop().disk().free.get();
    machine
        .write(0, 0, &[7; 2 * BLOCK as usize])
        .expect("write");
    assert_eq!(free(&machine), MIB - 2 * BLOCK);
    machine
        .write(0, 0, &[7; 3 * BLOCK as usize])
        .expect("write");
    assert_eq!(free(&machine), MIB - 3 * BLOCK);
}
