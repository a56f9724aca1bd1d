//! 10,000 vdisks with the longest names on one disk: made, opened, grown, removed, in virtual time.

mod common;

use common::{BLANK, MIB, TestDisk, crash, labelled, new_disk, open, spec};
use disktime_volumes::label::{MAX_VDISKS, Place};
use disktime_volumes::{Format, VdiskSpec, VirtualDriver, VolumeError, reconcile};

const QUANTUM: u32 = 1 << 20;
const DISK_BYTES: u64 = 12 << 30;

fn name(index: usize) -> String {
    format!("{index:0128}")
}

#[test]
fn ten_thousand_vdisks_are_made_grown_removed_and_served() {
    let disk = new_disk(DISK_BYTES, 4096, 1);
    let handle = disk.handle();
    let mut driver = VirtualDriver::default();
    let specs: Vec<VdiskSpec> = (0..MAX_VDISKS).map(|at| spec(&name(at), MIB)).collect();
    let mut disk = labelled(TestDisk::around(disk, QUANTUM), BLANK).expect("open");
    let plan = reconcile(disk.label(), &specs).expect("they fit");
    disk.apply(&mut driver, plan).expect("they are made");
    assert!(matches!(disk.label().table_place(), Place::Outside(_)));
    let one_more = [&specs[..], &[spec("one more", MIB)]].concat();
    let refused = reconcile(disk.label(), &one_more).map(drop);
    assert!(
        matches!(
            refused,
            Err(VolumeError::TooManyVdisks {
                limit: 10_000,
                wanted: 10_001
            })
        ),
        "{refused:?}"
    );
    drop(disk);

    // Every second one in a second extent, one after the other with a change of its own.
    let disk = crash(&handle, 1);
    let handle = disk.handle();
    let mut disk = labelled(TestDisk::around(disk, QUANTUM), Format::Refuse).expect("open");
    assert_eq!(disk.label().vdisks().len(), MAX_VDISKS);
    let grown: Vec<VdiskSpec> = (0..MAX_VDISKS)
        .map(|at| spec(&name(at), if at % 2 == 0 { 2 * MIB } else { MIB }))
        .take(3000)
        .collect();
    let plan = reconcile(disk.label(), &grown).expect("they fit");
    assert_eq!(plan.grow().len(), 1500);
    disk.apply(&mut driver, plan).expect("they grow");
    for at in (0..200).step_by(10) {
        let plan = reconcile(disk.label(), &[spec(&name(at), 3 * MIB)]).expect("it fits");
        disk.apply(&mut driver, plan).expect("it grows");
        disk.remove(&mut driver, &name(at + 1)).expect("remove");
    }
    let label = disk.label().clone();
    assert_eq!(label.vdisks().len(), MAX_VDISKS - 20);
    drop(disk);
    let disk = crash(&handle, 1);
    let handle = disk.handle();
    let disk = labelled(TestDisk::around(disk, QUANTUM), Format::Refuse).expect("open");
    assert_eq!(*disk.label(), label);

    // All of them served; each is itself.
    let served: Vec<(String, u64)> = label
        .vdisks()
        .iter()
        .map(|vdisk| (vdisk.name().to_owned(), vdisk.size_bytes()))
        .collect();
    let served: Vec<(&str, u64)> = served
        .iter()
        .map(|(name, size)| (&name[..], *size))
        .collect();
    let disk = TestDisk::around(crash(&handle, 1), QUANTUM);
    let (mut machine, report) = open(disk, &served, Format::Refuse).expect("open");
    assert!(report.messages.is_empty(), "{:?}", report.messages);
    let last = served.len() as u32 - 1;
    machine.write(last, 0, &[5; 4096]).expect("write");
    machine.write(0, 2 * MIB, &[6; 4096]).expect("write");
    machine.flush(last).expect("flush");
    assert_eq!(machine.read(last, 0, 4096), Ok(vec![5; 4096]));
    assert_eq!(machine.read(last - 1, 0, 4096), Ok(vec![0; 4096]));
    assert_eq!(machine.read(0, 2 * MIB, 4096), Ok(vec![6; 4096]));
}
