//! The loop of one disk on disks in virtual time: what is merged and what is not, who gets an
//! error, that charges add up, that a decision is made at the time of the completion it follows.

mod common;

use common::{SERVICE, break_block, disk_loop, failed, settings, write};
use disktime_disks::{
    Completion, Disk, DiskProperties, DiskRequest, FaultDisk, FaultOptions, Operation, ServiceTime,
    Store, VirtualOverlapDisk,
};
use disktime_drive_models::OverlapDrive;
use disktime_engine::{DiskLoop, Io, IoDone, Order, Reservation, StreamConfig};
use disktime_units::{Nanos, Share};

/// Turns until no request is in flight; returns the answers and the time.
fn run(disk_loop: &mut DiskLoop<FaultDisk>, mut now: Nanos) -> (Vec<IoDone>, Nanos) {
    let mut done = Vec::new();
    disk_loop.turn(now, &mut done);
    while !disk_loop.is_idle() {
        now = disk_loop.next_wake().expect("a request is in flight");
        disk_loop.turn(now, &mut done);
    }
    (done, now)
}

#[test]
fn adjacent_requests_of_a_stream_go_as_one_and_are_answered_one_by_one() {
    let (mut disk_loop, handle) = disk_loop(1);
    let stream = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
    for index in 0..8 {
        disk_loop.submit(Nanos::ZERO, write(index, stream, index * 4096));
    }
    let (done, now) = run(&mut disk_loop, Nanos::ZERO);
    assert_eq!(
        now, SERVICE,
        "eight adjacent writes took more than one dispatch"
    );
    assert_eq!(
        done.iter().map(|io| io.tag).collect::<Vec<_>>(),
        (0..8).collect::<Vec<_>>()
    );
    for io in &done {
        let buffer = io.buffer.as_ref().expect("a write gives its buffer back");
        assert!(
            buffer.iter().all(|byte| *byte == io.tag as u8),
            "buffers changed hands"
        );
    }
    let mut content = vec![0; 8 * 4096];
    handle.peek(0, &mut content);
    assert!((0..8).all(|index| content[index * 4096] == index as u8));
}

#[test]
fn a_discard_that_is_withdrawn_never_reaches_the_disk_and_takes_no_time() {
    let (mut disk_loop, handle) = disk_loop(1);
    let stream = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
    let discard = |tag| Io {
        operation: Operation::Discard,
        buffer: None,
        ..write(tag, stream, tag << 20)
    };
    let mut done = Vec::new();
    disk_loop.submit(Nanos::ZERO, discard(0));
    disk_loop.turn(Nanos::ZERO, &mut done);
    assert!(!disk_loop.withdraw_discard(0), "the disk has it");
    disk_loop.submit(Nanos::ZERO, discard(1));
    disk_loop.submit(Nanos::ZERO, write(2, stream, 2 << 20));
    assert!(!disk_loop.withdraw_discard(2), "it is no discard");
    assert!(disk_loop.withdraw_discard(1) && !disk_loop.withdraw_discard(1));
    let (done, now) = run(&mut disk_loop, Nanos::ZERO);
    assert_eq!(now, SERVICE + SERVICE, "that of two");
    let tags: Vec<u64> = done.iter().map(|io| io.tag).collect();
    assert_eq!(tags, [0, 1, 2]);
    assert_eq!(handle.operations(), 2);
    let counters = disk_loop.scheduler().disk_counters(now);
    assert_eq!(counters.busy, now);
}

#[test]
fn a_loop_with_nothing_but_what_was_withdrawn_is_idle() {
    let (mut disk_loop, handle) = disk_loop(1);
    let stream = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
    let io = Io {
        operation: Operation::Discard,
        buffer: None,
        ..write(7, stream, 0)
    };
    disk_loop.submit(Nanos::ZERO, io);
    assert!(!disk_loop.is_idle());
    assert!(disk_loop.withdraw_discard(7) && disk_loop.is_idle());
    let mut done = Vec::new();
    disk_loop.turn(Nanos::ZERO, &mut done);
    assert_eq!((done.len(), handle.operations()), (1, 0));
    assert!(disk_loop.is_idle());
}

#[test]
fn a_bad_place_fails_the_one_that_asked_and_not_those_it_was_merged_with() {
    let (mut disk_loop, handle) = disk_loop(1);
    break_block(&handle, 2);
    let stream = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
    for index in 0..5 {
        disk_loop.submit(Nanos::ZERO, write(index, stream, index * 4096));
    }
    let (mut done, _) = run(&mut disk_loop, Nanos::ZERO);
    done.sort_by_key(|io| io.tag);
    assert_eq!(done.len(), 5, "each request is answered once");
    assert_eq!(failed(&done), [2]);
    assert!(
        done.iter().all(|io| io.buffer.is_some()),
        "a buffer was lost"
    );
}

#[test]
fn the_next_request_starts_when_the_last_ended_not_when_the_loop_woke() {
    let (mut disk_loop, _) = disk_loop(1);
    let stream = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
    for index in 0..10 {
        // Apart, so that they are not merged.
        disk_loop.submit(Nanos::ZERO, write(index, stream, index * (1 << 20)));
    }
    let mut done = Vec::new();
    disk_loop.turn(Nanos::ZERO, &mut done);
    // Every wake-up is two milliseconds late.
    let mut now = Nanos::ZERO;
    while !disk_loop.is_idle() {
        now = disk_loop.next_wake().expect("in flight") + Nanos::from_millis(2);
        disk_loop.turn(now, &mut done);
    }
    let last = now - Nanos::from_millis(2);
    assert_eq!(last, Nanos(SERVICE.0 * 10), "lateness added up");
    let report = disk_loop.report(now);
    let total = report.windows.total.counters;
    assert_eq!(
        (total.busy, total.charged),
        (Nanos(SERVICE.0 * 10), Nanos(SERVICE.0 * 10))
    );
}

#[test]
fn with_several_in_flight_each_stream_pays_no_more_than_the_time_that_passed() {
    let (mut disk_loop, _) = disk_loop(8);
    let reserved = StreamConfig {
        reservation: Some(Reservation {
            share: Share::from_percent(50),
            period: Nanos::from_millis(100),
        }),
        ..StreamConfig::BEST_EFFORT
    };
    let streams = [
        disk_loop.add_stream(Nanos::ZERO, reserved),
        disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT),
    ];
    let mut done = Vec::new();
    let mut now = Nanos::ZERO;
    let mut tag = 0;
    for round in 0..200u64 {
        while disk_loop.has_room() {
            let stream = streams[(tag % 2) as usize];
            disk_loop.submit(now, write(tag % 64, stream, (tag * 7919 % 1000) << 20));
            tag += 1;
        }
        disk_loop.turn(now, &mut done);
        // Sometimes the loop is late, sometimes it is woken early.
        let wake = disk_loop.next_wake().expect("in flight");
        now = if round % 3 == 0 {
            now + Nanos(1_234_567)
        } else {
            wake
        };
    }
    let (rest, end) = run(&mut disk_loop, now);
    let report = disk_loop.report(end);
    let total = report.windows.total.counters;
    let of_streams = report.streams.values().map(|stream| {
        let counters = &stream.windows.total.counters;
        counters.reserved + counters.spare
    });
    let charges: Vec<Nanos> = of_streams.collect();
    assert_eq!(charges.iter().copied().sum::<Nanos>(), total.charged);
    assert!(charges.iter().all(|charge| *charge <= end), "{charges:?}");
    // What one would have needed alone for a half of the work is more than its half of the time.
    assert!(total.charged > total.busy, "{total:?}");
    assert_eq!(
        (done.len() + rest.len()) as u64,
        tag,
        "an answer is missing or came twice"
    );
}

#[test]
fn windows_show_what_happened_in_them_and_nothing_older() {
    let (mut disk_loop, _) = disk_loop(1);
    let stream = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
    let burst = |disk_loop: &mut DiskLoop<FaultDisk>, at: Nanos| {
        for index in 0..20 {
            disk_loop.submit(at, write(index, stream, index * (1 << 20)));
        }
        run(disk_loop, at).1
    };
    let first_end = burst(&mut disk_loop, Nanos::ZERO);
    assert_eq!(first_end, Nanos::from_millis(100));
    // Nothing for twenty seconds, then another burst.
    let end = burst(&mut disk_loop, Nanos::from_secs(20));
    let report = disk_loop.report(end);
    let busy =
        |window: disktime_engine::Window<disktime_engine::DiskCounters>| window.counters.busy;
    assert_eq!(busy(report.windows.total), Nanos::from_millis(200));
    assert_eq!(busy(report.windows.last_1s), Nanos::from_millis(100));
    assert_eq!(busy(report.windows.last_10s), Nanos::from_millis(100));
    let own = report.streams[&stream].windows.last_10s.counters;
    // Off by less than one request: the last of the first burst is charged after a reading.
    let charged = own.reserved + own.spare;
    assert!(charged.0.abs_diff(100_000_000) <= SERVICE.0, "{charged}");
    assert_eq!(report.streams[&stream].service_time.count, 40);
}

#[test]
fn a_disk_takes_no_more_than_it_says() {
    let (mut disk_loop, _) = disk_loop(4);
    let stream = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
    let mut index = 0;
    while disk_loop.has_room() {
        disk_loop.submit(Nanos::ZERO, write(index, stream, index * (1 << 20)));
        index += 1;
    }
    assert_eq!(
        index, 64,
        "the bound on held requests is what was asked for"
    );
    let mut done = Vec::new();
    disk_loop.turn(Nanos::ZERO, &mut done);
    assert_eq!(
        disk_loop.scheduler().in_flight(),
        disk_loop.properties().max_in_flight
    );
    assert_eq!(disk_loop.disk_mut().properties().max_in_flight, 4);
    let (done, now) = run(&mut disk_loop, Nanos::ZERO);
    assert_eq!((done.len(), now), (64, Nanos(SERVICE.0 * 16)));
}

#[test]
fn a_window_after_a_pause_is_as_long_as_it_says() {
    let (mut disk_loop, _) = disk_loop(1);
    let stream = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
    let mut done = Vec::new();
    disk_loop.submit(Nanos::ZERO, write(0, stream, 0));
    run(&mut disk_loop, Nanos::ZERO);
    // Twelve seconds of nothing, then half a second of work, read in the middle of a request.
    let mut now = Nanos::from_secs(12);
    for index in 0..64 {
        disk_loop.submit(now, write(index, stream, index * (1 << 20)));
    }
    disk_loop.turn(now, &mut done);
    while now < Nanos::from_millis(12_250) {
        now = disk_loop.next_wake().expect("in flight");
        disk_loop.turn(now, &mut done);
    }
    let report = disk_loop.report(now);
    let window = report.windows.last_1s;
    assert_eq!(window.elapsed, Nanos::from_secs(1));
    // What was done since the last reading before the pause is spread over the pause.
    for window in [window, report.windows.last_10s] {
        let busy = window.counters.busy;
        assert!(
            busy >= Nanos::from_millis(250) && busy <= Nanos::from_millis(255),
            "{busy}"
        );
    }
    assert_eq!(
        report.streams[&stream].windows.last_10s.elapsed,
        Nanos::from_secs(10)
    );
}

#[test]
fn queue_and_service_times_of_a_stream_are_those_of_its_requests() {
    let (mut disk_loop, _) = disk_loop(1);
    let stream = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
    for index in 0..9 {
        disk_loop.submit(Nanos::ZERO, write(index, stream, index * (1 << 20)));
    }
    let (_, now) = run(&mut disk_loop, Nanos::ZERO);
    let times = &disk_loop.report(now).streams[&stream];
    // They wait for 0 to 8 requests.
    let near = |time: Nanos, requests: u64| {
        let exact = SERVICE.0 * requests;
        time.0.abs_diff(exact) <= exact / 50
    };
    let queue = &times.queue_time;
    assert_eq!((queue.count, times.service_time.count), (9, 9));
    assert!(near(queue.p50, 4) && near(queue.max, 8), "{queue:?}");
    let service = &times.service_time;
    assert!(near(service.p50, 1) && near(service.max, 1), "{service:?}");
}

#[test]
fn a_durable_write_is_priced_with_its_flush() {
    for name in ["nvme-970pro", "sata-870", "cheap-qlc", "cloud-16k"] {
        let drive = OverlapDrive::find(name).expect("a preset");
        let filled = |fua| {
            let disk = VirtualOverlapDisk::of_drive(&drive, 1 << 30, 1, Store::None);
            let cost = disk.properties().cost;
            let mut disk_loop = DiskLoop::new(disk, settings(Order::Sweep));
            let stream = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
            let io = Io {
                fua,
                buffer: None,
                ..write(1, stream, 1 << 20)
            };
            disk_loop.submit(Nanos::ZERO, io);
            disk_loop.turn(Nanos::ZERO, &mut Vec::new());
            let occupancy = disk_loop
                .report(Nanos::ZERO)
                .occupancy
                .expect("it overlaps");
            let price = |operation| cost.quote(operation, 4096, false, false).occupancy;
            let flush = cost.quote(Operation::Flush, 0, false, false).occupancy;
            let expected = price(Operation::Write) + if fua { flush } else { Nanos::ZERO };
            assert_eq!(occupancy.filled, expected, "{name}, fua {fua}");
            flush
        };
        filled(false);
        assert!(filled(true) > Nanos::ZERO, "{name}: a flush has a price");
    }
}

/// A real disk's completions have the time at which they are collected.
struct Collected(FaultDisk);

impl Disk for Collected {
    fn properties(&self) -> &DiskProperties {
        self.0.properties()
    }
    fn submit(&mut self, now: Nanos, request: DiskRequest) {
        self.0.submit(now, request);
    }
    fn collect(&mut self, now: Nanos, completions: &mut Vec<Completion>) {
        self.0.collect(now, completions);
        for completion in completions {
            completion.completed_at = now;
        }
    }
    fn next_completion(&self) -> Option<Nanos> {
        self.0.next_completion()
    }
}

#[test]
fn a_pause_of_the_server_is_charged_to_no_stream_and_counted() {
    const PAUSE: Nanos = Nanos::from_secs(10);
    for max_in_flight in [1, 4] {
        let disk = FaultDisk::new(FaultOptions {
            max_in_flight,
            service: ServiceTime::Constant(SERVICE),
            ..FaultOptions::instant(1 << 30)
        });
        let mut disk_loop = DiskLoop::new(Collected(disk), settings(Order::Sweep));
        let worst_case = disk_loop.properties().worst_case;
        let reserved = StreamConfig {
            reservation: Some(Reservation {
                share: Share::from_percent(50),
                period: Nanos::from_millis(200),
            }),
            ..StreamConfig::BEST_EFFORT
        };
        let streams = [
            disk_loop.add_stream(Nanos::ZERO, reserved),
            disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT),
        ];
        let (mut now, mut tag) = (Nanos::ZERO, 0);
        let mut done: Vec<IoDone> = Vec::new();
        let mut queued = [0; 2];
        let mut run_until = |disk_loop: &mut DiskLoop<Collected>, now: &mut Nanos, end: Nanos| {
            while *now < end {
                for (stream, queued) in streams.iter().zip(&mut queued) {
                    for _ in *queued..8 {
                        disk_loop.submit(*now, write(tag, *stream, (tag * 7919 % 1000) << 20));
                        tag += 1;
                    }
                    *queued = 8;
                }
                disk_loop.turn(*now, &mut done);
                for io in done.drain(..) {
                    queued[usize::from(io.stream == streams[1])] -= 1;
                }
                *now = disk_loop.next_wake().expect("in flight").max(*now);
            }
        };
        run_until(&mut disk_loop, &mut now, Nanos::from_secs(2));
        let counters = |disk_loop: &DiskLoop<Collected>, now| {
            let report = disk_loop.report(now);
            let total = |at: usize| report.streams[&streams[at]].windows.total.counters;
            (report.windows.total.counters, total(0), total(1))
        };
        let (_, mine, _) = counters(&disk_loop, now);
        assert_eq!(mine.deadlines_missed, 0);
        // The disk finishes what it has; the loop hears of it when it runs again.
        now += PAUSE;
        disk_loop.paused(PAUSE);
        let (disk, after, others) = counters(&disk_loop, now);
        assert_eq!((disk.pauses, disk.paused), (1, PAUSE - worst_case));
        // 10 s less W have 49 or 50 ends of periods of 200 ms.
        let missed = after.deadlines_missed;
        assert!((49..=50).contains(&missed), "{missed} missed");
        assert_eq!(others.deadlines_missed, 0, "it has no periods");
        let end = now + Nanos::from_secs(2);
        run_until(&mut disk_loop, &mut now, end);
        let (disk, mine, _) = counters(&disk_loop, now);
        assert_eq!(
            mine.deadlines_missed, after.deadlines_missed,
            "none afterwards"
        );
        let received = mine.reserved + mine.spare - after.reserved - after.spare;
        assert!(
            received >= Nanos::from_millis(1000) - worst_case,
            "{received} of 2 s with {max_in_flight} in flight"
        );
        let bound = Nanos::from_secs(4) + worst_case + Nanos::from_millis(50);
        assert!(disk.busy <= bound, "{} busy", disk.busy);
    }
}

#[test]
fn a_gap_that_a_request_may_take_is_no_pause() {
    let (mut disk_loop, _) = disk_loop(1);
    let stream = disk_loop.add_stream(Nanos::ZERO, StreamConfig::BEST_EFFORT);
    disk_loop.submit(Nanos::ZERO, write(1, stream, 0));
    disk_loop.turn(Nanos::ZERO, &mut Vec::new());
    let worst_case = disk_loop.properties().worst_case;
    disk_loop.paused(Nanos(worst_case.0 * 4));
    let total = |disk_loop: &DiskLoop<FaultDisk>| {
        let report = disk_loop.report(Nanos::from_secs(60));
        report.windows.total.counters
    };
    assert_eq!(total(&disk_loop).pauses, 0);
    disk_loop.paused(Nanos(worst_case.0 * 4 + 1));
    assert_eq!(total(&disk_loop).pauses, 1);
}
