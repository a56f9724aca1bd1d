//! The loop: clients' requests in, decisions out, service by an adversary; and the books of all
//! that, seen from outside the scheduler.

use super::case::{Behaviour, Case, Change};
use super::outcome::SeedOutcome;
use super::party::Party;
use super::random::Rng;
use disktime_scheduler::{Decision, FlightId, RequestId, Scheduler, StreamId};
use disktime_units::Nanos;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What happens besides completions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The stream is added.
    Join,
    /// Its client issues one request,
    IssueOne,
    /// or all that it has.
    IssueAll,
    /// A waker is ready.
    Arm,
    /// Shares move; instead of the stream the number of the change.
    Change,
}

/// A dispatch in flight.
#[derive(Debug, Default)]
struct Flight {
    done: Option<Nanos>,
    started: Nanos,
    requests: Vec<RequestId>,
}

/// The disk's time, by what it was spent on.
#[derive(Debug, Default)]
pub(super) struct Clock {
    pub(super) busy: Nanos,
    /// With nothing to do.
    pub(super) empty: Nanos,
    /// Idle with requests queued.
    pub(super) asleep: Nanos,
    /// That of it which is not yet known to be a wait.
    unexplained: Nanos,
    /// Idle because limits held everybody back.
    pub(super) held_back: Nanos,
    waiting_seen: Nanos,
}

pub(super) struct World {
    pub(super) scheduler: Scheduler,
    pub(super) parties: Vec<Party>,
    pub(super) joined: usize,
    owners: Vec<u32>,
    changes: Vec<Change>,
    wakers: Vec<u32>,
    pub(super) worst_case: Nanos,
    has_limits: bool,
    /// Streams join later, or shares change.
    comes_and_goes: bool,
    answers_first: bool,
    stopping: bool,
    rng: Rng,
    pub(super) now: Nanos,
    wake: Option<Nanos>,
    events: BinaryHeap<Reverse<(Nanos, u32, Event)>>,
    flights: Vec<Flight>,
    in_flight: usize,
    queued: usize,
    batch: Vec<RequestId>,
    pub(super) clock: Clock,
    pub(super) served: u64,
    pub(super) violations: Vec<String>,
}

/// Runs a set until so many requests are served, and looks at what came of it.
pub(super) fn run(case: Case, requests: u64) -> SeedOutcome {
    let (seed, account) = (case.seed, case.account);
    let description = case.describe();
    let one_at_a_time = case.config.max_in_flight == 1;
    let mut world = World::new(case);
    while world.served < requests && world.step() && world.violations.is_empty() {}
    world.stopping = true;
    while (world.queued > 0 || world.in_flight > 0) && world.violations.is_empty() {
        if !world.step() {
            world.violate("requests wait, and nothing will ever happen".to_owned());
        }
    }
    // Charges a wait that ended with the last arrival.
    world.decide();
    let mut outcome = world.outcome(seed, account, one_at_a_time);
    for violation in &mut outcome.violations {
        *violation = format!("{violation} [{description}]");
    }
    outcome
}

impl World {
    fn new(case: Case) -> World {
        let worst_case = case.config.worst_case;
        let flights = (0..case.config.max_in_flight).map(|_| Flight::default());
        let mut world = World {
            flights: flights.collect(),
            scheduler: Scheduler::new(case.config, super::case::DISK_BYTES),
            parties: Vec::with_capacity(case.members.len()),
            joined: 0,
            owners: Vec::new(),
            changes: Vec::new(),
            wakers: Vec::new(),
            worst_case,
            has_limits: case.members.iter().any(|one| one.config.limit.is_some()),
            comes_and_goes: !case.changes.is_empty()
                || case.members.iter().any(|one| one.joins > Nanos::ZERO),
            answers_first: case.answers_first,
            stopping: false,
            rng: case.rng,
            now: Nanos::ZERO,
            wake: None,
            events: BinaryHeap::new(),
            in_flight: 0,
            queued: 0,
            batch: Vec::with_capacity(64),
            clock: Clock::default(),
            served: 0,
            violations: Vec::new(),
        };
        world.changes = case.changes;
        for index in 0..world.changes.len() {
            world.schedule(world.changes[index].at, index as u32, Event::Change);
        }
        for (index, member) in case.members.into_iter().enumerate() {
            let number = index as u32;
            let first_id = world.owners.len() as u32;
            world
                .owners
                .extend((0..member.client.depth).map(|_| number));
            let party = Party::new(member, index, worst_case, first_id);
            world.parties.push(party);
            world.schedule(member.joins, number, Event::Join);
            match member.client.behaviour {
                Behaviour::Waker(_) => {
                    world.wakers.push(number);
                    world.schedule(member.starts, number, Event::Arm);
                }
                _ => world.schedule(member.starts, number, Event::IssueAll),
            }
        }
        world
    }

    pub(super) fn violate(&mut self, what: String) {
        let now = self.now;
        self.violations.push(format!("at {now}: {what}"));
    }

    /// The stream that joined as number `index`.
    pub(super) fn stream(&self, index: usize) -> StreamId {
        self.scheduler.stream_at(index).expect("it has joined")
    }

    fn schedule(&mut self, at: Nanos, party: u32, event: Event) {
        self.events.push(Reverse((at, party, event)));
    }

    /// The next thing that happens, and what the scheduler makes of it; false if nothing will.
    fn step(&mut self) -> bool {
        let done = match self.flights.as_slice() {
            [only] => only.done,
            many => many.iter().filter_map(|flight| flight.done).min(),
        };
        let event = self.events.peek().map(|Reverse((at, ..))| *at);
        let wake = self.wake.filter(|wake| *wake > self.now);
        let Some(next) = done.into_iter().chain(event).chain(wake).min() else {
            return false;
        };
        self.pass_time(next);
        if done == Some(next) {
            self.complete_due();
        }
        while let Some(Reverse((at, party, event))) = self.events.peek().copied()
            && at <= self.now
        {
            self.events.pop();
            self.handle(party, event);
        }
        self.decide();
        true
    }

    fn pass_time(&mut self, to: Nanos) {
        let passed = to - self.now;
        self.now = to;
        if self.in_flight > 0 {
            self.clock.busy += passed;
        } else if self.queued == 0 {
            self.clock.empty += passed;
        } else {
            self.clock.asleep += passed;
            self.clock.unexplained += passed;
        }
    }

    /// After a call that saw time pass: what the disk stood idle for. Only a wait, which somebody
    /// pays, or limits may keep requests from it.
    fn explain_sleep(&mut self) {
        let asleep = std::mem::take(&mut self.clock.unexplained);
        if asleep == Nanos::ZERO {
            return;
        }
        let waiting = self.scheduler.disk_counters(self.now).waiting;
        let waited = waiting - self.clock.waiting_seen;
        self.clock.waiting_seen = waiting;
        let from = self.now - asleep;
        for index in 0..self.joined {
            let counters = self.scheduler.stream_counters(self.stream(index));
            self.parties[index].note(&counters, from, self.now);
        }
        if waited == asleep {
            return;
        }
        let idle = asleep.saturating_sub(waited);
        self.clock.held_back += idle;
        let may_go = |party: &&Party| party.queued > 0 && party.member.config.limit.is_none();
        if waited > asleep || self.parties.iter().any(|party| may_go(&party)) {
            let queued = self.queued;
            self.violate(format!(
                "the disk stood idle for {asleep} with {queued} requests queued, {waited} of it charged"
            ));
        }
    }

    fn handle(&mut self, party: u32, event: Event) {
        let index = party as usize;
        if event == Event::Change {
            self.change(self.changes[index]);
        } else if event == Event::Join {
            let config = self.parties[index].member.config;
            let id = self.scheduler.add_stream(self.now, config);
            assert_eq!(id.index(), index, "streams join in their order");
            self.joined += 1;
            self.explain_sleep();
        } else if self.now >= self.parties[index].member.leaves {
            // Gone.
        } else {
            match event {
                Event::IssueOne => self.issue(index),
                Event::Arm => self.parties[index].armed = true,
                _ => self.issue_all(index),
            }
        }
    }

    fn change(&mut self, change: Change) {
        if change.from.max(change.to) >= self.joined {
            return;
        }
        let share = |party: &Party| party.member.config.reservation.map_or(0, |own| own.share.0);
        let moved = share(&self.parties[change.from]) / 2;
        for (index, less, more) in [(change.from, moved, 0), (change.to, 0, moved)] {
            let share = share(&self.parties[index]) - less + more;
            self.parties[index].entitled(share, self.now);
            let config = self.parties[index].member.config;
            let stream = self.stream(index);
            self.scheduler.reconfigure(self.now, stream, config);
            self.explain_sleep();
        }
    }

    fn issue_all(&mut self, index: usize) {
        while !self.stopping && !self.parties[index].free.is_empty() {
            self.issue(index);
        }
    }

    fn issue(&mut self, index: usize) {
        if self.stopping {
            return;
        }
        let stream = self.stream(index);
        let settled = !self.comes_and_goes || !self.scheduler.is_pending(stream);
        let party = &mut self.parties[index];
        if let Some(arrival) = party.issue(self.now, &mut self.rng, settled) {
            self.scheduler.arrive(self.now, stream, arrival);
            // The disk stood idle before it came.
            self.explain_sleep();
            self.parties[index].queued += 1;
            self.queued += 1;
        }
    }

    fn complete_due(&mut self) {
        for slot in 0..self.flights.len() {
            if self.flights[slot].done == Some(self.now) {
                self.complete(slot);
            }
        }
    }

    fn complete(&mut self, slot: usize) {
        let now = self.now;
        let settlement = self.scheduler.complete(now, FlightId(slot as u32));
        let flight = &mut self.flights[slot];
        flight.done = None;
        let started = flight.started;
        let mut requests = std::mem::take(&mut flight.requests);
        self.in_flight -= 1;
        self.served += requests.len() as u64;
        let index = settlement.stream.index();
        let counters = self.scheduler.stream_counters(settlement.stream);
        self.parties[index].note(&counters, started, now);
        if self.has_limits {
            self.note_limited(now);
        }
        if !self.answers_first {
            // A client that has nothing queued when a decision is made is not backlogged, however
            // soon it asks again.
            if self.parties[index].outstanding as usize == requests.len() {
                self.parties[index].rests(now);
            }
            self.decide();
        }
        for id in requests.drain(..) {
            self.answer(index, id);
        }
        // The decision may have used the slot again.
        if self.flights[slot].requests.capacity() == 0 {
            self.flights[slot].requests = requests;
        }
    }

    /// The way back from spare service is charged when somebody else's request completes.
    fn note_limited(&mut self, now: Nanos) {
        for index in 0..self.joined {
            if self.parties[index].member.config.limit.is_some() {
                let counters = self.scheduler.stream_counters(self.stream(index));
                self.parties[index].note(&counters, now, now);
            }
        }
    }

    fn answer(&mut self, index: usize, id: RequestId) {
        let now = self.now;
        let number = index as u32;
        let party = &mut self.parties[index];
        party.answered(id);
        if party.asks_at_once(now) && !self.stopping {
            self.issue(index);
            return;
        }
        let is_last = party.outstanding == 0;
        if is_last {
            party.rests(now);
        }
        let (at, event) = match party.member.client.behaviour {
            Behaviour::Thinks(think) => (think, Event::IssueOne),
            Behaviour::Muses(mean) => (self.rng.exponential(mean), Event::IssueOne),
            Behaviour::Bursts(mean) if is_last => (self.rng.exponential(mean), Event::IssueAll),
            Behaviour::Waker(mean) if is_last => (self.rng.exponential(mean), Event::Arm),
            _ => return,
        };
        if !self.stopping {
            self.schedule(now + at, number, event);
        }
    }

    fn decide(&mut self) {
        loop {
            let decision = self.scheduler.next(self.now, &mut self.batch);
            self.explain_sleep();
            match decision {
                Decision::Dispatch { flight, stream } => self.dispatch(flight, stream),
                Decision::Sleep { until } => {
                    self.wake = until;
                    return;
                }
            }
        }
    }

    fn dispatch(&mut self, flight: FlightId, stream: StreamId) {
        let index = stream.index();
        let count = self.batch.len();
        if self
            .batch
            .iter()
            .any(|id| self.owners[id.0 as usize] as usize != index)
        {
            self.violate(format!(
                "a dispatch of stream {index} holds others' requests"
            ));
        }
        let party = &mut self.parties[index];
        party.queued -= count as u32;
        self.queued -= count;
        self.in_flight += 1;
        let times = party.member.client.times;
        let service = times.draw(&mut self.rng, self.worst_case);
        let slot = &mut self.flights[flight.0 as usize];
        slot.done = Some(self.now + service);
        slot.started = self.now;
        slot.requests.clear();
        slot.requests.extend_from_slice(&self.batch);
        let is_long = service.0 > self.worst_case.0 / 2;
        if !self.wakers.is_empty() && (is_long || self.rng.percent(1)) {
            self.wake_wakers(index);
        }
    }

    /// A long request has just been started: the worst moment to come.
    fn wake_wakers(&mut self, served: usize) {
        for position in 0..self.wakers.len() {
            let number = self.wakers[position];
            let party = &mut self.parties[number as usize];
            if party.armed && number as usize != served {
                party.armed = false;
                self.schedule(self.now + Nanos(1), number, Event::IssueAll);
            }
        }
    }
}
