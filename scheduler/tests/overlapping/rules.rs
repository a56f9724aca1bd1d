//! Single rules, with a disk that the test plays by hand: each is a rule whose loss the sets of
//! `bound` do not show, because their drives complete something before it matters.

use super::{ms, us};
use disktime_lab::oracle::disks::plain_disk;
use disktime_scheduler::{
    Arrival, Decision, FlightId, OverlapConfig, RequestId, RequestKind, Reservation, Scheduler,
    SchedulerConfig, StreamConfig, StreamId,
};
use disktime_units::{Nanos, Share};

/// A scheduler of a disk with H of 400 µs and W of 1 ms that overlaps 64 requests.
pub(super) struct ByHand {
    pub(super) scheduler: Scheduler,
    batch: Vec<RequestId>,
    next_id: u32,
}

/// What a request is and costs.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub(super) kind: RequestKind,
    pub(super) occupancy: Nanos,
    pub(super) lone: Nanos,
}

impl Request {
    pub(super) fn read(occupancy: Nanos, lone: Nanos) -> Request {
        Request {
            kind: RequestKind::Read,
            occupancy,
            lone,
        }
    }

    fn write(occupancy: Nanos) -> Request {
        Request {
            kind: RequestKind::Write,
            occupancy,
            lone: occupancy,
        }
    }
}

impl ByHand {
    pub(super) fn new() -> ByHand {
        ByHand::settling(Nanos::ZERO)
    }

    /// The same with that σ.
    fn settling(settle: Nanos) -> ByHand {
        let config = SchedulerConfig {
            max_in_flight: 64,
            overlap: OverlapConfig {
                occupancy_bound: us(400),
                settle,
                ..OverlapConfig::NONE
            },
            ..plain_disk(us(1000))
        };
        ByHand {
            scheduler: Scheduler::new(config, 1 << 40),
            batch: Vec::new(),
            next_id: 0,
        }
    }

    pub(super) fn reserve(&mut self, percent: u32, period: Nanos) -> StreamId {
        let reservation = Reservation {
            share: Share::from_percent(percent),
            period,
        };
        let config = StreamConfig {
            reservation: Some(reservation),
            ..StreamConfig::BEST_EFFORT
        };
        self.scheduler.add_stream(Nanos::ZERO, config)
    }

    pub(super) fn best_effort(&mut self) -> StreamId {
        let config = StreamConfig::BEST_EFFORT;
        self.scheduler.add_stream(Nanos::ZERO, config)
    }

    pub(super) fn ask(&mut self, now: Nanos, stream: StreamId, request: Request) {
        self.next_id += 1;
        let arrival = Arrival {
            id: RequestId(self.next_id),
            offset_bytes: Some(u64::from(self.next_id) << 20),
            len_bytes: 4096,
            price: request.occupancy,
            lone: request.lone,
            kind: request.kind,
            merge_class: None,
        };
        self.scheduler.arrive(now, stream, arrival);
    }

    /// Whose requests go to the disk now, and until when it is left alone after that.
    pub(super) fn dispatch(&mut self, now: Nanos) -> (Vec<(StreamId, FlightId)>, Option<Nanos>) {
        let mut sent = Vec::new();
        loop {
            match self.scheduler.next(now, &mut self.batch) {
                Decision::Dispatch { flight, stream, .. } => sent.push((stream, flight)),
                Decision::Sleep { until } => return (sent, until),
            }
        }
    }

    /// The number of the first request that goes to the disk now.
    pub(super) fn next_request(&mut self, now: Nanos) -> Option<u32> {
        match self.scheduler.next(now, &mut self.batch) {
            Decision::Dispatch { .. } => self.batch.first().map(|id| id.0),
            Decision::Sleep { .. } => None,
        }
    }
}

/// A full disk completes nothing, and slack runs out meanwhile. The scheduler has to decide again
/// then: the reserved stream becomes the focus and may go beyond H.
#[test]
fn the_end_of_slack_wakes_a_disk_that_is_held_back() {
    let mut disk = ByHand::new();
    let (reserved, other) = (disk.reserve(50, ms(20)), disk.best_effort());
    // Active, so that H holds from the beginning, and with nothing in flight.
    disk.ask(Nanos::ZERO, reserved, Request::read(us(10), us(10)));
    let (sent, _) = disk.dispatch(Nanos::ZERO);
    disk.scheduler.complete(us(10), sent[0].1);
    for _ in 0..4 {
        disk.ask(us(10), other, Request::read(us(260), us(260)));
    }
    let (sent, _) = disk.dispatch(us(10));
    assert_eq!(sent.len(), 2, "the second sticks out of H");
    disk.ask(us(20), reserved, Request::read(us(10), us(10)));
    let (sent, mut until) = disk.dispatch(us(20));
    assert!(sent.is_empty(), "the disk is full");
    // 20 ms, less the budget of 10 ms, less what is in the disk.
    for _ in 0..8 {
        let now = until.expect("it is woken without any event");
        assert!(now < ms(11), "slack has run out by {now}");
        let sent;
        (sent, until) = disk.dispatch(now);
        if let Some((stream, _)) = sent.first() {
            assert_eq!(*stream, reserved);
            assert!(now > ms(9), "{now}");
            return;
        }
    }
    panic!("the reserved stream does not go");
}

/// A write is answered by the disk's buffer at once, and is in the disk until its time has run off
/// at the sustained rate, or a writer is let in again and again while the buffer fills.
#[test]
fn an_answered_write_fills_the_disk_until_its_time_has_run_off() {
    let mut disk = ByHand::new();
    let (reserved, writer) = (disk.reserve(20, ms(100)), disk.best_effort());
    disk.ask(Nanos::ZERO, reserved, Request::read(us(10), us(10)));
    let (sent, _) = disk.dispatch(Nanos::ZERO);
    disk.scheduler.complete(us(10), sent[0].1);
    for _ in 0..4 {
        disk.ask(us(10), writer, Request::write(us(400)));
    }
    let (sent, _) = disk.dispatch(us(10));
    assert_eq!(sent.len(), 1, "one fills it");
    disk.scheduler.complete(us(20), sent[0].1);
    // A stream with a reservation is active: a quarter longer than the price.
    for now in [us(20), us(200), us(500)] {
        let (sent, until) = disk.dispatch(now);
        assert!(sent.is_empty(), "{now}");
        assert!(until.is_some_and(|until| until <= us(510)), "{until:?}");
    }
    let (sent, _) = disk.dispatch(us(511));
    assert_eq!(sent.len(), 1, "its time has run off");
}

/// A request that had the disk to itself is charged the time that it took, more than its price as
/// well as less: the promise holds whatever the prices say.
#[test]
fn alone_the_time_that_passed_is_charged_and_not_the_price() {
    for took in [30, 100, 900] {
        let mut disk = ByHand::new();
        let stream = disk.reserve(50, ms(20));
        for round in 0..10 {
            let now = us(2000 * round);
            disk.ask(now, stream, Request::read(us(20), us(100)));
            let (sent, _) = disk.dispatch(now);
            disk.scheduler.complete(now + us(took), sent[0].1);
        }
        let counters = disk.scheduler.stream_counters(stream);
        assert_eq!(counters.reserved + counters.spare, us(10 * took));
    }
}

/// Reads that are faster than their prices say nothing of writes: a write keeps the disk for its
/// price at the sustained rate, and its stream pays that.
#[test]
fn a_write_costs_its_price_however_fast_reads_are() {
    let mut disk = ByHand::new();
    let stream = disk.reserve(50, ms(20));
    for round in 0..200 {
        let now = us(1000 * round);
        disk.ask(now, stream, Request::read(us(20), us(100)));
        let (sent, _) = disk.dispatch(now);
        disk.scheduler.complete(now + us(40), sent[0].1);
    }
    assert!(disk.scheduler.price_correction_ppm(stream) <= 500_000);
    let charged = |disk: &ByHand| {
        let counters = disk.scheduler.stream_counters(stream);
        counters.reserved + counters.spare
    };
    let before = charged(&disk);
    disk.ask(ms(200), stream, Request::write(us(300)));
    let (sent, _) = disk.dispatch(ms(200));
    disk.scheduler.complete(ms(200) + us(20), sent[0].1);
    assert_eq!(charged(&disk) - before, us(300));
}

/// A write is answered early, and the disk is not empty then. With nothing due that has requests,
/// one write goes at a time, and the next when that one has run off.
#[test]
fn a_write_in_place_of_another_stream_runs_off_before_the_next() {
    let mut disk = ByHand::settling(ms(2));
    let (reserved, writer) = (disk.reserve(50, ms(20)), disk.best_effort());
    disk.ask(Nanos::ZERO, reserved, Request::read(us(10), us(10)));
    let (sent, _) = disk.dispatch(Nanos::ZERO);
    disk.scheduler.complete(us(10), sent[0].1);
    for _ in 0..8 {
        disk.ask(ms(17), writer, Request::write(us(200)));
    }
    // 1.5 ms are left until the period's end; two writes with σ take longer.
    let (sent, _) = disk.dispatch(ms(17));
    assert_eq!(sent.len(), 2);
    for (_, flight) in sent {
        disk.scheduler.complete(us(17_010), flight);
    }
    for now in [us(17_010), us(17_300)] {
        let (sent, until) = disk.dispatch(now);
        assert!(sent.is_empty(), "{now}: two writes are running off");
        assert!(until.is_some_and(|until| until <= us(17_500)), "{until:?}");
    }
    let (sent, _) = disk.dispatch(us(17_510));
    assert_eq!(sent.len(), 1, "they have run off");
}

/// Beside a read that takes long by its price, writes add nothing to the private device. A focus
/// that waits until its own writes have run off, with nothing in the disk, pays for that time.
#[test]
fn a_focus_pays_while_its_own_writes_run_off() {
    let mut disk = ByHand::new();
    let (stream, other) = (disk.reserve(90, ms(20)), disk.reserve(7, ms(500)));
    let kinds = [
        Request::read(us(10), us(900)),
        Request::write(us(100)),
        Request::write(us(100)),
    ];
    disk.ask(Nanos::ZERO, other, kinds[0]);
    for round in 0..12 {
        disk.ask(Nanos::ZERO, stream, kinds[round % 3]);
    }
    let charged = |disk: &ByHand| disk.scheduler.stream_counters(stream).reserved;
    let (mut now, mut round, mut before) = (Nanos::ZERO, 0, None);
    while now < ms(12) {
        let (sent, until) = disk.dispatch(now);
        now = match (sent.is_empty(), until) {
            (true, Some(until)) => until,
            _ => now + us(10),
        };
        for (of, flight) in sent {
            disk.scheduler.complete(now, flight);
            if of == stream {
                disk.ask(now, stream, kinds[round % 3]);
                round += 1;
            }
        }
        if now >= ms(4) && before.is_none() {
            before = Some((now, charged(&disk)));
        }
    }
    let (since, before) = before.expect("it ran for longer");
    let (passed, paid) = (now - since, charged(&disk) - before);
    assert!(paid.0 * 10 >= passed.0 * 9, "{paid} of {passed} in focus");
}
