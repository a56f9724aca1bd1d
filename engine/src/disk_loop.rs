//! The loop of one disk: arrivals go to the scheduler, its dispatches to the disk, completions are
//! charged and answered. The same loop runs in virtual and in real time; it never reads a clock.
//!
//! Order within a turn: first the disk's completions, each at *its own* time, with a decision after
//! each (so that on a paced disk the next request starts where the last one ended, not when this
//! process woke); then the arrivals, at `now`; then dispatches until the disk is full.
//!
//! Invariants: no request reaches the disk except through the scheduler (I1); charges add up to the
//! disk's time (I2); every [`Io`] is answered by exactly one [`IoDone`]; at most `max_queued` are
//! held (I5); what was withdrawn does not reach the disk. Adding and removing streams is in
//! `streams.rs`, withdrawing a request in `withdrawing.rs`.

mod streams;
mod withdrawing;

use crate::order::Order;
use crate::statistics::{LoopReport, Statistics};
use disktime_disks::{Buffer, Completion, Disk, DiskError, DiskProperties, DiskRequest, Operation};
use disktime_scheduler::{
    Arrival, Decision, FlightId, MERGE_MAX, OverlapConfig, PolicyKind, RequestId, RequestKind,
    Scheduler, SchedulerConfig, SeekCurve, StreamId, StreamMap, SwitchingAccount,
};
use disktime_units::Nanos;
use slab::Slab;
use std::os::fd::RawFd;
use streams::StreamRequests;

/// A request to the disk, charged to a stream.
#[derive(Debug)]
pub struct Io {
    /// Chosen by the caller, returned with the answer.
    pub tag: u64,
    /// The stream that is charged.
    pub stream: StreamId,
    /// What to do.
    pub operation: Operation,
    /// Start of the range, a multiple of the disk's `block_bytes`; 0 for a flush.
    pub offset_bytes: u64,
    /// Length, a multiple of the disk's `block_bytes` and at most its `quantum_bytes`; 0 for a
    /// flush.
    pub len_bytes: u64,
    /// Its data is durable when it completes.
    pub fua: bool,
    /// The data or the space for it; `None` on a disk that holds none, and for other operations.
    pub buffer: Option<Buffer>,
}

/// An answered [`Io`].
#[derive(Debug)]
pub struct IoDone {
    /// As in the request.
    pub tag: u64,
    /// As in the request.
    pub stream: StreamId,
    /// As in the request.
    pub operation: Operation,
    /// Whether it succeeded.
    pub result: Result<(), DiskError>,
    /// The request's buffer.
    pub buffer: Option<Buffer>,
}

/// A gap between two turns that is longer than so many times W is a pause of the caller.
const PAUSE_FACTOR: u64 = 4;

/// How many times the bound on a disk's occupancy holds while no stream with a reservation is
/// active, where that gains throughput. Twice it a wake-up drains within the slack of all but the
/// shortest periods.
const IDLE_FACTOR: u32 = 2;

/// How a disk is scheduled.
#[derive(Debug, Clone, Copy)]
pub struct LoopSettings {
    /// Which stream is served next.
    pub policy: PolicyKind,
    /// Which account is charged for switches.
    pub switching: SwitchingAccount,
    /// The order of one stream's requests.
    pub order: Order,
    /// Bound on requests queued and in flight.
    pub max_queued: usize,
}

/// A request that is queued or in flight.
#[derive(Debug)]
struct Slot {
    io: Io,
    arrived_at: Nanos,
    /// The disk has it.
    is_sent: bool,
    /// Nothing is done for it any more.
    is_withdrawn: bool,
}

/// Drives one disk.
#[derive(Debug)]
pub struct DiskLoop<D: Disk> {
    disk: D,
    is_paced: bool,
    scheduler: Scheduler,
    streams: StreamMap<StreamRequests>,
    /// Requests queued and in flight, by [`RequestId`]: at most `max_queued`.
    slots: Slab<Slot>,
    /// How many of them were withdrawn.
    withdrawn: usize,
    max_queued: usize,
    /// Requests submitted since the last turn, by slot.
    arrivals: Vec<u32>,
    /// Requests of each flight, and when it was dispatched.
    flights: Vec<FlightRecord>,
    batch: Vec<RequestId>,
    completions: Vec<Completion>,
    /// Flights of requests that were withdrawn, which the disk never sees.
    empty: Vec<Completion>,
    buffer_lists: Vec<Vec<Buffer>>,
    scheduler_wake: Option<Nanos>,
    statistics: Statistics,
}

#[derive(Debug, Default)]
struct FlightRecord {
    requests: Vec<RequestId>,
    dispatched_at: Nanos,
}

impl<D: Disk> DiskLoop<D> {
    /// A loop without streams around `disk`.
    pub fn new(disk: D, settings: LoopSettings) -> DiskLoop<D> {
        let properties = disk.properties();
        let max_in_flight = properties.max_in_flight;
        let config = scheduler_config(properties, settings);
        let scheduler = Scheduler::new(config, properties.size_bytes);
        let slots = settings.max_queued;
        DiskLoop {
            is_paced: disk.pacing().is_some(),
            disk,
            scheduler,
            streams: StreamMap::default(),
            slots: Slab::with_capacity(slots),
            withdrawn: 0,
            max_queued: slots,
            arrivals: Vec::with_capacity(slots),
            flights: (0..max_in_flight)
                .map(|_| FlightRecord::default())
                .collect(),
            batch: Vec::with_capacity(MERGE_MAX),
            completions: Vec::with_capacity(max_in_flight),
            empty: Vec::with_capacity(max_in_flight),
            buffer_lists: Vec::with_capacity(max_in_flight),
            scheduler_wake: None,
            statistics: Statistics::default(),
        }
    }

    /// The disk's properties.
    pub fn properties(&self) -> &DiskProperties {
        self.disk.properties()
    }

    /// The disk, for its content map and pacing report.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// The disk, for tests that break it.
    pub fn disk_mut(&mut self) -> &mut D {
        &mut self.disk
    }

    /// The disk itself; queued requests are lost.
    pub fn into_disk(self) -> D {
        self.disk
    }

    /// The scheduler, for reading its counters.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// How long a piece of a discard or zeroing should be, of `least_bytes` up to the disk's
    /// quantum: as measured, it takes half of W at most, or as long as a shorter one.
    pub fn piece_bytes(&self, operation: Operation, least_bytes: u64) -> u64 {
        let most_bytes = u64::from(self.disk.properties().quantum_bytes);
        let kind = request_kind(operation);
        self.scheduler.piece_bytes(kind, least_bytes, most_bytes)
    }

    /// Whether another request can be submitted.
    pub fn has_room(&self) -> bool {
        self.slots.len() < self.max_queued
    }

    /// From now on so many more fit: there are more that have some.
    pub fn make_room(&mut self, requests: usize) {
        self.max_queued += requests;
    }

    /// Takes a request; it competes from the next turn on.
    ///
    /// # Panics
    /// If there is no space ([`DiskLoop::has_room`]); if the stream has been removed or is being
    /// removed ([`DiskLoop::accepts`]).
    pub fn submit(&mut self, now: Nanos, io: Io) {
        debug_assert!(io.offset_bytes + io.len_bytes <= self.disk.properties().size_bytes);
        assert!(self.has_room(), "the caller asks for room first");
        self.hold(io.stream);
        let slot = self.slots.insert(Slot {
            io,
            arrived_at: now,
            is_sent: false,
            is_withdrawn: false,
        });
        self.arrivals.push(slot as u32);
    }

    /// The caller did not run for `gap` after its last turn. If that is far longer than requests
    /// take, it is no stream's time but for one request's, which was in flight meanwhile.
    pub fn paused(&mut self, gap: Nanos) {
        let worst_case = self.disk.properties().worst_case;
        if gap > Nanos(worst_case.0.saturating_mul(PAUSE_FACTOR)) {
            self.scheduler.paused(gap - worst_case);
        }
    }

    /// One turn: completions, arrivals, dispatches; answers are appended to `done`.
    pub fn turn(&mut self, now: Nanos, done: &mut Vec<IoDone>) {
        self.statistics.sample(now, &self.scheduler);
        self.collect(now, done);
        self.announce_arrivals(now);
        self.dispatch(now, done);
        self.disk.flush_submissions();
    }

    /// When the next turn is due if nothing arrives.
    pub fn next_wake(&self) -> Option<Nanos> {
        let disk = self.disk.next_completion();
        match (disk, self.scheduler_wake) {
            (Some(disk), Some(scheduler)) => Some(disk.min(scheduler)),
            (one, other) => one.or(other),
        }
    }

    /// An eventfd that is set when a turn may have something to do.
    pub fn wake_fd(&self) -> Option<RawFd> {
        self.disk.wake_fd()
    }

    /// Whether the disk is paced, so that turns are due to the microsecond.
    pub fn is_paced(&self) -> bool {
        self.is_paced
    }

    /// Whether nothing is queued or in flight but what was withdrawn.
    pub fn is_idle(&self) -> bool {
        self.slots.len() == self.withdrawn
    }

    /// Counters and distributions since the start.
    pub fn report(&self, now: Nanos) -> LoopReport {
        self.statistics.report(
            now,
            &self.scheduler,
            self.disk.properties(),
            self.disk.pacing(),
        )
    }

    fn collect(&mut self, now: Nanos, done: &mut Vec<IoDone>) {
        loop {
            let mut completions = std::mem::take(&mut self.completions);
            self.disk.collect(now, &mut completions);
            if completions.is_empty() {
                self.completions = completions;
                return;
            }
            for completion in completions.drain(..) {
                let at = completion.completed_at;
                self.settle(completion, done);
                self.dispatch(at, done);
            }
            self.completions = completions;
        }
    }

    fn settle(&mut self, completion: Completion, done: &mut Vec<IoDone>) {
        let at = completion.completed_at;
        let flight = FlightId(u32::try_from(completion.tag).expect("tags are flights"));
        let settlement = self.scheduler.complete(at, flight);
        let mut requests = std::mem::take(&mut self.flights[flight.0 as usize].requests);
        let dispatched_at = self.flights[flight.0 as usize].dispatched_at;
        let mut buffers = completion.buffers;
        let mut returned = buffers.drain(..);
        let merged = requests.len() > 1;
        for id in requests.drain(..) {
            let slot = &mut self.slots[id.0 as usize];
            if slot.io.operation.moves_data() {
                slot.io.buffer = returned.next();
            }
            let queued = dispatched_at.saturating_sub(slot.arrived_at);
            self.statistics
                .record(settlement.stream, queued, settlement.service);
            match &completion.result {
                // A bad sector must not fail the other requests of a merged one: each is sent
                // alone.
                Err(_) if merged => self.enqueue(at, id.0, false),
                result => self.answer(at, id, result.clone(), done),
            }
        }
        drop(returned);
        self.buffer_lists.push(buffers);
        self.flights[flight.0 as usize].requests = requests;
    }

    fn answer(
        &mut self,
        now: Nanos,
        id: RequestId,
        result: Result<(), DiskError>,
        done: &mut Vec<IoDone>,
    ) {
        let slot = self.slots.remove(id.0 as usize);
        self.withdrawn -= usize::from(slot.is_withdrawn);
        let Io {
            tag,
            stream,
            operation,
            buffer,
            ..
        } = slot.io;
        done.push(IoDone {
            tag,
            stream,
            operation,
            result,
            buffer,
        });
        self.release(now, stream);
    }

    fn announce_arrivals(&mut self, now: Nanos) {
        for index in 0..self.arrivals.len() {
            self.enqueue(now, self.arrivals[index], true);
        }
        self.arrivals.clear();
    }

    fn enqueue(&mut self, now: Nanos, slot: u32, may_merge: bool) {
        let io = &self.slots[slot as usize].io;
        let is_sequential = match self.streams.get_mut(io.stream) {
            Some(stream) if io.operation.moves_data() => stream.goes_on(io),
            _ => false,
        };
        let cost = &self.disk.properties().cost;
        let quote = cost.quote(io.operation, io.len_bytes, io.fua, is_sequential);
        let arrival = Arrival {
            id: RequestId(slot),
            offset_bytes: (io.operation != Operation::Flush).then_some(io.offset_bytes),
            len_bytes: io.len_bytes,
            price: quote.occupancy,
            lone: quote.lone,
            kind: request_kind(io.operation),
            merge_class: merge_class(io).filter(|_| may_merge),
        };
        let stream = io.stream;
        self.scheduler.arrive(now, stream, arrival);
    }

    fn dispatch(&mut self, now: Nanos, done: &mut Vec<IoDone>) {
        loop {
            self.dispatch_until_sleep(now);
            // What was withdrawn is done as it is sent, and the scheduler decides again.
            let Some(completion) = self.empty.pop() else {
                return;
            };
            self.settle(completion, done);
        }
    }

    fn dispatch_until_sleep(&mut self, now: Nanos) {
        loop {
            let mut batch = std::mem::take(&mut self.batch);
            let decision = self.scheduler.next(now, &mut batch);
            let decided_at = self.scheduler.now();
            if let Decision::Dispatch { flight, .. } = decision {
                self.send(decided_at, flight, &mut batch);
            }
            self.batch = batch;
            if let Decision::Sleep { until } = decision {
                self.scheduler_wake = until;
                return;
            }
        }
    }

    fn send(&mut self, now: Nanos, flight: FlightId, batch: &mut Vec<RequestId>) {
        let mut buffers = self.buffer_lists.pop().unwrap_or_default();
        let mut len_bytes = 0;
        for id in batch.iter() {
            let slot = &mut self.slots[id.0 as usize];
            slot.is_sent = true;
            len_bytes += slot.io.len_bytes;
            buffers.extend(slot.io.buffer.take());
        }
        let Slot {
            io: first,
            is_withdrawn,
            ..
        } = &self.slots[batch[0].0 as usize];
        let request = DiskRequest {
            tag: u64::from(flight.0),
            operation: first.operation,
            offset_bytes: first.offset_bytes,
            len_bytes,
            fua: first.fua,
            buffers,
        };
        let record = &mut self.flights[flight.0 as usize];
        record.dispatched_at = now;
        std::mem::swap(&mut record.requests, batch);
        // A discard goes alone, so all of the flight was withdrawn.
        if *is_withdrawn {
            let DiskRequest { tag, buffers, .. } = request;
            self.empty.push(Completion {
                tag,
                result: Ok(()),
                completed_at: now,
                buffers,
            });
            return;
        }
        self.disk.submit(now, request);
    }
}

fn request_kind(operation: Operation) -> RequestKind {
    match operation {
        Operation::Read => RequestKind::Read,
        Operation::Write => RequestKind::Write,
        Operation::WriteZeroes => RequestKind::Zero,
        Operation::Flush => RequestKind::Flush,
        Operation::Discard => RequestKind::Discard,
    }
}

/// Reads merge with reads and writes with writes; a durable write stays alone.
fn merge_class(io: &Io) -> Option<u8> {
    match io.operation {
        Operation::Read => Some(0),
        Operation::Write if !io.fua => Some(1),
        _ => None,
    }
}

fn scheduler_config(properties: &DiskProperties, settings: LoopSettings) -> SchedulerConfig {
    let points = properties
        .seek_curve
        .iter()
        .map(|point| (point.distance_bytes, point.seek));
    let switching = if properties.has_seeks {
        settings.switching
    } else {
        SwitchingAccount::Served
    };
    SchedulerConfig {
        policy: settings.policy,
        worst_case: properties.worst_case,
        switch_cost: properties.switch_cost,
        worst_seek: properties.worst_seek,
        seek_curve: SeekCurve::new(points.collect()),
        has_seeks: properties.has_seeks,
        switching,
        order: settings.order.with_map_of(properties),
        max_in_flight: properties.max_in_flight,
        merge_limit_bytes: u64::from(properties.quantum_bytes),
        overlap: OverlapConfig {
            occupancy_bound: properties
                .cost
                .occupancy_bound(u64::from(properties.quantum_bytes)),
            settle: properties.cost.settle(),
            fast_read_percent: properties.cost.fast_read_percent(),
            idle_factor: IDLE_FACTOR,
        },
    }
}
