//! A clone that gets nearly nothing of the disk's time, in virtual time: what it reads is right,
//! whatever its parent folds and writes meanwhile, and its parent does not wait for it.

mod common;

use common::histories::{clone_config, pass_time, timed, with_reserved_history};
use common::models::hard_disk;
use common::{BLANK, MIB, Machine, disk_loop_in, options, reserved};
use disktime_disks::{Store, VirtualDisk};
use disktime_drive_models::HddModel;
use disktime_engine::{Limit, Order, PolicyKind, RequestKind, Service, StreamConfig};
use disktime_history::Moment;
use disktime_random::SplitMix64;
use disktime_units::{Nanos, Share};
use disktime_volumes::{CloneConfig, MAX_QUEUED_IOS, MAX_REQUESTS, VirtualDriver, VolumeSet};
use std::collections::HashMap;

type Hdd = VirtualDisk<HddModel>;

const SIZE: u64 = 64 * MIB;
const BLOCK: u64 = 4096;
/// Writes of `db` that are measured: two folds, and what was folded first is written over.
const WRITES: usize = 11_000;
const DB: u32 = 0;
/// What each is cloned from. A clone of which there is one has a log; the others have none.
const CLONES: [(&str, &str); 3] = [("db", "clone"), ("clone", "deep"), ("db", "read")];
/// The disk's loop has room for the queues of `db` and its log.
const QUEUED: usize = 2 * MAX_QUEUED_IOS;

/// What a block of `db` holds when its clone is made: written in the first or the second round.
fn pattern(lba: u64) -> Vec<u8> {
    let round = 1 + lba / 64 % 2;
    [lba, round].map(u64::to_le_bytes).concat().repeat(256)
}

/// `db`, which has so many bytes, and its clones, which may have 1 % of the disk's time each.
fn machine(bytes: u64) -> Machine<Hdd> {
    let disk = hard_disk(820 * MIB, Store::Sparse);
    let disk_loop = disk_loop_in(disk, PolicyKind::Fahrrad, QUEUED, Order::LeastPositioning);
    let mut db = with_reserved_history(SIZE, SIZE, StreamConfig::BEST_EFFORT);
    db.stream = reserved(30, 500);
    let mut driver = VirtualDriver::default();
    let opened = VolumeSet::open(disk_loop, &mut driver, &[db], options(BLANK));
    let mut machine = Machine::around(opened.expect("it opens").0, driver.now);
    machine.ticks = true;
    for lba in (0..bytes / BLOCK).step_by(64) {
        let data: Vec<u8> = (lba..lba + 64).flat_map(pattern).collect();
        machine.write(DB, lba * BLOCK, &data).expect("written");
    }
    for (parent, name) in CLONES {
        let vdisk = machine.set.vdisk_id(parent).expect("served");
        let newest = machine.set.history(vdisk).expect("a history").status.newest;
        let share = Share::from_percent(1);
        let period = Nanos::from_secs(1);
        let config = CloneConfig {
            stream: StreamConfig {
                limit: Some(Limit { share, period }),
                ..reserved(1, 1000)
            },
            ..clone_config(name)
        };
        timed(&mut machine, |machine, done| {
            let newest = Moment::Seq(newest);
            machine.set.clone_vdisk(vdisk, &newest, config, done);
        });
    }
    machine.settle();
    machine
}

fn position(machine: &Machine<Hdd>, name: &str) -> u32 {
    let at = machine.set.vdisks().position(|(one, _)| one == name);
    at.expect("it is served") as u32
}

/// What writes of `db` had.
struct Had {
    /// Writes in a second.
    rate: f64,
    longest: Nanos,
    /// How often the floor moved, and reads of clones that were answered.
    folds: usize,
    reads: usize,
}

/// Random writes of `db`, 16 at a time, while clones read with so many requests in flight.
fn writes_beside(reads_in_flight: usize) -> Had {
    // Its log is nearly full.
    let mut machine = machine(SIZE);
    let clones = CLONES.map(|(_, name)| position(&machine, name));
    let mut random = SplitMix64::new(9);
    let mut place = || random.below(SIZE / BLOCK);
    let mut reading = HashMap::new();
    for vdisk in clones.into_iter().cycle().take(reads_in_flight) {
        let lba = place();
        let range = (lba * BLOCK, BLOCK);
        let read = machine.submit(vdisk, RequestKind::Read, range, None, false);
        reading.insert(read.expect("taken"), (vdisk, lba));
    }
    let data = vec![0xEE; BLOCK as usize];
    let began = machine.now;
    let mut writing = HashMap::new();
    let mut had = Had {
        rate: 0.0,
        longest: Nanos::ZERO,
        folds: 0,
        reads: 0,
    };
    let (mut sent, mut floor) = (0, 0);
    let db = machine.handle(DB);
    while sent < WRITES || !writing.is_empty() {
        while writing.len() < 16 && sent < WRITES {
            let range = (place() * BLOCK, BLOCK);
            let write = machine.submit(DB, RequestKind::Write, range, Some(&data), false);
            writing.insert(write.expect("taken"), machine.now);
            sent += 1;
        }
        machine.set.turn(machine.now, &mut machine.replies);
        let replies = std::mem::take(&mut machine.replies);
        if replies.is_empty() {
            let wake = machine.set.next_wake().expect("something is to come");
            machine.now = machine.now.max(wake);
        }
        for reply in replies {
            reply.result.expect("nothing fails");
            if let Some(since) = writing.remove(&reply.handle) {
                had.longest = had.longest.max(machine.now.saturating_sub(since));
                continue;
            }
            let (vdisk, lba) = reading.remove(&reply.handle).expect("asked");
            assert!(
                reply
                    .buffer
                    .is_some_and(|read| read[..] == pattern(lba)[..]),
                "block {lba}"
            );
            had.reads += 1;
            let lba = place();
            let range = (lba * BLOCK, BLOCK);
            let read = machine.submit(vdisk, RequestKind::Read, range, None, false);
            reading.insert(read.expect("taken"), (vdisk, lba));
        }
        let now_at = machine.set.history(db).expect("a history").status.floor;
        had.folds += usize::from(now_at > floor);
        floor = now_at;
    }
    had.rate = WRITES as f64 / machine.now.saturating_sub(began).as_secs_f64();
    for reply in machine.settle() {
        let (_, lba) = reading.remove(&reply.handle).expect("asked");
        assert!(
            reply
                .buffer
                .is_some_and(|read| read[..] == pattern(lba)[..]),
            "block {lba}"
        );
    }
    assert!(reading.is_empty());
    had
}

#[test]
fn a_parent_does_not_wait_for_its_slow_clones() {
    let alone = writes_beside(0);
    // Some, and more than the disk's loop takes of the vdisks that it was made for.
    for reads_in_flight in [32, CLONES.len() * MAX_REQUESTS] {
        let beside = writes_beside(reads_in_flight);
        println!(
            "alone {:.0} a second, longest {:.0} ms; beside {reads_in_flight} reads {:.0}, {:.0} \
             ms; {} folds, {} reads",
            alone.rate,
            alone.longest.as_millis_f64(),
            beside.rate,
            beside.longest.as_millis_f64(),
            beside.folds,
            beside.reads
        );
        assert!(beside.folds >= 2 && beside.reads > 0);
        assert!(beside.rate >= 0.95 * alone.rate);
        assert!(beside.longest.0 * 10 <= alone.longest.0 * 11);
    }
}

/// The queues of clones are their own, also those of clones without a log that read the parent's.
#[test]
fn reads_of_a_clone_take_no_room_of_its_parent() {
    let mut machine = machine(8 * MIB);
    let without_logs = ["deep", "read"].map(|name| position(&machine, name));
    let mut random = SplitMix64::new(3);
    for clone in without_logs.into_iter().cycle().take(2 * MAX_REQUESTS) {
        let range = (random.below(8 * MIB / BLOCK) * BLOCK, BLOCK);
        let read = machine.submit(clone, RequestKind::Read, range, None, false);
        read.expect("taken");
    }
    // What lies in the log, and what does not, at different times: clones have 10 ms in a second.
    for offset in [0, SIZE - BLOCK].repeat(6) {
        let began = machine.now;
        let read = machine.submit(DB, RequestKind::Read, (offset, BLOCK), None, false);
        let read = read.expect("taken");
        let is_it = |machine: &Machine<Hdd>| machine.replies.iter().any(|one| one.handle == read);
        machine.set.turn(machine.now, &mut machine.replies);
        while !is_it(&machine) {
            pass_time(&mut machine);
            machine.set.turn(machine.now, &mut machine.replies);
        }
        let took = machine.now.saturating_sub(began);
        assert!(took <= Nanos::from_millis(200), "{offset}: {took:?}");
        let until = machine.now + Nanos::from_millis(100);
        while machine.now < until {
            machine.set.turn(machine.now, &mut machine.replies);
            let wake = machine.set.next_wake().expect("something is to come");
            machine.now = wake.clamp(machine.now, until);
        }
    }
    machine.settle();
}
