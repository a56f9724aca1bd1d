//! A [`Setup`] by the clock: one thread that lets clients ask, the service turn, and sleeps until
//! the next of them wants something.
//!
//! Invariants: at most the clients' depths are in flight; what was answered after the end is not
//! measured; a disk that stops answering ends the run with an error. Timers wake late, so the
//! sleep ends early and the rest is polled; on a paced disk what lateness is left does not add up,
//! as requests start when the model has ended the one before.

use crate::progress::Progress;
use crate::raw_vdisks::RawVdisks;
use crate::run::{AnyDisk, Run, assemble, finish, take_sample, workload};
use crate::{LabError, LabResult, Setup};
use disktime_disks::BufferPool;
use disktime_engine::{Reply, Request, RequestKind, Service, VdiskId};
use disktime_units::Nanos;
use disktime_workloads::{
    ClientMachine, ClientReport, Latencies, LoadReport, Moment, Operation, Workload,
};
use slab::Slab;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The sleep ends this long before something is due.
const EARLY: Nanos = Nanos::from_micros(200);
/// The longest sleep, so that progress is shown and lost wake-ups do no harm.
const LONGEST_SLEEP: Nanos = Nanos::from_millis(5);
/// How long the disk may take to answer what is in flight at the end.
const DRAIN: Nanos = Nanos::from_secs(60);
/// Unused memory that is kept for the next request.
const POOL_BYTES: usize = 16 << 20;

/// One client.
struct Player {
    vdisk: VdiskId,
    machine: ClientMachine,
    in_flight: Slab<Operation>,
    latencies: Vec<Nanos>,
    bytes: u64,
    errors: u64,
}

struct Driver {
    started: Instant,
    service: RawVdisks<AnyDisk>,
    players: Vec<Player>,
    pool: BufferPool,
    holds_data: bool,
    outstanding: u64,
    replies: Vec<Reply>,
}

/// Runs it.
pub(super) fn run(setup: &Setup, disk: AnyDisk, progress: &Progress) -> LabResult<Run> {
    let holds_data = disk.properties().capabilities.holds_data;
    let (service, targets) = assemble(setup, disk)?;
    let workload = workload(setup);
    let mut players = Vec::new();
    for client in &workload.clients {
        let target = &targets[&client.vdisk];
        players.push(Player {
            vdisk: target.vdisk,
            machine: ClientMachine::new(client, workload.seed, target.size_bytes)?,
            in_flight: Slab::new(),
            latencies: Vec::new(),
            bytes: 0,
            errors: 0,
        });
    }
    let mut driver = Driver {
        started: Instant::now(),
        service,
        players,
        pool: BufferPool::new(POOL_BYTES),
        holds_data,
        outstanding: 0,
        replies: Vec::new(),
    };
    let mut samples = Vec::new();
    let mut next_sample = setup.sample_every;
    let end = setup.end();
    let mut now = Nanos::ZERO;
    while now < end {
        driver.ask(now)?;
        driver.turn(now)?;
        if now >= next_sample {
            take_sample(setup, Moment::Sample(now), &driver.service, &mut samples);
            next_sample = Nanos((now.0 / setup.sample_every.0 + 1) * setup.sample_every.0);
            progress.set(now.0 / 1_000_000_000);
        }
        driver.pause(now, next_sample.min(end));
        now = driver.clock();
    }
    take_sample(setup, Moment::End(now), &driver.service, &mut samples);
    let report = driver.report(&workload);
    driver.drain(end)?;
    Ok(finish(setup, &driver.service, samples, &report))
}

impl Driver {
    fn clock(&self) -> Nanos {
        Nanos::from(self.started.elapsed())
    }

    /// Lets every client ask for what it wants by now.
    fn ask(&mut self, now: Nanos) -> LabResult {
        for origin in 0..self.players.len() {
            while let Some(operation) = self.players[origin].machine.poll(now)? {
                let request = self.request(origin, operation);
                self.outstanding += 1;
                if self.service.submit(now, request).is_err() {
                    // The service has space for the depths of all clients together.
                    return Err(LabError::new(
                        "the service refused a request; this is a bug",
                    ));
                }
            }
        }
        Ok(())
    }

    fn request(&mut self, origin: usize, operation: Operation) -> Request {
        let player = &mut self.players[origin];
        let handle = player.in_flight.insert(operation) as u64;
        let moves = matches!(operation.kind, RequestKind::Read | RequestKind::Write);
        let buffer =
            (moves && self.holds_data).then(|| self.pool.take_zeroed(operation.len_bytes as usize));
        Request {
            origin: origin as u64,
            handle,
            vdisk: player.vdisk,
            kind: operation.kind,
            offset_bytes: operation.offset_bytes,
            len_bytes: operation.len_bytes,
            fua: operation.fua,
            buffer,
        }
    }

    fn turn(&mut self, now: Nanos) -> LabResult {
        let mut replies = std::mem::take(&mut self.replies);
        self.service.turn(now, &mut replies);
        // Reading a device takes its time within the turn.
        let now = self.clock();
        for reply in replies.drain(..) {
            self.take_reply(now, reply)?;
        }
        self.replies = replies;
        Ok(())
    }

    fn take_reply(&mut self, now: Nanos, reply: Reply) -> LabResult {
        let unasked = || LabError::new("an answer came to no request; this is a bug");
        let player = self
            .players
            .get_mut(reply.origin as usize)
            .ok_or_else(unasked)?;
        let operation = player.in_flight.try_remove(reply.handle as usize);
        let operation = operation.ok_or_else(unasked)?;
        self.outstanding -= 1;
        if let Some(buffer) = reply.buffer {
            self.pool.put(buffer);
        }
        if reply.result.is_ok() {
            player
                .latencies
                .push(now.saturating_sub(operation.arrived_at));
            player.bytes += operation.len_bytes;
        } else {
            player.errors += 1;
        }
        player
            .machine
            .completed(now, &operation, reply.result.is_ok());
        Ok(())
    }

    /// Sleeps until something is due, at most until `until`.
    fn pause(&self, now: Nanos, until: Nanos) {
        let clients = self
            .players
            .iter()
            .filter_map(|player| player.machine.next_event());
        let due = clients.chain(self.service.next_wake()).min();
        let due = due
            .unwrap_or(Nanos::MAX)
            .min(until)
            .min(now + LONGEST_SLEEP);
        let left = due.saturating_sub(self.clock());
        if left > EARLY {
            std::thread::sleep(Duration::from(left - EARLY));
        } else {
            std::hint::spin_loop();
        }
    }

    /// Takes in the answers to what is in flight.
    fn drain(&mut self, end: Nanos) -> LabResult {
        while self.outstanding > 0 {
            let now = self.clock();
            if now > end + DRAIN {
                return Err(LabError::new(format!(
                    "the disk did not answer {} requests within {DRAIN} of the end",
                    self.outstanding
                )));
            }
            self.turn(now)?;
            self.pause(now, Nanos::MAX);
        }
        Ok(())
    }

    fn report(&mut self, workload: &Workload) -> LoadReport {
        let seconds = workload.duration.as_secs_f64();
        let players = self.players.iter_mut().zip(&workload.clients);
        let clients = players.map(|(player, client)| ClientReport {
            name: client.name.clone(),
            vdisk: client.vdisk.clone(),
            iops: player.latencies.len() as f64 / seconds,
            bytes_per_second: player.bytes as f64 / seconds,
            latency: latencies(&mut player.latencies),
            requests: player.latencies.len() as u64,
            errors: player.errors,
            delayed: player.machine.delayed(),
            longest_delay: player.machine.longest_delay(),
        });
        LoadReport {
            duration: workload.duration,
            seed: workload.seed,
            clock: "real",
            clients: clients.collect(),
            loads: BTreeMap::new(),
        }
    }
}

fn latencies(all: &mut [Nanos]) -> Option<Latencies> {
    all.sort_unstable();
    let last = all.len().checked_sub(1)?;
    let at = |quantile: f64| all[(last as f64 * quantile).round() as usize];
    Some(Latencies {
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p99_9: at(0.999),
        max: all[last],
    })
}
