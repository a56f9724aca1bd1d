//! Vdisks on modelled disks in virtual time, as a server opens them, and clients that keep asking.
#![allow(dead_code, reason = "each test file uses its part of it")]

use crate::common::{BLANK, MIB, MachineOf, models, options};
use disktime_disks::{Disk, Store, VirtualOverlapDisk};
use disktime_drive_models::OverlapDrive;
use disktime_engine::{
    DiskLoop, LoopSettings, Order, PolicyKind, RequestKind, Service, StreamCounters, StreamId,
    SwitchingAccount,
};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use disktime_volumes::{JoinedSets, LabelledDisk, OpenOptions, VdiskConfig, VirtualDriver};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

pub(crate) type AnyDisk = Box<dyn Disk>;
pub(crate) type Sets = MachineOf<JoinedSets<AnyDisk>>;

/// The size of each disk.
const DISK: u64 = 1024 * MIB;

pub(crate) fn hard_disk() -> AnyDisk {
    Box::new(models::hard_disk(DISK, Store::Sparse))
}

/// A modelled SSD, by the name of its preset.
pub(crate) fn drive(name: &str) -> AnyDisk {
    let drive = OverlapDrive::find(name).expect("the preset exists");
    Box::new(VirtualOverlapDisk::of_drive(&drive, DISK, 1, Store::Sparse))
}

/// Opens blank disks with these vdisks on each.
pub(crate) fn open(disks: Vec<AnyDisk>, vdisks: &[Vec<VdiskConfig>]) -> Sets {
    let mut driver = VirtualDriver::default();
    let labelled = disks.into_iter().zip(0..).map(|(disk, seed)| {
        let settings = LoopSettings {
            policy: PolicyKind::Fahrrad,
            switching: match disk.properties().has_seeks {
                true => SwitchingAccount::Reserved {
                    factor_percent: 150,
                },
                false => SwitchingAccount::Served,
            },
            order: Order::Sweep,
            max_queued: 1024,
        };
        let options = OpenOptions {
            uuid_seed: seed,
            ..options(BLANK)
        };
        let disk_loop = DiskLoop::new(disk, settings);
        LabelledDisk::open(disk_loop, &mut driver, options).expect("it is blank")
    });
    let labelled = labelled.collect();
    let (sets, _) = JoinedSets::from_labelled(labelled, &mut driver, vdisks).expect("it opens");
    let mut machine = MachineOf::around(sets, driver.now);
    machine.ticks = true;
    machine
}

/// What a client of a vdisk does, again and again.
#[derive(Clone, Copy)]
pub(crate) struct Client {
    pub vdisk: u32,
    pub kind: RequestKind,
    pub len_bytes: u64,
    pub depth: usize,
    pub is_random: bool,
    /// Bytes of the vdisk that it uses.
    pub of_bytes: u64,
    /// From an answer to the next request.
    pub think: Nanos,
    /// A flush follows each request, and is awaited.
    pub flushes: bool,
}

impl Client {
    /// Requests of 4 KiB.
    pub(crate) fn random(vdisk: u32, kind: RequestKind, depth: usize, of_bytes: u64) -> Client {
        Client {
            vdisk,
            kind,
            len_bytes: 4096,
            depth,
            is_random: true,
            of_bytes,
            think: Nanos::ZERO,
            flushes: false,
        }
    }

    pub(crate) fn sequential(
        vdisk: u32,
        kind: RequestKind,
        (len_bytes, depth): (u64, usize),
        of_bytes: u64,
    ) -> Client {
        Client {
            len_bytes,
            is_random: false,
            ..Client::random(vdisk, kind, depth, of_bytes)
        }
    }
}

/// A request that ended: when, and how long it took, its flush included.
pub(crate) type Ended = (Nanos, Nanos);

/// Clients at work. They go on from one time to the next, so that counters can be read in between.
pub(crate) struct Run<'a> {
    clients: &'a [Client],
    random: SplitMix64,
    data: Vec<u8>,
    /// When the next request of a client is due.
    due: BinaryHeap<Reverse<(Nanos, usize)>>,
    /// By its handle: whose, since when, and whether it is the flush.
    begun: HashMap<u64, (usize, Nanos, bool)>,
    next: Vec<u64>,
    /// The requests of each client that ended.
    pub ended: Vec<Vec<Ended>>,
}

/// Runs until then, and until all is answered; the requests of each client that ended.
pub(crate) fn run(machine: &mut Sets, until: Nanos, clients: &[Client]) -> Vec<Vec<Ended>> {
    let mut run = Run::new(clients);
    run.go_on(machine, until);
    machine.settle();
    run.ended
}

impl<'a> Run<'a> {
    pub(crate) fn new(clients: &'a [Client]) -> Run<'a> {
        let slots = |(at, client): (usize, &Client)| {
            (0..client.depth).map(move |_| Reverse((Nanos::ZERO, at)))
        };
        Run {
            due: clients.iter().enumerate().flat_map(slots).collect(),
            clients,
            random: SplitMix64::new(1),
            data: vec![7; MIB as usize],
            begun: HashMap::new(),
            next: vec![0; clients.len()],
            ended: vec![Vec::new(); clients.len()],
        }
    }

    /// Goes on until then; requests stay in flight.
    pub(crate) fn go_on(&mut self, machine: &mut Sets, until: Nanos) {
        while machine.now < until {
            self.turn(machine);
        }
    }

    fn turn(&mut self, machine: &mut Sets) {
        while let Some(Reverse((at, client))) = self.due.peek().copied()
            && at <= machine.now
        {
            self.due.pop();
            self.ask(machine, client);
        }
        machine.set.turn(machine.now, &mut machine.replies);
        let replies = std::mem::take(&mut machine.replies);
        if replies.is_empty() {
            // Clients come back at once; only then time passes.
            let due = self.due.peek().map(|due| due.0.0);
            let wake = machine.set.next_wake().into_iter().chain(due).min();
            machine.now = machine.now.max(wake.expect("something is to come"));
        }
        for reply in replies {
            reply.result.expect("nothing fails");
            let now = machine.now;
            let (at, since, is_flush) = self.begun.remove(&reply.handle).expect("it was asked");
            if self.clients[at].flushes && !is_flush {
                let vdisk = self.clients[at].vdisk;
                let handle = machine.submit(vdisk, RequestKind::Flush, (0, 0), None, false);
                self.begun.insert(handle.expect("room"), (at, since, true));
                continue;
            }
            self.ended[at].push((now, now - since));
            self.due.push(Reverse((now + self.clients[at].think, at)));
        }
    }

    fn ask(&mut self, machine: &mut Sets, at: usize) {
        let client = self.clients[at];
        let places = client.of_bytes / client.len_bytes;
        let place = match client.is_random {
            true => self.random.below(places),
            false => self.next[at] % places,
        };
        self.next[at] += 1;
        let range = (place * client.len_bytes, client.len_bytes);
        let data = &self.data[..client.len_bytes as usize];
        let handle = machine.submit(client.vdisk, client.kind, range, Some(data), false);
        let handle = handle.expect("the queue is large enough");
        self.begun.insert(handle, (at, machine.now, false));
    }
}

/// What a stream of the set with that number had since the start.
pub(crate) fn counted(machine: &Sets, set: usize, stream: StreamId) -> StreamCounters {
    let report = machine.set.sets()[set].report(machine.now);
    report.streams[&stream].windows.total.counters
}

/// Writes all of a vdisk of that size, so that nothing of it is a hole.
pub(crate) fn fill(machine: &mut Sets, vdisk: u32, size_bytes: u64) {
    for mebibyte in 0..size_bytes / MIB {
        let data = vec![1; MIB as usize];
        machine
            .write(vdisk, mebibyte * MIB, &data)
            .expect("it is written");
    }
}
