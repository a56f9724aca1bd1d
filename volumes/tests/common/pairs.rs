//! Two disks that are served together, because logs of the one lie on the other.

use super::{MachineOf, TestDisk, crash, disk_loop, new_disk, options};
use disktime_disks::{FaultDisk, FaultHandle};
use disktime_engine::PolicyKind;
use disktime_units::Nanos;
use disktime_volumes::{
    Format, JoinedSets, LabelledDisk, Misfit, OpenOptions, OpenReport, VdiskConfig, VirtualDriver,
};

pub(crate) type Pair = MachineOf<JoinedSets<TestDisk>>;

/// What is opened, and what was said of each disk.
pub(crate) type Opened = Result<(Pair, Vec<OpenReport>), Misfit>;

/// For the disk at a position: the uuids of two disks differ, and of two times.
pub(crate) fn options_of(disk: usize, format: Format, now: Nanos) -> OpenOptions {
    OpenOptions {
        uuid_seed: 7 + disk as u64 + 100 * now.0,
        ..options(format)
    }
}

pub(crate) fn open_pair(
    disks: [TestDisk; 2],
    vdisks: &[Vec<VdiskConfig>; 2],
    format: Format,
    now: Nanos,
) -> Opened {
    let mut driver = VirtualDriver { now };
    let mut labelled = Vec::new();
    for (at, disk) in disks.into_iter().enumerate() {
        let options = options_of(at, format, now);
        let opened =
            LabelledDisk::open(disk_loop(disk, PolicyKind::Fifo, 24), &mut driver, options);
        labelled.push(opened.map_err(|error| Misfit { disk: at, error })?);
    }
    let (sets, reports) = JoinedSets::from_labelled(labelled, &mut driver, vdisks)?;
    let mut machine = MachineOf::around(sets, driver.now);
    machine.ticks = true;
    Ok((machine, reports))
}

pub(crate) fn new_pair(size_bytes: u64, seed: u64) -> [FaultDisk; 2] {
    [
        new_disk(size_bytes, 4096, seed),
        new_disk(size_bytes, 4096, seed + 1),
    ]
}

pub(crate) fn handles(disks: &[FaultDisk; 2]) -> [FaultHandle; 2] {
    [disks[0].handle(), disks[1].handle()]
}

pub(crate) fn after_crash(handles: &[FaultHandle; 2], seed: u64) -> [FaultDisk; 2] {
    [crash(&handles[0], seed), crash(&handles[1], seed + 1)]
}
