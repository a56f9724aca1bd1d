//! The loop: events in, decisions out, service on a device. What clients do is in `answers`, the books
//! are kept in `charges`.

mod answers;
mod charges;

use super::books::{Backlog, Segment};
use super::clients::{Behaviour, Client, ClientConfig, Pattern, Think};
use super::devices::Device;
use disktime_scheduler::{
    Decision, FlightId, RequestId, Scheduler, SchedulerConfig, StreamConfig, StreamCounters,
    StreamId,
};
use disktime_units::Nanos;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Completion(u32),
    Issue(usize),
}

#[derive(Debug, Clone, Copy)]
struct Request {
    client: usize,
    issued_at: Nanos,
    sequence: u64,
    offset: u64,
    len: u64,
}

#[derive(Debug, Default)]
struct Flight {
    requests: Vec<RequestId>,
    started_at: Nanos,
}

/// One dispatch, for comparing runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceEntry {
    pub at: Nanos,
    pub stream: u32,
    pub sequence: u64,
    pub offset: u64,
    pub len: u64,
}

/// Server, clients, clock.
pub struct World {
    pub scheduler: Scheduler,
    pub clients: Vec<Client>,
    pub now: Nanos,
    pub trace: Vec<TraceEntry>,
    pub segments: Vec<Vec<Segment>>,
    /// The same for own and spare time together.
    pub used: Vec<Vec<Segment>>,
    pub backlogs: Vec<Vec<Backlog>>,
    /// Time with something in flight, with nothing to do, and asleep with requests queued.
    pub busy: Nanos,
    pub empty: Nanos,
    pub asleep: Nanos,
    /// The longest sleep with requests queued.
    pub longest_sleep: Nanos,
    /// Answers reach clients before the next decision, or after it.
    pub answers_first: bool,
    pub keep_trace: bool,
    /// Mixes make groups.
    pub with_groups: bool,
    device: Box<dyn Device>,
    events: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    event_count: u64,
    requests: Vec<Option<Request>>,
    free_requests: Vec<u32>,
    flights: Vec<Flight>,
    batch: Vec<RequestId>,
    seen: Vec<StreamCounters>,
    backlog_since: Vec<Option<(Nanos, bool)>>,
    idle_since: Vec<Option<Nanos>>,
    sequence: u64,
    worst_case: Nanos,
    merge_limit: u64,
    sleep_so_far: Nanos,
    stopping: bool,
    has_limits: bool,
    wake: Option<Nanos>,
}

impl World {
    pub fn new(config: SchedulerConfig, disk_bytes: u64, device: impl Device + 'static) -> World {
        let flights = (0..config.max_in_flight).map(|_| Flight::default());
        World {
            worst_case: config.worst_case,
            merge_limit: config.merge_limit_bytes,
            flights: flights.collect(),
            scheduler: Scheduler::new(config, disk_bytes),
            clients: Vec::new(),
            now: Nanos::ZERO,
            trace: Vec::new(),
            segments: Vec::new(),
            used: Vec::new(),
            backlogs: Vec::new(),
            busy: Nanos::ZERO,
            empty: Nanos::ZERO,
            asleep: Nanos::ZERO,
            longest_sleep: Nanos::ZERO,
            sleep_so_far: Nanos::ZERO,
            answers_first: false,
            keep_trace: true,
            with_groups: false,
            device: Box::new(device),
            events: BinaryHeap::new(),
            event_count: 0,
            requests: Vec::new(),
            free_requests: Vec::new(),
            batch: Vec::new(),
            seen: Vec::new(),
            backlog_since: Vec::new(),
            idle_since: Vec::new(),
            sequence: 0,
            stopping: false,
            has_limits: false,
            wake: None,
        }
    }

    /// Adds a stream with one client, which starts at `start`.
    pub fn add(&mut self, stream: StreamConfig, client: ClientConfig, start: Nanos, seed: u64) {
        let id = self.scheduler.add_stream(self.now, stream);
        self.has_limits |= stream.limit.is_some();
        self.register(id, client, start, seed);
    }

    /// Adds a group, which has no client.
    pub fn add_group(&mut self, group: StreamConfig) -> StreamId {
        let id = self.scheduler.add_group(self.now, group);
        self.has_limits |= group.limit.is_some();
        let nobody = ClientConfig {
            behaviour: Behaviour::Closed {
                depth: 0,
                think: Think::None,
            },
            pattern: Pattern::Sequential,
            len: 4096,
            price: Nanos(1),
            zone: (0, 4096),
            merge: false,
        };
        self.register(id, nobody, Nanos::ZERO, 0);
        id
    }

    /// Adds a member of a group with one client.
    pub fn add_member(&mut self, group: StreamId, weight: u32, client: ClientConfig, seed: u64) {
        let id = self.scheduler.add_member(self.now, group, weight);
        self.register(id, client, Nanos::ZERO, seed);
    }

    /// Changes what a stream is entitled to.
    pub fn reconfigure(&mut self, stream: usize, config: StreamConfig) {
        let id = self.stream(stream);
        self.scheduler.reconfigure(self.now, id, config);
        self.note_charges(self.now);
        self.decide();
    }

    /// The stream that was added as number `index`.
    pub fn stream(&self, index: usize) -> StreamId {
        self.scheduler.stream_at(index).expect("it was added")
    }

    fn schedule(&mut self, at: Nanos, event: Event) {
        self.event_count += 1;
        self.events.push(Reverse((at, self.event_count, event)));
    }

    /// Runs until then. Requests may be left queued and in flight.
    pub fn run(&mut self, until: Nanos) {
        loop {
            let event = self.events.peek().map(|Reverse((at, ..))| *at);
            let wake = self.wake.filter(|wake| *wake > self.now);
            let next = event.into_iter().chain(wake).min().unwrap_or(Nanos::MAX);
            if next > until {
                self.pass_time(until);
                return;
            }
            self.pass_time(next);
            self.handle_events();
            self.decide();
        }
    }

    /// Lets what is queued finish, without new requests.
    pub fn drain(&mut self) {
        self.stopping = true;
        while self.scheduler.queued() > 0 || self.scheduler.in_flight() > 0 {
            self.run(self.now + Nanos::from_millis(100));
        }
        let now = self.now;
        self.scheduler.next(now, &mut self.batch);
        self.note_charges(now);
        for stream in 0..self.clients.len() {
            self.end_backlog(stream);
        }
    }

    fn pass_time(&mut self, to: Nanos) {
        let passed = to - self.now;
        let from = self.now;
        self.now = to;
        if self.scheduler.in_flight() > 0 {
            self.busy += passed;
            self.sleep_so_far = Nanos::ZERO;
        } else if self.scheduler.queued() == 0 {
            self.empty += passed;
        } else if passed > Nanos::ZERO {
            self.asleep += passed;
            self.sleep_so_far += passed;
            self.longest_sleep = self.longest_sleep.max(self.sleep_so_far);
            // A wait is charged as soon as time is seen to pass; asking for a decision would
            // do it as well, but would decide.
            let waited = self.scheduler.disk_counters(from).waiting;
            let stream = self.scheduler.stream_count();
            assert!(
                self.has_limits || self.wake.is_some(),
                "at {from}: {} requests queued in {stream} streams, nothing in flight, and no \
                 time to wake up (waited {waited} so far)",
                self.scheduler.queued()
            );
        }
    }

    fn handle_events(&mut self) {
        let before = self.now;
        let mut first = true;
        while let Some(Reverse((at, _, event))) = self.events.peek().copied() {
            if at > self.now {
                break;
            }
            self.events.pop();
            match event {
                Event::Completion(flight) => self.complete(FlightId(flight)),
                Event::Issue(client) => self.issue(client),
            }
            if first {
                self.note_charges(before);
                first = false;
            }
        }
    }

    fn complete(&mut self, flight: FlightId) {
        let now = self.now;
        let mut requests = std::mem::take(&mut self.flights[flight.0 as usize].requests);
        let settlement = self.scheduler.complete(now, flight);
        self.note_charges(self.flights[flight.0 as usize].started_at);
        if !self.answers_first {
            // As a loop does that decides before it answers.
            self.decide();
        }
        let stream = settlement.stream.index();
        for id in requests.drain(..) {
            let slot = &mut self.requests[id.0 as usize];
            let request = slot.take().expect("a request is answered once");
            self.free_requests.push(id.0);
            assert_eq!(request.client, stream);
            self.answer(request);
        }
        if self.flights[flight.0 as usize].requests.is_empty() {
            self.flights[flight.0 as usize].requests = requests;
        }
        let idle = self.clients[stream].outstanding == 0;
        if idle && !self.issues_now(stream) {
            self.end_backlog(stream);
        }
    }

    /// Whether an issue of the stream is due at this very time.
    fn issues_now(&self, stream: usize) -> bool {
        let now = self.now;
        let due = |Reverse((at, _, event)): &Reverse<(Nanos, u64, Event)>| {
            *at == now && *event == Event::Issue(stream)
        };
        matches!(
            self.clients[stream].config.behaviour,
            Behaviour::Closed {
                think: super::Think::None,
                ..
            }
        ) && self.events.iter().any(due)
    }

    fn decide(&mut self) {
        loop {
            let decision = self.scheduler.next(self.now, &mut self.batch);
            // A wait that ended by itself has been charged.
            self.note_charges(self.now);
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
        let now = self.now;
        let first = self.requests[self.batch[0].0 as usize].expect("a queued request is known");
        let mut end = first.offset;
        for id in &self.batch {
            let request = self.requests[id.0 as usize].expect("a queued request is known");
            assert_eq!(
                request.client,
                stream.index(),
                "a request of another stream"
            );
            assert_eq!(request.offset, end, "merged requests touch, in order");
            end += request.len;
        }
        let len = end - first.offset;
        assert!(
            self.batch.len() <= disktime_scheduler::MERGE_MAX,
            "too many merged"
        );
        assert!(
            self.batch.len() == 1 || len <= self.merge_limit,
            "merged beyond the limit"
        );
        if self.keep_trace {
            self.trace.push(TraceEntry {
                at: now,
                stream: stream.index() as u32,
                sequence: first.sequence,
                offset: first.offset,
                len,
            });
        }
        let price = Nanos(self.clients[first.client].config.price.0 * self.batch.len() as u64);
        let done = self.device.start(now, Some(first.offset), len, price);
        let slot = &mut self.flights[flight.0 as usize];
        slot.requests.clear();
        slot.requests.extend_from_slice(&self.batch);
        slot.started_at = now;
        self.schedule(done, Event::Completion(flight.0));
        if done - now > Nanos(self.worst_case.0 / 2) {
            self.wake_wakers(stream);
        }
    }
}
