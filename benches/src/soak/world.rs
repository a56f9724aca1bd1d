//! The loop: clients' requests in, decisions out, service by an adversary; and the books of all
//! that, seen from outside the scheduler.

use super::case::{Account, Behaviour, Case};
use super::outcome::Outcome;
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
struct Clock {
    busy: Nanos,
    /// With nothing to do.
    empty: Nanos,
    /// Idle with requests queued.
    asleep: Nanos,
    /// That of it which is not yet known to be a wait.
    unexplained: Nanos,
    /// Idle because limits held everybody back.
    held_back: Nanos,
    waiting_seen: Nanos,
}

struct World {
    scheduler: Scheduler,
    parties: Vec<Party>,
    joined: usize,
    owners: Vec<u32>,
    wakers: Vec<u32>,
    worst_case: Nanos,
    has_limits: bool,
    answers_first: bool,
    stopping: bool,
    rng: Rng,
    now: Nanos,
    wake: Option<Nanos>,
    events: BinaryHeap<Reverse<(Nanos, u32, Event)>>,
    flights: Vec<Flight>,
    in_flight: usize,
    queued: usize,
    batch: Vec<RequestId>,
    clock: Clock,
    served: u64,
    violations: Vec<String>,
}

/// Runs a set until so many requests are served, and looks at what came of it.
pub(super) fn run(case: Case, requests: u64) -> Outcome {
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
            wakers: Vec::new(),
            worst_case,
            has_limits: case.members.iter().any(|one| one.config.limit.is_some()),
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

    fn violate(&mut self, what: String) {
        let now = self.now;
        self.violations.push(format!("at {now}: {what}"));
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
            let counters = self.scheduler.stream_counters(StreamId(index as u32));
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
        if event == Event::Join {
            let config = self.parties[index].member.config;
            let id = self.scheduler.add_stream(self.now, config);
            assert_eq!(id.0, party, "streams join in their order");
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

    fn dbg(&self, what: &str, index: usize) {
        let now = self.now;
        let mut line = format!("{} {what} {index}:", now.0 as f64 / 1e6);
        for i in 0..self.joined {
            let p = &self.parties[i];
            let c = self.scheduler.stream_counters(StreamId(i as u32));
            line += &format!(
                " [{i} q{} o{} b{:.2} miss{}]",
                p.queued,
                p.outstanding,
                self.scheduler.unspent(StreamId(i as u32)) as f64 / 1e6,
                c.deadlines_missed
            );
        }
        eprintln!("{line}");
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
        if let Some(arrival) = self.parties[index].issue(self.now, &mut self.rng) {
            let stream = StreamId(index as u32);
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
        let index = settlement.stream.0 as usize;
        let counters = self.scheduler.stream_counters(settlement.stream);
        self.parties[index].note(&counters, started, now);
        if self.has_limits {
            self.note_limited(now);
        }
        if !self.answers_first {
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
                let counters = self.scheduler.stream_counters(StreamId(index as u32));
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
                    if std::env::var("DBG").is_ok() && self.in_flight == 0 {
                        self.dbg("sleep", until.map_or(0, |u| u.0 as usize));
                    }
                    self.wake = until;
                    return;
                }
            }
        }
    }

    fn dispatch(&mut self, flight: FlightId, stream: StreamId) {
        let index = stream.0 as usize;
        if std::env::var("DBG").is_ok() {
            self.dbg("dispatch", index);
        }
        let count = self.batch.len();
        if self
            .batch
            .iter()
            .any(|id| self.owners[id.0 as usize] != stream.0)
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

impl World {
    /// The verdict.
    fn outcome(mut self, seed: u64, account: Account, one_at_a_time: bool) -> Outcome {
        let mut outcome = Outcome {
            seed,
            account: Some(account),
            requests: self.served,
            ..Outcome::default()
        };
        self.check_sums();
        for index in 0..self.joined {
            if one_at_a_time {
                self.check_promise(index, &mut outcome);
                self.check_limit(index, account, &mut outcome);
            }
        }
        outcome.violations = self.violations;
        outcome
    }

    fn check_sums(&mut self) {
        let disk = self.scheduler.disk_counters(self.now);
        let charged: Nanos = (0..self.joined)
            .map(|index| self.scheduler.stream_counters(StreamId(index as u32)))
            .map(|counters| counters.reserved + counters.spare)
            .sum();
        let clock = &self.clock;
        let sums = [
            ("charges by stream", charged, "of the disk", disk.charged),
            ("busy time", clock.busy, "of the disk", disk.busy),
            (
                "charges and switching",
                disk.charged + disk.switching,
                "busy and waiting",
                disk.busy + disk.waiting,
            ),
            (
                "asleep",
                clock.asleep,
                "waiting and held back by limits",
                disk.waiting + clock.held_back,
            ),
            (
                "the clock",
                self.now,
                "busy, empty and asleep",
                clock.busy + clock.empty + clock.asleep,
            ),
        ];
        for (left, one, right, other) in sums {
            if one != other {
                self.violate(format!("{left}: {} ns; {right}: {} ns", one.0, other.0));
            }
        }
        if disk.longest > self.worst_case {
            self.violate(format!("a dispatch took {}, more than W", disk.longest));
        }
    }

    fn check_promise(&mut self, index: usize, outcome: &mut Outcome) {
        let id = StreamId(index as u32);
        let counters = self.scheduler.stream_counters(id);
        let bound = self.scheduler.unspent_bound().0 as i64;
        let member = self.parties[index].member;
        outcome.deadlines += counters.deadlines_met + counters.deadlines_missed;
        let unspent = counters.unspent_max.unwrap_or(0);
        outcome.unspent = outcome.unspent.max(unspent as f64 / bound as f64);
        if unspent > bound || counters.deadlines_missed > 0 {
            let missed = counters.deadlines_missed;
            self.violate(format!(
                "stream {index} ({member:?}): {unspent} ns unspent at a period end, {missed} missed; \
                 the bound is {bound}"
            ));
        }
        let Some(windows) = &mut self.parties[index].windows else {
            return;
        };
        windows.end(self.now);
        let worst = windows.worst;
        let nanos = |ppm_nanos: i128| (ppm_nanos / 1_000_000) as i64;
        let (from_start, inside) = (nanos(worst.from_start), nanos(worst.inside));
        let bound_inside = bound + self.worst_case.0 as i64;
        outcome.periods += worst.periods;
        outcome.from_start = outcome.from_start.max(from_start as f64 / bound as f64);
        outcome.inside = outcome.inside.max(inside as f64 / bound_inside as f64);
        if from_start > bound || inside > bound_inside {
            self.violate(format!(
                "stream {index} ({member:?}): short by {from_start} ns from the start of a backlog \
                 (bound {bound}), by {inside} over whole periods inside one (bound {bound_inside})"
            ));
        }
    }

    fn check_limit(&mut self, index: usize, account: Account, outcome: &mut Outcome) {
        let Some(over) = self.parties[index].over_limit() else {
            return;
        };
        let allowed = match account {
            Account::Served => self.worst_case.0,
            Account::Reserved => self.worst_case.0 * 2,
        } as i64;
        outcome.over_limit = outcome.over_limit.max(over as f64 / allowed as f64);
        if over > allowed {
            let member = self.parties[index].member;
            self.violate(format!(
                "stream {index} ({member:?}): {over} ns beyond its limit in a period of it, allowed \
                 {allowed}"
            ));
        }
    }
}
