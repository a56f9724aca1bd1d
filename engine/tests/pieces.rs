//! Which requests go to the disk as one, which are priced as sequential, what a change of a
//! stream's configuration does, and windows that begin between two readings.

mod common;

use common::{SERVICE, disk_loop, settings, write};
use disktime_disks::{Disk, FaultDisk, Operation, Store, VirtualOverlapDisk};
use disktime_drive_models::OverlapDrive;
use disktime_engine::{DiskLoop, Io, Limit, Order, StreamConfig, StreamId};
use disktime_units::{Nanos, Share};

fn read(tag: u64, stream: StreamId, offset_bytes: u64) -> Io {
    Io {
        operation: Operation::Read,
        ..write(tag, stream, offset_bytes)
    }
}

fn durable(tag: u64, stream: StreamId, offset_bytes: u64) -> Io {
    Io {
        fua: true,
        ..write(tag, stream, offset_bytes)
    }
}

/// Turns until no request is in flight; returns the time and how many were answered.
fn run(disk_loop: &mut DiskLoop<FaultDisk>) -> (Nanos, usize) {
    let (mut now, mut done) = (Nanos::ZERO, Vec::new());
    disk_loop.turn(now, &mut done);
    while !disk_loop.is_idle() {
        now = disk_loop.next_wake().expect("a request is in flight");
        disk_loop.turn(now, &mut done);
    }
    assert!(done.iter().all(|io| io.result.is_ok()));
    (now, done.len())
}

/// Each dispatch takes the same time, so the time says how many there were.
#[test]
fn only_reads_go_with_reads_and_only_plain_writes_with_plain_writes() {
    type Make = fn(u64, StreamId, u64) -> Io;
    let cases: [(&str, [Make; 2], u64); 5] = [
        ("reads", [read, read], 1),
        ("writes", [write, write], 1),
        ("a read and a write", [read, write], 2),
        ("durable writes", [durable, durable], 2),
        ("a durable write and a write", [durable, write], 2),
    ];
    for (name, make, dispatches) in cases {
        let (mut disk_loop, _) = disk_loop(1);
        let stream = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
        for (tag, make) in (0..).zip(make) {
            disk_loop.submit(Nanos::ZERO, make(tag, stream, tag * 4096));
        }
        let expected = (Nanos(SERVICE.0 * dispatches), 2);
        assert_eq!(run(&mut disk_loop), expected, "{name}");
    }
}

/// What is in the disk, at its price.
fn filled(disk_loop: &DiskLoop<impl Disk>, now: Nanos) -> Nanos {
    let report = disk_loop.report(now);
    report.occupancy.expect("it overlaps").filled
}

/// A request is priced as sequential where it begins at the end of the stream's last one that
/// moved data; a flush between them changes nothing.
#[test]
fn a_request_that_goes_on_is_priced_as_one() {
    let mut told_apart = 0;
    for name in OverlapDrive::names() {
        let drive = OverlapDrive::find(name).expect("a preset");
        let disk = VirtualOverlapDisk::of_drive(&drive, 1 << 30, 1, Store::None);
        let cost = disk.properties().cost;
        let price = |is_sequential| {
            cost.quote(Operation::Read, 4096, false, is_sequential)
                .occupancy
        };
        told_apart += usize::from(price(true) != price(false));
        let mut disk_loop = DiskLoop::new(disk, settings(Order::Sweep));
        let stream = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
        let mut now = Nanos::ZERO;
        // From 0 to 4096; on to 8192; elsewhere; a flush; on from there.
        for (offset_bytes, is_sequential) in [
            (Some(0), false),
            (Some(4096), true),
            (Some(1 << 20), false),
            (None, false),
            (Some((1 << 20) + 4096), true),
        ] {
            let io = match offset_bytes {
                Some(offset_bytes) => read(1, stream, offset_bytes),
                None => Io {
                    operation: Operation::Flush,
                    len_bytes: 0,
                    ..write(2, stream, 0)
                },
            };
            let io = Io { buffer: None, ..io };
            let before = filled(&disk_loop, now);
            disk_loop.submit(now, io);
            disk_loop.turn(now, &mut Vec::new());
            let price_paid = filled(&disk_loop, now) - before;
            if offset_bytes.is_some() {
                assert_eq!(price_paid, price(is_sequential), "{name}, {offset_bytes:?}");
            }
            while !disk_loop.is_idle() {
                now = disk_loop.next_wake().expect("in flight");
                disk_loop.turn(now, &mut Vec::new());
            }
        }
    }
    assert!(told_apart > 0, "no preset prices sequential requests apart");
}

#[test]
fn a_changed_limit_holds_from_then_on() {
    let (mut disk_loop, _) = disk_loop(1);
    let stream = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
    let limited = StreamConfig {
        limit: Some(Limit {
            share: Share::from_percent(10),
            period: Nanos::from_millis(100),
        }),
        ..StreamConfig::BEST_EFFORT
    };
    disk_loop.reconfigure(Nanos::ZERO, stream, limited);
    for tag in 0..20 {
        disk_loop.submit(Nanos::ZERO, write(tag, stream, tag << 20));
    }
    let (end, answered) = run(&mut disk_loop);
    assert_eq!(answered, 20);
    assert!(end >= Nanos::from_millis(800), "100 ms of work took {end}");
    assert_eq!(disk_loop.report(end).streams[&stream].config, limited);
}

/// The disk is idle for a second, then busy; the window begins between two readings.
#[test]
fn a_window_that_begins_between_two_readings_is_interpolated() {
    let (mut disk_loop, _) = disk_loop(1);
    let stream = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
    let mut done = Vec::new();
    disk_loop.turn(Nanos::ZERO, &mut done);
    let (mut now, mut tag) = (Nanos::from_secs(1), 0);
    while now < Nanos::from_millis(2955) {
        while disk_loop.has_room() {
            disk_loop.submit(now, write(tag % 64, stream, (tag * 2 % 1000) << 20));
            tag += 1;
        }
        disk_loop.turn(now, &mut done);
        now = disk_loop.next_wake().expect("in flight");
    }
    disk_loop.turn(now, &mut done);
    let report = disk_loop.report(now);
    let window = report.windows.last_1s.counters.busy;
    let of_stream = report.streams[&stream].windows.last_1s.counters;
    for busy in [window, of_stream.reserved + of_stream.spare] {
        let apart = busy.0.abs_diff(Nanos::from_secs(1).0);
        assert!(apart <= 2 * SERVICE.0, "{busy} of one second");
    }
}
