//! The state machine around a policy: queues, books, requests in flight, charges.
//!
//! Drive it so: [`Scheduler::arrive`] for each request, [`Scheduler::complete`] for each dispatch
//! that is done, then [`Scheduler::next`] until it does not say [`Decision::Dispatch`]; call `next`
//! again at the time it names. Times never go backwards (an earlier one counts as the latest seen).
//!
//! Invariants (I2, I6 of the house): charges to streams + the switching account = busy + waiting,
//! exactly, whenever nothing is in flight and no wait is open; the same calls give the same
//! decisions.

use crate::config::{
    Arrival, FlightId, PolicyKind, RequestId, SchedulerConfig, StreamConfig, StreamId,
};
use crate::ledger::{Account, Accruing, Ledger};
use crate::meter::{BusyMeter, MeterMark};
use crate::policies;
use crate::policy::{Finished, Pick, Policy};
use crate::positioning::{LearntPositioning, RequestOrder};
use crate::queue::Queued;
use crate::report::{DiskCounters, StreamCounters};
use crate::stream::{Stream, unscaled};
use disktime_units::{Nanos, Share};

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
    flights: Vec<Option<Flight>>,
    free_flights: Vec<u32>,
    in_flight: usize,
    waiting: Option<Waiting>,
    last_served: Option<(StreamId, Account)>,
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
        let slots = config.max_in_flight;
        let half_turn = config
            .switch_cost
            .saturating_sub(config.seek_curve.mean(disk_bytes));
        let policy = policies::build(&config);
        Scheduler {
            ledger: Ledger::new(config),
            wants_arrivals: policy.wants_arrivals(),
            policy,
            meter: BusyMeter::default(),
            flights: vec![None; slots],
            free_flights: (0..slots as u32).rev().collect(),
            in_flight: 0,
            waiting: None,
            last_served: None,
            sequence: 0,
            now: Nanos::ZERO,
            half_turn,
            head_bytes: 0,
            learnt: LearntPositioning::new(),
        }
    }

    /// Adds a stream. Admission has seen to it that the promise still holds. While others are being
    /// served its reservation begins when it breaks none of theirs ([`Scheduler::reconfigure`]).
    pub fn add_stream(&mut self, now: Nanos, config: StreamConfig) -> StreamId {
        let now = self.observe(now);
        let order = policies::queue_order(self.ledger.config.policy, self.ledger.config.has_seeks);
        let plain = StreamConfig {
            reservation: None,
            ..config
        };
        let id = self.ledger.add(Stream::new(plain, order));
        self.ledger.reconfigure(id, config, now);
        id
    }

    /// Changes what a stream (or a group) is entitled to, which admission has looked at. No request is lost. Less, and other
    /// weights and limits, hold at once; more begins when it breaks nobody's promise, at the latest
    /// when those who are behind now have had what they are owed. A new period begins then.
    pub fn reconfigure(&mut self, now: Nanos, stream: StreamId, config: StreamConfig) {
        let now = self.observe(now);
        self.ledger.reconfigure(stream, config, now);
    }

    /// Whether a change of the stream's reservation is still to take effect.
    pub fn is_pending(&self, stream: StreamId) -> bool {
        self.ledger.stream(stream).pending.is_some()
    }

    /// Adds a group: an account that members share. It has no requests of its own.
    ///
    /// # Panics
    /// If the policy is not `fahrrad`; the others know no groups.
    pub fn add_group(&mut self, now: Nanos, config: StreamConfig) -> StreamId {
        let policy = self.ledger.config.policy;
        assert!(
            policy == PolicyKind::Fahrrad,
            "the policy {} knows no groups",
            policy.name()
        );
        let group = self.add_stream(now, config);
        self.ledger.make_group(group);
        group
    }

    /// Adds a stream to a group: the group's account pays for it, and `weight` divides what the
    /// group has among its members.
    ///
    /// # Panics
    /// If `group` was not added as a group.
    pub fn add_member(&mut self, now: Nanos, group: StreamId, weight: u32) -> StreamId {
        self.observe(now);
        let order = policies::queue_order(self.ledger.config.policy, self.ledger.config.has_seeks);
        let config = StreamConfig {
            weight,
            ..StreamConfig::BEST_EFFORT
        };
        self.ledger.add_member(group, Stream::new(config, order))
    }

    /// A request waits.
    pub fn arrive(&mut self, now: Nanos, stream: StreamId, arrival: Arrival) {
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
        let queue = &mut self.ledger.stream_mut(stream).queue;
        queue.push(arrival, self.sequence);
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
    /// If the flight is not under way.
    pub fn complete(&mut self, now: Nanos, flight: FlightId) -> Settlement {
        let now = self.observe(now);
        let slot = &mut self.flights[flight.0 as usize];
        let done = slot.take().expect("a dispatch completes exactly once");
        self.free_flights.push(flight.0);
        self.in_flight -= 1;
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
        if let Some(spare_user) = done.after_spare_of {
            let payer = self.ledger.payer(spare_user);
            self.ledger.enforce_limit(payer, now);
        }
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
        if self.in_flight == self.ledger.config.max_in_flight || self.ledger.queued == 0 {
            return Decision::Sleep { until: None };
        }
        if self.in_flight == 0 {
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
        if self.in_flight == 0 && self.waiting.is_none() && passed > Nanos::ZERO {
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

    fn dispatch(
        &mut self,
        now: Nanos,
        id: StreamId,
        account: Account,
        batch: &mut Vec<RequestId>,
    ) -> FlightId {
        let limit_bytes = self.ledger.config.merge_limit_bytes;
        let payer = self.ledger.payer(id);
        self.ledger.roll(payer, now);
        self.ledger.changed(payer);
        if payer != id {
            self.ledger.member_served(payer, id);
        }
        let last_end = self.ledger.stream(id).last_end_bytes;
        let first = self
            .take_next(now, id)
            .expect("a policy picks a stream with requests");
        let stream = self.ledger.stream_mut(id);
        let run = collect_run(stream, first, limit_bytes, batch);
        stream.in_flight += 1;
        if run.end_bytes.is_some() {
            stream.last_end_bytes = run.end_bytes;
        }
        stream.counters.requests += batch.len() as u64;
        stream.counters.dispatches += 1;
        let is_empty = stream.queue.is_empty();
        if payer != id {
            let group = self.ledger.stream_mut(payer);
            group.in_flight += 1;
            group.members_waiting -= u32::from(is_empty);
        }
        self.ledger.queued -= batch.len();
        let last = self.last_served;
        let came_from = |last: StreamId| self.ledger.payer(last) != payer;
        let switched = last.is_some_and(|(last, _)| came_from(last));
        let moved = last.is_some_and(|(last, _)| last != id);
        let after_spare_of = match last {
            Some((last, Account::Spare)) if came_from(last) => Some(last),
            _ => None,
        };
        self.ledger.counters.switches += u64::from(switched);
        self.ledger.counters.dispatches += 1;
        self.last_served = Some((id, account));
        self.policy
            .dispatched(&mut self.ledger, payer, account, run.end_bytes);
        if self.prices_apply() {
            self.ledger.debit(id, account, run.price);
        } else {
            self.ledger.accruing = Some(Accruing {
                stream: payer,
                account,
                since: now,
            });
        }
        let (alone, sequential) = self.alone(first, run, last_end);
        let distance_bytes = first.offset_bytes.map(|to| to.abs_diff(self.head_bytes));
        self.head_bytes = run.end_bytes.unwrap_or(self.head_bytes);
        let mark = self.meter.start(now, run.price);
        self.fly(Flight {
            stream: id,
            account,
            dispatched_at: now,
            mark,
            price: run.price,
            alone,
            sequential,
            switched,
            moved,
            after_spare_of,
            distance_bytes,
        })
    }

    /// The stream's next request, in the order that the disk is to see.
    fn take_next(&mut self, now: Nanos, id: StreamId) -> Option<Queued> {
        let head = self.head_bytes;
        let queue = &mut self.ledger.streams[id.0 as usize].queue;
        let config = &self.ledger.config;
        let RequestOrder::LeastPositioning { map } = &config.order else {
            return queue.pop();
        };
        if config.policy != PolicyKind::Fahrrad || !config.has_seeks {
            return queue.pop();
        }
        match map {
            Some(map) => queue.pop_least(head, |to, write| map.estimate(now, head, to, write)),
            None => queue.pop_least(head, |to, _| {
                let distance = to.abs_diff(head);
                let learnt = self.learnt.expect(distance);
                learnt.unwrap_or_else(|| config.seek_curve.seek(distance))
            }),
        }
    }

    fn fly(&mut self, flight: Flight) -> FlightId {
        let slot = self
            .free_flights
            .pop()
            .expect("the bound on requests in flight was checked");
        self.flights[slot as usize] = Some(flight);
        self.in_flight += 1;
        FlightId(slot)
    }

    /// What the run would cost had its stream been alone on the disk, and whether it continues the
    /// stream's last one.
    fn alone(&self, first: Queued, run: Run, last_end: Option<u64>) -> (Nanos, bool) {
        let Some(offset) = first.offset_bytes else {
            return (run.price, false);
        };
        match last_end {
            Some(end) if end == offset => (run.price, true),
            Some(end) => {
                let seek = self.ledger.config.seek_curve.seek(offset.abs_diff(end));
                (seek + self.half_turn + run.price, false)
            }
            None => (self.ledger.config.switch_cost + run.price, false),
        }
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

    /// The latest time seen.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// Requests that wait.
    pub fn queued(&self) -> usize {
        self.ledger.queued
    }

    /// Dispatches in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Streams, numbered from 0.
    pub fn stream_count(&self) -> usize {
        self.ledger.streams.len()
    }

    /// A stream's entitlement.
    pub fn stream_config(&self, stream: StreamId) -> StreamConfig {
        self.ledger.stream(stream).config
    }

    /// A stream's counters at the latest time seen. Requests in flight and an open wait are not
    /// in them yet.
    pub fn stream_counters(&self, stream: StreamId) -> StreamCounters {
        self.ledger.as_of_now(stream).counters
    }

    /// A stream's unspent budget in ns; negative is a debt.
    pub fn unspent(&self, stream: StreamId) -> i64 {
        unscaled(self.ledger.as_of_now(stream).budget)
    }

    /// The disk's counters; `busy` includes requests in flight up to `now`.
    pub fn disk_counters(&self, now: Nanos) -> DiskCounters {
        DiskCounters {
            busy: self.meter.busy(now.max(self.now)),
            ..self.ledger.counters
        }
    }

    /// The unspent budget at a period's end beyond which a deadline counts as missed: W, or with
    /// the switching account W + the cap of its credit + one return seek.
    pub fn unspent_bound(&self) -> Nanos {
        Nanos(u64::try_from(self.ledger.unspent_bound()).unwrap_or(0))
    }

    /// The share of the disk that the switching account is filled with.
    pub fn switching_share(&self) -> Share {
        Share(u32::try_from(self.ledger.switching_share_ppm).unwrap_or(u32::MAX))
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

/// A dispatch under construction.
#[derive(Debug, Clone, Copy)]
struct Run {
    price: Nanos,
    end_bytes: Option<u64>,
}

/// The request and those that continue it, up to the limit.
fn collect_run(
    stream: &mut Stream,
    first: Queued,
    limit_bytes: u64,
    batch: &mut Vec<RequestId>,
) -> Run {
    batch.push(first.id);
    let (mut price, mut len_bytes) = (first.price, first.len_bytes);
    let Some(offset) = first.offset_bytes else {
        return Run {
            price,
            end_bytes: None,
        };
    };
    if let Some(class) = first.merge_class {
        while batch.len() < MERGE_MAX && len_bytes < limit_bytes {
            let room = limit_bytes - len_bytes;
            let Some(next) = stream.queue.pop_adjacent(offset + len_bytes, class, room) else {
                break;
            };
            batch.push(next.id);
            len_bytes += next.len_bytes;
            price += next.price;
        }
    }
    Run {
        price,
        end_bytes: Some(offset + len_bytes),
    }
}
