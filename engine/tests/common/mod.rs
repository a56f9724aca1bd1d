//! The loop of one disk on a fault-injecting disk in virtual time.
#![allow(dead_code, reason = "each test file uses its part of it")]

use disktime_disks::{
    DiskErrorKind, Fault, FaultDisk, FaultHandle, FaultKind, FaultOptions, Operation, ServiceTime,
};
use disktime_engine::{
    Buffer, DiskLoop, Io, IoDone, LoopSettings, Order, PolicyKind, StreamId, SwitchingAccount,
};
use disktime_units::Nanos;

/// What each request takes.
pub(crate) const SERVICE: Nanos = Nanos::from_millis(5);

pub(crate) fn settings(order: Order) -> LoopSettings {
    LoopSettings {
        policy: PolicyKind::Fahrrad,
        switching: SwitchingAccount::Served,
        order,
        max_queued: 64,
    }
}

pub(crate) fn disk_loop(max_in_flight: usize) -> (DiskLoop<FaultDisk>, FaultHandle) {
    let options = FaultOptions {
        max_in_flight,
        service: ServiceTime::Constant(SERVICE),
        ..FaultOptions::instant(1 << 30)
    };
    let disk = FaultDisk::new(options);
    let handle = disk.handle();
    (DiskLoop::new(disk, settings(Order::Sweep)), handle)
}

pub(crate) fn write(tag: u64, stream: StreamId, offset_bytes: u64) -> Io {
    Io {
        tag,
        stream,
        operation: Operation::Write,
        offset_bytes,
        len_bytes: 4096,
        fua: false,
        buffer: Some(Buffer::copy_of(&[tag as u8; 4096])),
    }
}

/// Every write to this block fails.
pub(crate) fn break_block(handle: &FaultHandle, block: u64) {
    handle.inject(Fault {
        range_bytes: block * 4096..block * 4096 + 1,
        ..Fault::every(Operation::Write, FaultKind::Error(DiskErrorKind::Io))
    });
}

/// The tags of the requests that failed.
pub(crate) fn failed(done: &[IoDone]) -> Vec<u64> {
    let failed = done.iter().filter(|io| io.result.is_err());
    failed.map(|io| io.tag).collect()
}
