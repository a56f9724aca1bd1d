//! The label and the zero maps on a disk are, byte for byte, what docs/disk-format.md says.

mod common;

use common::labels::{
    Header, MUST_UNDERSTAND, OUTSIDE, SECOND_HALF, Section, record, vdisks, version1, version2,
};
use common::{BLANK, DIRTY, MIB, TestDisk, labelled, new_disk, open, soil, spec};
use disktime_disks::FaultHandle;
use disktime_volumes::label::{COPY_CAPACITY_BYTES, CopyDefect, Draft, Label, Place};
use disktime_volumes::{Extent, Format, VirtualDriver, reconcile};

const QUANTUM: u32 = 128 << 10;
const COPY_OFFSETS: [u64; 2] = [0, 512 << 10];

fn this_program() -> [u16; 3] {
    let number = |text: &str| text.parse().expect("a number");
    [
        number(env!("CARGO_PKG_VERSION_MAJOR")),
        number(env!("CARGO_PKG_VERSION_MINOR")),
        number(env!("CARGO_PKG_VERSION_PATCH")),
    ]
}

fn on_disk(handle: &FaultHandle, offset: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0xAA; len];
    handle.peek(offset, &mut bytes);
    bytes
}

/// What stands at the beginning of both copies, with what is random in it.
fn header(label: &Label) -> Header {
    Header {
        disk_uuid: label.disk_uuid().to_bytes(),
        program: this_program(),
        ..Header::plain(label.generation(), label.size_bytes(), label.known_zero())
    }
}

fn decode(copy: &[u8]) -> Result<Label, CopyDefect> {
    let draft = Draft::decode(copy)?;
    assert_eq!(draft.outside(), [], "all of it lies inside");
    draft.finish()
}

#[test]
fn a_formatted_disk_holds_an_empty_label_and_nothing_else() {
    let disk = new_disk(16 * MIB, 4096, 1);
    let handle = disk.handle();
    let mut disk = labelled(TestDisk::around(disk, QUANTUM), BLANK).expect("open");
    disk.write_format(&mut VirtualDriver::default())
        .expect("format");
    let expected = Header {
        generation: 1,
        known_zero: (MIB, 16 * MIB),
        size_bytes: 16 * MIB,
        ..header(disk.label())
    };
    let mut copy = version2(&expected, &[vdisks(&[])]);
    assert_eq!(copy.len(), 4096);
    copy.resize(COPY_CAPACITY_BYTES, 0);
    for offset in COPY_OFFSETS {
        assert!(on_disk(&handle, offset, copy.len()) == copy);
    }
    assert_eq!(on_disk(&handle, MIB, 4096), [0; 4096]);
}

#[test]
fn both_copies_of_a_label_with_vdisks_are_what_the_document_says() {
    let mut disk = new_disk(32 * MIB, 4096, 1);
    soil(&mut disk);
    let handle = disk.handle();
    let specs = [("a", 3 * MIB - 7), ("größer", MIB)];
    open(TestDisk::around(disk, QUANTUM), &specs, DIRTY).expect("open");
    let disk = common::crash(&handle, 1);
    let handle = disk.handle();
    let disk = TestDisk::around(disk, QUANTUM);
    let mut disk = labelled(disk, Format::Refuse).expect("label");
    let plan = reconcile(disk.label(), &[spec("a", 4 * MIB)]).expect("it fits");
    disk.apply(&mut VirtualDriver::default(), plan)
        .expect("it grows");
    let label = disk.label();
    let uuid = |at: usize| label.vdisks()[at].uuid().to_bytes();
    // First fit: a at 1, its map at 4; the other at 5, its map at 6; a's growth at 7 with a map at
    // 8.
    let records = [
        record(
            "a",
            uuid(0),
            4 * MIB,
            &[[MIB, 3 * MIB, 4 * MIB], [7 * MIB, MIB, 8 * MIB]],
        ),
        record("größer", uuid(1), MIB, &[[5 * MIB, MIB, 6 * MIB]]),
    ];
    assert_eq!(records[1].len(), 32 + 8 + 24);
    let expected = Header {
        generation: 3,
        size_bytes: 32 * MIB,
        known_zero: (MIB, MIB),
        ..header(label)
    };
    let copy = version2(&expected, &[vdisks(&records)]);
    for offset in COPY_OFFSETS {
        assert!(on_disk(&handle, offset, copy.len()) == copy);
    }
}

#[test]
fn the_histories_of_a_label_are_what_the_document_says() {
    let disk = new_disk(96 * MIB, 4096, 1);
    let handle = disk.handle();
    let mut disk = labelled(TestDisk::around(disk, QUANTUM), BLANK).expect("label");
    let mut wanted = spec("a", MIB);
    wanted.history_bytes = Some(64 * MIB);
    let plan = reconcile(disk.label(), &[wanted]).expect("it fits");
    disk.apply(&mut VirtualDriver::default(), plan)
        .expect("it is made");
    let label = disk.label();
    let (vdisk, disk_uuid) = (label.vdisks()[0].uuid().to_bytes(), label.disk_uuid());
    // The extent at 1, the log behind it; 256 units are 1 MiB.
    let mut history = [vdisk, disk_uuid.to_bytes(), disk_uuid.to_bytes()].concat();
    history.extend(256u32.to_le_bytes());
    history.extend(1u32.to_le_bytes());
    history.extend((2 * MIB).to_le_bytes());
    history.extend((64 * MIB).to_le_bytes());
    let expected = Header {
        incompatible: 1,
        ..header(label)
    };
    let sections = [
        vdisks(&[record("a", vdisk, MIB, &[[MIB, MIB, 0]])]),
        Section::inside(3, MUST_UNDERSTAND, history),
    ];
    let copy = version2(&expected, &sections);
    for offset in COPY_OFFSETS {
        assert!(on_disk(&handle, offset, copy.len()) == copy);
    }
    for superblock in [0, 64 << 10] {
        let block = on_disk(&handle, 2 * MIB + superblock, 512);
        assert_eq!(block[..8], *b"DTHSUPER");
    }
}

/// A block of the first pair of a zero map.
fn map_block(label: &Label, map: u64, generation: [u16; 2], first_bits: u8) -> Vec<u8> {
    let mut block = b"DTZM".to_vec();
    block.extend([0; 4]);
    block.extend(generation[0].to_le_bytes());
    block.extend(generation[1].to_le_bytes());
    block.extend([0; 4]);
    block.extend(label.vdisks()[0].uuid().to_bytes());
    block.extend(label.disk_uuid().to_bytes());
    block.extend(map.to_le_bytes());
    block.extend([0; 8]);
    block.push(first_bits);
    block.resize(4096, 0);
    let checksum = crc32c::crc32c(&block);
    block[4..8].copy_from_slice(&checksum.to_le_bytes());
    block
}

#[test]
fn both_blocks_of_a_zero_map_are_what_the_document_says_and_those_of_earlier_builds_are_read() {
    let mut disk = new_disk(16 * MIB, 4096, 1);
    soil(&mut disk);
    let handle = disk.handle();
    let specs = [("a", MIB)];
    let (mut machine, _) = open(TestDisk::around(disk, QUANTUM), &specs, DIRTY).expect("open");
    let label = machine.set.label().clone();
    let map = label.vdisks()[0].extents()[0].map_offset_bytes;
    let map = map.expect("the disk was not blank");
    let both = |block: Vec<u8>| [&block[..], &block[..]].concat();
    let fresh = both(map_block(&label, map, [0, 1], 0));
    assert!(on_disk(&handle, map, 8192) == fresh);
    machine.write(0, 3 << 16, &[7; 512]).expect("write");
    machine.flush(0).expect("flush");
    let updated = both(map_block(&label, map, [0, 2], 8));
    assert!(on_disk(&handle, map, 8192) == updated);
    drop(machine);
    // What an earlier build leaves after two updates.
    let mut disk = common::crash(&handle, 1);
    let handle = disk.handle();
    let in_turn = [
        map_block(&label, map, [3, 0], 8),
        map_block(&label, map, [2, 0], 0),
    ];
    common::put(&mut disk, map, &in_turn.concat());
    let disk = TestDisk::around(disk, QUANTUM);
    let (mut machine, report) = open(disk, &specs, Format::Refuse).expect("open");
    assert_eq!(report.messages, [""; 0]);
    assert!(on_disk(&handle, map, 8192) == in_turn.concat(), "opening");
    assert_eq!(machine.read(0, 3 << 16, 512), Ok(vec![7; 512]));
    machine.write(0, 0, &[7; 512]).expect("write");
    machine.flush(0).expect("flush");
    let upgraded = both(map_block(&label, map, [0, 1], 9));
    assert!(on_disk(&handle, map, 8192) == upgraded);
}

/// Two sections outside, one of them in a second half; one of an unknown kind inside.
#[test]
fn sections_outside_are_read_from_the_replica_of_their_copy_and_kept() {
    let header = Header {
        compatible: 1 << 33,
        ..Header::plain(77, 64 * MIB, (40 * MIB, 50 * MIB))
    };
    let table = record(
        "v",
        [1; 16],
        MIB + 1,
        &[[MIB, MIB, 0], [30 * MIB, MIB, 31 * MIB]],
    );
    let sections = [
        Section {
            flags: MUST_UNDERSTAND | OUTSIDE | SECOND_HALF,
            rooms: Some(([4 * MIB, 8 * MIB], 4 * MIB)),
            ..vdisks(std::slice::from_ref(&table))
        },
        Section::inside(5, 0, b"odd".to_vec()),
        Section {
            kind: 1 << 31,
            flags: OUTSIDE,
            bytes: vec![0x5A; 5000],
            rooms: Some(([12 * MIB, 14 * MIB], 2 * MIB)),
        },
    ];
    let copy = version2(&header, &sections);
    let mut draft = Draft::decode(&copy).expect("a copy");
    let outside = draft.outside();
    let replicas: Vec<_> = outside
        .iter()
        .map(|section| [section.replica(0), section.replica(1)])
        .collect();
    let expected = [
        [(6 * MIB, 4096), (10 * MIB, 4096)],
        [(12 * MIB, 8192), (14 * MIB, 8192)],
    ];
    assert_eq!(replicas, expected);
    let padded = |bytes: &[u8], len| [bytes, &vec![0xEE; len - bytes.len()]].concat();
    draft.supply(&outside[0], padded(&table, 4096));
    draft.supply(&outside[1], padded(&[0x5A; 5000], 8192));
    let label = draft.finish().expect("a label");
    assert_eq!(label.generation(), 77);
    assert_eq!(label.features().compatible(), 1 << 33);
    assert_eq!(label.written_by().to_string(), "7.1.2");
    assert!(matches!(label.table_place(), Place::Outside(_)));
    let extents = label.find("v").expect("the vdisk").extents();
    let last = Extent {
        offset_bytes: 30 * MIB,
        len_bytes: MIB,
        map_offset_bytes: Some(31 * MIB),
    };
    assert_eq!(extents[1], last);
    let encoded = label.encode();
    let written: Vec<_> = encoded.outside().map(|(_, bytes)| bytes).collect();
    assert_eq!(written.len(), 2);
    assert!(written[0].starts_with(&table) && written[0].len() == 4096);
    assert!(written[1].starts_with(&[0x5A; 5000]) && written[1][5000..] == [0; 3192]);
    assert!(encoded.into_copy() == copy);
}

#[test]
fn the_times_of_the_last_changes_are_what_the_document_says() {
    let header = Header::plain(4, 16 * MIB, (3 * MIB, 16 * MIB));
    let records = [
        record("a", [4; 16], MIB, &[[MIB, MIB, 0]]),
        record("b", [5; 16], MIB, &[[2 * MIB, MIB, 0]]),
    ];
    for flags in [0u32, 1] {
        let mut times = flags.to_le_bytes().to_vec();
        times.extend([0; 4]);
        for (uuid, time) in [([4; 16], 1_700_000_000_000_000_001u64), ([5; 16], 7)] {
            times.extend(uuid);
            times.extend(time.to_le_bytes());
        }
        assert_eq!(times.len(), 8 + 2 * 24);
        let copy = version2(&header, &[vdisks(&records), Section::inside(2, 0, times)]);
        let label = decode(&copy).expect("a label");
        let found = label.times().expect("they are there");
        let of = |vdisk: usize| found.get(label.vdisks()[vdisk].uuid());
        assert_eq!(found.is_open(), flags == 1);
        assert_eq!([of(0), of(1)], [Some(1_700_000_000_000_000_001), Some(7)]);
        assert!(label.encode().into_copy() == copy);
    }
}

#[test]
fn version_1_is_read() {
    let header = Header {
        disk_uuid: [3; 16],
        ..Header::plain(12, 16 * MIB, (9 * MIB, 16 * MIB))
    };
    let records = [
        record("old", [4; 16], MIB, &[[MIB, MIB, 0]]),
        record("older", [5; 16], 2 * MIB, &[[2 * MIB, 2 * MIB, 8 * MIB]]),
    ];
    let label = decode(&version1(&header, &records)).expect("a label");
    assert_eq!((label.version(), label.generation()), (1, 12));
    assert_eq!(label.disk_uuid().to_bytes(), [3; 16]);
    assert_eq!(label.known_zero(), header.known_zero);
    let found: Vec<_> = label
        .vdisks()
        .iter()
        .map(|vdisk| (vdisk.name(), vdisk.uuid().to_bytes(), vdisk.size_bytes()))
        .collect();
    assert_eq!(found, [("old", [4; 16], MIB), ("older", [5; 16], 2 * MIB)]);
    assert_eq!(
        label.vdisks()[1].extents()[0].map_offset_bytes,
        Some(8 * MIB)
    );
    // The same table of version 2, by its own header.
    let as_version2 = version2(&header, &[vdisks(&records)]);
    let again = decode(&as_version2).expect("a label");
    assert_eq!(again.vdisks(), label.vdisks());
}

#[test]
fn a_copy_holds_as_many_vdisks_as_the_document_says() {
    let plan = |count: usize| {
        let specs: Vec<_> = (0..count)
            .map(|index| spec(&format!("{index:0128}"), MIB))
            .collect();
        let empty = Label::empty(disktime_volumes::Uuid::from_bytes([1; 16]), 8 << 30, true);
        reconcile(&empty, &specs).expect("it fits").label().clone()
    };
    let most = plan(2848);
    assert_eq!(most.table_place(), Place::Inside);
    assert_eq!(most.encode().into_copy().len(), COPY_CAPACITY_BYTES);
    assert_eq!(decode(&most.encode().into_copy()), Ok(most));
    let more = plan(2849);
    assert!(matches!(more.table_place(), Place::Outside(_)));
    assert_eq!(more.encode().into_copy().len(), 4096);
}
