//! A log whose area does not lie together on the disk.

use super::common::{BLANK, MIB, TestDisk, configs, crash, labelled, new_disk};
use super::{DISK, QUANTUM, fill, open_at, read_all, with_history};
use disktime_history::WhenFull;
use disktime_units::Nanos;
use disktime_volumes::{Format, VirtualDriver};

/// The free space lies in front of another vdisk and behind it.
#[test]
fn a_log_whose_area_lies_in_pieces_is_opened_again() {
    let disk = new_disk(DISK, 4096, 1);
    let handle = disk.handle();
    let plain = configs(&[("gone", 40 * MIB), ("stays", MIB)]);
    let opened = open_at(disk, &plain, BLANK, Nanos::ZERO);
    opened.expect("it opens").0.set.abandon();
    let disk = crash(&handle, 1);
    let handle = disk.handle();
    let mut disk = labelled(TestDisk::around(disk, QUANTUM), Format::Refuse).expect("open");
    let removed = disk.remove(&mut VirtualDriver::default(), "gone");
    removed.expect("it is removed");
    drop(disk);

    let vdisks = [with_history(WhenFull::Shorten), plain[1].clone()];
    let disk = crash(&handle, 1);
    let handle = disk.handle();
    let opened = open_at(disk, &vdisks, Format::Refuse, Nanos::ZERO);
    let mut machine = opened.expect("it opens").0;
    assert_eq!(machine.set.label().histories()[0].extents().len(), 2);
    let copy = fill(&mut machine, 50).expect("it fits");
    machine.flush(0).expect("a flush");
    let now = machine.now;
    machine.set.abandon();
    let opened = open_at(crash(&handle, 2), &vdisks, Format::Refuse, now);
    assert!(read_all(&mut opened.expect("it opens again").0) == copy);
}
