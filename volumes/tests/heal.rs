//! On a disk: copies that are older or damaged are healed and that is said, version 1 is upgraded
//! at its first change only, and what is not understood is refused and left alone.

mod common;

use common::labels::{self, Header, MUST_UNDERSTAND, Section};
use common::{BLANK, MIB, TestDisk, crash, labelled, new_disk, open, put, spec};
use disktime_disks::{FaultDisk, FaultHandle, Operation};
use disktime_testing::sentences::assert_says;
use disktime_volumes::{Format, VirtualDriver, VolumeError, reconcile};

const QUANTUM: u32 = 128 << 10;
const COPY_1: u64 = 512 << 10;

fn head(handle: &FaultHandle) -> Vec<u8> {
    let mut bytes = vec![0; MIB as usize];
    handle.peek(0, &mut bytes);
    bytes
}

fn header() -> Header {
    Header::plain(6, 16 * MIB, (4 * MIB, 16 * MIB))
}

fn record_of_a() -> Vec<u8> {
    labels::record("a", [2; 16], MIB, &[[MIB, MIB, 0]])
}

fn disk_with(copies: [&[u8]; 2]) -> FaultDisk {
    let mut disk = new_disk(16 * MIB, 4096, 1);
    put(&mut disk, 0, copies[0]);
    put(&mut disk, COPY_1, copies[1]);
    disk
}

fn served(disk: FaultDisk, specs: &[(&str, u64)]) -> Vec<String> {
    let disk = TestDisk::around(disk, QUANTUM);
    let (_, report) = open(disk, specs, Format::Refuse).expect("open");
    report.messages
}

#[test]
fn a_copy_that_is_a_change_behind_is_healed_once_and_that_is_said() {
    let copy = |generation| {
        let header = Header {
            generation,
            ..header()
        };
        labels::version2(&header, &[labels::vdisks(&[record_of_a()])])
    };
    for (copies, words) in [
        (
            [copy(6), copy(7)],
            "copy 0 of the label was a change behind",
        ),
        (
            [copy(7), copy(6)],
            "copy 1 of the label was a change behind",
        ),
        (
            [copy(7), vec![0xEB; 4096]],
            "copy 1 of the label was damaged (no label)",
        ),
    ] {
        let disk = disk_with([&copies[0], &copies[1]]);
        let handle = disk.handle();
        let before = handle.operations();
        drop(labelled(TestDisk::around(disk, QUANTUM), Format::Refuse).expect("label"));
        assert_eq!(handle.operations(), before, "opening wrote something");
        let messages = served(crash(&handle, 1), &[("a", MIB)]);
        assert!(
            messages.len() == 1 && messages[0].contains(words),
            "{messages:?}"
        );
        let disk = disk_with([&copies[0], &copies[1]]);
        let handle = disk.handle();
        served(disk, &[("a", MIB)]);
        let found = head(&handle);
        let whole = [copy(7), vec![0; COPY_1 as usize - 4096]].concat();
        assert!(found[..COPY_1 as usize] == whole || found[COPY_1 as usize..] == whole);
        assert!(found[..4096] == copy(7) && found[COPY_1 as usize..][..4096] == copy(7));
        let messages = served(crash(&handle, 1), &[("a", MIB)]);
        assert!(messages.is_empty(), "{messages:?}");
    }
}

#[test]
fn version_1_is_kept_by_opening_and_upgraded_by_the_first_change() {
    let older = Header {
        generation: 5,
        ..header()
    };
    let newer = labels::version1(&header(), &[record_of_a()]);
    let copies = [newer, labels::version1(&older, &[])];
    let disk = disk_with([&copies[0], &copies[1]]);
    let handle = disk.handle();
    let before = head(&handle);
    let messages = served(disk, &[("a", MIB)]);
    assert!(messages.is_empty(), "{messages:?}");
    assert!(head(&handle) == before, "opening changed the label");
    let disk = crash(&handle, 1);
    let handle = disk.handle();
    let messages = served(disk, &[("a", 2 * MIB)]);
    assert!(
        messages.len() == 1 && messages[0].contains("upgraded from version 1 to version 2"),
        "{messages:?}"
    );
    let found = head(&handle);
    assert!(found[..4096] == found[COPY_1 as usize..][..4096]);
    assert_eq!(found[8..12], [2, 0, 0, 0]);
    let messages = served(crash(&handle, 1), &[("a", 3 * MIB)]);
    assert!(messages.is_empty(), "{messages:?}");
}

#[test]
fn the_upgrade_is_told_by_a_removal_as_well() {
    let copy = labels::version1(&header(), &[record_of_a()]);
    let disk = disk_with([&copy, &copy]);
    let mut disk = labelled(TestDisk::around(disk, QUANTUM), Format::Refuse).expect("label");
    assert_eq!(disk.label().version(), 1);
    disk.remove(&mut VirtualDriver::default(), "a")
        .expect("remove");
    assert_eq!(disk.label().version(), 2);
    let messages = disk.take_messages();
    assert!(
        messages.len() == 1 && messages[0].contains("upgraded"),
        "{messages:?}"
    );
}

#[test]
fn what_is_not_understood_is_refused_by_name_even_in_one_copy() {
    let good = labels::version2(&header(), &[labels::vdisks(&[record_of_a()])]);
    let feature = |bits| {
        let header = Header {
            generation: 7,
            incompatible: bits,
            ..header()
        };
        labels::version2(&header, &[labels::vdisks(&[])])
    };
    let strange = Section::inside(12, MUST_UNDERSTAND, vec![1; 8]);
    let section = labels::version2(&header(), &[labels::vdisks(&[]), strange]);
    for (copy, name) in [
        (feature(2), "feature bit 1"),
        (feature(1 << 17), "feature bit 17"),
        (section, "section 12"),
    ] {
        for copies in [[&copy, &good], [&good, &copy], [&copy, &copy]] {
            let disk = disk_with(copies.map(|copy| &copy[..]));
            let handle = disk.handle();
            let before = (handle.operations(), head(&handle));
            let refused = open(TestDisk::around(disk, QUANTUM), &[("a", MIB)], BLANK);
            let words = refused
                .map(drop)
                .expect_err("it is not understood")
                .to_string();
            assert_says(&words, &[name, "disktime 7.1.2 wrote it"]);
            assert!(words.contains("Nothing was written"), "{words}");
            assert!((handle.operations(), head(&handle)) == before);
        }
        let disk = TestDisk::around(disk_with([&copy, &copy]), QUANTUM);
        open(disk, &[("a", MIB)], common::DIRTY).expect("a forced format does not mind");
    }
}

#[test]
fn an_unknown_section_outside_is_kept_and_healed_and_its_rooms_are_not_given_away() {
    let kept = Section {
        kind: 40,
        flags: labels::OUTSIDE | labels::SECOND_HALF,
        bytes: vec![0x99; 5000],
        rooms: Some(([2 * MIB, 8 * MIB], 2 * MIB)),
    };
    let header = Header {
        known_zero: (10 * MIB, 16 * MIB),
        ..header()
    };
    let sections = [labels::vdisks(&[record_of_a()]), kept.clone()];
    let copy = labels::version2(&header, &sections);
    let mut disk = disk_with([&copy, &copy]);
    for room in [2, 8] {
        put(
            &mut disk,
            (room + 1) * MIB,
            &[&kept.bytes[..], &[0; 3192]].concat(),
        );
    }
    let handle = disk.handle();
    let specs = [("a", MIB), ("b", 7 * MIB)];
    assert_eq!(served(disk, &specs), [""; 0]);
    let mut disk = crash(&handle, 1);
    let handle = disk.handle();
    // Damage to the replica of copy 1.
    put(&mut disk, 9 * MIB + 4096, &[0; 4096]);
    let messages = served(disk, &specs);
    assert!(
        messages.len() == 1 && messages[0].contains("copy 1 of the label was damaged"),
        "{messages:?}"
    );
    for room in [2, 8] {
        let mut bytes = vec![0; 8192];
        handle.peek((room + 1) * MIB, &mut bytes);
        assert!(bytes[..5000] == kept.bytes && bytes[5000..] == [0; 3192]);
    }
    let disk = labelled(TestDisk::around(crash(&handle, 1), QUANTUM), Format::Refuse);
    let disk = disk.expect("label");
    let used: Vec<_> = disk.label().used_ranges().collect();
    assert!(used.contains(&(2 * MIB, 4 * MIB)) && used.contains(&(8 * MIB, 10 * MIB)));
    assert_eq!(disk.free_bytes(), (15 - 1 - 7 - 2 - 2 - 1) * MIB, "one map");
}

#[test]
fn a_room_behind_the_end_of_the_disk_says_that_the_disk_shrank() {
    let table = Section {
        flags: MUST_UNDERSTAND | labels::OUTSIDE,
        rooms: Some(([4 * MIB, 30 * MIB], 2 * MIB)),
        ..labels::vdisks(&[record_of_a()])
    };
    let header = Header {
        size_bytes: 32 * MIB,
        known_zero: (32 * MIB, 32 * MIB),
        ..header()
    };
    let copy = labels::version2(&header, &[table]);
    let refused = labelled(TestDisk::around(disk_with([&copy, &copy]), QUANTUM), BLANK);
    let words = refused.map(drop).expect_err("it shrank").to_string();
    assert_says(&words, &["has 16MiB", "up to 32MiB"]);
}

#[test]
fn after_a_failed_update_the_label_is_not_changed_again() {
    use disktime_disks::{DiskErrorKind, Fault, FaultKind};
    let copy = labels::version2(&header(), &[labels::vdisks(&[record_of_a()])]);
    let disk = disk_with([&copy, &copy]);
    let handle = disk.handle();
    let mut driver = VirtualDriver::default();
    let mut disk = labelled(TestDisk::around(disk, QUANTUM), Format::Refuse).expect("label");
    handle.inject(Fault {
        skip: 1,
        ..Fault::every(Operation::Write, FaultKind::Error(DiskErrorKind::Io))
    });
    let failed = disk.remove(&mut driver, "a");
    assert!(
        matches!(failed, Err(VolumeError::Disk { .. })),
        "{failed:?}"
    );
    handle.clear_faults();
    let operations = handle.operations();
    let plan = reconcile(disk.label(), &[spec("b", MIB)]).expect("it fits");
    let refused = disk
        .apply(&mut driver, plan)
        .expect_err("not known what is there");
    assert!(
        refused.to_string().contains("open the disk again"),
        "{refused}"
    );
    assert_eq!(handle.operations(), operations);
}

#[test]
fn rooms_that_overlap_or_are_askew_are_refused_before_they_are_read() {
    use disktime_disks::{DiskErrorKind, Fault, FaultKind};
    for rooms in [
        [4 * MIB, 4 * MIB],
        [4 * MIB, 5 * MIB],
        [4 * MIB, 8 * MIB + 512],
        [0, 8 * MIB],
    ] {
        let table = Section {
            flags: MUST_UNDERSTAND | labels::OUTSIDE,
            rooms: Some((rooms, 2 * MIB)),
            ..labels::vdisks(&[record_of_a()])
        };
        let copy = labels::version2(&header(), &[table]);
        let disk = disk_with([&copy, &copy]);
        disk.handle().inject(Fault {
            range_bytes: MIB..15 * MIB,
            ..Fault::every(Operation::Read, FaultKind::Error(DiskErrorKind::Io))
        });
        let refused = labelled(TestDisk::around(disk, QUANTUM), Format::Refuse).map(drop);
        let words = refused.expect_err("no program writes that").to_string();
        assert!(words.contains("its directory is not consistent"), "{words}");
    }
}

#[test]
fn a_generation_that_cannot_be_counted_up_is_refused() {
    let last = Header {
        generation: u64::MAX,
        ..header()
    };
    let copy = labels::version2(&last, &[labels::vdisks(&[record_of_a()])]);
    let disk = disk_with([&copy, &copy]);
    let refused = open(TestDisk::around(disk, QUANTUM), &[("b", MIB)], BLANK);
    let refused = refused.map(drop).expect_err("no update could follow");
    assert!(matches!(refused, VolumeError::Damaged { .. }), "{refused}");
}

/// One bit after the other, over the whole way from the disk to the client; that every bit is
/// noticed is tested where copies and maps are judged.
#[test]
fn a_flipped_bit_of_a_small_disks_metadata_loses_nothing_and_is_said() {
    let mut disk = new_disk(16 * MIB, 4096, 1);
    common::soil(&mut disk);
    let handle = disk.handle();
    let specs = [("a", MIB), ("b", MIB)];
    let opened = open(TestDisk::around(disk, QUANTUM), &specs, common::DIRTY);
    let (mut machine, _) = opened.expect("open");
    let written = vec![5; 70_000];
    for vdisk in [0, 1] {
        machine.write(vdisk, 0, &written).expect("write");
        machine.flush(vdisk).expect("flush");
    }
    let label = machine.set.label().clone();
    let maps: Vec<u64> = label
        .vdisks()
        .iter()
        .map(|vdisk| vdisk.extents()[0].map_offset_bytes.expect("a map"))
        .collect();
    let blocks = [0, COPY_1, maps[0], maps[0] + 4096, maps[1], maps[1] + 4096];
    let unit = |handle: &FaultHandle, block: u64| {
        let mut bytes = vec![0; 4096];
        handle.peek(block, &mut bytes);
        bytes
    };
    let healthy = blocks.map(|block| unit(&handle, block));
    drop(machine);
    // All of the headers' numbers, and some of what follows.
    let bits: Vec<usize> = (0..24 * 8)
        .step_by(5)
        .chain((64 * 8..4096 * 8).step_by(397))
        .collect();
    let mut handle = handle;
    for (number, bit) in
        (0..blocks.len()).flat_map(|number| bits.iter().map(move |bit| (number, *bit)))
    {
        let block = blocks[number];
        let mut disk = crash(&handle, 1);
        let mut bytes = unit(&disk.handle(), block);
        bytes[bit / 8] ^= 1 << (bit % 8);
        put(&mut disk, block, &bytes);
        handle = disk.handle();
        let opened = open(TestDisk::around(disk, QUANTUM), &specs, Format::Refuse);
        let (mut machine, report) = opened.expect("one flip is healed");
        let said = report.messages.join(" ");
        assert!(
            report.messages.len() == 1 && said.contains("written again from"),
            "block {block}, bit {bit}: {said}"
        );
        for vdisk in [0, 1] {
            assert_eq!(machine.read(vdisk, 0, 70_000), Ok(written.clone()));
            assert_eq!(machine.read(vdisk, 1 << 17, 512), Ok(vec![0; 512]));
        }
        // Repairing a pair of a zero map counts its generation.
        let same_from = if block < MIB { 0 } else { 16 };
        for other in [number & !1, number | 1] {
            let found = unit(&handle, blocks[other]);
            assert!(
                found[same_from..] == healthy[other][same_from..],
                "block {block}, bit {bit}: not healed"
            );
        }
    }
}
