//! The state machine around a policy: queues, ledger, requests in flight, charges.
//!
//! Drive it so: [`Scheduler::arrive`] for each request, [`Scheduler::complete`] for each dispatch
//! that is done, then [`Scheduler::next`] until it does not say [`Decision::Dispatch`]; call `next`
//! again at the time it names. Times never go backwards (an earlier one counts as the latest seen).
//!
//! Invariants (I2, I6 of the house): charges to streams + the switching account = busy + waiting,
//! exactly, whenever nothing is in flight and no wait is open; the same calls give the same
//! decisions.

mod dispatch;
mod entitlements;
mod pause;
mod readings;

use crate::config::{Arrival, FlightId, RequestId, RequestKind, SchedulerConfig};
use crate::ledger::{Account, Ledger, SoloDispatch, SoloPrice};
use crate::meter::{BusyMeter, MeterMark};
use crate::policies;
use crate::policy::{FinishedDispatch, Pick, Policy};
use crate::positioning::{LearntPositioning, Positioning};
use crate::stream_id::{StreamId, StreamMap};
use disktime_units::Nanos;
use slab::Slab;
use std::sync::Arc;

/// Most requests merged into one dispatch.
pub const MERGE_MAX: usize = 64;

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Send the requests in the batch to the disk as one; they touch, in order.
    Dispatch {
        /// To be named at completion.
        flight: FlightId,
        /// The stream that pays.
        stream: StreamId,
    },
    /// The bound on requests in flight is reached, or nothing may go: call again after the next
    /// arrival or completion, or at `until`.
    Sleep {
        /// When to call again, if the decision depends on time.
        until: Option<Nanos>,
    },
}

/// What a completed dispatch was charged for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// Its stream.
    pub stream: StreamId,
    /// Its part of the busy time.
    pub measured: Nanos,
    /// What its account was charged: its part of the busy time, or where requests overlap, solo
    /// time. The switching account can have taken a part of it.
    pub charged: Nanos,
    /// From dispatch to completion.
    pub service: Nanos,
}

/// A dispatch in flight.
#[derive(Debug, Clone, Copy)]
struct Flight {
    stream: StreamId,
    /// The stream itself, or its group.
    payer: StreamId,
    account: Account,
    dispatched_at: Nanos,
    /// Of a request without data: when the disk begins with it at the latest.
    begins_at: Nanos,
    mark: MeterMark,
    price: Nanos,
    /// What was taken at dispatch.
    debit: Nanos,
    solo: SoloPrice,
    lone: Nanos,
    kind: RequestKind,
    len_bytes: u64,
    alone: Nanos,
    sequential: bool,
    switched: bool,
    moved: bool,
    after_spare_of: Option<StreamId>,
    /// How far from the end of the last dispatch it lies, if that is learnt from.
    distance_bytes: Option<u64>,
}

/// A stream that was served, and which account paid for it. It can have been removed since.
#[derive(Debug, Clone, Copy)]
struct Served {
    stream: StreamId,
    payer: StreamId,
    account: Account,
}

/// A wait for a stream's next request.
#[derive(Debug, Clone, Copy)]
struct OpenWait {
    stream: StreamId,
    account: Account,
    since: Nanos,
}

/// Schedules one disk.
#[derive(Debug)]
pub struct Scheduler {
    ledger: Ledger,
    policy: Box<dyn Policy>,
    /// Whether the policy is told of every arrival.
    wants_arrivals: bool,
    meter: BusyMeter,
    /// By [`FlightId`]; at most as many as the disk takes.
    flights: Slab<Flight>,
    waiting: Option<OpenWait>,
    last_served: Option<Served>,
    /// Without pauses.
    now: Nanos,
    /// All pauses together.
    paused: Nanos,
    half_turn: Nanos,
    /// Where the last dispatch ended.
    head_bytes: u64,
    learnt: LearntPositioning,
    /// Whether requests are chosen by what was learnt of positioning.
    learns_positioning: bool,
    /// Streams whose requests are chosen by positioning, whatever the order of the disk.
    positioned: StreamMap<Arc<dyn Positioning>>,
}

impl Scheduler {
    /// A scheduler without streams for a disk of `disk_bytes`.
    pub fn new(config: SchedulerConfig, disk_bytes: u64) -> Scheduler {
        let half_turn = config
            .switch_cost
            .saturating_sub(config.seek_curve.mean(disk_bytes));
        let policy = policies::build(&config);
        let learns_positioning = config.learns_positioning();
        Scheduler {
            flights: Slab::with_capacity(config.max_in_flight),
            ledger: Ledger::new(config),
            wants_arrivals: policy.wants_arrivals(),
            policy,
            meter: BusyMeter::default(),
            waiting: None,
            last_served: None,
            now: Nanos::ZERO,
            paused: Nanos::ZERO,
            half_turn,
            head_bytes: 0,
            learnt: LearntPositioning::new(),
            learns_positioning,
            positioned: StreamMap::default(),
        }
    }

    /// The requests of a stream go by least positioning time from now on, whatever the order of the
    /// disk: no client waits for a single one of them.
    pub fn order_by_positioning(&mut self, stream: StreamId, map: Arc<dyn Positioning>) {
        self.ledger.check(stream);
        self.positioned.insert(stream, map);
    }

    /// A request arrives and is queued.
    ///
    /// # Panics
    /// If the stream has been removed, or is being removed.
    pub fn arrive(&mut self, now: Nanos, stream: StreamId, arrival: Arrival) {
        self.ledger.check(stream);
        assert!(
            !self.ledger.stream(stream).is_leaving(),
            "{stream:?} is being removed and takes no new requests"
        );
        let now = self.observe(now);
        debug_assert!(!self.ledger.is_group(stream), "a group has no requests");
        let was_idle = self.ledger.enqueue(now, stream, arrival);
        if was_idle {
            self.policy.arrived(&mut self.ledger, now, stream);
        }
        self.ledger.compete(now, stream);
        if self.wants_arrivals {
            self.policy.queued(&self.ledger, now, stream);
        }
    }

    /// A dispatch is done: charges it.
    ///
    /// # Panics
    /// If there is no such dispatch in flight.
    pub fn complete(&mut self, now: Nanos, flight: FlightId) -> Settlement {
        let now = self.observe(now);
        let done = self.flights.try_remove(flight.0 as usize);
        let done = done.expect("a dispatch completes exactly once");
        let measured = self.meter.finish(now, done.mark);
        let service = now - done.dispatched_at;
        self.ledger.end_charge(now, done.payer);
        self.ledger.end_yield(now);
        let mut charge = measured;
        if self.ledger.overlaps() {
            let busy = self.meter.busy(now);
            let solo = done.solo_dispatch();
            charge = self.ledger.solo_charge(now, &solo, busy);
        } else if self.prices_apply() {
            self.ledger.undo_debit(done.payer, done.account, done.price);
        }
        self.ledger.note_service(service);
        let times = (done.dispatched_at, done.begins_at);
        self.ledger
            .gate_complete(now, done.kind, done.len_bytes, times);
        if let Some(distance_bytes) = done.distance_bytes {
            let positioning = service.saturating_sub(done.price);
            self.learnt.learn(distance_bytes, positioning);
        }
        self.policy
            .settle(&mut self.ledger, now, done.finished(charge, service));
        self.ledger.complete(now, done.stream, done.payer);
        if let Some(spare_user) = done.after_spare_of {
            self.ledger.enforce_limit_of_user(spare_user, now);
        }
        self.finish_removal(done.stream);
        Settlement {
            stream: done.stream,
            measured,
            charged: charge,
            service,
        }
    }

    /// Decides. On `Dispatch`, `batch` holds the requests that go as one, in order.
    pub fn next(&mut self, now: Nanos, batch: &mut Vec<RequestId>) -> Decision {
        batch.clear();
        let now = self.observe(now);
        let is_full = self.flights.len() == self.ledger.config().max_in_flight;
        if is_full || self.ledger.queued() == 0 {
            return Decision::Sleep { until: None };
        }
        if self.flights.is_empty() {
            self.ledger.end_yield(now);
        }
        match self.policy.pick(&mut self.ledger, now) {
            Pick::Serve { stream, account } => {
                let stream = self.ledger.next_of(stream);
                let flight = self.dispatch(now, stream, account, batch);
                Decision::Dispatch { flight, stream }
            }
            Pick::Wait {
                stream,
                account,
                until,
            } => {
                self.waiting = Some(OpenWait {
                    stream,
                    account,
                    since: now,
                });
                if self.ledger.overlaps() {
                    self.ledger.solo_wait_begins(now, stream);
                }
                let payer = self.ledger.payer(stream);
                self.ledger.begin_charge(now, payer, account);
                Decision::Sleep {
                    until: Some(self.outside(until)),
                }
            }
            Pick::Sleep { until } => Decision::Sleep {
                until: until.map(|until| self.outside(until)),
            },
        }
    }

    /// Brings time forward: charges an open wait, ends periods, takes idle time from streams in
    /// grace.
    #[inline]
    fn observe(&mut self, now: Nanos) -> Nanos {
        let now = self.inside(now);
        let passed = now.saturating_sub(self.now);
        self.now = self.now.max(now);
        let now = self.now;
        self.ledger.advance(now);
        if self.flights.is_empty() && passed > Nanos::ZERO {
            self.stood_idle(passed);
        }
        if self.waiting.is_some() {
            self.end_wait();
        }
        now
    }

    /// Nothing was in flight for so long.
    fn stood_idle(&mut self, passed: Nanos) {
        if self.waiting.is_none() && !self.ledger.overlaps() {
            self.ledger.forfeit(passed);
        }
    }

    /// Charges the open wait.
    fn end_wait(&mut self) {
        if let Some(wait) = self.waiting.take() {
            let waited = self.now - wait.since;
            self.ledger.charge_wait(wait.stream, wait.account, waited);
        }
    }

    /// With one request in flight the measured time is all there is; with several, each is debited
    /// its price until its part of the busy time is known.
    fn prices_apply(&self) -> bool {
        self.ledger.config().max_in_flight > 1
    }
}

impl Flight {
    fn solo_dispatch(&self) -> SoloDispatch {
        SoloDispatch {
            stream: self.stream,
            payer: self.payer,
            account: self.account,
            price: self.solo,
            occupancy: self.price,
            lone: self.lone,
            kind: self.kind,
            dispatched_at: self.dispatched_at,
            debit: self.debit,
        }
    }

    fn finished(&self, measured: Nanos, service: Nanos) -> FinishedDispatch {
        FinishedDispatch {
            stream: self.stream,
            account: self.account,
            measured,
            service,
            price: self.price,
            kind: self.kind,
            alone: self.alone,
            sequential: self.sequential,
            switched: self.switched,
            moved: self.moved,
            after_spare_of: self.after_spare_of,
        }
    }
}
