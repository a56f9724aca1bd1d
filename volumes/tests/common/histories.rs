//! Vdisks with a history, and sets that have some.

use super::{Machine, TestDisk, configs, disk_loop, options};
use disktime_engine::{PolicyKind, StreamConfig};
use disktime_history::WhenFull;
use disktime_units::{Nanos, Share};
use disktime_volumes::{
    Format, HistoryConfig, OpenReport, VdiskConfig, VirtualDriver, VolumeError, VolumeSet,
};

/// The space of the history.
pub(crate) const HISTORY: u64 = 64 << 20;

/// The vdisk `db` of that size with a history.
pub(crate) fn with_history(size_bytes: u64, window_ns: u64, when_full: WhenFull) -> VdiskConfig {
    let mut config = configs(&[("db", size_bytes)]).remove(0);
    config.spec.history_bytes = Some(HISTORY);
    config.history = Some(HistoryConfig {
        window_ns,
        when_full,
        batch: Share::from_percent(50),
        log: StreamConfig::BEST_EFFORT,
        fold: StreamConfig::BEST_EFFORT,
        fold_reads: StreamConfig::BEST_EFFORT,
    });
    config
}

/// Opens the disk at a time, as clocks go on between two servers.
pub(crate) fn open_at(
    disk: TestDisk,
    vdisks: &[VdiskConfig],
    format: Format,
    now: Nanos,
) -> Result<(Machine<TestDisk>, OpenReport), VolumeError> {
    let mut driver = VirtualDriver { now };
    let disk_loop = disk_loop(disk, PolicyKind::Fifo, 24);
    let (set, report) = VolumeSet::open(disk_loop, &mut driver, vdisks, options(format))?;
    let mut machine = Machine::around(set, driver.now);
    machine.ticks = true;
    Ok((machine, report))
}
