//! Power failures: at every write of a label, and at random points under load.

mod common;

use common::{BLANK, DIRTY, MIB, Machine, TestDisk, crash, labelled, new_disk, open, soil};
use disktime_disks::FaultDisk;
use disktime_engine::{Buffer, Request, RequestKind, Service, VdiskId};
use disktime_random::SplitMix64;
use disktime_volumes::{Format, VirtualDriver, VolumeError};
use disktime_workloads::{StampAction, StampChecker, StampLoad, WriteTicket};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

const QUANTUM: u32 = 128 << 10;
/// Names as long as they may be, so that the table takes several sectors and can be torn.
const OLD: &str = "old-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
const GONE: &str = "gone-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
const NEW: &str = "new-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// A disk with a vdisk `OLD` that holds known bytes, and one `GONE`; everything durable.
fn base(format: Format) -> FaultDisk {
    let mut disk = new_disk(16 * MIB, 4096, 9);
    if format == DIRTY {
        soil(&mut disk);
    }
    let handle = disk.handle();
    let specs = [(OLD, MIB), (GONE, MIB)];
    let (mut machine, _) = open(TestDisk::around(disk, QUANTUM), &specs, format).expect("open");
    machine.write(0, 0, &old_data()).expect("write");
    machine.write(1, 0, &[0x77; 70_000]).expect("write");
    machine.flush(0).expect("flush");
    machine.flush(1).expect("flush");
    crash(&handle, 1)
}

fn old_data() -> Vec<u8> {
    (0..MIB).map(|at| (at / 4096 % 250) as u8 + 1).collect()
}

/// What is done to the label.
#[derive(Debug, Clone, Copy)]
enum Change {
    Create,
    Grow,
    Remove,
}

impl Change {
    fn specs(self) -> Vec<(&'static str, u64)> {
        match self {
            Change::Create => vec![(OLD, MIB), (GONE, MIB), (NEW, 3 * MIB)],
            Change::Grow => vec![(OLD, 4 * MIB), (GONE, MIB)],
            Change::Remove => vec![(OLD, MIB)],
        }
    }

    fn run(self, disk: FaultDisk) -> Result<(), VolumeError> {
        let disk = TestDisk::around(disk, QUANTUM);
        if let Change::Remove = self {
            let mut disk = labelled(disk, Format::Refuse)?;
            return disk.remove(&mut VirtualDriver::default(), GONE);
        }
        open(disk, &self.specs(), Format::Refuse).map(drop)
    }

    /// Whether the table is the old or the new one; anything else is a failure.
    fn is_done(self, table: &[(String, u64)]) -> bool {
        let named = |specs: &[(&str, u64)]| -> Vec<(String, u64)> {
            specs
                .iter()
                .map(|(name, size)| ((*name).to_owned(), *size))
                .collect()
        };
        let before = named(&[(OLD, MIB), (GONE, MIB)]);
        let after = named(&self.specs());
        assert!(
            table == before || table == after,
            "neither the old nor the new table: {table:?}"
        );
        table == after
    }
}

fn table(disk: FaultDisk) -> Vec<(String, u64)> {
    let disk = labelled(TestDisk::around(disk, QUANTUM), Format::Refuse).expect("a table is there");
    let vdisks = disk.label().vdisks.iter();
    vdisks
        .map(|vdisk| (vdisk.name.clone(), vdisk.size_bytes))
        .collect()
}

/// After a crash: the table is whole, old data is there, new space reads as zeroes; and the change
/// can be made then.
fn check_after(change: Change, disk: FaultDisk) -> bool {
    let handle = disk.handle();
    let done = change.is_done(&table(disk));
    let disk = crash(&handle, 3);
    let handle = disk.handle();
    if !done {
        change
            .run(disk)
            .expect("the change is possible after the crash");
    } else {
        drop(disk);
    }
    let disk = crash(&handle, 4);
    let specs = change.specs();
    let disk = TestDisk::around(disk, QUANTUM);
    let (mut machine, report) = open(disk, &specs, Format::Refuse).expect("open");
    assert!(
        report.created.is_empty() && report.grown.is_empty(),
        "{report:?}"
    );
    assert!(report.messages.is_empty(), "{report:?}");
    assert_eq!(machine.read(0, 0, MIB), Ok(old_data()), "old data was lost");
    if specs.len() > 1 {
        let found = machine.read(1, 0, 70_000);
        assert_eq!(found, Ok(vec![0x77; 70_000]), "a neighbour's data was lost");
    }
    for (vdisk, start) in [(0, MIB), (2, 0)] {
        let Some((_, size)) = specs.get(vdisk as usize) else {
            continue;
        };
        let fresh = machine.read(vdisk, start, size - start).expect("readable");
        assert!(
            fresh.iter().all(|byte| *byte == 0),
            "new space holds old bytes"
        );
    }
    done
}

fn sweep(change: Change, format: Format) {
    let probe = base(format);
    let handle = probe.handle();
    change.run(probe).expect("without a crash it works");
    let operations = handle.operations();
    assert!(operations >= 3, "{change:?} did {operations} operations");
    let mut outcomes = [0, 0];
    for point in 0..operations {
        for seed in 0..6 {
            let disk = base(format);
            let handle = disk.handle();
            handle.freeze_at(point);
            let stopped = change.run(disk);
            assert!(
                matches!(stopped, Err(VolumeError::Stuck { .. })),
                "{stopped:?}"
            );
            let done = check_after(change, crash(&handle, seed * 1000 + point));
            outcomes[usize::from(done)] += 1;
        }
    }
    assert!(outcomes[0] > 0, "no crash came before the new table");
}

#[test]
fn a_crash_at_any_write_of_a_creation_leaves_a_whole_table() {
    sweep(Change::Create, BLANK);
    sweep(Change::Create, DIRTY);
}

#[test]
fn a_crash_at_any_write_of_a_growth_leaves_a_whole_table() {
    sweep(Change::Grow, BLANK);
    sweep(Change::Grow, DIRTY);
}

#[test]
fn a_crash_at_any_write_of_a_removal_leaves_a_whole_table() {
    sweep(Change::Remove, BLANK);
    sweep(Change::Remove, DIRTY);
}

#[test]
fn a_crash_while_formatting_a_blank_disk_leaves_one_that_can_be_formatted() {
    let specs = [("a", 2 * MIB)];
    let unknown = Format::IfBlank { known_zero: false };
    for known in [BLANK, unknown] {
        let probe = new_disk(16 * MIB, 4096, 2);
        let handle = probe.handle();
        open(TestDisk::around(probe, QUANTUM), &specs, known).expect("open");
        for point in 0..handle.operations() {
            for seed in 0..8 {
                let disk = new_disk(16 * MIB, 4096, 2);
                let handle = disk.handle();
                handle.freeze_at(point);
                assert!(open(TestDisk::around(disk, QUANTUM), &specs, known).is_err());
                let disk = TestDisk::around(crash(&handle, seed * 100 + point), QUANTUM);
                let (mut machine, _) = open(disk, &specs, known).expect("it is formatted again");
                assert_eq!(machine.read(0, 0, 2 * MIB), Ok(vec![0; 2 * MIB as usize]));
            }
        }
    }
}

/// Freed space needs a map, and the map may lie in known-zero space: after a crash that leaves the
/// old table, that space must not be taken for zeroes.
#[test]
fn a_map_written_for_nothing_is_never_seen_by_a_later_vdisk() {
    let freed = || {
        let disk = base(BLANK);
        let handle = disk.handle();
        Change::Remove.run(disk).expect("remove");
        crash(&handle, 2)
    };
    let specs = [(OLD, MIB), (NEW, 3 * MIB)];
    let probe = freed();
    let handle = probe.handle();
    let (machine, _) =
        open(TestDisk::around(probe, QUANTUM), &specs, Format::Refuse).expect("open");
    let extents = &machine.set.label().vdisks[1].extents;
    assert!(extents.len() == 2 && extents[0].map_offset_bytes > Some(extents[1].offset_bytes));
    for point in 0..handle.operations() {
        for seed in 0..6 {
            let disk = freed();
            let handle = disk.handle();
            handle.freeze_at(point);
            assert!(open(TestDisk::around(disk, QUANTUM), &specs, Format::Refuse).is_err());
            let disk = crash(&handle, seed * 100 + point);
            let handle = disk.handle();
            if table(disk).iter().any(|(name, _)| name == NEW) {
                continue;
            }
            let specs = [(OLD, MIB), ("wide", 7 * MIB)];
            let disk = TestDisk::around(crash(&handle, seed), QUANTUM);
            let (mut machine, _) = open(disk, &specs, Format::Refuse).expect("open");
            let found = machine.read(1, 0, 7 * MIB).expect("readable");
            assert!(
                found.iter().all(|byte| *byte == 0),
                "it sees the map of another"
            );
        }
    }
}

/// A client of one vdisk: stamps, and what it waits for.
struct Client {
    checker: StampChecker,
    load: StampLoad,
    waiting: HashMap<u64, Waiting>,
}

enum Waiting {
    Write(WriteTicket, bool),
    Flush(disktime_workloads::FlushTicket),
}

const DEPTH: usize = 12;
const VDISKS: u64 = 2;
const BLOCKS: usize = 384;

impl Client {
    fn new(vdisk: u64, seed: u64) -> Client {
        Client {
            checker: StampChecker::new(vdisk + 1, BLOCKS),
            load: StampLoad::new(seed * 10 + vdisk, 40),
            waiting: HashMap::new(),
        }
    }

    fn submit_some(&mut self, machine: &mut Machine<TestDisk>, vdisk: u64, next: &mut u64) {
        while self.waiting.len() < DEPTH {
            let Some(action) = self.load.next_action(&mut self.checker) else {
                return;
            };
            let mut request = Request {
                origin: vdisk,
                handle: *next,
                vdisk: VdiskId(vdisk as u32),
                kind: RequestKind::Flush,
                offset_bytes: 0,
                len_bytes: 0,
                fua: false,
                buffer: None,
            };
            let waiting = match action {
                StampAction::Flush(ticket) => Waiting::Flush(ticket),
                StampAction::Write { ticket, fua } => {
                    let mut buffer = Buffer::zeroed(ticket.len_bytes());
                    self.checker.fill(&ticket, &mut buffer);
                    request.kind = RequestKind::Write;
                    request.offset_bytes = ticket.offset_bytes();
                    request.len_bytes = buffer.len() as u64;
                    request.fua = fua;
                    request.buffer = Some(buffer);
                    Waiting::Write(ticket, fua)
                }
            };
            self.waiting.insert(*next, waiting);
            *next += 1;
            assert!(
                machine.set.submit(machine.now, request).is_ok(),
                "the queue is large enough"
            );
        }
    }

    fn answered(&mut self, handle: u64) {
        match self.waiting.remove(&handle) {
            Some(Waiting::Write(ticket, fua)) => self.checker.write_done(ticket, fua),
            Some(Waiting::Flush(ticket)) => self.checker.flush_done(ticket),
            None => panic!("an answer to nothing"),
        }
    }

    fn recover(&mut self, machine: &mut Machine<TestDisk>, vdisk: u64) {
        self.checker.crashed();
        self.waiting.clear();
        let bytes = machine
            .read(vdisk as u32, 0, (BLOCKS * 4096) as u64)
            .expect("readable");
        for (block, bytes) in bytes.chunks_exact(4096).enumerate() {
            if let Err(violation) = self.checker.recover(block as u64, bytes) {
                panic!("vdisk {vdisk}: {violation}");
            }
        }
    }
}

/// Load until the disk freezes at a random operation; crash; reopen; check; again.
fn crash_under_load(format: Format, seed: u64, rounds: u64) {
    let mut random = SplitMix64::new(seed);
    let mut disk = new_disk(16 * MIB, 4096, seed);
    if format == DIRTY {
        soil(&mut disk);
    }
    let specs = [("a", (BLOCKS * 4096) as u64), ("b", (BLOCKS * 4096) as u64)];
    let mut handle = disk.handle();
    let (mut machine, _) = open(TestDisk::around(disk, QUANTUM), &specs, format).expect("open");
    let mut clients: Vec<Client> = (0..VDISKS).map(|vdisk| Client::new(vdisk, seed)).collect();
    let mut next = 0;
    for _ in 0..rounds {
        handle.freeze_at(handle.operations() + random.below(60));
        loop {
            for (vdisk, client) in clients.iter_mut().enumerate() {
                client.submit_some(&mut machine, vdisk as u64, &mut next);
            }
            let goes_on = machine.step();
            for reply in machine.replies.drain(..) {
                assert_eq!(reply.result, Ok(()));
                clients[reply.origin as usize].answered(reply.handle);
            }
            if !goes_on {
                break;
            }
        }
        assert!(handle.is_frozen(), "the load stopped by itself");
        machine.set.abandon();
        let disk = handle.crash(&mut random, common::service());
        handle = disk.handle();
        let disk = TestDisk::around(disk, QUANTUM);
        let (reopened, report) = open(disk, &specs, Format::Refuse).expect("the label is there");
        assert!(
            report.created.is_empty() && report.messages.is_empty(),
            "{report:?}"
        );
        machine = reopened;
        for (vdisk, client) in clients.iter_mut().enumerate() {
            client.recover(&mut machine, vdisk as u64);
        }
    }
}

#[test]
fn flushed_writes_survive_500_crashes_on_zeroed_extents() {
    for seed in 0..25 {
        crash_under_load(BLANK, seed, 20);
    }
}

/// Few rounds each: what is interesting happens while chunks are written for the first time.
#[test]
fn flushed_writes_survive_500_crashes_on_mapped_extents() {
    for seed in 100..200 {
        crash_under_load(DIRTY, seed, 5);
    }
}

/// A killed server leaves a table in the device's cache that no flush covers. The next one reads
/// it, promises something on it, and then the power fails.
#[test]
fn what_a_killed_server_left_in_the_cache_is_durable_before_it_is_built_on() {
    let specs = Change::Create.specs();
    for format in [BLANK, DIRTY] {
        let probe = base(format);
        let handle = probe.handle();
        Change::Create.run(probe).expect("without a crash it works");
        let operations = handle.operations();
        for point in 0..operations {
            let disk = base(format);
            let handle = disk.handle();
            let shared = Rc::new(RefCell::new(disk));
            let killed = TestDisk::sharing(&shared, QUANTUM, Some(point));
            let stopped = open(killed, &specs, Format::Refuse).map(drop);
            assert!(
                matches!(stopped, Err(VolumeError::Stuck { .. })),
                "{stopped:?}"
            );
            let disk = TestDisk::sharing(&shared, QUANTUM, None);
            let (mut machine, _) = open(disk, &specs, Format::Refuse).expect("open");
            machine.write_fua(2, 0, &[5; 4096]).expect("write");
            drop(machine);
            let disk = TestDisk::around(crash(&handle, point), QUANTUM);
            let (mut machine, report) = open(disk, &specs, Format::Refuse).expect("open");
            assert!(
                report.created.is_empty(),
                "a promise was made on a table that was lost"
            );
            assert_eq!(machine.read(2, 0, 4096), Ok(vec![5; 4096]));
        }
    }
}
