//! What a log of 10 GiB costs in virtual time: opening a moment, marks, reverts, and the next start
//! after a kill. And what it takes of memory.

mod common;

use common::histories::{ask, timed, with_reserved_history};
use common::models::hard_disk;
use common::{BLANK, Machine, options, reserved};
use disktime_disks::{
    Buffer, Completion, Disk, DiskProperties, DiskRequest, Operation, Store, VirtualOverlapDisk,
};
use disktime_drive_models::OverlapDrive;
use disktime_engine::{
    DiskLoop, LoopSettings, Order, PolicyKind, RequestKind, SwitchingAccount, VdiskId,
};
use disktime_history::Moment;
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use disktime_volumes::{Format, VirtualDriver, VolumeSet};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

const GIB: u64 = 1 << 30;
const BLOCK: u64 = 4096;
const SIZE: u64 = 20 * GIB;
const LOG: u64 = 12 * GIB;
const DISK: u64 = 40 * GIB;
/// Batches that fill 10 GiB of the log, and blocks of each.
const BATCHES: u64 = 100_000;
const BATCH_BLOCKS: u64 = 26;

/// A modelled disk that keeps of a block with one byte all over only that byte. Others may hold the
/// same disk: what a killed server leaves is found by the next one.
#[derive(Clone)]
struct CompactDisk {
    properties: DiskProperties,
    kept: Rc<RefCell<Kept>>,
}

struct Kept {
    disk: Box<dyn Disk>,
    uniform: HashMap<u64, u8>,
    other: HashMap<u64, Box<[u8]>>,
    /// Places of reads in flight, by tag.
    reads: HashMap<u64, u64>,
}

impl CompactDisk {
    fn around(disk: Box<dyn Disk>) -> CompactDisk {
        let mut properties = disk.properties().clone();
        properties.capabilities.holds_data = true;
        let kept = Kept {
            disk,
            uniform: HashMap::new(),
            other: HashMap::new(),
            reads: HashMap::new(),
        };
        let kept = Rc::new(RefCell::new(kept));
        CompactDisk { properties, kept }
    }
}

impl Kept {
    fn write(&mut self, offset_bytes: u64, buffers: &[Buffer]) {
        let blocks = buffers
            .iter()
            .flat_map(|buffer| buffer.chunks(BLOCK as usize));
        for (number, block) in (offset_bytes / BLOCK..).zip(blocks) {
            assert_eq!(block.len() as u64, BLOCK, "whole blocks");
            self.other.remove(&number);
            self.uniform.remove(&number);
            if block.iter().all(|byte| *byte == block[0]) {
                self.uniform.insert(number, block[0]);
            } else {
                self.other.insert(number, block.into());
            }
        }
    }

    fn read(&self, offset_bytes: u64, buffers: &mut [Buffer]) {
        let chunks = |buffer: &mut Buffer, number: &mut u64| {
            for chunk in buffer.chunks_mut(BLOCK as usize) {
                match self.other.get(number) {
                    Some(block) => chunk.copy_from_slice(&block[..chunk.len()]),
                    None => chunk.fill(self.uniform.get(number).copied().unwrap_or(0)),
                }
                *number += 1;
            }
        };
        let mut number = offset_bytes / BLOCK;
        buffers
            .iter_mut()
            .for_each(|buffer| chunks(buffer, &mut number));
    }
}

impl Disk for CompactDisk {
    fn properties(&self) -> &DiskProperties {
        &self.properties
    }
    fn submit(&mut self, now: Nanos, request: DiskRequest) {
        let mut kept = self.kept.borrow_mut();
        match request.operation {
            Operation::Write => kept.write(request.offset_bytes, &request.buffers),
            Operation::Read => drop(kept.reads.insert(request.tag, request.offset_bytes)),
            _ => {}
        }
        kept.disk.submit(now, request);
    }
    fn collect(&mut self, now: Nanos, completions: &mut Vec<Completion>) {
        let mut kept = self.kept.borrow_mut();
        let before = completions.len();
        kept.disk.collect(now, completions);
        for completion in &mut completions[before..] {
            if let Some(offset_bytes) = kept.reads.remove(&completion.tag) {
                kept.read(offset_bytes, &mut completion.buffers);
            }
        }
    }
    fn next_completion(&self) -> Option<Nanos> {
        self.kept.borrow().disk.next_completion()
    }
}

fn ssd() -> Box<dyn Disk> {
    let drive = OverlapDrive::find("sata-870").expect("the preset exists");
    Box::new(VirtualOverlapDisk::of_drive(&drive, DISK, 1, Store::None))
}

/// Opens it at a time; how long that took.
fn open(disk: &CompactDisk, format: Format, now: Nanos) -> (Machine<CompactDisk>, Nanos) {
    let switching = match disk.properties.has_seeks {
        true => SwitchingAccount::Reserved {
            factor_percent: 150,
        },
        false => SwitchingAccount::Served,
    };
    let settings = LoopSettings {
        policy: PolicyKind::Fahrrad,
        switching,
        order: Order::Sweep,
        max_queued: 512,
    };
    let mut db = with_reserved_history(SIZE, LOG, reserved(5, 1000));
    db.stream = reserved(30, 500);
    let mut driver = VirtualDriver { now };
    let disk_loop = DiskLoop::new(disk.clone(), settings);
    let opened = VolumeSet::open(disk_loop, &mut driver, &[db], options(format));
    let (set, _) = opened.expect("it opens");
    let mut machine = Machine::around(set, driver.now);
    machine.ticks = true;
    (machine, driver.now - now)
}

/// Reads a range of a moment or of a vdisk; what its first byte is.
fn read(machine: &mut Machine<CompactDisk>, vdisk: VdiskId, lba: u64, blocks: u64) -> u8 {
    let place = (lba * BLOCK, blocks * BLOCK);
    let reply = ask(machine, vdisk, RequestKind::Read, place);
    reply.result.expect("it is read");
    reply.buffer.expect("its buffer")[0]
}

fn open_moment(machine: &mut Machine<CompactDisk>, moment: &Moment) -> VdiskId {
    let vdisk = machine.handle(0);
    let opened = timed(machine, |machine, done| {
        machine.set.open_moment(vdisk, moment, done);
    });
    opened.0.0
}

/// Opens a moment and reads a block of it; what it holds, and how long both took.
fn read_moment(machine: &mut Machine<CompactDisk>, moment: &Moment, lba: u64) -> (u8, Nanos) {
    let began = machine.now;
    let view = open_moment(machine, moment);
    let byte = read(machine, view, lba, 1);
    let took = machine.now - began;
    machine.set.close_moment(view);
    machine.settle();
    (byte, took)
}

/// Opens a moment and reads so many MiB of it, one behind the other; how long that took. `whole`:
/// all blocks are found first.
fn scan_moment(machine: &mut Machine<CompactDisk>, moment: u64, mib: u64, whole: bool) -> Nanos {
    let began = machine.now;
    let view = open_moment(machine, &Moment::Seq(moment));
    if whole {
        let reply = ask(machine, view, RequestKind::Status, (0, SIZE));
        reply.result.expect("it is told");
    }
    for at in 0..mib {
        read(machine, view, at * 256, 256);
    }
    let took = machine.now - began;
    machine.set.close_moment(view);
    machine.settle();
    took
}

fn measure(what: &str, disk: Box<dyn Disk>) {
    let disk = CompactDisk::around(disk);
    let (mut machine, _) = open(&disk, BLANK, Nanos::ZERO);
    let mut random = SplitMix64::new(3);
    let (mut written, mut times) = (Vec::new(), Vec::new());
    for batch in 0..BATCHES {
        let lba = random.below(SIZE / BLOCK - BATCH_BLOCKS);
        let byte = batch as u8 | 1;
        let data = vec![byte; (BATCH_BLOCKS * BLOCK) as usize];
        machine.write(0, lba * BLOCK, &data).expect("it is written");
        written.push((lba, byte));
        let vdisk = machine.handle(0);
        let report = machine.set.history(vdisk).expect("a history");
        times.push(report.status.newest_time_ns);
    }
    machine.flush(0).expect("it is flushed");
    let vdisk = machine.handle(0);
    let report = machine.set.history(vdisk).expect("a history");
    let status = &report.status;
    let bytes = status.index_bytes + status.fences_bytes;
    println!(
        "{what}: {:.1} GiB of the log in use, {} blocks in the index, {:.2} + {:.2} bytes of memory \
         each; {:.2} for each block in the log",
        status.used_units as f64 * BLOCK as f64 / GIB as f64,
        status.index_blocks,
        status.index_bytes as f64 / status.index_blocks as f64,
        status.fences_bytes as f64 / status.index_blocks as f64,
        bytes as f64 / (BATCHES * BATCH_BLOCKS) as f64
    );
    let newest = status.newest;

    let first = newest - BATCHES + 1;
    let mut last_batch = vec![0; (SIZE / BLOCK) as usize];
    for (batch, (lba, _)) in (0..).zip(&written) {
        last_batch[*lba as usize..(lba + BATCH_BLOCKS) as usize].fill(batch);
    }
    // Any block; one that was written again since; the same by the moment's time.
    for kind in ["any", "rewritten", "rewritten, by time"] {
        let mut took = Vec::new();
        while took.len() < 40 {
            let at = random.below(BATCHES) as usize;
            let (mut lba, byte) = written[at];
            let moment = match kind {
                "rewritten, by time" => Moment::Time(times[at]),
                _ => Moment::Seq(first + at as u64),
            };
            if kind == "any" {
                lba = random.below(SIZE / BLOCK);
            } else if last_batch[lba as usize] == at {
                continue;
            }
            let (read, time) = read_moment(&mut machine, &moment, lba);
            assert!(kind == "any" || read == byte);
            took.push(time);
        }
        took.sort_unstable();
        println!(
            "{what}: a moment opened and a block of it read ({kind}): median {}, longest {}",
            took[20], took[39]
        );
    }
    for (mib, moment) in [
        (1, BATCHES / 2),
        (64, BATCHES / 2 + 7),
        (1024, BATCHES / 2 + 9),
    ] {
        let took = [(false, 0), (true, 1)]
            .map(|(whole, more)| scan_moment(&mut machine, first + moment + more, mib, whole));
        println!(
            "{what}: a moment opened and {mib} MiB of it read: {}; all blocks found first: {}",
            took[0], took[1]
        );
    }

    for (kind, pause_ns) in [("at once", 1), ("after a pause", 50_000_000)] {
        let mut took = Vec::new();
        for mark in 0..100 {
            // The disk has turned by any part of a turn meanwhile.
            machine.now += Nanos(random.below(pause_ns));
            let name = format!("mark{pause_ns}.{mark}");
            let mark = timed(&mut machine, |machine, done| {
                machine.set.mark(vdisk, &name, done)
            });
            took.push(mark.1);
        }
        took.sort_unstable();
        println!(
            "{what}: a mark {kind} behind another: median {}, longest {}",
            took[50], took[99]
        );
    }

    for (from_end, distance) in [(100, "100 changes"), (BATCHES / 2, "half the log")] {
        let moment = newest - from_end;
        for way in ["undone at once", "undone later"] {
            let (_, took) = timed(&mut machine, |machine, done| {
                machine.set.revert(vdisk, &Moment::Seq(moment), done);
            });
            let began = machine.now;
            let lba = written[(BATCHES - from_end) as usize - 1].0;
            read(&mut machine, vdisk, lba, 1);
            let first_read = machine.now - began;
            if way == "undone later" {
                machine.settle();
            }
            let (_, undone) = timed(&mut machine, |machine, done| {
                machine.set.undo_revert(vdisk, done)
            });
            println!(
                "{what}: a revert by {distance}: {took}; the first read behind it: {first_read}; \
                 {way}: {undone}"
            );
            machine.settle();
        }
    }
    machine.settle();
    let now = machine.now;
    machine.set.abandon();
    let (machine, took) = open(&disk, Format::Refuse, now);
    println!("{what}: served again {took} after a kill");
    machine.set.abandon();
}

#[test]
#[ignore = "prints figures of BENCHMARKS.md; takes minutes and a gigabyte"]
fn on_a_hard_disk() {
    measure("hard disk", Box::new(hard_disk(DISK, Store::None)));
}

#[test]
#[ignore = "prints figures of BENCHMARKS.md; takes minutes and a gigabyte"]
fn on_an_ssd() {
    measure("SSD", ssd());
}
