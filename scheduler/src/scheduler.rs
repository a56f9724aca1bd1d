//! The state machine around a policy: queues, books, requests in flight, charges.
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
mod readings;

use crate::config::{Arrival, FlightId, RequestId, SchedulerConfig};
use crate::ledger::{Account, Accruing, Ledger};
use crate::meter::{BusyMeter, MeterMark};
use crate::policies;
use crate::policy::{Finished, Pick, Policy};
use crate::positioning::LearntPositioning;
use crate::stream_id::StreamId;
use disktime_units::Nanos;
use slab::Slab;

/// Most requests merged into one dispatch.
pub const MERGE_MAX: usize = 64;

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Send the requests in the batch to the disk as one; they touch, in order.
    Dispatch {
        /// To be named at completion.
        flight: FlightId,
        /// Whose they are.
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
    /// Whose it was.
    pub stream: StreamId,
    /// Its part of the busy time.
    pub measured: Nanos,
    /// From dispatch to completion.
    pub service: Nanos,
}

#[derive(Debug, Clone, Copy)]
struct Flight {
    stream: StreamId,
    account: Account,
    dispatched_at: Nanos,
    mark: MeterMark,
    price: Nanos,
    alone: Nanos,
    sequential: bool,
    switched: bool,
    moved: bool,
    after_spare_of: Option<StreamId>,
    /// How far from the end of the last dispatch it lies.
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
struct Waiting {
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
    waiting: Option<Waiting>,
    last_served: Option<Served>,
    sequence: u64,
    now: Nanos,
    half_turn: Nanos,
    /// Where the last dispatch ended.
    head_bytes: u64,
    learnt: LearntPositioning,
}

impl Scheduler {
    /// A scheduler without streams for a disk of `disk_bytes`.
    pub fn new(config: SchedulerConfig, disk_bytes: u64) -> Scheduler {
        let half_turn = config
            .switch_cost
            .saturating_sub(config.seek_curve.mean(disk_bytes));
        let policy = policies::build(&config);
        Scheduler {
            flights: Slab::with_capacity(config.max_in_flight),
            ledger: Ledger::new(config),
            wants_arrivals: policy.wants_arrivals(),
            policy,
            meter: BusyMeter::default(),
            waiting: None,
            last_served: None,
            sequence: 0,
            now: Nanos::ZERO,
            half_turn,
            head_bytes: 0,
            learnt: LearntPositioning::new(),
        }
    }

    /// A request waits.
    ///
    /// # Panics
    /// If the stream has been removed, or is being removed.
    pub fn arrive(&mut self, now: Nanos, stream: StreamId, arrival: Arrival) {
        self.ledger.streams.check(stream);
        assert!(
            !self.ledger.stream(stream).is_leaving,
            "{stream:?} is being removed and takes no new requests"
        );
        let now = self.observe(now);
        debug_assert!(!self.ledger.is_group(stream), "a group has no requests");
        let payer = self.ledger.payer(stream);
        if !self.ledger.stream(payer).is_busy() {
            self.ledger.roll(payer, now);
        }
        let account = self.ledger.stream(stream);
        let (was_idle, was_empty) = (!account.is_busy(), account.queue.is_empty());
        if was_empty && payer != stream {
            self.ledger.member_waits(payer, stream);
        }
        let account = self.ledger.stream_mut(stream);
        account.last_arrival = now;
        account.queue.push(arrival, self.sequence);
        self.ledger.changed(payer);
        self.sequence += 1;
        self.ledger.queued += 1;
        if was_idle {
            self.policy.arrived(&mut self.ledger, now, stream, was_idle);
        }
        self.ledger.end_grace(payer);
        self.ledger.wake(payer, now);
        self.ledger.enforce_limit(payer, now);
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
        self.ledger.accruing = None;
        let payer = self.ledger.payer(done.stream);
        self.ledger.roll(payer, now);
        self.ledger.end_yield(now);
        if self.prices_apply() {
            self.ledger
                .undo_debit(done.stream, done.account, done.price);
        }
        self.note_service(service);
        if let Some(distance_bytes) = done.distance_bytes {
            let positioning = service.saturating_sub(done.price);
            self.learnt.learn(distance_bytes, positioning);
        }
        self.policy
            .settle(&mut self.ledger, now, done.finished(measured));
        let stream = self.ledger.stream_mut(done.stream);
        stream.in_flight -= 1;
        stream.last_completion = now;
        stream.habits.gave_up = false;
        if payer != done.stream {
            self.ledger.stream_mut(payer).in_flight -= 1;
        }
        if self.ledger.stream(payer).is_busy() {
            self.ledger.enforce_limit(payer, now);
        } else {
            self.ledger.begin_grace(payer, done.stream, now);
        }
        let spare_user = done.after_spare_of;
        if let Some(spare_user) = spare_user.filter(|user| self.ledger.contains(*user)) {
            let payer = self.ledger.payer(spare_user);
            self.ledger.enforce_limit(payer, now);
        }
        self.finish_removal(done.stream);
        Settlement {
            stream: done.stream,
            measured,
            service,
        }
    }

    /// Decides. On `Dispatch`, `batch` holds the requests that go as one, in order.
    pub fn next(&mut self, now: Nanos, batch: &mut Vec<RequestId>) -> Decision {
        batch.clear();
        let now = self.observe(now);
        if self.flights.len() == self.ledger.config.max_in_flight || self.ledger.queued == 0 {
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
                self.waiting = Some(Waiting {
                    stream,
                    account,
                    since: now,
                });
                self.ledger.accruing = Some(Accruing {
                    stream: self.ledger.payer(stream),
                    account,
                    since: now,
                });
                Decision::Sleep { until: Some(until) }
            }
            Pick::Sleep { until } => Decision::Sleep { until },
        }
    }

    /// Brings time forward: charges an open wait, ends periods, lets idle time go.
    fn observe(&mut self, now: Nanos) -> Nanos {
        let passed = now.saturating_sub(self.now);
        self.now = self.now.max(now);
        let now = self.now;
        self.ledger.advance(now);
        if self.flights.is_empty() && self.waiting.is_none() && passed > Nanos::ZERO {
            self.ledger.forfeit(passed);
        }
        if let Some(waiting) = self.waiting.take() {
            let waited = now - waiting.since;
            self.ledger.accruing = None;
            self.ledger.charge(waiting.stream, waiting.account, waited);
            self.ledger.wait_ended(self.ledger.payer(waiting.stream));
            self.ledger.stream_mut(waiting.stream).counters.waited += waited;
            self.ledger.counters.waiting += waited;
        }
        now
    }

    fn note_service(&mut self, service: Nanos) {
        let worst_case = self.ledger.config.worst_case;
        let counters = &mut self.ledger.counters;
        counters.overruns += u64::from(service > worst_case);
        counters.longest = counters.longest.max(service);
    }

    /// With one request in flight the measured time is all there is; with several, each is debited
    /// its price until its part of the busy time is known.
    fn prices_apply(&self) -> bool {
        self.ledger.config.max_in_flight > 1
    }
}

impl Flight {
    fn finished(&self, measured: Nanos) -> Finished {
        Finished {
            stream: self.stream,
            account: self.account,
            measured,
            alone: self.alone,
            sequential: self.sequential,
            switched: self.switched,
            moved: self.moved,
            after_spare_of: self.after_spare_of,
        }
    }
}
