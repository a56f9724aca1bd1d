//! What a decision costs: a request arrives, the scheduler says what goes to the disk, that
//! completes and is charged. Every stream is always backlogged, so that all of them are candidates
//! whenever the slack test is run; the time includes the request's way through its queue.
//!
//! On a disk with seeks the budgets here are worth less than a request (the hard case: the head can
//! stay with none of the streams, and each decision is a choice among all); without seeks each
//! decision is made anew anyway.

use disktime_scheduler::{
    Arrival, Decision, OverlapConfig, PolicyKind, RequestId, RequestKind, RequestOrder,
    Reservation, Scheduler, SchedulerConfig, SeekCurve, StreamConfig, StreamId, SwitchingAccount,
};
use disktime_units::{Nanos, Share};
use std::hint::black_box;

const DISK_BYTES: u64 = 1 << 40;
const BLOCK_BYTES: u64 = 4 << 10;
/// Requests of each active stream that wait.
const DEPTH: u32 = 4;
/// Decisions before the first that is measured, so that budgets and deadlines are no longer fresh.
const WARM_UP: u64 = 20_000;

/// A disk with the scheduler's view of it.
#[derive(Debug, Clone, Copy)]
pub enum Device {
    /// Seeks; a random request takes 13 ms.
    HardDisk,
    /// No seeks, one request at a time; a request takes 100 us.
    Flash,
}

impl Device {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Device::HardDisk => "hard disk",
            Device::Flash => "no seeks",
        }
    }

    fn service(self) -> Nanos {
        match self {
            Device::HardDisk => Nanos::from_millis(13),
            Device::Flash => Nanos::from_micros(100),
        }
    }

    fn config(self) -> SchedulerConfig {
        let has_seeks = matches!(self, Device::HardDisk);
        let millis = |ms| {
            if has_seeks {
                Nanos::from_millis(ms)
            } else {
                Nanos::ZERO
            }
        };
        let curve = match has_seeks {
            true => SeekCurve::new(vec![
                (0, Nanos::ZERO),
                (1, Nanos::from_millis(1)),
                (DISK_BYTES, Nanos::from_millis(15)),
            ]),
            false => SeekCurve::new(Vec::new()),
        };
        SchedulerConfig {
            policy: PolicyKind::Fahrrad,
            worst_case: Nanos::from_millis(30),
            switch_cost: millis(12),
            worst_seek: millis(23),
            seek_curve: curve,
            has_seeks,
            // A thousand periods of seconds would be more switching than there is time.
            switching: SwitchingAccount::Served,
            order: RequestOrder::Sweep,
            max_in_flight: 1,
            merge_limit_bytes: 1 << 20,
            overlap: OverlapConfig::NONE,
        }
    }
}

/// A scheduler with its streams, and requests in flight.
pub struct DecisionBench {
    scheduler: Scheduler,
    batch: Vec<RequestId>,
    /// The stream of each request.
    streams: Vec<StreamId>,
    /// A sequence of places, the same each time.
    places: u64,
    now: Nanos,
    service: Nanos,
}

impl DecisionBench {
    /// `registered` streams, of which `active` always have requests waiting and have `used` of the
    /// disk together; warmed up.
    pub fn new(device: Device, registered: u32, active: u32, used: Share) -> DecisionBench {
        let mut scheduler = Scheduler::new(device.config(), DISK_BYTES);
        // Periods of 1 s to 5 s, so that deadlines are spread. The active ones, spread among the
        // others, have `used` together, each of the others next to nothing.
        // What the rest of the disk is shared out to, but no more than next to nothing each.
        let rest = (1_000_000 - used.0) / registered.saturating_sub(active).max(1);
        let idle = Share(rest.min(1));
        let mut all = Vec::new();
        for index in 0..registered {
            let period = Nanos::from_millis(1_000 + u64::from(index * 7 % 4_001));
            let is_active = index % (registered / active) == 0;
            let share = if is_active {
                Share(used.0 / active)
            } else {
                idle
            };
            let reservation = Some(Reservation { share, period });
            let config = StreamConfig {
                reservation,
                ..StreamConfig::BEST_EFFORT
            };
            all.push(scheduler.add_stream(Nanos::ZERO, config));
        }
        let mut bench = DecisionBench {
            scheduler,
            batch: Vec::with_capacity(64),
            streams: Vec::with_capacity((active * DEPTH) as usize),
            places: 1,
            now: Nanos::ZERO,
            service: device.service(),
        };
        for index in 0..active * DEPTH {
            let stream = all[((index % active) * (registered / active)) as usize];
            bench.streams.push(stream);
            bench.arrive(RequestId(index));
        }
        (0..WARM_UP).for_each(|_| bench.step());
        bench
    }

    /// A request of the id's stream, at a random place.
    fn arrive(&mut self, id: RequestId) {
        self.places ^= self.places << 13;
        self.places ^= self.places >> 7;
        self.places ^= self.places << 17;
        let block = self.places % (DISK_BYTES / BLOCK_BYTES);
        let arrival = Arrival {
            id,
            offset_bytes: Some(block * BLOCK_BYTES),
            len_bytes: BLOCK_BYTES,
            price: Nanos::from_micros(50),
            lone: Nanos::from_micros(50),
            kind: RequestKind::Read,
            merge_class: None,
        };
        self.scheduler
            .arrive(self.now, self.streams[id.0 as usize], arrival);
    }

    /// A decision, the completion of what it sent, and the arrival of the next of that stream.
    pub fn step(&mut self) {
        let flight = match self.scheduler.next(self.now, &mut self.batch) {
            Decision::Dispatch { flight, .. } => flight,
            sleep @ Decision::Sleep { .. } => panic!("{sleep:?} with every stream backlogged"),
        };
        self.now += self.service;
        black_box(self.scheduler.complete(self.now, flight));
        for index in 0..self.batch.len() {
            self.arrive(self.batch[index]);
        }
    }
}
