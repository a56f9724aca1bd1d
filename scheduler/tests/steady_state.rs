//! No allocation in steady state, and no overflow in years.

use disktime_lab::oracle::devices::DISK_BYTES;
use disktime_lab::oracle::disks::{
    RESERVED, every_policy, ms, plain_disk, reserved, secs, toy_hdd,
};
use disktime_scheduler::{
    Arrival, Decision, FlightId, Limit, RequestId, RequestKind, Scheduler, SchedulerConfig,
    StreamConfig, StreamId, SwitchingAccount,
};
use disktime_units::{Nanos, Share};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread-local
// number that needs no allocation.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn arrival(id: u32, place: u64) -> Arrival {
    Arrival {
        id: RequestId(id),
        offset_bytes: Some(place % (DISK_BYTES / 4096) * 4096),
        len_bytes: 4096,
        price: Nanos(51_200),
        lone: Nanos(51_200),
        kind: RequestKind::Read,
        merge_class: Some(0),
    }
}

/// Drives a scheduler with closed loops of `depth`, request ids being stream · depth + slot.
struct Loop {
    scheduler: Scheduler,
    depth: u32,
    now: Nanos,
    flights: Vec<(Nanos, FlightId, StreamId, Vec<RequestId>)>,
    batch: Vec<RequestId>,
    place: u64,
}

impl Loop {
    fn new(config: SchedulerConfig, streams: &[StreamConfig], depth: u32) -> Loop {
        let mut scheduler = Scheduler::new(config, DISK_BYTES);
        for config in streams {
            scheduler.add_stream(Nanos::ZERO, *config);
        }
        let mut one = Loop {
            scheduler,
            depth,
            now: Nanos::ZERO,
            flights: Vec::with_capacity(64),
            batch: Vec::with_capacity(64),
            place: 1,
        };
        for id in 0..streams.len() as u32 * depth {
            one.arrive(id);
        }
        one
    }

    fn arrive(&mut self, id: u32) {
        self.place = self
            .place
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let stream = self.scheduler.stream_at((id / self.depth) as usize);
        let stream = stream.expect("it was added");
        self.scheduler
            .arrive(self.now, stream, arrival(id, self.place >> 20));
    }

    /// Until `count` dispatches are done; allocations by the scheduler meanwhile.
    fn run(&mut self, count: usize, service: Nanos) -> u64 {
        let mut allocated = 0;
        let mut spare_lists: Vec<Vec<RequestId>> =
            (0..64).map(|_| Vec::with_capacity(64)).collect();
        for _ in 0..count {
            let wake = loop {
                let before = ALLOCATIONS.get();
                let decision = self.scheduler.next(self.now, &mut self.batch);
                allocated += ALLOCATIONS.get() - before;
                match decision {
                    Decision::Dispatch { flight, stream } => {
                        let mut ids = spare_lists.pop().expect("as many lists as flights");
                        ids.extend_from_slice(&self.batch);
                        self.flights.push((self.now + service, flight, stream, ids));
                    }
                    Decision::Sleep { until } => break until,
                }
            };
            if self.flights.is_empty() {
                self.now = wake.expect("a time to wake up");
                continue;
            }
            let (done, flight, stream, mut ids) = self.flights.remove(0);
            self.now = done;
            let before = ALLOCATIONS.get();
            let settlement = self.scheduler.complete(self.now, flight);
            assert_eq!(settlement.stream, stream);
            for id in ids.drain(..) {
                self.arrive(id.0);
            }
            allocated += ALLOCATIONS.get() - before;
            spare_lists.push(ids);
        }
        allocated
    }
}

#[test]
fn nothing_is_allocated_in_steady_state() {
    let limit = Limit {
        share: Share::from_percent(20),
        period: ms(500),
    };
    let streams = [
        reserved(200_000, secs(1)),
        reserved(100_000, ms(700)),
        StreamConfig {
            limit: Some(limit),
            ..reserved(150_000, ms(900))
        },
        StreamConfig::BEST_EFFORT,
        StreamConfig {
            limit: Some(limit),
            ..StreamConfig::BEST_EFFORT
        },
    ];
    let serial = toy_hdd(RESERVED);
    let many = SchedulerConfig {
        max_in_flight: 32,
        ..plain_disk(ms(27))
    };
    for policy in every_policy() {
        for (config, depth) in [(&serial, 1), (&serial, 16), (&many, 16)] {
            let config = SchedulerConfig {
                policy,
                ..config.clone()
            };
            let mut driven = Loop::new(config, &streams, depth);
            driven.run(5_000, ms(3));
            let allocated = driven.run(50_000, ms(3));
            assert_eq!(allocated, 0, "{}, depth {depth}", policy.name());
        }
    }
}

#[test]
fn long_periods_and_long_sleeps_overflow_nothing() {
    let day = secs(24 * 3600);
    // A period of a millisecond could not pay its switches.
    for (switching, short) in [(SwitchingAccount::Served, ms(1)), (RESERVED, ms(100))] {
        let limit = Limit {
            share: Share::from_percent(90),
            period: Nanos(day.0 * 7),
        };
        let streams = [
            reserved(300_000, Nanos(day.0 * 30)),
            reserved(300_000, short),
            StreamConfig {
                limit: Some(limit),
                ..reserved(50_000, day)
            },
            StreamConfig::BEST_EFFORT,
        ];
        let mut driven = Loop::new(toy_hdd(switching), &streams, 2);
        driven.run(500, ms(10));
        // Requests that hang for hours, with others waiting.
        driven.run(4, secs(3 * 3600));
        driven.run(500, ms(10));
        // A clock that jumps ten years while requests are queued.
        driven.now += Nanos(day.0 * 3650);
        driven.run(500, ms(10));
        for stream in driven.scheduler.streams() {
            let counters = driven.scheduler.stream_counters(stream);
            assert!(counters.requests > 0, "stream {stream:?}: {counters:?}");
        }
    }
}

#[test]
fn a_debt_of_hours_is_repaid_by_idle_time() {
    let mut scheduler = Scheduler::new(plain_disk(ms(27)), DISK_BYTES);
    let stream = scheduler.add_stream(Nanos::ZERO, reserved(100_000, ms(100)));
    let mut batch = Vec::new();
    scheduler.arrive(Nanos::ZERO, stream, arrival(0, 0));
    let Decision::Dispatch { flight, .. } = scheduler.next(Nanos::ZERO, &mut batch) else {
        panic!("nothing was dispatched");
    };
    let hang = secs(5 * 3600);
    scheduler.complete(hang, flight);
    // A tenth of the time went to it; the rest is owed.
    let owed = scheduler.unspent(stream);
    assert!(owed < -16_000_000_000_000, "{owed}");
    scheduler.arrive(Nanos(hang.0 * 11), stream, arrival(1, 0));
    assert_eq!(scheduler.unspent(stream), 10_000_000, "repaid and fresh");
}
