//! What a vdisk with a history takes from its neighbours while it writes at full speed and folds
//! again and again, in virtual time: nothing that is reserved for them.
//!
//! Each mix is run twice, with the writer's history and without, so that what a history changes is
//! seen; and each neighbour alone, to which isolation is compared.

mod common;
mod in_time;

use common::histories::with_history;
use common::{MIB, configs, reserved};
use disktime_engine::{RequestKind, StreamCounters};
use disktime_history::WhenFull;
use disktime_units::Nanos;
use disktime_volumes::VdiskConfig;
use in_time::{AnyDisk, Client, Run, Sets, counted, drive, fill, hard_disk, open};

const SIZE: u64 = 64 * MIB;
const LOG: u64 = 64 * MIB;
/// Positions of the vdisks.
const VICTIMS: [u32; 2] = [0, 1];
const WRITER: u32 = 2;

/// Where the vdisks and the log lie.
#[derive(Debug, Clone, Copy)]
enum Place {
    /// All on one hard disk.
    HardDisk,
    /// All on one SSD, a preset.
    Ssd(&'static str),
    /// The log on an SSD, and one neighbour there, too; all else on a hard disk.
    LogOnSsd(&'static str),
}

impl Place {
    fn disks(self) -> Vec<AnyDisk> {
        match self {
            Place::HardDisk => vec![hard_disk()],
            Place::Ssd(name) => vec![drive(name)],
            Place::LogOnSsd(name) => vec![hard_disk(), drive(name)],
        }
    }

    /// The disk of a neighbour.
    fn disk_of(self, victim: usize) -> usize {
        match self {
            Place::LogOnSsd(_) => victim,
            _ => 0,
        }
    }

    /// Shares in per cent, and periods in milliseconds, of the neighbours: about as much as
    /// admission takes beside the writer's.
    fn reservation(self, victim: usize) -> (u32, u64) {
        match (self, victim) {
            (Place::HardDisk, 0) => (32, 500),
            (Place::HardDisk, _) => (24, 1000),
            (Place::Ssd(_), 0) => (40, 100),
            (Place::Ssd(_), _) => (25, 250),
            (Place::LogOnSsd(_), 0) => (55, 500),
            (Place::LogOnSsd(_), _) => (65, 250),
        }
    }

    /// How long a mix is run before it is measured, and measured: several fills and folds.
    fn times(self) -> (Nanos, Nanos) {
        match self {
            Place::Ssd("nvme-970pro") => (Nanos::from_secs(1), Nanos::from_secs(3)),
            Place::Ssd(_) => (Nanos::from_secs(2), Nanos::from_secs(10)),
            _ => (Nanos::from_secs(20), Nanos::from_secs(120)),
        }
    }

    /// Who is there: the neighbours, and the writer with its history or without.
    fn vdisks(self, has_history: bool) -> Vec<Vec<VdiskConfig>> {
        let victim = |at: usize| {
            let (percent, period_ms) = self.reservation(at);
            VdiskConfig {
                stream: reserved(percent, period_ms),
                ..configs(&[(["a", "b"][at], SIZE)]).remove(0)
            }
        };
        let mut writer = match has_history {
            true => with_history(SIZE, 1 << 60, WhenFull::Shorten),
            false => configs(&[("db", SIZE)]).remove(0),
        };
        writer.stream = reserved(10, 500);
        if let Some(history) = &mut writer.history {
            writer.spec.history_bytes = Some(LOG);
            history.log = reserved(10, 500);
            history.fold = reserved(5, 1000);
            history.fold_reads = history.fold;
        }
        match self {
            Place::LogOnSsd(_) => {
                writer.spec.log_disk = has_history.then_some(1);
                vec![vec![victim(0), writer], vec![victim(1)]]
            }
            _ => vec![vec![victim(0), victim(1), writer]],
        }
    }

    /// Positions count over all disks.
    fn position(self, vdisk: u32) -> u32 {
        match (self, vdisk) {
            (Place::LogOnSsd(_), 1) => 2,
            (Place::LogOnSsd(_), WRITER) => 1,
            _ => vdisk,
        }
    }
}

/// What a neighbour had.
struct Had {
    /// Requests a second.
    rate: f64,
    /// Received, of the time.
    share: f64,
    missed: u64,
}

fn had(counters: [StreamCounters; 2], requests: usize, length: Nanos) -> Had {
    let [before, after] = counters;
    let received = (after.reserved + after.spare) - (before.reserved + before.spare);
    Had {
        rate: requests as f64 / length.as_secs_f64(),
        share: received.as_secs_f64() / length.as_secs_f64(),
        missed: after.deadlines_missed - before.deadlines_missed,
    }
}

/// Runs clients and measures those of the neighbours that are among them, and how often the floor
/// of the writer moved.
fn measure(place: Place, mut machine: Sets, clients: &[Client]) -> ([Option<Had>; 2], usize) {
    let (warm, length) = place.times();
    let begun = machine.now + warm;
    let streams = [0, 1].map(|victim| {
        let vdisk = machine.handle(place.position(VICTIMS[victim]));
        let set = &machine.set.sets()[place.disk_of(victim)];
        (
            place.disk_of(victim),
            set.stream(vdisk).expect("its stream"),
        )
    });
    let count = |machine: &Sets| streams.map(|(set, stream)| counted(machine, set, stream));
    let writer = machine.handle(place.position(WRITER));
    let mut run = Run::new(clients);
    run.go_on(&mut machine, begun);
    let before = count(&machine);
    let mut floors = std::collections::BTreeSet::new();
    for part in 1..=100 {
        run.go_on(&mut machine, begun + Nanos(length.0 / 100 * part));
        if let Some(report) = machine.set.set_of_mut(writer).history(writer) {
            floors.insert(report.status.floor);
        }
    }
    let after = count(&machine);
    let measured = [0, 1].map(|victim| {
        let position = place.position(VICTIMS[victim]);
        let at = clients.iter().position(|client| client.vdisk == position)?;
        let ended = run.ended[at].iter().filter(|(at, _)| *at > begun).count();
        Some(had([before[victim], after[victim]], ended, length))
    });
    machine.set.abandon();
    (measured, floors.len().saturating_sub(1))
}

/// What a neighbour does.
#[derive(Debug, Clone, Copy)]
enum Load {
    /// Random reads one at a time, with so much time between.
    Thinking(Nanos),
    /// Random reads, eight at a time.
    Deep,
    /// Reads of 64 KiB in order, one at a time, and four.
    Sequential(usize),
    /// Random writes, each with a flush.
    Flushing(usize),
}

impl Load {
    fn client(self, vdisk: u32) -> Client {
        let random = |kind, depth| Client::random(vdisk, kind, depth, SIZE);
        match self {
            Load::Thinking(think) => Client {
                think,
                ..random(RequestKind::Read, 1)
            },
            Load::Deep => random(RequestKind::Read, 8),
            Load::Sequential(depth) => {
                Client::sequential(vdisk, RequestKind::Read, (64 << 10, depth), SIZE)
            }
            Load::Flushing(depth) => Client {
                flushes: true,
                ..random(RequestKind::Write, depth)
            },
        }
    }
}

/// How the writer writes.
#[derive(Debug, Clone, Copy)]
enum Writer {
    Random,
    Sequential,
}

impl Writer {
    fn client(self, vdisk: u32) -> Client {
        match self {
            Writer::Random => Client::random(vdisk, RequestKind::Write, 16, SIZE),
            Writer::Sequential => Client::sequential(vdisk, RequestKind::Write, (MIB, 4), SIZE),
        }
    }
}

fn machine(place: Place, has_history: bool) -> Sets {
    let mut machine = open(place.disks(), &place.vdisks(has_history));
    for victim in VICTIMS {
        fill(&mut machine, place.position(victim), SIZE);
    }
    if !has_history {
        // What a history writes to is a hole at first, and answered at once.
        fill(&mut machine, place.position(WRITER), SIZE);
    }
    machine
}

/// Whether both neighbours have what is reserved for them beside that writer; prints their figures.
fn holds(place: Place, loads: [Load; 2], writer: Writer) -> bool {
    let mut clients: Vec<Client> = [0, 1]
        .map(|at| loads[at].client(place.position(VICTIMS[at])))
        .into();
    let alone = [0, 1].map(|at| {
        let (mut had, _) = measure(place, machine(place, false), &clients[at..=at]);
        had[at].take().expect("it ran")
    });
    clients.push(writer.client(place.position(WRITER)));
    let (without, _) = measure(place, machine(place, false), &clients);
    let (with, folds) = measure(place, machine(place, true), &clients);
    let mut all_hold = folds >= 2;
    for (at, (with, without)) in with.into_iter().zip(without).enumerate() {
        let (with, without) = (with.expect("it ran"), without.expect("it ran"));
        let reserved = f64::from(place.reservation(at).0) / 100.0;
        let isolation = |had: &Had| had.rate / (reserved * alone[at].rate);
        let due = reserved.min(without.share);
        let is_kept = with.share >= due - 0.01
            && isolation(&with) >= isolation(&without).min(0.99)
            && with.missed == 0;
        println!(
            "{place:?}, beside {writer:?}, {folds} folds: {:?}: reserved {:.0} %, received {:.2} % ({:.2} \
             % without a history, {:.2} % alone), isolation {:.3} ({:.3}), {} missed ({}){}",
            loads[at],
            reserved * 100.0,
            with.share * 100.0,
            without.share * 100.0,
            alone[at].share * 100.0,
            isolation(&with),
            isolation(&without),
            with.missed,
            without.missed,
            if is_kept { "" } else { "  <-- NOT KEPT" }
        );
        all_hold &= is_kept;
    }
    all_hold
}

const LOADS: [[Load; 2]; 5] = [
    [
        Load::Thinking(Nanos::ZERO),
        Load::Thinking(Nanos::from_millis(20)),
    ],
    [Load::Thinking(Nanos::from_micros(1)), Load::Deep],
    [Load::Thinking(Nanos::from_micros(10)), Load::Sequential(4)],
    [Load::Thinking(Nanos::from_micros(100)), Load::Flushing(1)],
    [Load::Flushing(8), Load::Sequential(1)],
];

/// All mixes at one place.
fn all_hold(place: Place) {
    let mut failed = 0;
    for loads in LOADS {
        for writer in [Writer::Random, Writer::Sequential] {
            failed += usize::from(!holds(place, loads, writer));
        }
    }
    assert_eq!(failed, 0, "mixes in which something was not kept");
}

#[test]
#[ignore = "takes minutes"]
fn all_on_a_hard_disk() {
    all_hold(Place::HardDisk);
}

#[test]
#[ignore = "takes minutes"]
fn all_on_a_sata_ssd() {
    all_hold(Place::Ssd("sata-870"));
}

#[test]
#[ignore = "takes minutes"]
fn all_on_an_nvme_ssd() {
    all_hold(Place::Ssd("nvme-970pro"));
}

#[test]
#[ignore = "takes minutes"]
fn all_beside_a_log_on_a_sata_ssd() {
    all_hold(Place::LogOnSsd("sata-870"));
}

#[test]
#[ignore = "takes minutes"]
fn all_beside_a_log_on_an_nvme_ssd() {
    all_hold(Place::LogOnSsd("nvme-970pro"));
}

#[test]
fn neighbours_on_a_hard_disk_have_what_is_reserved_for_them() {
    assert!(holds(Place::HardDisk, LOADS[1], Writer::Random));
}

#[test]
fn neighbours_on_an_ssd_have_what_is_reserved_for_them() {
    assert!(holds(Place::Ssd("sata-870"), LOADS[0], Writer::Random));
}
