//! A workload in virtual time: clients and services, and a clock that jumps to whatever is next.
//!
//! Invariants: the same workload on equal services gives the same requests at the same times.
//! Disks share nothing, so each service is run by itself, one after the other. Nothing is
//! allocated per request once the tables have grown to the clients' depths. What is measured
//! ended within the duration; what is then under way is still answered (a request is never
//! dropped), but after the end has been announced, so that a caller's figures do not see it.
//! What is not known here: what a service is made of.

use crate::meter::Meter;
use crate::workload::{Client, Workload};
use crate::{ClientMachine, LoadReport, Operation, VdiskLoad, WorkloadError};
use disktime_engine::{Reply, Request, Service, VdiskId};
use disktime_units::Nanos;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

/// Rounds without progress of the clock before it is called standing still.
const MAX_ROUNDS_AT_ONE_TIME: u64 = 1_000_000;

/// How long after the end a service may take to answer what is under way.
const DRAIN: Nanos = Nanos::from_secs(24 * 3600);

/// Where a virtual disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VirtualTarget {
    /// Index of the service that has it.
    pub service: usize,
    /// Its number there.
    pub vdisk: VdiskId,
    /// Its size.
    pub size_bytes: u64,
}

/// A moment at which the caller may look at a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// One of the regular samples.
    Sample(Nanos),
    /// The end of the workload's duration; what was under way is answered after this.
    End(Nanos),
}

/// Runs a workload against services, in virtual time that starts at zero. `targets` says where
/// each virtual disk is. `observe` is called with each service at every multiple of
/// `sample_every`, and at the end: for one service after the other, each from 0 to the duration.
///
/// # Errors
/// A virtual disk that is not there, a client that does not fit, a trace that cannot be read, or
/// a service that never answers.
pub fn run_virtual<S: Service>(
    services: &mut [S],
    targets: &BTreeMap<String, VirtualTarget>,
    workload: &Workload,
    sample_every: Option<Nanos>,
    observe: &mut dyn FnMut(Moment, usize, &mut S),
) -> Result<LoadReport, WorkloadError> {
    let mut runs: Vec<Run<'_>> = services
        .iter()
        .map(|_| Run::new(workload.duration))
        .collect();
    for (number, client) in workload.clients.iter().enumerate() {
        let target = find_target(targets, client)?;
        let run = runs.get_mut(target.service).ok_or_else(|| {
            WorkloadError::new(format!(
                "virtual disk `{}` is on a disk that is not there",
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
        for player in &run.players {
            reports[player.number] = Some(player.meter.report(player.client, &player.machine));
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

/// The target of a client, or an error that lists the virtual disks that there are.
pub(crate) fn find_target<'a, T>(
    targets: &'a BTreeMap<String, T>,
    client: &Client,
) -> Result<&'a T, WorkloadError> {
    targets.get(&client.vdisk).ok_or_else(|| {
        let names: Vec<_> = targets.keys().map(|name| format!("`{name}`")).collect();
        let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        WorkloadError::at(
            client.places.vdisk.as_ref(),
            format!(
                "client `{}` uses virtual disk `{}`, which the configuration does not have; it has {there}",
                client.name, client.vdisk
            ),
        )
    })
}

/// One client in a run.
struct Player<'a> {
    /// Its place in the workload.
    number: usize,
    client: &'a Client,
    machine: ClientMachine,
    meter: Meter,
    vdisk: VdiskId,
    /// What is under way, by handle.
    under_way: Vec<Option<Operation>>,
    free: Vec<u32>,
    /// A request that the full queue of the virtual disk did not take.
    held: Option<Request>,
    /// The earliest wake-up of this client in the heap.
    wake: Option<Nanos>,
}

/// One service and its clients.
struct Run<'a> {
    duration: Nanos,
    now: Nanos,
    rounds_now: u64,
    players: Vec<Player<'a>>,
    /// When clients want to act; entries that no longer agree with `Player::wake` are skipped.
    wakes: BinaryHeap<Reverse<(Nanos, usize)>>,
    /// Clients with a held request, by virtual disk, first come first served.
    blocked: BTreeMap<VdiskId, VecDeque<usize>>,
    outstanding: u64,
    replies: Vec<Reply>,
}

impl<'a> Run<'a> {
    fn new(duration: Nanos) -> Run<'a> {
        Run {
            duration,
            now: Nanos::ZERO,
            rounds_now: 0,
            players: Vec::new(),
            wakes: BinaryHeap::new(),
            blocked: BTreeMap::new(),
            outstanding: 0,
            replies: Vec::new(),
        }
    }

    fn add(
        &mut self,
        number: usize,
        client: &'a Client,
        workload: &Workload,
        target: &VirtualTarget,
    ) -> Result<(), WorkloadError> {
        self.players.push(Player {
            number,
            client,
            machine: ClientMachine::new(client, workload.seed, target.size_bytes)?,
            meter: Meter::new(client, workload),
            vdisk: target.vdisk,
            under_way: Vec::new(),
            free: Vec::new(),
            held: None,
            wake: None,
        });
        self.schedule(self.players.len() - 1);
        Ok(())
    }

    /// What the clients of each virtual disk got together.
    fn add_loads(&self, loads: &mut BTreeMap<String, VdiskLoad>) {
        let mut by_vdisk: BTreeMap<&str, Vec<&Meter>> = BTreeMap::new();
        for player in &self.players {
            let meters = by_vdisk.entry(player.client.vdisk.as_str()).or_default();
            meters.push(&player.meter);
        }
        for (vdisk, meters) in by_vdisk {
            let load = Meter::report_together(&meters, self.duration);
            loads.insert(vdisk.to_owned(), load);
        }
    }

    /// Runs to the duration, announces the end, and waits for what is under way.
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

    /// Moves the clock; a wake-up in the past is one for now.
    fn advance(&mut self, next: Nanos) -> Result<(), WorkloadError> {
        if next > self.now {
            self.now = next;
            self.rounds_now = 0;
        }
        self.rounds_now += 1;
        if self.rounds_now > MAX_ROUNDS_AT_ONE_TIME {
            return Err(WorkloadError::new(format!(
                "virtual time stands still at {}: requests cost no time and are repeated without \
                 end; give the clients a think time or a rate",
                self.now
            )));
        }
        Ok(())
    }

    fn next_wake(&mut self) -> Option<Nanos> {
        while let Some(Reverse((at, player))) = self.wakes.peek().copied() {
            if self.players[player].wake == Some(at) {
                return Some(at);
            }
            self.wakes.pop();
        }
        None
    }

    /// Puts a client's next event into the heap, unless an entry for it is there.
    #[inline]
    fn schedule(&mut self, index: usize) {
        let player = &mut self.players[index];
        if player.held.is_some() {
            return;
        }
        if let Some(at) = player.machine.next_event() {
            // The past is now, and must not sort before what other clients do now.
            let at = at.max(self.now);
            if player.wake.is_none_or(|wake| at < wake) {
                player.wake = Some(at);
                self.wakes.push(Reverse((at, index)));
            }
        }
    }

    /// Lets every client act that wants to by now.
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
            if self.players[index].wake != Some(at) {
                continue;
            }
            self.players[index].wake = None;
            while self.players[index].held.is_none() {
                let Some(operation) = self.players[index].machine.poll(self.now)? else {
                    break;
                };
                let request = self.players[index].request(index, operation);
                self.submit(service, index, request);
            }
            self.schedule(index);
        }
        Ok(())
    }

    fn forget_wakes(&mut self) {
        self.wakes.clear();
        for player in &mut self.players {
            player.wake = None;
        }
    }

    /// Offers a request; returns whether it was taken.
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
                self.players[index].held = Some(request);
                false
            }
        }
    }

    /// Lets the service act, and hands out its replies.
    fn turn<S: Service>(&mut self, service: &mut S) -> Result<(), WorkloadError> {
        let mut replies = std::mem::take(&mut self.replies);
        service.turn(self.now, &mut replies);
        for reply in replies.drain(..) {
            let vdisk = self.take_reply(&reply)?;
            self.unblock(service, vdisk);
        }
        self.replies = replies;
        Ok(())
    }

    fn take_reply(&mut self, reply: &Reply) -> Result<VdiskId, WorkloadError> {
        let unasked = || WorkloadError::new("the service answered a request that nobody made");
        let index = usize::try_from(reply.origin).map_err(|_| unasked())?;
        let player = self.players.get_mut(index).ok_or_else(unasked)?;
        let handle = u32::try_from(reply.handle).map_err(|_| unasked())?;
        let operation = player
            .under_way
            .get_mut(handle as usize)
            .and_then(Option::take)
            .ok_or_else(unasked)?;
        player.free.push(handle);
        self.outstanding -= 1;
        if self.now <= self.duration {
            player
                .meter
                .answered(self.now, &operation, reply.result.is_ok());
        }
        player
            .machine
            .completed(self.now, &operation, reply.result.is_ok());
        let vdisk = player.vdisk;
        self.schedule(index);
        Ok(vdisk)
    }

    /// A reply made room in the queue of a virtual disk: offers what was held, in order.
    #[inline]
    fn unblock<S: Service>(&mut self, service: &mut S, vdisk: VdiskId) {
        if self.blocked.is_empty() {
            return;
        }
        while let Some(index) = self.blocked.get_mut(&vdisk).and_then(VecDeque::pop_front) {
            let Some(request) = self.players[index].held.take() else {
                continue;
            };
            if !self.submit(service, index, request) {
                // It went to the back of the line; it was the first, and stays so.
                if let Some(line) = self.blocked.get_mut(&vdisk) {
                    line.rotate_right(1);
                }
                return;
            }
            self.schedule(index);
        }
    }

    /// Waits until everything under way is answered. Nothing new is asked.
    fn drain<S: Service>(&mut self, service: &mut S) -> Result<(), WorkloadError> {
        self.blocked.clear();
        let end = self.duration.saturating_add(DRAIN);
        while self.outstanding > 0 {
            let next = service.next_wake().filter(|at| *at <= end).ok_or_else(|| {
                WorkloadError::new(format!(
                    "{} requests were never answered; this is a bug of the service",
                    self.outstanding
                ))
            })?;
            self.advance(next)?;
            // The duration is over, even where the clock has not moved on yet.
            self.now = self.now.max(self.duration + Nanos(1));
            self.turn(service)?;
        }
        Ok(())
    }
}

impl Player<'_> {
    /// Makes a request of what the client asks for, and remembers it by its handle.
    #[inline]
    fn request(&mut self, index: usize, operation: Operation) -> Request {
        let handle = self.free.pop().unwrap_or_else(|| {
            self.under_way.push(None);
            // The depth bounds the number of handles far below this type's range.
            (self.under_way.len() - 1) as u32
        });
        self.under_way[handle as usize] = Some(operation);
        Request {
            origin: index as u64,
            handle: u64::from(handle),
            vdisk: self.vdisk,
            kind: operation.kind,
            offset_bytes: operation.offset_bytes,
            len_bytes: operation.len_bytes,
            fua: operation.fua,
            buffer: None,
        }
    }
}
