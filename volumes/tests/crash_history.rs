//! Power failures of a vdisk with a history at random points under load: what was flushed is there
//! afterwards, whole, whatever was in flight in the log, in a fold or in the opening before.

mod common;

use common::{BLANK, MIB, Machine, TestDisk, configs, crash, disk_loop, new_disk, options};
use disktime_disks::FaultDisk;
use disktime_engine::{Buffer, PolicyKind, Request, RequestKind, Service, StreamConfig};
use disktime_history::WhenFull;
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use disktime_volumes::{Format, HistoryConfig, VirtualDriver, VolumeSet};
use disktime_workloads::{FlushTicket, StampAction, StampChecker, StampLoad, WriteTicket};
use std::collections::HashMap;

const BLOCKS: usize = 384;
const DEPTH: usize = 24;
const SEEDS: u64 = 2;
const ROUNDS: u64 = 15;

enum Waiting {
    Write(WriteTicket, bool),
    Flush(FlushTicket),
}

/// A client of the vdisk, and what it waits for.
struct Client {
    checker: StampChecker,
    load: StampLoad,
    waiting: HashMap<u64, Waiting>,
    next: u64,
}

impl Client {
    fn submit_some(&mut self, machine: &mut Machine<TestDisk>) {
        while self.waiting.len() < DEPTH {
            let Some(action) = self.load.next_action(&mut self.checker) else {
                return;
            };
            let mut request = Request {
                origin: 1,
                handle: self.next,
                vdisk: machine.handle(0),
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
            self.waiting.insert(self.next, waiting);
            self.next += 1;
            let taken = machine.set.submit(machine.now, request);
            assert!(taken.is_ok(), "the queue is large enough");
        }
    }

    fn answered(&mut self, handle: u64) {
        match self.waiting.remove(&handle) {
            Some(Waiting::Write(ticket, fua)) => self.checker.write_done(ticket, fua),
            Some(Waiting::Flush(ticket)) => self.checker.flush_done(ticket),
            None => panic!("an answer to nothing"),
        }
    }

    /// Holds what is found against what was promised.
    fn recover(&mut self, machine: &mut Machine<TestDisk>, when: &str) {
        self.checker.crashed();
        self.waiting.clear();
        let bytes = machine.read(0, 0, (BLOCKS * 4096) as u64);
        for (block, bytes) in bytes.expect("readable").chunks_exact(4096).enumerate() {
            if let Err(violation) = self.checker.recover(block as u64, bytes) {
                panic!("{when}: {violation}");
            }
        }
    }
}

/// Opens the disk; the window is short, so that a tick folds all segments that are sealed.
fn open(disk: FaultDisk, format: Format, now: Nanos) -> Machine<TestDisk> {
    let mut config = configs(&[("db", (BLOCKS * 4096) as u64)]).remove(0);
    config.spec.history_bytes = Some(64 * MIB);
    config.history = Some(HistoryConfig {
        window_ns: 1,
        when_full: WhenFull::Shorten,
        log: StreamConfig::BEST_EFFORT,
        fold: StreamConfig::BEST_EFFORT,
    });
    let mut driver = VirtualDriver { now };
    let disk_loop = disk_loop(TestDisk::around(disk, 64 << 10), PolicyKind::Fifo, 24);
    let opened = VolumeSet::open(disk_loop, &mut driver, &[config], options(format));
    let mut machine = Machine::around(opened.expect("it opens").0, driver.now);
    machine.ticks = true;
    machine
}

#[test]
fn what_was_flushed_survives_power_failures_in_log_and_fold() {
    let mut folds = 0;
    for seed in 0..SEEDS {
        let mut random = SplitMix64::new(seed);
        let mut client = Client {
            checker: StampChecker::new(1, BLOCKS),
            load: StampLoad::new(seed, 30),
            waiting: HashMap::new(),
            next: 0,
        };
        let mut disk = new_disk(72 * MIB, 4096, seed);
        let mut now = Nanos::ZERO;
        for round in 0..ROUNDS {
            let handle = disk.handle();
            let format = if round == 0 { BLANK } else { Format::Refuse };
            let mut machine = open(disk, format, now);
            client.recover(&mut machine, &format!("seed {seed} round {round}"));
            for _ in 0..random.below(4000) {
                client.submit_some(&mut machine);
                machine.step();
                for reply in std::mem::take(&mut machine.replies) {
                    reply.result.expect("nothing fails");
                    client.answered(reply.handle);
                }
            }
            let vdisk = machine.handle(0);
            folds += u64::from(
                machine
                    .set
                    .history(vdisk)
                    .expect("its history")
                    .status
                    .floor
                    > 0,
            );
            // A second passes, so that the next server's first tick is not before this one's.
            now = machine.now + Nanos::from_millis(random.below(1500));
            machine.set.abandon();
            disk = crash(&handle, random.next_u64());
        }
        let mut machine = open(disk, Format::Refuse, now);
        client.recover(&mut machine, &format!("seed {seed} at the end"));
    }
    assert!(
        folds > 0,
        "nothing was folded, so nothing is shown of folds"
    );
}
