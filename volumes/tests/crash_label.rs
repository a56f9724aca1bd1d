//! Power failures at every write of a label: a change, a format, an upgrade from version 1.

mod common;

use common::labels::{self, Header, Section};
use common::{BLANK, DIRTY, MIB, TestDisk, crash, disk_for, labelled, new_disk, open, put};
use disktime_disks::{FaultDisk, FaultHandle};
use disktime_volumes::{Format, VirtualDriver, VolumeError};
use std::cell::RefCell;
use std::rc::Rc;

const QUANTUM: u32 = 128 << 10;
/// Names as long as they may be, so that the table takes several sectors and can be torn.
const OLD: &str = "old-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
const GONE: &str = "gone-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
const NEW: &str = "new-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// A disk with a vdisk `OLD` that holds known bytes, and one `GONE`; everything durable.
fn base(format: Format) -> FaultDisk {
    filled(disk_for(format, 16 * MIB), format)
}

fn filled(disk: FaultDisk, format: Format) -> FaultDisk {
    let handle = disk.handle();
    let specs = [(OLD, MIB), (GONE, MIB)];
    let (mut machine, _) = open(TestDisk::around(disk, QUANTUM), &specs, format).expect("open");
    machine.write(0, 0, &old_data()).expect("write");
    machine.write(1, 0, &[0x77; 70_000]).expect("write");
    machine.flush(0).expect("flush");
    machine.flush(1).expect("flush");
    crash(&handle, 1)
}

fn old_data() -> Vec<u8> {
    (0..MIB).map(|at| (at / 4096 % 250) as u8 + 1).collect()
}

/// What the label was like before the change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    /// Version 2, its table inside.
    Plain,
    /// Version 1, copy 0 counts, copy 1 is a change behind.
    Version1,
    /// Nearly full with a section of an unknown kind, so that the table lies outside.
    Crowded,
}

const KEPT_BYTES: usize = (512 << 10) - 128 - 2 * 64 - 40;

impl Before {
    fn disk(self, format: Format) -> FaultDisk {
        match self {
            Before::Plain => base(format),
            Before::Version1 => as_version1(base(format)),
            Before::Crowded => {
                let mut disk = disk_for(format, 24 * MIB);
                let known_zero_to = if format == DIRTY { MIB } else { 24 * MIB };
                let header = Header::plain(1, 24 * MIB, (MIB, known_zero_to));
                let kept = Section::inside(7, 0, vec![0xC3; KEPT_BYTES]);
                let copy = labels::version2(&header, &[labels::vdisks(&[]), kept]);
                put(&mut disk, 0, &copy);
                put(&mut disk, 512 << 10, &copy);
                filled(disk, format)
            }
        }
    }
}

/// The same disk as a program of version 1 would have left it.
fn as_version1(disk: FaultDisk) -> FaultDisk {
    let handle = disk.handle();
    let disk = labelled(TestDisk::around(disk, QUANTUM), Format::Refuse).expect("a label");
    let label = disk.label();
    let records: Vec<Vec<u8>> = label
        .vdisks()
        .iter()
        .map(|vdisk| {
            let extents: Vec<[u64; 3]> = vdisk
                .extents()
                .iter()
                .map(|extent| {
                    let map = extent.map_offset_bytes.unwrap_or(0);
                    [extent.offset_bytes, extent.len_bytes, map]
                })
                .collect();
            labels::record(
                vdisk.name(),
                vdisk.uuid().to_bytes(),
                vdisk.size_bytes(),
                &extents,
            )
        })
        .collect();
    let header = |generation| Header {
        disk_uuid: label.disk_uuid().to_bytes(),
        ..Header::plain(generation, label.size_bytes(), label.known_zero())
    };
    let newer = labels::version1(&header(9), &records);
    let older = labels::version1(&header(8), &records[..1]);
    drop(disk);
    let mut disk = crash(&handle, 5);
    let handle = disk.handle();
    put(&mut disk, 0, &newer);
    put(&mut disk, 512 << 10, &older);
    crash(&handle, 6)
}

/// What is done to the label.
#[derive(Debug, Clone, Copy)]
enum Change {
    Create,
    Grow,
    Remove,
}

impl Change {
    fn specs(self) -> Vec<(&'static str, u64)> {
        match self {
            Change::Create => vec![(OLD, MIB), (GONE, MIB), (NEW, 3 * MIB)],
            Change::Grow => vec![(OLD, 4 * MIB), (GONE, MIB)],
            Change::Remove => vec![(OLD, MIB)],
        }
    }

    fn run(self, disk: FaultDisk) -> Result<(), VolumeError> {
        let disk = TestDisk::around(disk, QUANTUM);
        if let Change::Remove = self {
            let mut disk = labelled(disk, Format::Refuse)?;
            return disk.remove(&mut VirtualDriver::default(), GONE);
        }
        open(disk, &self.specs(), Format::Refuse).map(drop)
    }

    /// Whether the table is the old or the new one; anything else is a failure.
    fn is_done(self, table: &[(String, u64)]) -> bool {
        let named = |specs: &[(&str, u64)]| -> Vec<(String, u64)> {
            specs
                .iter()
                .map(|(name, size)| ((*name).to_owned(), *size))
                .collect()
        };
        let before = named(&[(OLD, MIB), (GONE, MIB)]);
        let after = named(&self.specs());
        assert!(
            table == before || table == after,
            "neither the old nor the new table: {table:?}"
        );
        table == after
    }
}

fn table(disk: FaultDisk) -> Vec<(String, u64)> {
    let disk = labelled(TestDisk::around(disk, QUANTUM), Format::Refuse).expect("a table is there");
    let vdisks = disk.label().vdisks().iter();
    vdisks
        .map(|vdisk| (vdisk.name().to_owned(), vdisk.size_bytes()))
        .collect()
}

/// After a crash: the table is whole, old data is there, new space reads as zeroes; and the change
/// can be made then.
fn check_after(change: Change, disk: FaultDisk) -> bool {
    let handle = disk.handle();
    let done = change.is_done(&table(disk));
    let disk = crash(&handle, 3);
    let handle = disk.handle();
    if !done {
        change
            .run(disk)
            .expect("the change is possible after the crash");
    } else {
        drop(disk);
    }
    let disk = crash(&handle, 4);
    let specs = change.specs();
    let disk = TestDisk::around(disk, QUANTUM);
    let (mut machine, report) = open(disk, &specs, Format::Refuse).expect("open");
    assert!(
        report.created.is_empty() && report.grown.is_empty(),
        "{report:?}"
    );
    // An update that was interrupted may have left a copy to heal; no map may be damaged.
    for message in &report.messages {
        assert!(message.contains("was written again"), "{message}");
    }
    assert_eq!(machine.read(0, 0, MIB), Ok(old_data()), "old data was lost");
    if specs.len() > 1 {
        let found = machine.read(1, 0, 70_000);
        assert_eq!(found, Ok(vec![0x77; 70_000]), "a neighbour's data was lost");
    }
    for (vdisk, start) in [(0, MIB), (2, 0)] {
        let Some((_, size)) = specs.get(vdisk as usize) else {
            continue;
        };
        let fresh = machine.read(vdisk, start, size - start).expect("readable");
        assert!(
            fresh.iter().all(|byte| *byte == 0),
            "new space holds old bytes"
        );
    }
    done
}

/// Both copies are whole and the same: copy 0 as well as copy 1 alone would be enough.
fn check_both_copies(handle: &FaultHandle) {
    let disk = crash(handle, 8);
    let mut handle = disk.handle();
    let newest = table(disk);
    for damaged in [0, 512 << 10] {
        let mut disk = crash(&handle, 8);
        handle = disk.handle();
        let mut block = vec![0; 4096];
        handle.peek(damaged, &mut block);
        put(&mut disk, damaged, &[0xEB; 4096]);
        assert_eq!(table(disk), newest, "the copies differ");
        let mut disk = crash(&handle, 8);
        handle = disk.handle();
        put(&mut disk, damaged, &block);
    }
}

fn sweep(change: Change, format: Format) {
    for before in [Before::Plain, Before::Version1, Before::Crowded] {
        sweep_from(before, change, format);
    }
}

fn sweep_from(before: Before, change: Change, format: Format) {
    let probe = before.disk(format);
    let handle = probe.handle();
    change.run(probe).expect("without a crash it works");
    let operations = handle.operations();
    assert!(operations >= 5, "{change:?} did {operations} operations");
    check_both_copies(&handle);
    let mut outcomes = [0, 0];
    for point in 0..operations {
        for seed in 0..6 {
            let disk = before.disk(format);
            let handle = disk.handle();
            handle.freeze_at(point);
            let stopped = change.run(disk);
            assert!(
                matches!(stopped, Err(VolumeError::Stuck { .. })),
                "{stopped:?}"
            );
            let done = check_after(change, crash(&handle, seed * 1000 + point));
            outcomes[usize::from(done)] += 1;
        }
    }
    assert!(outcomes[0] > 0, "no crash came before the new table");
}

#[test]
fn a_crash_at_any_write_of_a_creation_leaves_a_whole_table() {
    sweep(Change::Create, BLANK);
    sweep(Change::Create, DIRTY);
}

#[test]
fn a_crash_at_any_write_of_a_growth_leaves_a_whole_table() {
    sweep(Change::Grow, BLANK);
    sweep(Change::Grow, DIRTY);
}

#[test]
fn a_crash_at_any_write_of_a_removal_leaves_a_whole_table() {
    sweep(Change::Remove, BLANK);
    sweep(Change::Remove, DIRTY);
}

#[test]
fn a_crash_while_formatting_a_blank_disk_leaves_one_that_can_be_formatted() {
    let specs = [("a", 2 * MIB)];
    let unknown = Format::IfBlank { known_zero: false };
    for known in [BLANK, unknown] {
        let probe = new_disk(16 * MIB, 4096, 2);
        let handle = probe.handle();
        open(TestDisk::around(probe, QUANTUM), &specs, known).expect("open");
        for point in 0..handle.operations() {
            for seed in 0..8 {
                let disk = new_disk(16 * MIB, 4096, 2);
                let handle = disk.handle();
                handle.freeze_at(point);
                assert!(open(TestDisk::around(disk, QUANTUM), &specs, known).is_err());
                let disk = TestDisk::around(crash(&handle, seed * 100 + point), QUANTUM);
                let (mut machine, _) = open(disk, &specs, known).expect("it is formatted again");
                assert_eq!(machine.read(0, 0, 2 * MIB), Ok(vec![0; 2 * MIB as usize]));
            }
        }
    }
}

/// Freed space needs a map, and the map may lie in known-zero space: after a crash that leaves the
/// old table, that space must not be taken for zeroes.
#[test]
fn a_map_written_for_nothing_is_never_seen_by_a_later_vdisk() {
    let freed = || {
        let disk = base(BLANK);
        let handle = disk.handle();
        Change::Remove.run(disk).expect("remove");
        crash(&handle, 2)
    };
    let specs = [(OLD, MIB), (NEW, 3 * MIB)];
    let probe = freed();
    let handle = probe.handle();
    let (machine, _) =
        open(TestDisk::around(probe, QUANTUM), &specs, Format::Refuse).expect("open");
    let extents = machine.set.label().vdisks()[1].extents();
    assert!(extents.len() == 2 && extents[0].map_offset_bytes > Some(extents[1].offset_bytes));
    for point in 0..handle.operations() {
        for seed in 0..6 {
            let disk = freed();
            let handle = disk.handle();
            handle.freeze_at(point);
            assert!(open(TestDisk::around(disk, QUANTUM), &specs, Format::Refuse).is_err());
            let disk = crash(&handle, seed * 100 + point);
            let handle = disk.handle();
            if table(disk).iter().any(|(name, _)| name == NEW) {
                continue;
            }
            let specs = [(OLD, MIB), ("wide", 7 * MIB)];
            let disk = TestDisk::around(crash(&handle, seed), QUANTUM);
            let (mut machine, _) = open(disk, &specs, Format::Refuse).expect("open");
            let found = machine.read(1, 0, 7 * MIB).expect("readable");
            assert!(
                found.iter().all(|byte| *byte == 0),
                "it sees the map of another"
            );
        }
    }
}

/// A killed server leaves a table in the device's cache that no flush covers. The next one reads
/// it, promises something on it, and then the power fails.
#[test]
fn what_a_killed_server_left_in_the_cache_is_durable_before_it_is_built_on() {
    let specs = Change::Create.specs();
    for format in [BLANK, DIRTY] {
        let probe = base(format);
        let handle = probe.handle();
        Change::Create.run(probe).expect("without a crash it works");
        let operations = handle.operations();
        for point in 0..operations {
            let disk = base(format);
            let handle = disk.handle();
            let shared = Rc::new(RefCell::new(disk));
            let killed = TestDisk::sharing(&shared, QUANTUM, Some(point));
            let stopped = open(killed, &specs, Format::Refuse).map(drop);
            assert!(
                matches!(stopped, Err(VolumeError::Stuck { .. })),
                "{stopped:?}"
            );
            let disk = TestDisk::sharing(&shared, QUANTUM, None);
            let (mut machine, _) = open(disk, &specs, Format::Refuse).expect("open");
            machine.write_fua(2, 0, &[5; 4096]).expect("write");
            drop(machine);
            let disk = TestDisk::around(crash(&handle, point), QUANTUM);
            let (mut machine, report) = open(disk, &specs, Format::Refuse).expect("open");
            assert!(
                report.created.is_empty(),
                "a promise was made on a table that was lost"
            );
            assert_eq!(machine.read(2, 0, 4096), Ok(vec![5; 4096]));
        }
    }
}
