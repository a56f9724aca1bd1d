//! Vdisks with a history, and sets that have some.

use super::{Machine, MachineOf, Serves, TestDisk, configs, disk_loop, options, reserved};
use disktime_disks::{Buffer, Disk, FaultDisk};
use disktime_engine::{
    Extent, IoError, PolicyKind, Reply, Request, RequestKind, Service, StreamConfig, VdiskId,
};
use disktime_history::{Moment, WhenFull};
use disktime_units::{Nanos, Share};
use disktime_volumes::{
    CloneConfig, Format, HistoryConfig, OpenReport, VdiskConfig, VirtualDriver, VolumeError,
    VolumeSet,
};
use std::sync::{Arc, Mutex};

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

/// The same with a log of so many bytes, and with reservations for log and fold; `fold_reads`: that
/// of what a fold reads.
pub(crate) fn with_reserved_history(
    size_bytes: u64,
    history_bytes: u64,
    fold_reads: StreamConfig,
) -> VdiskConfig {
    let mut config = with_history(size_bytes, 1 << 60, WhenFull::Shorten);
    config.spec.history_bytes = Some(history_bytes);
    config.history = config.history.map(|history| HistoryConfig {
        log: reserved(10, 500),
        fold: reserved(5, 1000),
        fold_reads,
        ..history
    });
    config
}

/// Opens the disk at a time, as clocks go on between two servers.
pub(crate) fn open_at<D: Disk>(
    disk: D,
    vdisks: &[VdiskConfig],
    format: Format,
    now: Nanos,
) -> Result<(Machine<D>, OpenReport), VolumeError> {
    let mut driver = VirtualDriver { now };
    let disk_loop = disk_loop(disk, PolicyKind::Fifo, 24);
    let (set, report) = VolumeSet::open(disk_loop, &mut driver, vdisks, options(format))?;
    let mut machine = Machine::around(set, driver.now);
    machine.ticks = true;
    Ok((machine, report))
}

/// The same with a fault-injecting disk.
pub(crate) fn open_fault_disk(
    disk: FaultDisk,
    vdisks: &[VdiskConfig],
    format: Format,
    now: Nanos,
) -> Result<(Machine<TestDisk>, OpenReport), VolumeError> {
    open_at(TestDisk::around(disk, 256 << 10), vdisks, format, now)
}

/// What a callback was given.
pub(crate) type Heard<T> = Arc<Mutex<Option<Result<T, String>>>>;

/// The callback that gives it.
pub(crate) type Done<T> = Box<dyn FnOnce(Result<T, String>) + Send>;

/// A callback, and where what it is given can be taken.
pub(crate) fn listener<T: Send + 'static>() -> (Heard<T>, Done<T>) {
    let heard = Heard::<T>::default();
    let of_callback = Arc::clone(&heard);
    let done = move |result| {
        let before = of_callback.lock().expect("no panic").replace(result);
        assert!(before.is_none(), "one answer");
    };
    (heard, Box::new(done))
}

/// What the callback is given.
pub(crate) fn wait<S: Serves, T>(
    machine: &mut MachineOf<S>,
    heard: &Heard<T>,
) -> Result<T, String> {
    for _ in 0..100_000 {
        if let Some(result) = heard.lock().expect("no panic").take() {
            return result;
        }
        assert!(machine.step(), "something is to come");
    }
    panic!("no answer");
}

/// Has something done; what came of it, and how long it took.
pub(crate) fn timed<D: Disk, T: Send + 'static>(
    machine: &mut Machine<D>,
    begin: impl FnOnce(&mut Machine<D>, Done<T>),
) -> (T, Nanos) {
    let began = machine.now;
    let (heard, done) = listener();
    begin(machine, done);
    loop {
        machine.set.turn(machine.now, &mut machine.replies);
        if let Some(result) = heard.lock().expect("no panic").take() {
            return (result.expect("it is done"), machine.now - began);
        }
        pass_time(machine);
    }
}

/// Time passes until something is due.
pub(crate) fn pass_time<D: Disk>(machine: &mut Machine<D>) {
    let wake = machine.set.next_wake().expect("something is to come");
    machine.now = machine.now.max(wake);
}

/// Names the newest content of a vdisk; its seq.
pub(crate) fn mark(machine: &mut Machine<TestDisk>, vdisk: u32, name: &str) -> Result<u64, String> {
    let (heard, done) = listener();
    let vdisk = machine.handle(vdisk);
    machine.set.mark(vdisk, name, done);
    wait(machine, &heard)
}

/// A clone with as much space for its log as [`HISTORY`].
pub(crate) fn clone_config(name: &str) -> CloneConfig {
    CloneConfig {
        name: name.to_owned(),
        stream: StreamConfig::BEST_EFFORT,
        max_bytes: HISTORY,
        settings: format!("of {name}"),
    }
}

/// Opens a moment of a vdisk: what it is called by requests, and its size in bytes.
pub(crate) fn open_moment(
    machine: &mut Machine<TestDisk>,
    vdisk: u32,
    moment: &Moment,
) -> Result<(VdiskId, u64), String> {
    let (heard, done) = listener();
    let vdisk = machine.handle(vdisk);
    machine.set.open_moment(vdisk, moment, done);
    wait(machine, &heard)
}

/// A request for a vdisk or a moment, answered as soon as it is: what goes on beside it goes on.
pub(crate) fn ask<D: Disk>(
    machine: &mut Machine<D>,
    vdisk: VdiskId,
    kind: RequestKind,
    place: (u64, u64),
) -> Reply {
    let len_bytes = match kind {
        RequestKind::Status => Extent::BYTES as u64 * 4096,
        _ => place.1,
    };
    submit(machine, vdisk, kind, place, len_bytes);
    loop {
        machine.set.turn(machine.now, &mut machine.replies);
        if let Some(reply) = machine.replies.pop() {
            return reply;
        }
        pass_time(machine);
    }
}

fn submit<D: Disk>(
    machine: &mut Machine<D>,
    vdisk: VdiskId,
    kind: RequestKind,
    (offset_bytes, len_bytes): (u64, u64),
    buffer_bytes: u64,
) {
    let request = Request {
        origin: 2,
        handle: 77,
        vdisk,
        kind,
        offset_bytes,
        len_bytes,
        fua: false,
        buffer: Some(Buffer::zeroed(buffer_bytes as usize)),
    };
    assert!(machine.set.submit(machine.now, request).is_ok());
}

/// A request for a moment.
pub(crate) fn call_moment(
    machine: &mut Machine<TestDisk>,
    vdisk: VdiskId,
    kind: RequestKind,
    len_bytes: u64,
) -> Result<Vec<u8>, IoError> {
    submit(machine, vdisk, kind, (0, len_bytes), len_bytes);
    let reply = machine.settle().remove(0);
    let buffer = reply.buffer;
    reply
        .result
        .map(|()| buffer.map_or_else(Vec::new, |buffer| buffer.to_vec()))
}
