//! What a decision costs: a request arrives, the scheduler says what goes to the disk, that
//! completes and is charged. Every stream is always backlogged, so that all of them are candidates
//! whenever the slack test is run; the time includes the request's way through its queue.
//!
//! On a disk with seeks the budgets here are worth less than a request (the hard case: the head can
//! stay with none of the streams, and each decision is a choice among all); without seeks each
//! decision is made anew anyway. On the disk that overlaps requests one is done in each of its
//! occupancies, and the next goes in its place.

use disktime_scheduler::{
    Arrival, Decision, FlightId, OverlapConfig, PolicyKind, RequestId, RequestKind, RequestOrder,
    Reservation, Scheduler, SchedulerConfig, SeekCurve, StreamConfig, StreamId, SwitchingAccount,
};
use disktime_units::{Nanos, Share};
use std::collections::VecDeque;
use std::hint::black_box;

const DISK_BYTES: u64 = 1 << 40;
/// What a request takes of the disk that overlaps requests, and how long alone.
const OCCUPANCY: Nanos = Nanos::from_micros(3);
const LONE: Nanos = Nanos::from_micros(71);
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
    /// No seeks, many requests at a time: each occupies the disk for 3 us and takes 71 us alone.
    Overlapping,
}

impl Device {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Device::HardDisk => "hard disk",
            Device::Flash => "no seeks",
            Device::Overlapping => "overlapping",
        }
    }

    fn service(self) -> Nanos {
        match self {
            Device::HardDisk => Nanos::from_millis(13),
            Device::Flash => Nanos::from_micros(100),
            Device::Overlapping => OCCUPANCY,
        }
    }

    fn price(self) -> (Nanos, Nanos) {
        match self {
            Device::HardDisk | Device::Flash => (Nanos::from_micros(50), Nanos::from_micros(50)),
            Device::Overlapping => (OCCUPANCY, LONE),
        }
    }

    fn config(self) -> SchedulerConfig {
        let has_seeks = matches!(self, Device::HardDisk);
        let overlaps = matches!(self, Device::Overlapping);
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
            worst_case: Nanos::from_millis(if overlaps { 1 } else { 30 }),
            switch_cost: millis(12),
            worst_seek: millis(23),
            seek_curve: curve,
            has_seeks,
            // A thousand periods of seconds would be more switching than there is time.
            switching: SwitchingAccount::Served,
            order: RequestOrder::Sweep,
            max_in_flight: if overlaps { 128 } else { 1 },
            merge_limit_bytes: 1 << 20,
            overlap: OverlapConfig {
                occupancy_bound: Nanos(2 * LONE.0),
                settle: Nanos::ZERO,
                fast_read_percent: 100,
                idle_factor: 2,
            },
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
    price: (Nanos, Nanos),
    in_flight: VecDeque<(FlightId, Vec<RequestId>)>,
    /// Lists of requests that are not in use.
    spare_lists: Vec<Vec<RequestId>>,
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
            price: device.price(),
            in_flight: VecDeque::with_capacity(256),
            spare_lists: (0..256).map(|_| Vec::with_capacity(64)).collect(),
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
            price: self.price.0,
            lone: self.price.1,
            kind: RequestKind::Read,
            merge_class: None,
        };
        self.scheduler
            .arrive(self.now, self.streams[id.0 as usize], arrival);
    }

    /// A decision, the completion of the oldest dispatch, and the arrival of its stream's next.
    pub fn step(&mut self) {
        loop {
            match self.scheduler.next(self.now, &mut self.batch) {
                Decision::Dispatch { flight, .. } => {
                    let spare = self.spare_lists.pop().unwrap_or_default();
                    let requests = std::mem::replace(&mut self.batch, spare);
                    self.in_flight.push_back((flight, requests));
                }
                Decision::Sleep { .. } if !self.in_flight.is_empty() => break,
                sleep @ Decision::Sleep { .. } => panic!("{sleep:?} with every stream backlogged"),
            }
        }
        let Some((flight, requests)) = self.in_flight.pop_front() else {
            return;
        };
        self.now += self.service;
        black_box(self.scheduler.complete(self.now, flight));
        for id in &requests {
            self.arrive(*id);
        }
        self.spare_lists.push(requests);
    }
}
