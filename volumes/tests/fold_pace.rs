//! What a history costs on a hard disk, in virtual time: the same writes with and without one on
//! `desktop-7200-2008`, sustained over several fills and folds of the log.

mod common;

use common::histories::with_reserved_history;
use common::models::hard_disk;
use common::{BLANK, MIB, Machine, configs, disk_loop_in, options, reserved};
use disktime_disks::{Store, VirtualDisk};
use disktime_drive_models::HddModel;
use disktime_engine::{Order, PolicyKind, RequestKind, Service, StreamConfig};
use disktime_history::Status;
use disktime_random::SplitMix64;
use disktime_volumes::{VirtualDriver, VolumeSet};
use std::ops::Range;

type Hdd = VirtualDisk<HddModel>;

/// The vdisk takes as much of the disk as 20 GiB of 64 GiB; its log takes as much again.
const SIZE: u64 = 256 * MIB;
const DISK: u64 = 820 * MIB;
const BLOCK: u64 = 4096;

fn machine(order: Order, has_history: bool) -> Machine<Hdd> {
    let disk = hard_disk(DISK, Store::Sparse);
    let disk_loop = disk_loop_in(disk, PolicyKind::Fahrrad, 512, order);
    let mut vdisk = match has_history {
        true => with_reserved_history(SIZE, SIZE, StreamConfig::BEST_EFFORT),
        false => configs(&[("db", SIZE)]).remove(0),
    };
    vdisk.stream = reserved(30, 500);
    let mut driver = VirtualDriver::default();
    let (set, _) = VolumeSet::open(disk_loop, &mut driver, &[vdisk], options(BLANK)).expect("open");
    let mut machine = Machine::around(set, driver.now);
    machine.ticks = has_history;
    machine
}

/// So many requests of that kind and size at such places, some at a time; requests in a second, and
/// the median of their latencies in milliseconds.
fn load(
    machine: &mut Machine<Hdd>,
    (kind, len, depth): (RequestKind, u64, usize),
    requests: u64,
    mut place: impl FnMut() -> u64,
) -> (f64, [f64; 2]) {
    let began = machine.now;
    let data = vec![7; len as usize];
    let (mut sent, mut answered) = (0, 0);
    let mut latencies = Vec::new();
    let mut since = std::collections::HashMap::new();
    while answered < requests {
        while since.len() < depth && sent < requests {
            let data = (kind == RequestKind::Write).then_some(&data[..]);
            let handle = machine.submit(0, kind, (place(), len), data, false);
            since.insert(handle.expect("room"), machine.now);
            sent += 1;
        }
        machine.set.turn(machine.now, &mut machine.replies);
        let replies = std::mem::take(&mut machine.replies);
        if replies.is_empty() {
            // Clients come back at once; only then time passes.
            let wake = machine.set.next_wake().expect("something is to come");
            machine.now = machine.now.max(wake);
        }
        for reply in replies {
            reply.result.expect("nothing fails");
            let at = since.remove(&reply.handle).expect("asked");
            latencies.push(machine.now.saturating_sub(at).as_millis_f64());
            answered += 1;
        }
    }
    latencies.sort_by(f64::total_cmp);
    let seconds = machine.now.saturating_sub(began).as_secs_f64();
    let median = latencies[latencies.len() / 2];
    (
        requests as f64 / seconds,
        [median, latencies[latencies.len() - 1]],
    )
}

fn random_writes(
    machine: &mut Machine<Hdd>,
    writes: u64,
    random: &mut SplitMix64,
) -> (f64, [f64; 2]) {
    let place = || random.below(SIZE / BLOCK) * BLOCK;
    load(machine, (RequestKind::Write, BLOCK, 16), writes, place)
}

fn status(machine: &Machine<Hdd>) -> Status {
    let vdisk = machine.handle(0);
    machine.set.history(vdisk).expect("a history").status
}

fn floor(machine: &Machine<Hdd>) -> u64 {
    status(machine).floor
}

/// Writes a range of the vdisk from its beginning to its end, so often; requests in a second.
fn sequential_writes(machine: &mut Machine<Hdd>, range: Range<u64>, times: u64) -> f64 {
    let requests = (range.end - range.start) / MIB;
    let mut at = 0;
    let place = || {
        at += 1;
        range.start + (at - 1) % requests * MIB
    };
    load(
        machine,
        (RequestKind::Write, MIB, 4),
        requests * times,
        place,
    )
    .0
}

/// What is measured of a vdisk without a history, of which each block was written, so that nothing
/// is a hole.
fn without<T>(order: Order, measure: impl FnOnce(&mut Machine<Hdd>) -> T) -> T {
    let mut plain = machine(order, false);
    sequential_writes(&mut plain, 0..SIZE, 1);
    measure(&mut plain)
}

/// What is measured of one with a history.
fn with<T>(order: Order, measure: impl FnOnce(&mut Machine<Hdd>) -> T) -> T {
    let mut logged = machine(order, true);
    let measured = measure(&mut logged);
    // A fold may be in flight.
    logged.set.abandon();
    measured
}

/// Writes until so many folds have ended; writes in a second from the first time on, and the
/// longest that one took, in milliseconds.
fn sustained(machine: &mut Machine<Hdd>, folds: usize) -> (f64, f64) {
    let mut began = None;
    let (mut writes, mut ended, mut longest) = (0, 0, 0_f64);
    let mut random = SplitMix64::new(5);
    let mut was_folding = false;
    while ended <= folds {
        let (_, [_, slowest]) = random_writes(machine, 500, &mut random);
        writes += 500;
        longest = longest.max(slowest);
        let is_folding = status(machine).is_folding;
        if was_folding && !is_folding {
            ended += 1;
            if began.is_none() {
                (began, writes, longest) = (Some(machine.now), 0, 0.0);
            }
        }
        was_folding = is_folding;
    }
    let began = began.expect("a fold");
    let seconds = machine.now.saturating_sub(began).as_secs_f64();
    (writes as f64 / seconds, longest)
}

/// Writes of one block, each with a flush behind it: the median in milliseconds.
fn write_and_flush(machine: &mut Machine<Hdd>, writes: u64) -> f64 {
    let mut random = SplitMix64::new(6);
    let mut times = Vec::new();
    for _ in 0..writes {
        let began = machine.now;
        for kind in [RequestKind::Write, RequestKind::Flush] {
            let (len, at) = match kind {
                RequestKind::Write => (BLOCK, random.below(SIZE / BLOCK) * BLOCK),
                _ => (0, 0),
            };
            load(machine, (kind, len, 1), 1, || at);
        }
        times.push(machine.now.saturating_sub(began).as_millis_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Reads of one block at these places, in an order by chance.
fn reads(machine: &mut Machine<Hdd>, blocks: &[u64]) -> f64 {
    let mut random = SplitMix64::new(8);
    let place = || blocks[random.below(blocks.len() as u64) as usize] * BLOCK;
    load(machine, (RequestKind::Read, BLOCK, 16), 4000, place).0
}

/// The same writes on both.
fn some_writes(machine: &mut Machine<Hdd>, writes: u64) -> f64 {
    random_writes(machine, writes, &mut SplitMix64::new(5)).0
}

/// docs/design/history.md: the fold sorts, so that a history makes random writes of a hard disk
/// faster, and gives the log space while it goes on, so that none waits for all of it. A fold goes
/// by least positioning in both orders.
#[test]
fn random_writes_with_a_history_are_four_and_five_times_those_without_over_three_folds() {
    let [sweep, least] = [Order::Sweep, Order::LeastPositioning]
        .map(|order| without(order, |plain| some_writes(plain, 3000)));
    let (with, longest_ms) = with(Order::LeastPositioning, |logged| sustained(logged, 3));
    assert!(with >= 5.0 * sweep, "{with} beside {sweep}");
    assert!(with >= 4.0 * least, "{with} beside {least}");
    assert!(longest_ms <= 1500.0, "a write took {longest_ms} ms");
}

/// Three transfers: to the log, from it, and to the image.
#[test]
fn sequential_writes_with_a_history_have_a_third_of_the_rate_without() {
    let without = without(Order::Sweep, |plain| sequential_writes(plain, 0..SIZE, 1));
    let with = with(Order::Sweep, |logged| {
        sequential_writes(logged, 0..SIZE, 2);
        sequential_writes(logged, 0..SIZE, 4)
    });
    assert!(with >= 0.35 * without, "{with} beside {without}");
}

#[test]
#[ignore = "prints the figures of BENCHMARKS.md"]
fn figures() {
    for order in [Order::Sweep, Order::LeastPositioning] {
        let show = |what: &str, without: f64, with: f64| {
            let ratio = with / without;
            println!("{order:?}: {what}: {without:.1} without, {with:.1} with, {ratio:.2}");
        };
        let (rate, longest_ms) = with(order, |logged| sustained(logged, 3));
        show(
            "random 4 KiB writes a second",
            without(order, |plain| some_writes(plain, 6000)),
            rate,
        );
        println!("{order:?}: the longest of them with a history: {longest_ms:.0} ms");
        show(
            "write and flush, p50 in ms",
            without(order, |plain| write_and_flush(plain, 300)),
            with(order, |logged| write_and_flush(logged, 300)),
        );
        show(
            "sequential writes in MiB/s",
            without(order, |plain| sequential_writes(plain, 0..SIZE, 2)),
            with(order, |logged| {
                sequential_writes(logged, 0..SIZE, 2);
                sequential_writes(logged, 0..SIZE, 4)
            }),
        );
        let in_image: Vec<u64> = (0..64 * MIB / BLOCK).collect();
        show(
            "reads of the image a second",
            without(order, |plain| reads(plain, &in_image)),
            with(order, |logged| {
                sequential_writes(logged, 0..64 * MIB, 1);
                let before = floor(logged);
                while floor(logged) == before {
                    sequential_writes(logged, 64 * MIB..128 * MIB, 1);
                }
                reads(logged, &in_image)
            }),
        );
        let mut random = SplitMix64::new(5);
        let written: Vec<u64> = (0..6000).map(|_| random.below(SIZE / BLOCK)).collect();
        show(
            "reads of the log a second",
            without(order, |plain| reads(plain, &written)),
            with(order, |logged| {
                some_writes(logged, 6000);
                reads(logged, &written)
            }),
        );
    }
}
