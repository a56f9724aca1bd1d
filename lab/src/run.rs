//! Runs a [`Setup`] in virtual time and keeps what the figures need: counters at regular moments,
//! and the clients' own report.
//!
//! Invariants: one setup gives one result, whatever else runs beside it. Rates and shares are of
//! the measured time, without the warm-up; latencies are of the whole run.

use crate::raw_vdisks::RawVdisks;
use crate::setup::{DriveSetup, Setup};
use crate::{LabError, LabResult};
use disktime_disks::{Disk, DiskProperties, Store, VirtualDisk};
use disktime_drive_models::HddModel;
use disktime_engine::{
    DiskCounters, DiskLoop, LoopSettings, Order, StreamCounters, SwitchingAccount, VdiskId,
};
use disktime_units::Nanos;
use disktime_workloads::{
    Client, ClientReport, Latencies, LoadReport, Moment, VirtualTarget, Workload, run_virtual,
};
use std::collections::BTreeMap;

/// A disk of either clock.
pub(crate) type AnyDisk = Box<dyn Disk + Send>;

/// One stream's counters at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct StreamSample {
    /// The scheduler's.
    pub counters: StreamCounters,
    /// Requests answered.
    pub requests: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Its unspent budget in ns.
    pub unspent: i64,
}

/// All counters at one moment.
#[derive(Debug, Clone)]
pub struct Sample {
    /// When.
    pub at: Nanos,
    /// The disk's.
    pub disk: DiskCounters,
    /// The streams', in the setup's order.
    pub streams: Vec<StreamSample>,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Counters from the end of the warm-up to the end, at regular moments.
    pub samples: Vec<Sample>,
    /// The reports of the clients, by stream.
    pub clients: Vec<Vec<ClientReport>>,
    /// What the disk says of itself.
    pub facts: DiskFacts,
    /// The unspent budget beyond which a deadline counts as missed.
    pub unspent_bound: Nanos,
    /// On a paced disk: requests that were later than the model, and all requests.
    pub overruns: (u64, u64),
}

/// What a disk says of itself to the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskFacts {
    /// W.
    pub worst_case: Nanos,
    /// s.
    pub switch_cost: Nanos,
    /// Its size.
    pub size_bytes: u64,
}

impl DiskFacts {
    /// Of a modelled drive.
    ///
    /// # Errors
    /// If the model cannot be made.
    pub fn of(drive: &DriveSetup) -> LabResult<DiskFacts> {
        let properties = DiskProperties::of_drive(drive.model()?.properties(), String::new());
        Ok(DiskFacts::said_by(&properties))
    }

    fn said_by(properties: &DiskProperties) -> DiskFacts {
        DiskFacts {
            worst_case: properties.worst_case,
            switch_cost: properties.switch_cost,
            size_bytes: properties.size_bytes,
        }
    }

    /// What switches take of the disk's time for reserved streams of these periods, which cannot be
    /// reserved: with the switching account Σ c·s/p.
    pub fn switching_share(&self, switching: SwitchingAccount, periods: &[Nanos]) -> f64 {
        let SwitchingAccount::Reserved { factor_percent } = switching else {
            return 0.0;
        };
        let factor = f64::from(factor_percent) / 100.0;
        let switch = self.switch_cost.as_secs_f64();
        let each = periods.iter();
        each.map(|period| factor * switch / period.as_secs_f64())
            .sum()
    }
}

impl Run {
    /// The measured time in seconds.
    pub fn seconds(&self) -> f64 {
        match (self.samples.first(), self.samples.last()) {
            (Some(first), Some(last)) => last.at.saturating_sub(first.at).as_secs_f64(),
            _ => 0.0,
        }
    }

    /// A stream's counters over the measured time.
    pub fn stream(&self, index: usize) -> StreamSpan {
        match (self.samples.first(), self.samples.last()) {
            (Some(first), Some(last)) => StreamSpan::between(first, last, index),
            _ => StreamSpan::default(),
        }
    }

    /// Requests per second of a stream.
    pub fn iops(&self, index: usize) -> f64 {
        self.stream(index).requests as f64 / self.seconds()
    }

    /// Bytes per second of a stream.
    pub fn bytes_per_second(&self, index: usize) -> f64 {
        self.stream(index).bytes as f64 / self.seconds()
    }

    /// The share of the disk's time that a stream received, on both accounts.
    pub fn share(&self, index: usize) -> f64 {
        self.stream(index).disk_time() / self.seconds()
    }

    /// The share that it received on its reserved account.
    pub fn reserved_used_share(&self, index: usize) -> f64 {
        self.stream(index).reserved_used.as_secs_f64() / self.seconds()
    }

    /// The share of the disk's time in which the disk waited for its next request.
    pub fn waited_share(&self, index: usize) -> f64 {
        self.stream(index).waited.as_secs_f64() / self.seconds()
    }

    /// Latencies of a stream's first client, if it did anything.
    pub fn latency(&self, index: usize) -> Option<Latencies> {
        self.clients.get(index)?.first()?.latency
    }

    /// One of a stream's latencies in ms; not a number if it did nothing.
    pub fn latency_ms(&self, index: usize, which: fn(Latencies) -> Nanos) -> f64 {
        let latency = self.latency(index);
        latency.map_or(f64::NAN, |all| which(all).as_millis_f64())
    }

    /// The counters of all streams at the end, warm-up included.
    pub fn final_counters(&self) -> impl Iterator<Item = &StreamCounters> {
        let last = self.samples.last().into_iter();
        last.flat_map(|last| last.streams.iter().map(|stream| &stream.counters))
    }

    /// The disk's counters at the end, warm-up included.
    pub fn final_disk(&self) -> DiskCounters {
        self.samples
            .last()
            .map(|last| last.disk)
            .unwrap_or_default()
    }

    /// The largest unspent budget at a period's end of any stream, as a part of the account's
    /// bound, warm-up included; not a number if no period ended.
    pub fn unspent_part(&self) -> f64 {
        let unspent = self.final_counters();
        let most = unspent.filter_map(|counters| counters.unspent_max).max();
        most.map_or(f64::NAN, |most| most as f64 / self.unspent_bound.0 as f64)
    }

    /// Deadlines of all streams that were missed, warm-up included.
    pub fn deadlines_missed(&self) -> u64 {
        let counters = self.final_counters();
        counters.map(|counters| counters.deadlines_missed).sum()
    }

    /// Changes of the stream that is served, per second.
    pub fn switches_per_second(&self) -> f64 {
        match (self.samples.first(), self.samples.last()) {
            (Some(first), Some(last)) => {
                (last.disk.switches - first.disk.switches) as f64 / self.seconds()
            }
            _ => 0.0,
        }
    }

    /// The measured time in windows of `width`, which is a multiple of the sampling interval: what
    /// each stream did in each window. A remainder at the end is left out.
    pub fn windows(&self, width: Nanos) -> Vec<Vec<StreamSpan>> {
        let mut windows = Vec::new();
        let Some(mut first) = self.samples.first() else {
            return windows;
        };
        for sample in &self.samples {
            if sample.at >= first.at + width {
                let streams = 0..sample.streams.len();
                windows.push(
                    streams
                        .map(|index| StreamSpan::between(first, sample, index))
                        .collect(),
                );
                first = sample;
            }
        }
        windows
    }
}

/// What a stream did between two moments.
#[derive(Debug, Clone, Copy, Default)]
pub struct StreamSpan {
    /// Disk time on its reserved account.
    pub reserved_used: Nanos,
    /// Disk time from spare time.
    pub spare: Nanos,
    /// The part of both in which the disk waited for its next request.
    pub waited: Nanos,
    /// Requests answered.
    pub requests: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Deadlines at which it had had what was promised.
    pub met: u64,
    /// Deadlines at which it had not.
    pub missed: u64,
}

impl StreamSpan {
    fn between(first: &Sample, last: &Sample, index: usize) -> StreamSpan {
        let (from, to) = (&first.streams[index], &last.streams[index]);
        let (before, after) = (&from.counters, &to.counters);
        StreamSpan {
            reserved_used: after.reserved.saturating_sub(before.reserved),
            spare: after.spare.saturating_sub(before.spare),
            waited: after.waited.saturating_sub(before.waited),
            requests: to.requests - from.requests,
            bytes: to.bytes - from.bytes,
            met: after.deadlines_met - before.deadlines_met,
            missed: after.deadlines_missed - before.deadlines_missed,
        }
    }

    /// Own and spare time in seconds.
    pub fn disk_time(&self) -> f64 {
        (self.reserved_used + self.spare).as_secs_f64()
    }
}

/// Runs in virtual time.
///
/// # Errors
/// If the setup is not possible, as a sentence.
pub fn simulate(setup: &Setup) -> LabResult<Run> {
    let model = setup.drive.model()?;
    let properties = properties(setup, &model);
    let disk: AnyDisk = Box::new(VirtualDisk::new(model, properties, Store::None));
    let (service, targets) = assemble(setup, disk)?;
    let workload = workload(setup);
    let mut samples = Vec::new();
    let mut services = [service];
    let report = run_virtual(
        &mut services,
        &targets,
        &workload,
        Some(setup.sample_every),
        &mut |moment, _, service| {
            take_sample(setup, moment, service, &mut samples);
            make_changes(setup, moment, service);
        },
    )?;
    Ok(finish(setup, &services[0], samples, &report))
}

/// What the modelled disk says of itself, as far as the setup does not say otherwise.
pub(crate) fn properties(setup: &Setup, model: &HddModel) -> DiskProperties {
    let mut properties =
        DiskProperties::of_drive(model.properties(), setup.drive.preset.to_owned());
    properties.worst_case = setup.worst_case.unwrap_or(properties.worst_case);
    properties.quantum_bytes = setup.quantum_bytes.unwrap_or(properties.quantum_bytes);
    mislead(&mut properties, setup.estimates_percent);
    properties
}

/// Puts every estimate off by the same factor; bounds stay true.
fn mislead(properties: &mut DiskProperties, percent: u32) {
    let scale = |time: &mut Nanos| time.0 = time.0 * u64::from(percent) / 100;
    for point in &mut properties.seek_curve {
        scale(&mut point.seek);
    }
    scale(&mut properties.switch_cost);
    properties.cost = properties.cost.in_percent(percent);
}

/// The disk with its loop and vdisks, and where these are.
///
/// # Errors
/// If the disk is too small.
pub(crate) fn assemble(
    setup: &Setup,
    disk: AnyDisk,
) -> LabResult<(RawVdisks<AnyDisk>, BTreeMap<String, VirtualTarget>)> {
    let clients = setup.streams.iter().flat_map(|stream| &stream.clients);
    let most: u64 = clients.map(|client| u64::from(client.depth)).sum();
    let size_bytes = disk.properties().size_bytes;
    let slot_bytes = size_bytes / (setup.streams.len().max(1) as u64);
    let slot_bytes = slot_bytes - slot_bytes % (1 << 20);
    if slot_bytes == 0 {
        return Err(LabError::new(format!(
            "a disk of {size_bytes} bytes is too small for {} streams; use one of at least {} MiB",
            setup.streams.len(),
            setup.streams.len()
        )));
    }
    let settings = LoopSettings {
        policy: setup.scheduling.policy(),
        switching: setup.scheduling.switching(),
        order: Order::Sweep,
        max_queued: usize::try_from(most).unwrap_or(usize::MAX).max(1),
    };
    let mut service = RawVdisks::new(DiskLoop::new(disk, settings));
    let mut targets = BTreeMap::new();
    for (index, stream) in setup.streams.iter().enumerate() {
        let vdisk = service.add(index as u64 * slot_bytes, slot_bytes, stream.config);
        let target = VirtualTarget {
            service: 0,
            vdisk,
            size_bytes: slot_bytes,
            has_data: false,
        };
        targets.insert(stream.name.clone(), target);
    }
    Ok((service, targets))
}

/// The clients of all streams; those that go on for ever end with the run.
pub(crate) fn workload(setup: &Setup) -> Workload {
    let mut workload = Workload::new(setup.end(), setup.seed);
    let all = setup.streams.iter().flat_map(|stream| &stream.clients);
    workload.clients = all
        .map(|client| Client {
            stop: client.stop.min(setup.end()),
            ..client.clone()
        })
        .collect();
    workload
}

/// Reads the counters, if the warm-up is over.
pub(crate) fn take_sample(
    setup: &Setup,
    moment: Moment,
    service: &RawVdisks<AnyDisk>,
    samples: &mut Vec<Sample>,
) {
    let (Moment::Sample(at) | Moment::End(at)) = moment;
    if at < setup.warm_up || samples.last().is_some_and(|last: &Sample| last.at >= at) {
        return;
    }
    let scheduler = service.disk_loop().scheduler();
    let streams = scheduler.streams().take(setup.streams.len());
    let streams = streams.zip(0..).map(|(stream, index)| {
        let (requests, bytes) = service.answered(VdiskId(index));
        StreamSample {
            counters: scheduler.stream_counters(stream),
            requests,
            bytes,
            unspent: scheduler.unspent(stream),
        }
    });
    samples.push(Sample {
        at,
        disk: scheduler.disk_counters(at),
        streams: streams.collect(),
    });
}

/// Makes the changes that are due.
fn make_changes(setup: &Setup, moment: Moment, service: &mut RawVdisks<AnyDisk>) {
    let Moment::Sample(now) = moment else { return };
    for change in setup.changes.iter().filter(|change| change.at == now) {
        service.reconfigure(now, VdiskId(change.stream as u64), change.config);
    }
}

/// Puts a run's results together.
pub(crate) fn finish(
    setup: &Setup,
    service: &RawVdisks<AnyDisk>,
    samples: Vec<Sample>,
    report: &LoadReport,
) -> Run {
    let mut reports = report.clients.iter().cloned();
    let clients = setup
        .streams
        .iter()
        .map(|stream| reports.by_ref().take(stream.clients.len()).collect());
    let pacing = service.disk_loop().report(setup.end()).pacing;
    let pacing = pacing.unwrap_or_default();
    Run {
        samples,
        clients: clients.collect(),
        facts: DiskFacts::said_by(service.disk_loop().properties()),
        unspent_bound: service.disk_loop().scheduler().unspent_bound(),
        overruns: (pacing.overruns, pacing.served),
    }
}
