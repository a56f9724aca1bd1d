//! Vdisks come and go under load: no client gets another's requests, time or data.

mod common;

use common::{DIRTY, MIB, Machine, TestDisk, crash, disk_loop, new_disk, options, soil, spec};
use disktime_engine::{
    Buffer, IoError, PolicyKind, Request, RequestKind, Service, StreamConfig, VdiskId,
};
use disktime_units::{Nanos, TrimHandling};
use disktime_volumes::{
    Driver, Format, GroupConfig, Uuid, VdiskConfig, VirtualDriver, VolumeError, VolumeSet,
};
use proptest::prelude::*;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::os::fd::RawFd;
use std::rc::Rc;

const VDISKS: usize = 5;
const BLOCK_BYTES: usize = 4096;
/// Blocks that requests touch, two in each chunk of a vdisk.
const BLOCKS: u64 = 32;
const GRAIN_BYTES: u64 = 32 << 10;
const QUANTUM_BYTES: u32 = 16 << 10;

fn config(index: usize) -> VdiskConfig {
    VdiskConfig {
        spec: spec(&format!("v{index}"), MIB),
        stream: StreamConfig::BEST_EFFORT,
        // The last two share an account, which goes with the last of them.
        group: (index >= VDISKS - 2).then(|| GroupConfig {
            name: "pair".to_owned(),
            stream: StreamConfig::BEST_EFFORT,
        }),
        trims: TrimHandling::Pass,
        history: None,
    }
}

fn open(disk: TestDisk, order: &[usize], format: Format) -> Machine<TestDisk> {
    let mut driver = VirtualDriver::default();
    let configs: Vec<VdiskConfig> = order.iter().map(|index| config(*index)).collect();
    let disk_loop = disk_loop(disk, PolicyKind::Fahrrad, 24);
    let opened = VolumeSet::open(disk_loop, &mut driver, &configs, options(format));
    Machine::around(opened.expect("the disk is in order").0, driver.now)
}

fn soiled_disk() -> disktime_disks::FaultDisk {
    let mut disk = new_disk(16 * MIB, 512, 5);
    soil(&mut disk);
    disk
}

#[derive(Debug, Clone)]
enum Action {
    Submit {
        vdisk: usize,
        block: u64,
        kind: RequestKind,
        fua: bool,
    },
    SubmitStale {
        which: usize,
        block: u64,
        kind: RequestKind,
    },
    Turn,
    Add(usize),
    Remove(usize),
    RemoveStale(usize),
}

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let kinds = || {
        prop::sample::select(vec![
            RequestKind::Read,
            RequestKind::Write,
            RequestKind::Flush,
        ])
    };
    let submit = (0..VDISKS, 0..BLOCKS, kinds(), any::<bool>());
    let action = prop_oneof![
        8 => submit.prop_map(|(vdisk, block, kind, fua)| Action::Submit { vdisk, block, kind, fua }),
        2 => (any::<usize>(), 0..BLOCKS, kinds())
            .prop_map(|(which, block, kind)| Action::SubmitStale { which, block, kind }),
        4 => Just(Action::Turn),
        2 => (0..VDISKS).prop_map(Action::Add),
        2 => (0..VDISKS).prop_map(Action::Remove),
        1 => any::<usize>().prop_map(Action::RemoveStale),
    ];
    prop::collection::vec(action, 1..250)
}

/// What the reply to a request has to be.
#[derive(Debug, Clone, Copy)]
enum Expected {
    Write {
        vdisk: usize,
        block: u64,
        stamp: u64,
    },
    Read {
        vdisk: usize,
        block: u64,
    },
    Flush,
    /// An error, whatever the kind.
    Refusal,
}

/// A vdisk as the model has it.
struct Modelled {
    uuid: Uuid,
    handle: Option<VdiskId>,
    /// By block; 0 was never written.
    stamps: Vec<u64>,
    /// Writes answered since it was added.
    written: u64,
    /// Requests submitted since it was added.
    submitted: u64,
}

struct World {
    machine: Machine<TestDisk>,
    vdisks: Vec<Modelled>,
    stale: Vec<VdiskId>,
    /// Blocks with a request in flight, so that what a read has to find is certain.
    busy: HashSet<(usize, u64)>,
    expected: HashMap<u64, Expected>,
    next: u64,
}

/// A block that names its vdisk and its write.
fn fill(stamp: u64) -> Buffer {
    let mut block = Buffer::zeroed(BLOCK_BYTES);
    for word in block.chunks_exact_mut(8) {
        word.copy_from_slice(&stamp.to_le_bytes());
    }
    block
}

fn is_filled(block: &[u8], stamp: u64) -> bool {
    block.len() == BLOCK_BYTES
        && block
            .chunks_exact(8)
            .all(|word| word == stamp.to_le_bytes())
}

impl World {
    fn new(machine: Machine<TestDisk>) -> World {
        let modelled = |index| {
            let handle = machine.set.vdisk_id(&format!("v{index}"));
            Modelled {
                uuid: handle
                    .and_then(|id| machine.set.uuid(id))
                    .expect("it is served"),
                handle,
                stamps: vec![0; BLOCKS as usize],
                written: 0,
                submitted: 0,
            }
        };
        World {
            vdisks: (0..VDISKS).map(modelled).collect(),
            machine,
            stale: Vec::new(),
            busy: HashSet::new(),
            expected: HashMap::new(),
            next: 1,
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Submit {
                vdisk,
                block,
                kind,
                fua,
            } => self.submit(vdisk, block, kind, fua),
            Action::SubmitStale { which, block, kind } => {
                if let Some(handle) = pick(&self.stale, which) {
                    self.send(handle, block, kind, false, Expected::Refusal);
                }
            }
            Action::Turn => {
                self.machine.step();
                self.check_replies();
            }
            Action::Add(vdisk) => self.add(vdisk),
            Action::Remove(vdisk) => self.remove(vdisk),
            Action::RemoveStale(which) => {
                if let Some(handle) = pick(&self.stale, which) {
                    assert_eq!(self.machine.set.remove(handle), None);
                }
            }
        }
    }

    fn submit(&mut self, vdisk: usize, block: u64, kind: RequestKind, fua: bool) {
        let Some(handle) = self.vdisks[vdisk].handle else {
            return;
        };
        let stamp = (self.next << 8) | vdisk as u64;
        let expected = match kind {
            RequestKind::Flush => Expected::Flush,
            _ if !self.busy.insert((vdisk, block)) => return,
            RequestKind::Write => Expected::Write {
                vdisk,
                block,
                stamp,
            },
            _ => Expected::Read { vdisk, block },
        };
        self.send(handle, block, kind, fua, expected);
        self.vdisks[vdisk].submitted += 1;
    }

    fn send(
        &mut self,
        vdisk: VdiskId,
        block: u64,
        kind: RequestKind,
        fua: bool,
        expected: Expected,
    ) {
        let number = self.next;
        self.next += 1;
        let is_flush = kind == RequestKind::Flush;
        let stamp = match expected {
            Expected::Write { stamp, .. } => stamp,
            // What no vdisk may ever hold, and no refused read may change.
            _ => u64::MAX,
        };
        let request = Request {
            origin: vdisk.0,
            handle: number,
            vdisk,
            kind,
            offset_bytes: if is_flush { 0 } else { block * GRAIN_BYTES },
            len_bytes: if is_flush { 0 } else { BLOCK_BYTES as u64 },
            fua: fua && kind == RequestKind::Write,
            buffer: (!is_flush).then(|| fill(stamp)),
        };
        let taken = self.machine.set.submit(self.machine.now, request);
        assert!(taken.is_ok(), "a few hundred requests fit");
        self.expected.insert(number, expected);
    }

    fn add(&mut self, index: usize) {
        if self.vdisks[index].handle.is_some() {
            return;
        }
        let is_leaving = self.machine.set.is_leaving(self.vdisks[index].uuid);
        let mut driver = VirtualDriver {
            now: self.machine.now,
        };
        let added = self.machine.set.add(&mut driver, &config(index));
        self.machine.now = driver.now;
        if is_leaving {
            assert!(
                matches!(added, Err(VolumeError::BadSpec { .. })),
                "{added:?}"
            );
            return;
        }
        let handle = added.expect("the label has it");
        assert!(!self.stale.contains(&handle), "a handle came back");
        assert!(self.vdisks.iter().all(|vdisk| vdisk.handle != Some(handle)));
        let vdisk = &mut self.vdisks[index];
        assert_eq!(self.machine.set.uuid(handle), Some(vdisk.uuid));
        (vdisk.handle, vdisk.written, vdisk.submitted) = (Some(handle), 0, 0);
        self.check_time();
    }

    fn remove(&mut self, index: usize) {
        let vdisk = &mut self.vdisks[index];
        if let Some(handle) = vdisk.handle.take() {
            assert_eq!(self.machine.set.remove(handle), Some(vdisk.uuid));
            assert_eq!(self.machine.set.uuid(handle), None);
            assert_eq!(self.machine.set.stream(handle), None);
            self.stale.push(handle);
        }
    }

    fn check_replies(&mut self) {
        for reply in std::mem::take(&mut self.machine.replies) {
            let expected = self.expected.remove(&reply.handle);
            match expected.expect("a request is answered once") {
                Expected::Refusal => {
                    assert_eq!(reply.result, Err(IoError::Shutdown));
                    let buffer = reply.buffer.as_deref();
                    assert!(buffer.is_none_or(|block| is_filled(block, u64::MAX)));
                }
                Expected::Flush => assert_eq!(reply.result, Ok(())),
                Expected::Write {
                    vdisk,
                    block,
                    stamp,
                } => {
                    assert_eq!(reply.result, Ok(()));
                    self.busy.remove(&(vdisk, block));
                    self.vdisks[vdisk].stamps[block as usize] = stamp;
                    self.vdisks[vdisk].written += 1;
                }
                Expected::Read { vdisk, block } => {
                    assert_eq!(reply.result, Ok(()));
                    self.busy.remove(&(vdisk, block));
                    let stamp = self.vdisks[vdisk].stamps[block as usize];
                    let data = reply.buffer.as_deref().expect("a read has data");
                    assert!(is_filled(data, stamp), "vdisk {vdisk} block {block}");
                }
            }
        }
    }

    /// A stream has what its own vdisk asked for since it was added, and nothing of its slot's
    /// earlier vdisks.
    fn check_time(&self) {
        let scheduler = self.machine.set.disk_loop().scheduler();
        for vdisk in &self.vdisks {
            let Some(handle) = vdisk.handle else {
                continue;
            };
            let stream = self.machine.set.stream(handle).expect("it is served");
            let counters = scheduler.stream_counters(stream);
            let received = counters.reserved + counters.spare;
            if vdisk.submitted == 0 {
                assert_eq!((counters.requests, received.0), (0, 0), "another's time");
            }
            assert!(counters.requests >= vdisk.written.min(1));
        }
    }

    /// Answers all, serves all, and reads every block.
    fn finish(mut self, disk: &Rc<RefCell<disktime_disks::FaultDisk>>) {
        self.settle();
        for vdisk in 0..VDISKS {
            self.add(vdisk);
        }
        for vdisk in 0..VDISKS {
            for block in 0..BLOCKS {
                self.submit(vdisk, block, RequestKind::Read, false);
            }
            self.submit(vdisk, 0, RequestKind::Flush, false);
            self.settle();
        }
        self.check_time();
        let World {
            machine, vdisks, ..
        } = self;
        drop(machine);
        // The same vdisks in another order: positions mean nothing.
        let order: Vec<usize> = (0..VDISKS).rev().collect();
        let mut again = World::new(open(
            TestDisk::sharing(disk, QUANTUM_BYTES, None),
            &order,
            Format::Refuse,
        ));
        for (index, before) in vdisks.into_iter().enumerate() {
            assert_eq!(again.vdisks[index].uuid, before.uuid);
            again.vdisks[index].stamps = before.stamps;
            for block in 0..BLOCKS {
                again.submit(index, block, RequestKind::Read, false);
            }
        }
        again.settle();
    }

    fn settle(&mut self) {
        while self.machine.step() {
            self.check_replies();
        }
        self.check_replies();
        assert!(self.machine.set.is_idle() && self.expected.is_empty());
    }
}

fn pick(stale: &[VdiskId], which: usize) -> Option<VdiskId> {
    let index = which.checked_rem(stale.len())?;
    Some(stale[index])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_client_gets_another_s_requests_time_or_data(actions in actions()) {
        let disk = Rc::new(RefCell::new(soiled_disk()));
        let order: Vec<usize> = (0..VDISKS).collect();
        let machine = open(TestDisk::sharing(&disk, QUANTUM_BYTES, None), &order, DIRTY);
        let mut world = World::new(machine);
        for action in actions {
            world.act(action);
        }
        world.finish(&disk);
    }
}

#[test]
fn what_was_answered_is_durable_when_a_vdisk_has_left() {
    let disk = Rc::new(RefCell::new(soiled_disk()));
    let handle = disk.borrow().handle();
    let mut machine = open(
        TestDisk::sharing(&disk, QUANTUM_BYTES, None),
        &[0, 1],
        DIRTY,
    );
    machine.write(0, 0, &[7; 100_000]).expect("write");
    let first = machine.handle(0);
    let uuid = machine.set.remove(first).expect("it is served");
    assert!(machine.set.is_leaving(uuid));
    machine.settle();
    assert!(!machine.set.is_leaving(uuid));
    let survivor = crash(&handle, 3);
    machine.set.abandon();
    let mut again = open(
        TestDisk::around(survivor, QUANTUM_BYTES),
        &[0],
        Format::Refuse,
    );
    assert_eq!(again.read(0, 0, 100_000), Ok(vec![7; 100_000]));
}

#[test]
fn requests_in_flight_are_answered_before_a_vdisk_leaves() {
    let mut machine = open(
        TestDisk::around(soiled_disk(), QUANTUM_BYTES),
        &[0, 1],
        DIRTY,
    );
    let data = [9; 4096];
    let written = machine.submit(0, RequestKind::Write, (0, 4096), Some(&data), false);
    let flushed = machine.submit(0, RequestKind::Flush, (0, 0), None, false);
    let first = machine.handle(0);
    machine.set.remove(first).expect("it is served");
    let replies = machine.settle();
    let mut answered: Vec<Option<u64>> = replies.iter().map(|reply| Some(reply.handle)).collect();
    answered.sort();
    assert_eq!(answered, [written, flushed]);
    assert!(replies.iter().all(|reply| reply.result == Ok(())));
    assert_eq!(machine.set.vdisks().count(), 1);
}

/// A driver whose first wait fails.
struct FailingDriver(VirtualDriver);

impl Driver for FailingDriver {
    fn now(&mut self) -> Nanos {
        self.0.now
    }

    fn wait(&mut self, _: Option<Nanos>, _: &[RawFd]) -> Result<(), VolumeError> {
        Err(VolumeError::Wait(std::io::Error::other("no memory")))
    }
}

#[test]
fn the_answer_to_a_read_that_was_given_up_is_not_taken_for_the_next() {
    let mut machine = open(
        TestDisk::around(soiled_disk(), QUANTUM_BYTES),
        &[0, 1, 2],
        DIRTY,
    );
    for vdisk in [2, 1] {
        let handle = machine.handle(vdisk);
        machine.set.remove(handle);
    }
    machine.settle();
    let mut failing = FailingDriver(VirtualDriver { now: machine.now });
    let added = machine.set.add(&mut failing, &config(1));
    assert!(matches!(added, Err(VolumeError::Wait(_))), "{added:?}");
    assert!(machine.settle().is_empty());
    let mut driver = VirtualDriver { now: machine.now };
    let added = machine
        .set
        .add(&mut driver, &config(2))
        .expect("it is free");
    machine.now = driver.now;
    assert!(machine.handle(1) == added);
    assert_eq!(machine.read(1, 0, 4096), Ok(vec![0; 4096]));
}
