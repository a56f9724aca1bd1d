//! A volume set on a fault-injecting disk in virtual time, with calls that wait.
#![allow(dead_code, reason = "each test file uses its part of it")]

pub(crate) mod histories;
pub(crate) mod labels;
pub(crate) mod models;
pub(crate) mod pairs;
pub(crate) mod stamps;

use disktime_disks::{
    Buffer, Completion, ContentMap, Disk, DiskError, DiskErrorKind, DiskProperties, DiskRequest,
    FaultDisk, FaultHandle, FaultOptions, FreeSpace, LinearCost, Operation, ServiceTime,
    SpaceBelow, Store, VirtualDisk, VirtualLinearDisk,
};
use disktime_engine::{
    DiskLoop, Extent, IoError, LoopSettings, Order, PolicyKind, Reply, Request, RequestKind,
    Reservation, Service, StreamConfig, SwitchingAccount, VdiskId,
};
use disktime_random::SplitMix64;
use disktime_units::{ByBackgroundWork, Nanos, Share, TrimHandling};
use disktime_volumes::{
    Driver, Format, JoinedSets, LabelledDisk, OpenOptions, OpenReport, RealDriver, VdiskConfig,
    VdiskSpec, VirtualDriver, VolumeError, VolumeSet,
};
use std::cell::RefCell;
use std::rc::Rc;

pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const BLANK: Format = Format::IfBlank { known_zero: true };
pub(crate) const DIRTY: Format = Format::Force { known_zero: false };

/// A fault-injecting disk with small pieces, so that requests are split. Others may hold the same
/// disk: what a killed server leaves is found by the next one.
pub(crate) struct TestDisk {
    disk: Rc<RefCell<FaultDisk>>,
    properties: DiskProperties,
    /// So many writes and flushes are let through; what comes then is never heard of.
    left: Option<u64>,
    /// What its file system is said to have left.
    pub free: FreeSpace,
    /// It tells that nothing on it has space below yet, and that all of it may be data.
    pub tells_space: bool,
    /// It reports a lost write once, as a kernel does: the next flush succeeds.
    reports_once: bool,
}

impl TestDisk {
    pub(crate) fn around(disk: FaultDisk, quantum_bytes: u32) -> TestDisk {
        TestDisk::sharing(&Rc::new(RefCell::new(disk)), quantum_bytes, None)
    }

    pub(crate) fn sharing(
        disk: &Rc<RefCell<FaultDisk>>,
        quantum_bytes: u32,
        left: Option<u64>,
    ) -> TestDisk {
        let mut properties = disk.borrow().properties().clone();
        properties.quantum_bytes = quantum_bytes;
        TestDisk {
            disk: Rc::clone(disk),
            properties,
            left,
            free: FreeSpace::new(1 << 40),
            tells_space: false,
            reports_once: false,
        }
    }

    pub(crate) fn reporting_once(self) -> TestDisk {
        TestDisk {
            reports_once: true,
            ..self
        }
    }
}

impl Disk for TestDisk {
    fn properties(&self) -> &DiskProperties {
        &self.properties
    }
    fn submit(&mut self, now: Nanos, request: DiskRequest) {
        assert!(
            request.len_bytes <= u64::from(self.properties.quantum_bytes),
            "too long"
        );
        if let Some(left) = self
            .left
            .as_mut()
            .filter(|_| request.operation != Operation::Read)
        {
            if *left == 0 {
                return;
            }
            *left -= 1;
        }
        self.disk.borrow_mut().submit(now, request);
    }
    fn collect(&mut self, now: Nanos, completions: &mut Vec<Completion>) {
        self.disk.borrow_mut().collect(now, completions);
        for completion in completions.iter_mut().filter(|_| self.reports_once) {
            let is_repeated = |error: &DiskError| error.kind == DiskErrorKind::FlushFailedBefore;
            if completion.result.as_ref().is_err_and(is_repeated) {
                completion.result = Ok(());
            }
        }
    }
    fn next_completion(&self) -> Option<Nanos> {
        self.disk.borrow().next_completion()
    }
    fn free_space(&self) -> Option<&FreeSpace> {
        Some(&self.free)
    }
    fn content_map(&self) -> Option<&dyn ContentMap> {
        self.tells_space.then_some(self)
    }
}

impl ContentMap for TestDisk {
    fn data_after(&self, from: u64, to: u64) -> Option<(u64, u64)> {
        (from < to).then_some((from, to))
    }
    fn space_below(&self) -> Option<&dyn SpaceBelow> {
        Some(self)
    }
}

impl SpaceBelow for TestDisk {
    fn unit_bytes(&self) -> u64 {
        4096
    }
    fn each(&self, _range: (u64, u64), _calls: &mut u32, _note: &mut dyn FnMut(u64, u64)) {}
    fn is_exact(&self) -> bool {
        true
    }
}

/// Requests take as long as one another; several are in flight.
pub(crate) fn service() -> ServiceTime {
    ServiceTime::Constant(Nanos::from_micros(100))
}

pub(crate) fn new_disk(size_bytes: u64, block_bytes: u32, seed: u64) -> FaultDisk {
    FaultDisk::new(FaultOptions {
        block_bytes,
        max_in_flight: 8,
        service: service(),
        seed,
        ..FaultOptions::instant(size_bytes)
    })
}

/// A disk that is zeroes and knows what was written to it since; each request takes 10 µs, and as
/// much for each MiB.
pub(crate) fn linear_disk(size_bytes: u64) -> VirtualLinearDisk {
    linear_disk_in_steps(size_bytes, Nanos::from_micros(10))
}

/// The same with another time than 10 µs.
pub(crate) fn linear_disk_in_steps(size_bytes: u64, step: Nanos) -> VirtualLinearDisk {
    let cost = LinearCost {
        read_base: step,
        read_per_mib: step,
        write_base: step,
        write_per_mib: step,
        flush: step,
    };
    VirtualDisk::linear(size_bytes, cost, 8, "device", Store::Sparse)
}

/// A disk for that format: one to be formatted by force holds garbage.
pub(crate) fn disk_for(format: Format, size_bytes: u64) -> FaultDisk {
    let mut disk = new_disk(size_bytes, 4096, 1);
    if format == DIRTY {
        soil(&mut disk);
    }
    disk
}

/// Fills the disk with bytes that are neither zero nor any test's own, durably.
pub(crate) fn soil(disk: &mut FaultDisk) {
    let size_bytes = disk.properties().size_bytes;
    let garbage = [0xEB; MIB as usize];
    for offset_bytes in (0..size_bytes).step_by(MIB as usize) {
        put(disk, offset_bytes, &garbage);
    }
}

/// Has a disk serve a request; its buffers.
pub(crate) fn run(
    disk: &mut FaultDisk,
    op: Operation,
    at: u64,
    len: u64,
    buffers: Vec<Buffer>,
) -> Vec<Buffer> {
    let (offset_bytes, len_bytes) = (at, len);
    let request = DiskRequest {
        tag: 0,
        operation: op,
        offset_bytes,
        len_bytes,
        fua: false,
        buffers,
    };
    disk.submit(Nanos::ZERO, request);
    let mut done = Vec::new();
    disk.collect(Nanos::MAX, &mut done);
    assert!(done.len() == 1 && done[0].result.is_ok());
    done.remove(0).buffers
}

/// Writes bytes durably.
pub(crate) fn put(disk: &mut FaultDisk, offset: u64, bytes: &[u8]) {
    let buffers = vec![Buffer::copy_of(bytes)];
    run(disk, Operation::Write, offset, bytes.len() as u64, buffers);
    run(disk, Operation::Flush, 0, 0, Vec::new());
}

pub(crate) fn disk_loop<D: Disk>(disk: D, policy: PolicyKind, max_queued: usize) -> DiskLoop<D> {
    disk_loop_in(disk, policy, max_queued, Order::Sweep)
}

pub(crate) fn disk_loop_in<D: Disk>(
    disk: D,
    policy: PolicyKind,
    max_queued: usize,
    order: Order,
) -> DiskLoop<D> {
    let settings = LoopSettings {
        policy,
        switching: SwitchingAccount::Served,
        order,
        max_queued,
    };
    DiskLoop::new(disk, settings)
}

/// The loop of a disk whose requests are served as they come.
fn in_order<D: Disk>(disk: D) -> DiskLoop<D> {
    disk_loop(disk, PolicyKind::Fifo, 24)
}

pub(crate) fn options(format: Format) -> OpenOptions {
    OpenOptions {
        format,
        uuid_seed: 7,
        background: ByBackgroundWork::from_fn(|_| StreamConfig::BEST_EFFORT),
    }
}

/// A share in per cent in every period of so many milliseconds.
pub(crate) fn reserved(percent: u32, period_ms: u64) -> StreamConfig {
    StreamConfig {
        reservation: Some(Reservation {
            share: Share::from_percent(percent),
            period: Nanos::from_millis(period_ms),
        }),
        ..StreamConfig::BEST_EFFORT
    }
}

pub(crate) fn spec(name: &str, size_bytes: u64) -> VdiskSpec {
    VdiskSpec {
        name: name.to_owned(),
        size_bytes,
        maps_holes: false,
        history_bytes: None,
        history_off: false,
        log_disk: None,
    }
}

pub(crate) fn configs(specs: &[(&str, u64)]) -> Vec<VdiskConfig> {
    let config = |(name, size): &(&str, u64)| VdiskConfig {
        spec: spec(name, *size),
        stream: StreamConfig::BEST_EFFORT,
        group: None,
        trims: TrimHandling::Pass,
        history: None,
    };
    specs.iter().map(config).collect()
}

pub(crate) fn labelled<D: Disk>(disk: D, format: Format) -> Result<LabelledDisk<D>, VolumeError> {
    LabelledDisk::open(
        in_order(disk),
        &mut VirtualDriver::default(),
        options(format),
    )
}

/// What serves vdisks.
pub(crate) trait Serves: Service {
    /// The handle of the vdisk at that position, over all disks.
    fn nth_handle(&self, position: usize) -> Option<VdiskId>;
}

impl<D: Disk> Serves for VolumeSet<D> {
    fn nth_handle(&self, position: usize) -> Option<VdiskId> {
        self.vdisk_ids().nth(position)
    }
}

impl<D: Disk> Serves for JoinedSets<D> {
    fn nth_handle(&self, position: usize) -> Option<VdiskId> {
        self.sets()
            .iter()
            .flat_map(VolumeSet::vdisk_ids)
            .nth(position)
    }
}

/// A set, its clock, and the replies that came.
pub(crate) type Machine<D> = MachineOf<VolumeSet<D>>;

/// The same with anything that serves vdisks.
pub(crate) struct MachineOf<S> {
    pub set: S,
    pub now: Nanos,
    pub replies: Vec<Reply>,
    next_handle: u64,
    /// It always has something to wait for, and is settled when it is idle.
    pub ticks: bool,
}

pub(crate) fn open<D: Disk>(
    disk: D,
    specs: &[(&str, u64)],
    format: Format,
) -> Result<(Machine<D>, OpenReport), VolumeError> {
    let mut driver = VirtualDriver::default();
    let (set, report) = VolumeSet::open(
        in_order(disk),
        &mut driver,
        &configs(specs),
        options(format),
    )?;
    Ok((Machine::around(set, driver.now), report))
}

impl<S: Serves> MachineOf<S> {
    pub(crate) fn around(set: S, now: Nanos) -> MachineOf<S> {
        MachineOf {
            set,
            now,
            replies: Vec::new(),
            next_handle: 0,
            ticks: false,
        }
    }

    /// Submits and returns the handle; `None` if the vdisk is full.
    pub(crate) fn submit(
        &mut self,
        vdisk: u32,
        kind: RequestKind,
        place: (u64, u64),
        data: Option<&[u8]>,
        fua: bool,
    ) -> Option<u64> {
        let handle = self.next_handle;
        let buffer = match kind {
            RequestKind::Read => {
                let mut room = Buffer::zeroed(place.1 as usize);
                room.fill(0xCC);
                Some(room)
            }
            RequestKind::Write => data.map(Buffer::copy_of),
            RequestKind::Status => Some(Buffer::zeroed(512 * Extent::BYTES)),
            _ => None,
        };
        let (offset_bytes, len_bytes) = place;
        let vdisk = self.handle(vdisk);
        let request = Request {
            origin: 1,
            handle,
            vdisk,
            kind,
            offset_bytes,
            len_bytes,
            fua,
            buffer,
        };
        self.set.submit(self.now, request).ok()?;
        self.next_handle += 1;
        Some(handle)
    }

    /// The handle of the vdisk at that position of the configuration; where there is none, the bare
    /// position, which is no handle.
    pub(crate) fn handle(&self, vdisk: u32) -> VdiskId {
        let handle = self.set.nth_handle(vdisk as usize);
        handle.unwrap_or(VdiskId(u64::from(vdisk)))
    }

    /// One turn and a jump to the next one; false when there is none.
    pub(crate) fn step(&mut self) -> bool {
        self.set.turn(self.now, &mut self.replies);
        match self.set.next_wake() {
            Some(wake) => {
                self.now = self.now.max(wake);
                true
            }
            None => self.wait(),
        }
    }

    /// Waits for a real disk; false when there is nothing to wait for.
    fn wait(&self) -> bool {
        let fds = self.set.wake_fds();
        let mut driver = RealDriver::new(|| Nanos::ZERO);
        let can_wait = !fds.is_empty() && !self.set.is_idle();
        can_wait && driver.wait(None, &fds).is_ok()
    }

    /// Turns until nothing is left to wait for.
    pub(crate) fn settle(&mut self) -> Vec<Reply> {
        while self.step() {
            if self.ticks && self.set.is_idle() {
                break;
            }
        }
        assert!(self.set.is_idle(), "requests are left over");
        std::mem::take(&mut self.replies)
    }

    pub(crate) fn call(
        &mut self,
        vdisk: u32,
        kind: RequestKind,
        place: (u64, u64),
        data: Option<&[u8]>,
        fua: bool,
    ) -> Result<Option<Buffer>, IoError> {
        let handle = self
            .submit(vdisk, kind, place, data, fua)
            .expect("the queue is empty");
        let mut replies = self.settle();
        assert_eq!(replies.len(), 1, "one request, one reply");
        let reply = replies.remove(0);
        assert_eq!((reply.handle, reply.kind), (handle, kind));
        reply.result.map(|()| reply.buffer)
    }

    pub(crate) fn read(&mut self, vdisk: u32, offset: u64, len: u64) -> Result<Vec<u8>, IoError> {
        let buffer = self.call(vdisk, RequestKind::Read, (offset, len), None, false)?;
        Ok(buffer.expect("a read brings its buffer back").to_vec())
    }

    pub(crate) fn write(&mut self, vdisk: u32, offset: u64, data: &[u8]) -> Result<(), IoError> {
        let place = (offset, data.len() as u64);
        self.call(vdisk, RequestKind::Write, place, Some(data), false)
            .map(drop)
    }

    pub(crate) fn write_fua(
        &mut self,
        vdisk: u32,
        offset: u64,
        data: &[u8],
    ) -> Result<(), IoError> {
        let place = (offset, data.len() as u64);
        self.call(vdisk, RequestKind::Write, place, Some(data), true)
            .map(drop)
    }

    /// What is known of a range, as far as one answer tells.
    pub(crate) fn status(&mut self, vdisk: u32, place: (u64, u64)) -> Vec<Extent> {
        let buffer = self.call(vdisk, RequestKind::Status, place, None, false);
        let buffer = buffer.expect("nothing fails").expect("its buffer");
        Extent::read_all(&buffer).collect()
    }

    pub(crate) fn flush(&mut self, vdisk: u32) -> Result<(), IoError> {
        self.call(vdisk, RequestKind::Flush, (0, 0), None, false)
            .map(drop)
    }
}

/// What is on the disk after a power failure.
pub(crate) fn crash(handle: &FaultHandle, seed: u64) -> FaultDisk {
    handle.crash(&mut SplitMix64::new(seed), service())
}
