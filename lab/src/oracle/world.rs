//! The loop: events in, decisions out, service on a device. Streams come and change in `streams`,
//! what clients do is in `answers`, what the disk's time goes to in `clock`.

mod answers;
mod clock;
mod streams;

use super::books::{Books, Segment};
use super::clients::Client;
use super::devices::Device;
use super::rng::SharedRng;
use super::windows::{Shortfall, Windows};
use clock::Clock;
use disktime_scheduler::{
    Decision, FlightId, MERGE_MAX, PolicyKind, RequestId, Scheduler, SchedulerConfig, StreamConfig,
    StreamCounters, StreamId,
};
use disktime_units::Nanos;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// In which order things happen that happen at the same time.
#[derive(Debug, Clone)]
pub enum Turns {
    /// In the order in which they were scheduled. A client that asks for the next request when it
    /// has its answer is backlogged meanwhile.
    AsScheduled,
    /// Completions first, then stream by stream; a client that asks at once does so before anything
    /// else. One that has nothing queued when a decision is made is not backlogged, however soon it
    /// asks again. By the generator some requests that are not long wake the wakers as well.
    ByStream(SharedRng),
}

/// What happens; within a stream in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A dispatch is served.
    Completion(u32),
    /// The stream is added.
    Join(usize),
    /// Its client issues so many requests.
    Issue(usize, usize),
    /// A waker may be woken.
    Arm(usize),
    /// Half of the first stream's share goes to the second.
    Move(usize, usize),
}

#[derive(Debug, Clone, Copy)]
struct Request {
    stream: usize,
    sequence: u64,
    offset: u64,
    len: u64,
}

#[derive(Debug, Default)]
struct Flight {
    requests: Vec<RequestId>,
    started: Nanos,
}

/// One dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dispatched {
    /// When it was started.
    pub at: Nanos,
    /// The stream's number.
    pub stream: usize,
    /// The number of its first request among all, in the order of arrival.
    pub sequence: u64,
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub len: u64,
    /// What it costs by the linear model.
    pub price: Nanos,
}

/// A stream with its client and its books.
struct Member {
    config: StreamConfig,
    client: Client,
    books: Books,
    /// Known once it has joined.
    id: Option<StreamId>,
}

/// The disk, its streams and their clients.
pub struct World {
    scheduler: Scheduler,
    device: Box<dyn Device>,
    members: Vec<Member>,
    joined: usize,
    wakers: Vec<usize>,
    now: Nanos,
    wake: Option<Nanos>,
    events: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    event_count: u64,
    turns: Turns,
    requests: Vec<Option<Request>>,
    free_requests: Vec<RequestId>,
    flights: Vec<Flight>,
    in_flight: usize,
    queued: usize,
    sequence: u64,
    batch: Vec<RequestId>,
    clock: Clock,
    served: u64,
    violations: Vec<String>,
    trace: Vec<Dispatched>,
    keeps_trace: bool,
    answers_first: bool,
    stopping: bool,
    has_limits: bool,
    /// The policy paces requests, whether the disk is idle or not.
    is_paced: bool,
    changes_shares: bool,
    worst_case: Nanos,
    merge_limit: u64,
}

impl World {
    /// A disk without streams, with a device.
    pub fn new(config: SchedulerConfig, disk_bytes: u64, device: impl Device + 'static) -> World {
        let flights = (0..config.max_in_flight).map(|_| Flight::default());
        World {
            worst_case: config.worst_case,
            is_paced: matches!(config.policy, PolicyKind::Iocost(_)),
            merge_limit: config.merge_limit_bytes,
            flights: flights.collect(),
            scheduler: Scheduler::new(config, disk_bytes),
            device: Box::new(device),
            members: Vec::new(),
            joined: 0,
            wakers: Vec::new(),
            now: Nanos::ZERO,
            wake: None,
            events: BinaryHeap::new(),
            event_count: 0,
            turns: Turns::AsScheduled,
            requests: Vec::new(),
            free_requests: Vec::new(),
            in_flight: 0,
            queued: 0,
            sequence: 0,
            batch: Vec::with_capacity(64),
            clock: Clock::default(),
            served: 0,
            violations: Vec::new(),
            trace: Vec::new(),
            keeps_trace: true,
            answers_first: false,
            stopping: false,
            has_limits: false,
            changes_shares: false,
        }
    }

    /// The same with answers that reach clients before the next decision, or after it.
    #[must_use]
    pub fn answers_first(self, answers_first: bool) -> World {
        World {
            answers_first,
            ..self
        }
    }

    /// The same without a trace and without segments of time received, for long runs. Before
    /// streams are added.
    #[must_use]
    pub fn without_trace(self) -> World {
        World {
            keeps_trace: false,
            ..self
        }
    }

    /// The same with things at one time in another order. Before streams are added.
    #[must_use]
    pub fn in_turns(self, turns: Turns) -> World {
        World { turns, ..self }
    }

    fn schedule(&mut self, at: Nanos, of: usize, event: Event) {
        self.event_count += 1;
        let tie = match (&self.turns, event) {
            (Turns::AsScheduled, _) => self.event_count,
            (Turns::ByStream(_), Event::Completion(_)) => 0,
            (Turns::ByStream(_), _) => of as u64 + 1,
        };
        self.events.push(Reverse((at, tie, event)));
    }

    fn next_time(&self) -> Option<Nanos> {
        let event = self.events.peek().map(|Reverse((at, ..))| *at);
        let wake = self.wake.filter(|wake| *wake > self.now);
        event.into_iter().chain(wake).min()
    }

    fn advance(&mut self, to: Nanos) {
        self.pass_time(to);
        while let Some(Reverse((at, _, event))) = self.events.peek().copied()
            && at <= self.now
        {
            self.events.pop();
            self.handle(event);
        }
        self.decide();
    }

    fn handle(&mut self, event: Event) {
        let here =
            |world: &World, index: usize| world.now < world.members[index].client.presence.leaves;
        match event {
            Event::Completion(flight) => self.complete(FlightId(flight)),
            Event::Join(index) => self.join(index),
            Event::Move(from, to) => self.move_share(from, to),
            Event::Issue(index, count) if here(self, index) => {
                (0..count).for_each(|_| self.issue(index));
            }
            Event::Arm(index) if here(self, index) => self.members[index].client.armed = true,
            Event::Issue(..) | Event::Arm(_) => {}
        }
    }

    /// Runs until then. Requests may be left queued and in flight.
    ///
    /// # Panics
    /// If something is not as promised.
    pub fn run(&mut self, until: Nanos) {
        while let Some(next) = self.next_time().filter(|next| *next <= until) {
            self.advance(next);
        }
        self.pass_time(until);
        assert!(self.violations.is_empty(), "{:#?}", self.violations);
    }

    /// Runs until so many requests are served, or something is not as promised.
    pub fn run_requests(&mut self, requests: u64) {
        while self.served < requests && self.violations.is_empty() {
            match self.next_time() {
                Some(next) => self.advance(next),
                None => return,
            }
        }
    }

    /// Lets what is queued finish, without new requests.
    pub fn drain(&mut self) {
        self.stopping = true;
        while (self.queued > 0 || self.in_flight > 0) && self.violations.is_empty() {
            match (&self.turns, self.next_time()) {
                (Turns::AsScheduled, _) => self.run(self.now + Nanos::from_millis(100)),
                (Turns::ByStream(_), Some(next)) => self.advance(next),
                (Turns::ByStream(_), None) => {
                    self.violate("requests wait, and nothing will ever happen".to_owned());
                }
            }
        }
        // Charges a wait that ended with the last arrival.
        self.decide();
        let now = self.now;
        let backlogged = self.members.iter_mut().map(|member| &mut member.books);
        backlogged
            .filter(|books| books.is_backlogged())
            .for_each(|books| books.rests(now));
    }

    fn complete(&mut self, flight: FlightId) {
        let now = self.now;
        let slot = flight.0 as usize;
        let settlement = self.scheduler.complete(now, flight);
        self.note_settlement(&settlement);
        let started = self.flights[slot].started;
        let mut requests = std::mem::take(&mut self.flights[slot].requests);
        self.in_flight -= 1;
        self.served += requests.len() as u64;
        let index = settlement.stream.index();
        let counters = self.scheduler.stream_counters(settlement.stream);
        self.members[index].books.note(&counters, started, now);
        if self.has_limits {
            self.note_limited();
        }
        if !self.answers_first {
            let member = &mut self.members[index];
            if matches!(self.turns, Turns::ByStream(_))
                && member.client.outstanding == requests.len()
            {
                member.books.rests(now);
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

    fn decide(&mut self) {
        loop {
            let decision = self.scheduler.next(self.now, &mut self.batch);
            self.explain_sleep();
            match decision {
                Decision::Dispatch { flight, stream } => self.dispatch(flight, stream.index()),
                Decision::Sleep { until } => {
                    self.wake = until;
                    return;
                }
            }
        }
    }

    fn dispatch(&mut self, flight: FlightId, stream: usize) {
        let Some(dispatch) = self.checked(stream) else {
            return;
        };
        if self.keeps_trace {
            self.trace.push(dispatch);
        }
        let count = self.batch.len();
        self.members[stream].client.queued -= count;
        self.queued -= count;
        self.in_flight += 1;
        let done = self.device.start(self.now, &dispatch);
        let slot = &mut self.flights[flight.0 as usize];
        slot.requests.clear();
        slot.requests.extend_from_slice(&self.batch);
        slot.started = self.now;
        self.schedule(done, 0, Event::Completion(flight.0));
        let is_long = done - self.now > Nanos(self.worst_case.0 / 2);
        if !self.wakers.is_empty() && (is_long || self.wakes_at_random()) {
            self.wake_wakers(stream);
        }
    }

    /// What is dispatched: requests of the stream, in order, that touch each other and are no more
    /// and no longer together than allowed.
    fn checked(&mut self, stream: usize) -> Option<Dispatched> {
        let first = self.requests[self.batch.first()?.0 as usize]?;
        let mut end = first.offset;
        let mut is_right = true;
        for id in &self.batch {
            let request = self.requests[id.0 as usize].as_ref();
            is_right &= request.is_some_and(|one| one.stream == stream && one.offset == end);
            end += request.map_or(0, |one| one.len);
        }
        let (len, count) = (end - first.offset, self.batch.len());
        is_right &= count == 1 || (count <= MERGE_MAX && len <= self.merge_limit);
        if !is_right {
            self.violate(format!(
                "a dispatch of stream {stream} holds others' requests, or such as must not be merged"
            ));
        }
        let price = self.members[first.stream].client.config.price;
        Some(Dispatched {
            at: self.now,
            stream,
            sequence: first.sequence,
            offset: first.offset,
            len,
            price: Nanos(price.0 * count as u64),
        })
    }

    /// The scheduler.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// The time.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// All dispatches so far.
    pub fn trace(&self) -> &[Dispatched] {
        &self.trace
    }

    /// How many streams and groups there are.
    pub fn stream_count(&self) -> usize {
        self.members.len()
    }

    /// The stream that was added as number `index`, which has joined.
    pub fn stream(&self, index: usize) -> StreamId {
        self.members[index].id.expect("it has joined")
    }

    /// Its client.
    pub fn client(&self, index: usize) -> &Client {
        &self.members[index].client
    }

    /// What the scheduler counted of it.
    pub fn counters(&self, index: usize) -> StreamCounters {
        self.scheduler.stream_counters(self.stream(index))
    }

    /// Disk time of all kinds.
    pub fn received(&self, index: usize) -> Nanos {
        let counters = self.counters(index);
        counters.reserved + counters.spare
    }

    /// What it received on its own account.
    pub fn segments(&self, index: usize) -> &[Segment] {
        self.members[index].books.segments()
    }

    /// What it received on its own account and of spare time.
    pub fn used(&self, index: usize) -> &[Segment] {
        self.members[index].books.used()
    }

    /// When it had something to do for the first time.
    pub fn first_backlog(&self, index: usize) -> Option<Nanos> {
        self.members[index].books.first_backlog()
    }

    /// What it is entitled to, as it was told last.
    pub fn config(&self, index: usize) -> StreamConfig {
        self.members[index].config
    }

    /// Streams that have joined; those added later join in their order.
    pub fn joined(&self) -> usize {
        self.joined
    }

    /// Takes what was not as promised so far.
    pub fn take_violations(&mut self) -> Vec<String> {
        std::mem::take(&mut self.violations)
    }

    pub(super) fn books(&self, index: usize) -> &Books {
        &self.members[index].books
    }

    pub(super) fn shortfall(&self, index: usize) -> Shortfall {
        let windows = self.members[index].books.windows();
        windows.map(Windows::worst).unwrap_or_default()
    }

    /// W, the bound on one dispatch.
    pub fn worst_case(&self) -> Nanos {
        self.worst_case
    }

    /// Requests served.
    pub fn served(&self) -> u64 {
        self.served
    }
}
