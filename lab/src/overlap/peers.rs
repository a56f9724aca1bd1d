//! The schedulers that ours is compared with on drives that overlap requests, each set as one who
//! knows it well would set it, and told what it needs to know: prices, or rates.
//!
//! Invariant: all of them are told of as many places in the drive's queue.
//!
//! What is not known here: what comes of it.

use super::client::OverlapClient;
use super::drives::{LabDrive, QUANTUM_BYTES};
use disktime_drive_models::Operation;
use disktime_scheduler::{
    IocostClass, IocostConfig, IocostModel, IocostQos, MclockConfig, PolicyKind, SchedulerConfig,
};
use disktime_units::{Nanos, Share};

/// Requests in the drive at most, under every scheduler, where nothing else is said: enough for
/// most of the throughput, and no more than one who wants low latencies would allow.
pub const DEPTH: usize = 64;

/// A small request.
const SMALL_BYTES: u64 = 4096;
/// `iocost`: 95 % of the requests are to be answered within,
const PERCENTILE_PPM: u32 = 950_000;
/// in lone latencies of a small read (a small write), beside their cost.
const LATENCIES: u64 = 6;
/// `iocost`: vrate is so much of what the prices say, and
const VRATE_MIN_PERCENT: u32 = 10;
/// so much.
const VRATE_MAX_PERCENT: u32 = 150;

/// Who schedules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// In order of arrival.
    Fifo,
    /// Tags in I/Os. It is told what each reserved client does alone, and that u of it is reserved.
    Mclock,
    /// Weights over the drive's prices, at a rate that follows latency.
    Iocost,
    /// Ours.
    Fahrrad,
}

impl Peer {
    /// All, ours last.
    pub const ALL: [Peer; 4] = [Peer::Fifo, Peer::Mclock, Peer::Iocost, Peer::Fahrrad];

    /// As in figures and tables.
    pub fn name(self) -> &'static str {
        match self {
            Peer::Fifo => "fifo",
            Peer::Mclock => "mclock",
            Peer::Iocost => "iocost-like",
            Peer::Fahrrad => "fahrrad",
        }
    }

    /// What the scheduler and its streams are told, with so many places in the drive's queue, for
    /// clients that are believed to do so many requests a second alone.
    pub fn set_up(
        self,
        drive: &LabDrive,
        depth: usize,
        clients: &[OverlapClient],
        alone: &[f64],
    ) -> (SchedulerConfig, Vec<OverlapClient>) {
        let mut clients = clients.to_vec();
        let policy = match self {
            Peer::Fifo => PolicyKind::Fifo,
            Peer::Mclock => promise_rates(&mut clients, alone),
            Peer::Iocost => PolicyKind::Iocost(drive.iocost()),
            Peer::Fahrrad => PolicyKind::Fahrrad,
        };
        let mut config = drive.config(policy);
        config.max_in_flight = config.max_in_flight.min(depth);
        (config, clients)
    }
}

/// Gives reserved clients the part of the fastest one's rate that is u of their own. Their shares
/// mean nothing else under `mclock`.
fn promise_rates(clients: &mut [OverlapClient], alone: &[f64]) -> PolicyKind {
    let reserved = clients.iter().zip(alone);
    let reserved = reserved.filter(|(client, _)| client.config.reservation.is_some());
    let fastest = reserved.fold(1.0f64, |most, (_, rate)| most.max(*rate));
    for (client, rate) in clients.iter_mut().zip(alone) {
        if let Some(reservation) = &mut client.config.reservation {
            let ppm = f64::from(reservation.share.0) * rate / fastest;
            reservation.share = Share((ppm.ceil() as u32).max(1));
        }
    }
    PolicyKind::Mclock(MclockConfig {
        nominal_iops: Some(fastest.ceil() as u32),
    })
}

impl LabDrive {
    /// The linear model of the drive's prices, and latencies in terms of those alone.
    pub fn iocost(&self) -> IocostConfig {
        let lone = |operation| self.cost().quote(operation, SMALL_BYTES, false, false).lone;
        let latency = |operation| Nanos(lone(operation).0 * LATENCIES);
        IocostConfig {
            model: IocostModel {
                read: self.iocost_class(Operation::Read),
                write: self.iocost_class(Operation::Write),
            },
            qos: IocostQos {
                percentile_ppm: PERCENTILE_PPM,
                read_latency: latency(Operation::Read),
                write_latency: latency(Operation::Write),
                vrate_min_percent: VRATE_MIN_PERCENT,
                vrate_max_percent: VRATE_MAX_PERCENT,
            },
        }
    }

    fn iocost_class(&self, operation: Operation) -> IocostClass {
        let price = |bytes, sequential| {
            let quote = self.cost().quote(operation, bytes, false, sequential);
            quote.occupancy
        };
        let large = u64::from(QUANTUM_BYTES);
        let rise = price(large, true).saturating_sub(price(SMALL_BYTES, true));
        let per_mib = Nanos((rise.0 << 20) / (large - SMALL_BYTES));
        let page = Nanos((per_mib.0 * SMALL_BYTES) >> 20);
        IocostClass {
            random: price(SMALL_BYTES, false).saturating_sub(page),
            sequential: price(SMALL_BYTES, true).saturating_sub(page),
            per_mib,
        }
    }
}
