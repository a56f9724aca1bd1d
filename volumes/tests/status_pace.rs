//! Block status beside vdisks in use: it takes a part of the processor's time, and is answered all
//! the same.

mod common;

use common::histories::{open_at, with_history};
use common::{BLANK, MIB, Machine, configs, linear_disk, linear_disk_in_steps, open};
use disktime_disks::VirtualLinearDisk;
use disktime_engine::{Extent, Reply, RequestKind, Service};
use disktime_history::WhenFull;
use disktime_units::Nanos;

/// What an answer of one extent takes, twenty times.
const PACE: Nanos = Nanos(20 * 20_080);
const WHOLE: (u64, u64) = (0, 4 * MIB);

fn us(micros: u64) -> Nanos {
    Nanos::from_micros(micros)
}

/// Three vdisks on a disk whose requests take 10 µs.
fn machine() -> Machine<VirtualLinearDisk> {
    let vdisks = [("a", 4 * MIB), ("b", 4 * MIB), ("c", 4 * MIB)];
    open(linear_disk(64 * MIB), &vdisks, BLANK).expect("open").0
}

fn ask(machine: &mut Machine<VirtualLinearDisk>, vdisk: u32) -> u64 {
    let handle = machine.submit(vdisk, RequestKind::Status, WHOLE, None, false);
    handle.expect("the queue is empty")
}

/// Turns until then; `b` reads every 100 µs if it is in use. The statuses that were answered, each
/// with its time.
fn run(
    machine: &mut Machine<VirtualLinearDisk>,
    until: Nanos,
    b_is_used: bool,
) -> Vec<(u64, Nanos)> {
    let mut answered = Vec::new();
    let mut next_read = machine.now;
    loop {
        machine.set.turn(machine.now, &mut machine.replies);
        for reply in machine.replies.drain(..) {
            assert!(reply.result.is_ok());
            if reply.kind == RequestKind::Status {
                answered.push((reply.handle, machine.now));
            }
        }
        let read_at = b_is_used.then_some(next_read);
        let wakes = [machine.set.next_wake(), read_at];
        let at = wakes.into_iter().flatten().min().unwrap_or(until);
        if at >= until {
            machine.now = until;
            return answered;
        }
        machine.now = machine.now.max(at);
        if b_is_used && machine.now >= next_read {
            next_read = machine.now + us(100);
            let read = machine.submit(1, RequestKind::Read, (0, 4096), None, false);
            assert!(read.is_some());
        }
    }
}

fn begin_use(machine: &mut Machine<VirtualLinearDisk>) -> Nanos {
    machine.read(1, 0, 4096).expect("read");
    machine.now
}

#[test]
fn beside_a_vdisk_in_use_a_twentieth_of_the_time_is_for_status() {
    let mut machine = machine();
    let since = begin_use(&mut machine);
    for _ in 0..10 {
        ask(&mut machine, 0);
    }
    let answered = run(&mut machine, since + Nanos(PACE.0 * 5 - 1), true);
    assert_eq!(answered.len(), 5);
    let rest = run(&mut machine, since + Nanos(PACE.0 * 20), true);
    assert_eq!(rest.len(), 5, "each is answered");
}

#[test]
fn without_another_vdisk_in_use_status_does_not_wait() {
    let mut machine = machine();
    machine
        .read(0, 0, 4096)
        .expect("its own reads do not count");
    for _ in 0..10 {
        ask(&mut machine, 0);
    }
    let now = machine.now;
    let answered = run(&mut machine, now + us(1), false);
    assert_eq!(answered.len(), 10);
    assert!(answered.iter().all(|(_, at)| *at == now));
}

/// A disk may take long for one request. Its vdisk is in use all the while.
#[test]
fn a_request_that_takes_long_counts_as_use_to_its_end() {
    let slow = us(5_000);
    let vdisks = [("a", 4 * MIB), ("b", 4 * MIB)];
    let disk = linear_disk_in_steps(64 * MIB, slow);
    let mut machine = open(disk, &vdisks, BLANK).expect("open").0;
    machine.write(1, 0, &[1; 4096]).expect("write");
    let since = machine.now;
    let read = machine.submit(1, RequestKind::Read, (0, 4096), None, false);
    assert!(read.is_some());
    for _ in 0..50 {
        ask(&mut machine, 0);
    }
    let answered = run(&mut machine, since + slow, false);
    let most = slow.0.div_ceil(PACE.0) as usize;
    assert_eq!(answered.len(), most, "{answered:?}");
    let rest = run(&mut machine, since + slow + us(1_000) + PACE, false);
    assert_eq!(rest.len() + most, 50, "nothing waits after it");
}

/// A stop waits for none of them.
#[test]
fn a_stop_answers_those_that_wait() {
    let mut machine = machine();
    begin_use(&mut machine);
    for _ in 0..10 {
        ask(&mut machine, 0);
    }
    machine.set.fail_queued();
    let mut replies: Vec<Reply> = Vec::new();
    machine.set.turn(machine.now, &mut replies);
    assert_eq!(replies.len(), 10);
    assert!(replies.iter().all(|reply| reply.result.is_ok()));
}

/// One that has few questions does not wait behind one that has many.
#[test]
fn vdisks_take_turns() {
    let mut machine = machine();
    let since = begin_use(&mut machine);
    for _ in 0..10 {
        ask(&mut machine, 0);
    }
    let few = ask(&mut machine, 2);
    let answered = run(&mut machine, since + Nanos(PACE.0 * 20), true);
    let place = answered.iter().position(|(handle, _)| *handle == few);
    assert!(place.is_some_and(|place| place <= 2), "{answered:?}");
}

/// The vdisk `db` with a history, and `b` beside it; the first 4 MiB of `db` lie in its log.
fn machine_with_history() -> Machine<VirtualLinearDisk> {
    let db = with_history(64 * MIB, 1 << 50, WhenFull::Shorten);
    let vdisks = [vec![db], configs(&[("b", 4 * MIB)])].concat();
    let disk = linear_disk(256 * MIB);
    let opened = open_at(disk, &vdisks, BLANK, Nanos::ZERO);
    let mut machine = opened.expect("open").0;
    for at in 0..4 {
        machine.write(0, at * MIB, &[7; 1 << 20]).expect("write");
    }
    machine
}

/// What a vdisk with a history knows of a range is found by look-ups, of which an answer has at
/// most so many, and they count.
#[test]
fn the_status_of_a_vdisk_with_a_history_has_the_same_pace() {
    let mut machine = machine_with_history();
    let pace = Nanos(20 * (20_000 + 80 * 1024));
    let read = machine.submit(1, RequestKind::Read, (0, 4096), None, false);
    assert!(read.is_some());
    let since = machine.now + us(100);
    run(&mut machine, since, false);
    for _ in 0..10 {
        ask(&mut machine, 0);
    }
    let answered = run(&mut machine, since + Nanos(pace.0 * 5 - 1), true);
    assert_eq!(answered.len(), 5);
    let rest = run(&mut machine, since + Nanos(pace.0 * 20), true);
    assert_eq!(rest.len(), 5, "each is answered");
    let later = machine.now + us(2_000);
    run(&mut machine, later, false);
    for _ in 0..10 {
        ask(&mut machine, 0);
    }
    let now = machine.now;
    let answered = run(&mut machine, now + us(1), false);
    assert_eq!(answered.len(), 10, "no other vdisk is in use");
}

#[test]
fn a_long_status_of_what_lies_in_the_log_is_answered_in_parts() {
    let mut machine = machine_with_history();
    for at in 4..20 {
        machine.write(0, at * MIB, &[7; 1 << 20]).expect("write");
    }
    let (mut at, mut answers) = (0, 0);
    while at < 64 * MIB {
        let place = (at, 64 * MIB - at);
        let status = machine.call(0, RequestKind::Status, place, None, false);
        let status = status.expect("it is answered").expect("with its extents");
        for extent in Extent::read_all(&status) {
            assert_eq!(extent.hole, at >= 20 * MIB, "at {at}");
            at += extent.len_bytes;
        }
        answers += 1;
    }
    assert_eq!(
        (at, answers),
        (64 * MIB, 2),
        "16 MiB of the log in an answer"
    );
}
