//! Bad sectors in the label and in zero maps: what is there twice is found and written again, or
//! the whole copy serves alone; a vdisk whose zero map cannot be read fails alone.

mod common;

use common::labels::{self, Header, MUST_UNDERSTAND, OUTSIDE, Section};
use common::{BLANK, DIRTY, MIB, TestDisk, crash, new_disk, open, put, soil};
use disktime_disks::{DiskErrorKind, Fault, FaultDisk, FaultHandle, FaultKind, Operation};
use disktime_engine::IoError;
use disktime_volumes::{Format, VolumeError};
use std::ops::Range;

const QUANTUM: u32 = 128 << 10;
const COPY_1: u64 = 512 << 10;

fn make_unreadable(handle: &FaultHandle, range_bytes: Range<u64>) {
    handle.inject(Fault {
        range_bytes,
        ..Fault::every(Operation::Read, FaultKind::Error(DiskErrorKind::Io))
    });
}

fn header(generation: u64) -> Header {
    Header::plain(generation, 16 * MIB, (12 * MIB, 16 * MIB))
}

fn table() -> Section {
    labels::vdisks(&[labels::record("a", [2; 16], MIB, &[[MIB, MIB, 0]])])
}

fn table_outside(rooms: [u64; 2]) -> Section {
    Section {
        flags: MUST_UNDERSTAND | OUTSIDE,
        rooms: Some((rooms, 2 * MIB)),
        ..table()
    }
}

fn disk_with(copies: [&[u8]; 2]) -> FaultDisk {
    let mut disk = new_disk(16 * MIB, 4096, 1);
    put(&mut disk, 0, copies[0]);
    put(&mut disk, COPY_1, copies[1]);
    disk
}

fn served(disk: FaultDisk) -> Result<Vec<String>, VolumeError> {
    let opened = open(
        TestDisk::around(disk, QUANTUM),
        &[("a", MIB)],
        Format::Refuse,
    );
    opened.map(|(_, report)| report.messages)
}

#[test]
fn a_copy_that_cannot_be_read_is_written_again_from_the_other() {
    let copy = labels::version2(&header(6), &[table()]);
    for at in [0, COPY_1] {
        let disk = disk_with([&copy, &copy]);
        let handle = disk.handle();
        make_unreadable(&handle, at..at + 4096);
        let messages = served(disk).expect("a copy is whole");
        let words = messages.join(" ");
        assert!(words.contains("reading the label failed"), "{words}");
        assert!(words.contains("it was written again from copy"), "{words}");
        let messages = served(crash(&handle, 1)).expect("healed");
        assert!(messages.is_empty(), "{messages:?}");
    }
}

#[test]
fn without_a_whole_copy_of_version_2_the_read_fails_and_nothing_is_written() {
    let newest = labels::version2(&header(6), &[table()]);
    let older = labels::version1(&header(5), &[]);
    let blank = vec![0; 4096];
    for copies in [[&newest, &blank], [&newest, &older], [&blank, &blank]] {
        let disk = disk_with(copies.map(|copy| &copy[..]));
        let handle = disk.handle();
        let before = handle.operations();
        make_unreadable(&handle, 0..4096);
        let refused = open(TestDisk::around(disk, QUANTUM), &[("a", MIB)], BLANK);
        let refused = refused.map(drop).expect_err("copy 0 may be newer");
        assert!(matches!(refused, VolumeError::Disk { .. }), "{refused}");
        assert_eq!(handle.operations(), before, "something was written");
    }
}

#[test]
fn a_section_outside_that_cannot_be_read_is_written_again() {
    let rooms = [4 * MIB, 8 * MIB];
    let copy = labels::version2(&header(6), &[table_outside(rooms)]);
    let mut section = table().bytes;
    section.resize(4096, 0);
    for room in rooms {
        let mut disk = disk_with([&copy, &copy]);
        for replica in rooms {
            put(&mut disk, replica, &section);
        }
        let handle = disk.handle();
        make_unreadable(&handle, room..room + 4096);
        let words = served(disk).expect("a copy is whole").join(" ");
        assert!(words.contains("a section cannot be read"), "{words}");
        let mut found = vec![0; 4096];
        handle.peek(room, &mut found);
        assert!(found == section);
    }
}

/// A disk with vdisks `a` and `b`, which have zero maps and hold some data; where a's map lies.
fn mapped_disk() -> (FaultDisk, u64) {
    let mut disk = new_disk(16 * MIB, 4096, 1);
    soil(&mut disk);
    let handle = disk.handle();
    let (mut machine, _) = open(TestDisk::around(disk, QUANTUM), &MAPPED, DIRTY).expect("open");
    for vdisk in [0, 1] {
        machine.write(vdisk, 0, &[7; 4096]).expect("write");
        machine.flush(vdisk).expect("flush");
    }
    let map = machine.set.label().vdisks()[0].extents()[0].map_offset_bytes;
    (crash(&handle, 1), map.expect("the disk was not blank"))
}

const MAPPED: [(&str, u64); 2] = [("a", MIB), ("b", MIB)];

#[test]
fn a_block_of_a_zero_map_that_cannot_be_read_is_written_again_from_the_other() {
    for block in [0, 4096] {
        let (disk, map) = mapped_disk();
        let handle = disk.handle();
        make_unreadable(&handle, map + block..map + block + 4096);
        let opened = open(TestDisk::around(disk, QUANTUM), &MAPPED, Format::Refuse);
        let (mut machine, report) = opened.expect("the other block is whole");
        let words = "of the zero map of vdisk `a` 1 block was damaged or torn";
        assert!(report.messages[0].contains(words), "{report:?}");
        assert_eq!(machine.set.notices(), report.messages);
        assert_eq!(machine.read(0, 0, 4096), Ok(vec![7; 4096]));
        let mut blocks = [0; 8192];
        handle.peek(map, &mut blocks);
        assert!(blocks[..4096] == blocks[4096..]);
        drop(machine);
        let disk = TestDisk::around(crash(&handle, 1), QUANTUM);
        let (machine, report) = open(disk, &MAPPED, Format::Refuse).expect("healed");
        assert_eq!(report.messages, [""; 0]);
        assert_eq!(machine.set.notices(), [""; 0]);
    }
}

#[test]
fn a_block_of_a_zero_map_that_cannot_be_written_keeps_no_vdisk_from_being_served() {
    let (disk, map) = mapped_disk();
    let handle = disk.handle();
    make_unreadable(&handle, map..map + 4096);
    handle.inject(Fault {
        range_bytes: map..map + 4096,
        ..Fault::every(Operation::Write, FaultKind::Error(DiskErrorKind::Io))
    });
    let opened = open(TestDisk::around(disk, QUANTUM), &MAPPED, Format::Refuse);
    let (mut machine, _) = opened.expect("the other block is whole");
    assert_eq!(machine.read(0, 0, 4096), Ok(vec![7; 4096]));
    machine
        .write(0, 0, &[8; 4096])
        .expect("its chunk is durable");
    assert_eq!(machine.flush(0), Ok(()), "no map has changed");
    machine.write(0, 1 << 16, &[9; 4096]).expect("write");
    assert_eq!(
        machine.flush(0),
        Err(IoError::Io),
        "one block is not enough"
    );
    handle.clear_faults();
    assert_eq!(machine.flush(0), Ok(()), "the next flush tries again");
}

#[test]
fn a_vdisk_whose_zero_map_cannot_be_read_fails_alone() {
    let (disk, map) = mapped_disk();
    make_unreadable(&disk.handle(), map..map + 8192);
    let opened = open(TestDisk::around(disk, QUANTUM), &MAPPED, Format::Refuse);
    let (mut machine, report) = opened.expect("b can be served");
    let words = report.messages.join(" ");
    assert!(
        words.contains("the zero map of vdisk `a` is damaged"),
        "{words}"
    );
    assert_eq!(machine.set.notices(), report.messages);
    assert_eq!(machine.read(0, 0, 4096), Err(IoError::Io));
    assert_eq!(machine.read(1, 0, 4096), Ok(vec![7; 4096]));
}

#[test]
fn a_copy_that_cannot_be_written_keeps_no_vdisk_from_being_served() {
    let copy = labels::version2(&header(6), &[table()]);
    let fail = |handle: &FaultHandle, operation| {
        handle.inject(Fault {
            range_bytes: 0..4096,
            ..Fault::every(operation, FaultKind::Error(DiskErrorKind::Io))
        });
    };
    let disk = disk_with([&[0xEB; 4096], &copy]);
    let handle = disk.handle();
    fail(&handle, Operation::Write);
    let messages = served(disk).expect("copy 1 is whole");
    assert!(
        messages.len() == 1 && messages[0].contains("one copy of the label stays damaged"),
        "{messages:?}"
    );
    let disk = crash(&handle, 1);
    let handle = disk.handle();
    fail(&handle, Operation::Write);
    let grown = open(
        TestDisk::around(disk, QUANTUM),
        &[("a", 2 * MIB)],
        Format::Refuse,
    );
    let refused = grown.map(drop).expect_err("the label cannot be changed");
    assert!(matches!(refused, VolumeError::Disk { .. }), "{refused}");
    let disk = crash(&handle, 1);
    let handle = disk.handle();
    fail(&handle, Operation::Flush);
    let refused = served(disk).expect_err("what was read may not be durable");
    assert!(matches!(refused, VolumeError::Disk { .. }), "{refused}");
    let messages = served(crash(&handle, 1)).expect("the sector can be written again");
    assert!(
        messages
            .join(" ")
            .contains("it was written again from copy 1"),
        "{messages:?}"
    );
}
