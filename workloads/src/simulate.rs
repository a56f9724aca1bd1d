//! A workload in virtual time: clients and services, and a clock that jumps to the next event.
//!
//! Invariants: the same workload on equal services gives the same requests at the same times.
//! Disks share nothing, so services run one after the other. Nothing is allocated per request once
//! the tables have grown to the clients' depths. Only requests that are completed within the
//! duration are measured. Requests that are in flight at the end are still completed (a request is
//! never dropped), but after the end is announced, so that they are not in a caller's figures.
//! What is not known here: what a service consists of.

use crate::meter::Meter;
use crate::workload::{Client, Workload};
use crate::{ClientMachine, LoadReport, Operation, VdiskLoad, WorkloadError};
use disktime_engine::{BufferPool, Reply, Request, Service, VdiskId};
use disktime_units::Nanos;
use slab::Slab;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

/// After this many rounds without progress of the clock the run is given up.
const MAX_ROUNDS_AT_ONE_TIME: u64 = 1_000_000;

/// How long after the end a service may take to complete the requests in flight.
const DRAIN_TIMEOUT: Nanos = Nanos::from_secs(24 * 3600);

/// Memory that is kept for requests to come.
const POOL_BYTES: usize = 64 << 20;

/// The service and the number of a virtual disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VirtualTarget {
    /// The index of its service.
    pub service: usize,
    /// Its number in that service.
    pub vdisk: VdiskId,
    /// Its size.
    pub size_bytes: u64,
    /// Whether reads and writes come with memory: the service keeps data, and clients write zeroes.
    pub has_data: bool,
}

/// A time at which the caller may inspect a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// One of the regular samples.
    Sample(Nanos),
    /// The end of the workload's duration; requests in flight are completed after this.
    End(Nanos),
}

/// Runs a workload against services, in virtual time that starts at zero. `targets` says which
/// service has each virtual disk. `observe` is called with each service at every multiple of
/// `sample_every`, and at the end: for one service after the other, each from 0 to the duration.
///
/// # Errors
/// A virtual disk that does not exist, a client that does not fit, a trace that cannot be read, or
/// a service that does not complete a request.
pub fn run_virtual<S: Service>(
    services: &mut [S],
    targets: &BTreeMap<String, VirtualTarget>,
    workload: &Workload,
    sample_every: Option<Nanos>,
    observe: &mut dyn FnMut(Moment, usize, &mut S),
) -> Result<LoadReport, WorkloadError> {
    let mut runs: Vec<ServiceRun<'_>> = services
        .iter()
        .map(|_| ServiceRun::new(workload.duration))
        .collect();
    for (number, client) in workload.clients.iter().enumerate() {
        let target = find_target(targets, client)?;
        let run = runs.get_mut(target.service).ok_or_else(|| {
            WorkloadError::new(format!(
                "virtual disk `{}` is on a disk that does not exist",
                client.vdisk
            ))
        })?;
        run.add(number, client, workload, target)?;
    }
    let mut reports = vec![None; workload.clients.len()];
    let mut loads = BTreeMap::new();
    for (index, (run, service)) in runs.iter_mut().zip(services.iter_mut()).enumerate() {
        run.run(service, sample_every, &mut |moment, service| {
            observe(moment, index, service)
        })?;
        for client in &run.clients {
            reports[client.number] = Some(client.meter.report(client.client, &client.machine));
        }
        run.add_loads(&mut loads);
    }
    Ok(LoadReport {
        duration: workload.duration,
        seed: workload.seed,
        clock: "virtual",
        clients: reports.into_iter().flatten().collect(),
        loads,
    })
}

/// The target of a client, or an error that lists the virtual disks.
pub(crate) fn find_target<'a, T>(
    targets: &'a BTreeMap<String, T>,
    client: &Client,
) -> Result<&'a T, WorkloadError> {
    targets.get(&client.vdisk).ok_or_else(|| {
        let names: Vec<_> = targets.keys().map(|name| format!("`{name}`")).collect();
        let known = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        };
        WorkloadError::at(
            client.excerpts.vdisk.as_ref(),
            format!(
                "client `{}` uses virtual disk `{}`, which does not exist; the virtual disks are \
                    {known}",
                client.name, client.vdisk
            ),
        )
    })
}

/// One client in a run.
struct SimulatedClient<'a> {
    /// Its index in the workload.
    number: usize,
    client: &'a Client,
    machine: ClientMachine,
    meter: Meter,
    vdisk: VdiskId,
    has_data: bool,
    /// Requests in flight, by handle.
    in_flight: Slab<Operation>,
    /// A request that waits because the queue of the virtual disk is full.
    waiting: Option<Request>,
    /// The earliest wake-up of this client in the heap.
    wake: Option<Nanos>,
}

/// One service and its clients.
struct ServiceRun<'a> {
    duration: Nanos,
    now: Nanos,
    rounds_now: u64,
    clients: Vec<SimulatedClient<'a>>,
    /// When clients are due; entries that differ from `SimulatedClient::wake` are stale and
    /// skipped.
    wakes: BinaryHeap<Reverse<(Nanos, usize)>>,
    /// Clients with a waiting request, by virtual disk, in the order of their requests.
    blocked: BTreeMap<VdiskId, VecDeque<usize>>,
    outstanding: u64,
    replies: Vec<Reply>,
    /// Memory of zeroes for requests, of clients that have data.
    pool: BufferPool,
}

impl<'a> ServiceRun<'a> {
    fn new(duration: Nanos) -> ServiceRun<'a> {
        ServiceRun {
            duration,
            now: Nanos::ZERO,
            rounds_now: 0,
            clients: Vec::new(),
            wakes: BinaryHeap::new(),
            blocked: BTreeMap::new(),
            outstanding: 0,
            replies: Vec::new(),
            pool: BufferPool::new(POOL_BYTES),
        }
    }

    fn add(
        &mut self,
        number: usize,
        client: &'a Client,
        workload: &Workload,
        target: &VirtualTarget,
    ) -> Result<(), WorkloadError> {
        self.clients.push(SimulatedClient {
            number,
            client,
            machine: ClientMachine::new(client, workload.seed, target.size_bytes)?,
            meter: Meter::new(client, workload),
            vdisk: target.vdisk,
            has_data: target.has_data,
            in_flight: Slab::new(),
            waiting: None,
            wake: None,
        });
        self.schedule(self.clients.len() - 1);
        Ok(())
    }

    /// Adds the figures of the clients of each virtual disk together.
    fn add_loads(&self, loads: &mut BTreeMap<String, VdiskLoad>) {
        let mut by_vdisk: BTreeMap<&str, Vec<&Meter>> = BTreeMap::new();
        for client in &self.clients {
            let meters = by_vdisk.entry(client.client.vdisk.as_str()).or_default();
            meters.push(&client.meter);
        }
        for (vdisk, meters) in by_vdisk {
            let load = Meter::report_together(&meters, self.duration);
            loads.insert(vdisk.to_owned(), load);
        }
    }

    /// Runs to the duration, announces the end, and waits for the requests in flight.
    fn run<S: Service>(
        &mut self,
        service: &mut S,
        sample_every: Option<Nanos>,
        observe: &mut dyn FnMut(Moment, &mut S),
    ) -> Result<(), WorkloadError> {
        let step = sample_every.filter(|step| step.0 > 0);
        let mut next_sample = step;
        loop {
            let next = [self.next_wake(), service.next_wake()]
                .into_iter()
                .flatten()
                .min();
            let next = next.filter(|at| *at <= self.duration);
            while let Some((at, step)) = next_sample.zip(step) {
                if at > self.duration || next.is_some_and(|next| next < at) {
                    break;
                }
                observe(Moment::Sample(at), service);
                next_sample = Some(at.saturating_add(step));
            }
            let Some(next) = next else { break };
            self.advance(next)?;
            self.act(service)?;
            self.turn(service)?;
        }
        self.now = self.duration;
        self.turn(service)?;
        observe(Moment::End(self.duration), service);
        self.drain(service)
    }

    /// Moves the clock; an event in the past happens now.
    fn advance(&mut self, next: Nanos) -> Result<(), WorkloadError> {
        if next > self.now {
            self.now = next;
            self.rounds_now = 0;
        }
        self.rounds_now += 1;
        if self.rounds_now > MAX_ROUNDS_AT_ONE_TIME {
            return Err(WorkloadError::new(format!(
                "virtual time does not advance beyond {}: requests take no time and are repeated \
                 without end; give the clients a think time or a rate",
                self.now
            )));
        }
        Ok(())
    }

    fn next_wake(&mut self) -> Option<Nanos> {
        while let Some(Reverse((at, client))) = self.wakes.peek().copied() {
            if self.clients[client].wake == Some(at) {
                return Some(at);
            }
            self.wakes.pop();
        }
        None
    }

    /// Adds a client's next event to the heap, unless it has an entry that is as early.
    #[inline]
    fn schedule(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if client.waiting.is_some() {
            return;
        }
        if let Some(at) = client.machine.next_event() {
            // An event in the past is due now, and must not sort before other clients' events now.
            let at = at.max(self.now);
            if client.wake.is_none_or(|wake| at < wake) {
                client.wake = Some(at);
                self.wakes.push(Reverse((at, index)));
            }
        }
    }

    /// Polls every client that is due.
    fn act<S: Service>(&mut self, service: &mut S) -> Result<(), WorkloadError> {
        if self.now >= self.duration {
            self.forget_wakes();
            return Ok(());
        }
        while let Some(Reverse((at, index))) = self.wakes.peek().copied() {
            if at > self.now {
                break;
            }
            self.wakes.pop();
            if self.clients[index].wake != Some(at) {
                continue;
            }
            self.clients[index].wake = None;
            while self.clients[index].waiting.is_none() {
                let Some(operation) = self.clients[index].machine.poll(self.now)? else {
                    break;
                };
                let request = self.clients[index].request(index, operation, &mut self.pool);
                self.submit(service, index, request);
            }
            self.schedule(index);
        }
        Ok(())
    }

    fn forget_wakes(&mut self) {
        self.wakes.clear();
        for client in &mut self.clients {
            client.wake = None;
        }
    }

    /// Submits a request; returns whether the service accepted it.
    #[inline]
    fn submit<S: Service>(&mut self, service: &mut S, index: usize, request: Request) -> bool {
        match service.submit(self.now, request) {
            Ok(()) => {
                self.outstanding += 1;
                true
            }
            Err(request) => {
                self.blocked
                    .entry(request.vdisk)
                    .or_default()
                    .push_back(index);
                self.clients[index].waiting = Some(request);
                false
            }
        }
    }

    /// Runs a turn of the service, and passes its replies to the clients.
    fn turn<S: Service>(&mut self, service: &mut S) -> Result<(), WorkloadError> {
        let mut replies = std::mem::take(&mut self.replies);
        service.turn(self.now, &mut replies);
        for reply in replies.drain(..) {
            let vdisk = self.take_reply(reply)?;
            self.unblock(service, vdisk);
        }
        self.replies = replies;
        Ok(())
    }

    fn take_reply(&mut self, reply: Reply) -> Result<VdiskId, WorkloadError> {
        let unknown =
            || WorkloadError::new("the service replied to a request that is not in flight");
        let index = usize::try_from(reply.origin).map_err(|_| unknown())?;
        let client = self.clients.get_mut(index).ok_or_else(unknown)?;
        let operation = client.in_flight.try_remove(reply.handle as usize);
        let operation = operation.ok_or_else(unknown)?;
        self.outstanding -= 1;
        if let Some(buffer) = reply.buffer {
            self.pool.put(buffer);
        }
        if self.now <= self.duration {
            client
                .meter
                .completed(self.now, &operation, reply.result.is_ok());
        }
        client
            .machine
            .completed(self.now, &operation, reply.result.is_ok());
        let vdisk = client.vdisk;
        self.schedule(index);
        Ok(vdisk)
    }

    /// A reply made space in the queue of a virtual disk: submits waiting requests, in order.
    #[inline]
    fn unblock<S: Service>(&mut self, service: &mut S, vdisk: VdiskId) {
        if self.blocked.is_empty() {
            return;
        }
        while let Some(index) = self.blocked.get_mut(&vdisk).and_then(VecDeque::pop_front) {
            let Some(request) = self.clients[index].waiting.take() else {
                continue;
            };
            if !self.submit(service, index, request) {
                // It was appended to the queue again; it was the first, and stays the first.
                if let Some(queue) = self.blocked.get_mut(&vdisk) {
                    queue.rotate_right(1);
                }
                return;
            }
            self.schedule(index);
        }
    }

    /// Waits until all requests in flight are completed. No new request is sent.
    fn drain<S: Service>(&mut self, service: &mut S) -> Result<(), WorkloadError> {
        self.blocked.clear();
        let end = self.duration.saturating_add(DRAIN_TIMEOUT);
        while self.outstanding > 0 {
            let next = service.next_wake().filter(|at| *at <= end).ok_or_else(|| {
                WorkloadError::new(format!(
                    "the service did not complete {} requests; this is a bug of the service",
                    self.outstanding
                ))
            })?;
            self.advance(next)?;
            // The duration is over, even where the clock has not advanced yet.
            self.now = self.now.max(self.duration + Nanos(1));
            self.turn(service)?;
        }
        Ok(())
    }
}

impl SimulatedClient<'_> {
    /// Makes a request of an operation, and stores the operation under its handle.
    #[inline]
    fn request(&mut self, index: usize, operation: Operation, pool: &mut BufferPool) -> Request {
        let handle = self.in_flight.insert(operation);
        let has_buffer = self.has_data && operation.kind.moves_data();
        let zeroes = has_buffer.then(|| pool.take_zeroed(operation.len_bytes as usize));
        Request {
            origin: index as u64,
            handle: handle as u64,
            vdisk: self.vdisk,
            kind: operation.kind,
            offset_bytes: operation.offset_bytes,
            len_bytes: operation.len_bytes,
            fua: operation.fua,
            buffer: zeroes,
        }
    }
}
