//! Vdisks with a history, and sets that have some.

use super::{Machine, TestDisk, configs, disk_loop, options};
use disktime_disks::{Buffer, Disk};
use disktime_engine::{IoError, PolicyKind, Request, RequestKind, Service, StreamConfig, VdiskId};
use disktime_history::{Moment, WhenFull};
use disktime_units::{Nanos, Share};
use disktime_volumes::{
    Format, HistoryConfig, OpenReport, VdiskConfig, VirtualDriver, VolumeError, VolumeSet,
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
pub(crate) fn wait<T>(machine: &mut Machine<TestDisk>, heard: &Heard<T>) -> Result<T, String> {
    for _ in 0..100_000 {
        if let Some(result) = heard.lock().expect("no panic").take() {
            return result;
        }
        assert!(machine.step(), "something is to come");
    }
    panic!("no answer");
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

/// A request for a moment.
pub(crate) fn call_moment(
    machine: &mut Machine<TestDisk>,
    vdisk: VdiskId,
    kind: RequestKind,
    len_bytes: u64,
) -> Result<Vec<u8>, IoError> {
    let request = Request {
        origin: 2,
        handle: 77,
        vdisk,
        kind,
        offset_bytes: 0,
        len_bytes,
        fua: false,
        buffer: Some(Buffer::zeroed(len_bytes as usize)),
    };
    assert!(machine.set.submit(machine.now, request).is_ok());
    let reply = machine.settle().remove(0);
    let buffer = reply.buffer;
    reply
        .result
        .map(|()| buffer.map_or_else(Vec::new, |buffer| buffer.to_vec()))
}
