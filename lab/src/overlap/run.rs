//! One run: clients, a scheduler, a device.

use super::asking::{Asking, StreamResult, ZONE_BYTES};
use super::client::OverlapClient;
use super::device::{DeviceRequest, OverlapDevice};
use disktime_drive_models::{CostModel, Operation};
use disktime_scheduler::{
    Arrival, Decision, FlightId, RequestId, RequestKind, Scheduler, SchedulerConfig, StreamConfig,
    StreamId,
};
use disktime_units::Nanos;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// Seeds of a run's clients lie next to each other, those of runs far apart.
const CLIENT_SEEDS: u64 = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Ask(u32),
    Wake(u32),
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    client: u32,
    asked_at: Nanos,
    request: DeviceRequest,
    occupancy: Nanos,
}

/// A run in progress.
pub struct OverlapRun<D> {
    scheduler: Scheduler,
    device: D,
    cost: CostModel,
    turnaround: Nanos,
    clients: Vec<Asking>,
    groups: BTreeMap<u32, StreamId>,
    events: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    event_count: u64,
    pending: Vec<Option<Pending>>,
    free: Vec<u32>,
    flights: Vec<Vec<RequestId>>,
    batch: Vec<RequestId>,
    now: Nanos,
    wake: Option<Nanos>,
    measure_from: Nanos,
    least_slack: Option<i64>,
}

/// Adds a client's stream, and its group if it is the first of it.
fn add(
    scheduler: &mut Scheduler,
    groups: &mut BTreeMap<u32, StreamId>,
    spec: &OverlapClient,
) -> StreamId {
    let Some(group) = spec.group else {
        return scheduler.add_stream(Nanos::ZERO, spec.config);
    };
    let group = *groups
        .entry(group)
        .or_insert_with(|| scheduler.add_group(Nanos::ZERO, spec.config));
    scheduler.add_member(Nanos::ZERO, group, spec.config.weight)
}

impl<D: OverlapDevice> OverlapRun<D> {
    /// Clients on a device, which answer after `turnaround`.
    pub fn new(
        config: SchedulerConfig,
        device: D,
        cost: CostModel,
        clients: Vec<OverlapClient>,
        turnaround: Nanos,
        seed: u64,
    ) -> OverlapRun<D> {
        let max_in_flight = config.max_in_flight;
        let mut scheduler = Scheduler::new(config, 1 << 50);
        let mut groups = BTreeMap::new();
        let clients = clients.into_iter().zip(0..).map(|(spec, index)| {
            let id = add(&mut scheduler, &mut groups, &spec);
            let seed = seed.wrapping_mul(CLIENT_SEEDS) + index;
            Asking::new(spec, id, (index + 1) * ZONE_BYTES, seed)
        });
        let clients: Vec<Asking> = clients.collect();
        let mut run = OverlapRun {
            groups,
            scheduler,
            device,
            cost,
            turnaround,
            clients,
            events: BinaryHeap::new(),
            event_count: 0,
            pending: Vec::new(),
            free: Vec::new(),
            flights: vec![Vec::new(); max_in_flight],
            batch: Vec::new(),
            now: Nanos::ZERO,
            wake: None,
            measure_from: Nanos::ZERO,
            least_slack: None,
        };
        for index in 0..run.clients.len() {
            run.begin(index as u32);
        }
        run
    }

    fn begin(&mut self, client: u32) {
        let asking = &mut self.clients[client as usize];
        if let Some(at) = asking.first_wake() {
            self.schedule(at, Event::Wake(client));
            return;
        }
        for _ in 0..self.clients[client as usize].spec().depth {
            let at = self.clients[client as usize].first_question();
            self.schedule(at, Event::Ask(client));
        }
    }

    fn schedule(&mut self, at: Nanos, event: Event) {
        self.event_count += 1;
        self.events.push(Reverse((at, self.event_count, event)));
    }

    /// Runs until `warm` and then measures until `warm + length`.
    pub fn run(&mut self, warm: Nanos, length: Nanos) {
        self.measure_from = warm;
        let end = warm + length;
        while let Some(next) = self.next_time().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.step();
        }
        self.now = end;
    }

    fn next_time(&self) -> Option<Nanos> {
        let event = self.events.peek().map(|Reverse((at, ..))| *at);
        let all = [event, self.device.next_event(), self.wake];
        all.into_iter().flatten().min()
    }

    fn step(&mut self) {
        let now = self.now;
        let mut anything = self.wake.is_some_and(|wake| wake <= now);
        self.wake = self.wake.filter(|wake| *wake > now);
        while let Some(flight) = self.device.take_completed(now) {
            self.complete(flight);
            self.note_slack();
            self.decide();
            anything = false;
        }
        while let Some(Reverse((at, _, event))) = self.events.peek().copied()
            && at <= now
        {
            self.events.pop();
            match event {
                Event::Ask(client) => self.ask(client),
                Event::Wake(client) => self.wake_up(client),
            }
            self.note_slack();
            self.decide();
            anything = false;
        }
        if anything {
            self.decide();
        }
        self.note_slack();
    }

    fn note_slack(&mut self) {
        if let Some(least) = &mut self.least_slack {
            *least = (*least).min(self.scheduler.least_slack());
        }
    }

    fn wake_up(&mut self, client: u32) {
        let (count, pause) = self.clients[client as usize].wake_up();
        for _ in 0..count {
            self.ask(client);
        }
        self.schedule(self.now + pause, Event::Wake(client));
    }

    fn ask(&mut self, client: u32) {
        let mut request = self.clients[client as usize].ask(self.now);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.pending.push(None);
            self.pending.len() as u32 - 1
        });
        request.tag = slot;
        let quote = self.cost.quote(
            request.operation,
            request.len_bytes,
            false,
            request.sequential,
        );
        self.pending[slot as usize] = Some(Pending {
            client,
            asked_at: self.now,
            request,
            occupancy: quote.occupancy,
        });
        let kind = match request.operation {
            Operation::Read => RequestKind::Read,
            Operation::Write => RequestKind::Write,
            Operation::WriteZeroes => RequestKind::Zero,
            Operation::Flush => RequestKind::Flush,
            Operation::Discard => RequestKind::Discard,
        };
        let arrival = Arrival {
            id: RequestId(slot),
            offset_bytes: (kind != RequestKind::Flush).then_some(request.offset_bytes),
            len_bytes: request.len_bytes,
            price: quote.occupancy,
            lone: quote.lone,
            kind,
            merge_class: None,
        };
        let id = self.clients[client as usize].id();
        self.scheduler.arrive(self.now, id, arrival);
    }

    fn complete(&mut self, flight: u32) {
        self.scheduler.complete(self.now, FlightId(flight));
        let requests = std::mem::take(&mut self.flights[flight as usize]);
        for id in &requests {
            self.answer(id.0);
        }
        self.flights[flight as usize] = requests;
    }

    fn answer(&mut self, slot: u32) {
        let pending = self.pending[slot as usize].take();
        let pending = pending.expect("a request is answered once");
        self.free.push(slot);
        let now = self.now;
        let asking = &mut self.clients[pending.client as usize];
        if now >= self.measure_from {
            let latency = now - pending.asked_at;
            asking.note(latency, pending.request.len_bytes, pending.occupancy);
        }
        if let Some(pause) = asking.answered(now, self.turnaround) {
            self.schedule(now + pause, Event::Ask(pending.client));
        }
    }

    fn decide(&mut self) {
        loop {
            let decision = self.scheduler.next(self.now, &mut self.batch);
            match decision {
                Decision::Sleep { until } => {
                    self.wake = until.map(|until| until.max(self.now + Nanos(1)));
                    return;
                }
                Decision::Dispatch { flight, .. } => {
                    let first = self.pending[self.batch[0].0 as usize];
                    let first = first.expect("a queued request is pending").request;
                    let slot = &mut self.flights[flight.0 as usize];
                    slot.clear();
                    slot.extend_from_slice(&self.batch);
                    let request = DeviceRequest {
                        tag: flight.0,
                        ..first
                    };
                    self.device.submit(self.now, request);
                }
            }
        }
    }

    /// What each stream had.
    pub fn results(&self) -> Vec<StreamResult> {
        let result = |asking: &Asking| {
            let counters = self.scheduler.stream_counters(self.account(asking));
            asking.result(counters)
        };
        self.clients.iter().map(result).collect()
    }

    /// The stream that pays for a client: its own, or its group.
    fn account(&self, asking: &Asking) -> StreamId {
        let group = asking.spec().group;
        let group = group.and_then(|group| self.groups.get(&group).copied());
        group.unwrap_or_else(|| asking.id())
    }

    /// Solo time that the account of a client has received.
    pub fn solo_time(&self, client: usize) -> Nanos {
        self.scheduler
            .solo_time(self.account(&self.clients[client]))
    }

    /// Another entitlement for the account of a client.
    pub fn reconfigure(&mut self, client: usize, config: StreamConfig) {
        let account = self.account(&self.clients[client]);
        self.scheduler.reconfigure(self.now, account, config);
    }

    /// The time.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// The scheduler.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// Notes the exact slack after every event from now on; a pass over all streams each time.
    #[must_use]
    pub fn audited(mut self) -> OverlapRun<D> {
        self.least_slack = Some(i64::MAX);
        self
    }

    /// The least slack after any event of an audited run, in ns.
    pub fn least_slack(&self) -> i64 {
        self.least_slack.unwrap_or(i64::MAX)
    }
}
