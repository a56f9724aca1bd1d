//! A disk in memory and in virtual time that fails on purpose, to test the layers above.
//!
//! It has a volatile cache as real disks have: a write is pending until a flush that was submitted
//! after its completion has completed, or durable at once if it says so (FUA). At a crash
//! ([`FaultHandle::crash`]) every pending sector is left with any version written since, requests
//! in flight are lost, done, or torn at sectors. Faults are scripted ([`FaultHandle::inject`]) or
//! random by seed ([`RandomFaults`]): errors, late completions, requests that never end. A failed
//! flush is final, as on the real engines.
//!
//! Tests go through all crash points by [`FaultHandle::freeze_at`]: the operation of that number
//! (writes, zeroings, discards and flushes count) and everything after it never completes.
//!
//! Invariants: the same options, calls and seed give the same result, byte for byte. Not
//! modelled: read caches, and latency beyond [`ServiceTime`].

mod content;
mod handle;
mod state;

pub use handle::FaultHandle;

use crate::{
    Capabilities, Completion, CostModel, DiscardEffect, Disk, DiskErrorKind, DiskProperties,
    DiskRequest, LinearCost, Operation,
};
use disktime_drive_models::ServiceModel;
use disktime_units::Nanos;
use state::FaultState;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How long requests take.
pub enum ServiceTime {
    /// Each takes this long from its submission, whatever else is in flight.
    Constant(Nanos),
    /// One after the other, as long as the model says.
    Model(Box<dyn ServiceModel + Send>),
}

/// Faults by chance, in requests per million.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomFaults {
    /// Fail with EIO. A failed write leaves any part of its range written.
    pub errors_per_million: u32,
    /// Take `delay` longer.
    pub delays_per_million: u32,
    /// How much longer.
    pub delay: Nanos,
    /// Never end, unless released.
    pub stuck_per_million: u32,
}

/// What a fault does to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// It fails. A failed write leaves any part of its range written.
    Error(DiskErrorKind),
    /// It takes longer.
    Delay(Nanos),
    /// It does not end, unless released ([`FaultHandle::release_stuck`]).
    Stuck,
}

/// A scripted fault: hits requests that match, in order of submission.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Requests of this kind; all kinds if `None`.
    pub operation: Option<Operation>,
    /// Requests that touch this range of bytes. Flushes, which have no range, match every one.
    pub range_bytes: Range<u64>,
    /// This many matching requests are not hit first.
    pub skip: u64,
    /// Then this many are hit; all if `None`.
    pub times: Option<u64>,
    /// What it does.
    pub kind: FaultKind,
}

impl Fault {
    /// Every request of a kind, anywhere.
    pub fn every(operation: Operation, kind: FaultKind) -> Fault {
        Fault {
            operation: Some(operation),
            range_bytes: 0..u64::MAX,
            skip: 0,
            times: None,
            kind,
        }
    }
}

/// How a [`FaultDisk`] is made.
pub struct FaultOptions {
    /// Size of the address space.
    pub size_bytes: u64,
    /// 512 or 4096.
    pub block_bytes: u32,
    /// Bound on requests in flight.
    pub max_in_flight: usize,
    /// Whether writes may be lost until a flush.
    pub volatile_cache: bool,
    /// How long requests take.
    pub service: ServiceTime,
    /// Faults by chance.
    pub random: RandomFaults,
    /// Seed of all random choices.
    pub seed: u64,
}

impl FaultOptions {
    /// A disk without faults whose requests take no time, 512-byte blocks, 32 in flight.
    pub fn instant(size_bytes: u64) -> FaultOptions {
        FaultOptions {
            size_bytes,
            block_bytes: 512,
            max_in_flight: 32,
            volatile_cache: true,
            service: ServiceTime::Constant(Nanos::ZERO),
            random: RandomFaults::default(),
            seed: 0,
        }
    }
}

/// The disk. The test keeps its [`FaultHandle`] when it hands the disk to the code under test.
pub struct FaultDisk {
    properties: DiskProperties,
    state: Arc<Mutex<FaultState>>,
}

impl FaultDisk {
    /// An empty disk.
    pub fn new(options: FaultOptions) -> FaultDisk {
        let worst_case = match &options.service {
            ServiceTime::Constant(time) => (*time).max(Nanos::from_micros(1)),
            ServiceTime::Model(_) => Nanos::from_millis(25),
        };
        let cost = LinearCost {
            read_base: worst_case,
            read_per_mib: Nanos::ZERO,
            write_base: worst_case,
            write_per_mib: Nanos::ZERO,
            flush: worst_case,
        };
        let block = u64::from(options.block_bytes);
        let properties = DiskProperties {
            description: "fault-injecting disk in memory".to_owned(),
            size_bytes: options.size_bytes - options.size_bytes % block,
            block_bytes: options.block_bytes,
            has_seeks: false,
            worst_case,
            switch_cost: Nanos::ZERO,
            worst_seek: Nanos::ZERO,
            seek_curve: Vec::new(),
            positioning: None,
            cost: CostModel::Linear(cost),
            max_in_flight: options.max_in_flight.max(1),
            quantum_bytes: 1 << 20,
            capabilities: Capabilities {
                discard: DiscardEffect::Undefined,
                caches_reads: false,
                holds_data: true,
                volatile_cache: options.volatile_cache,
            },
            notices: Vec::new(),
        };
        let state = FaultState::new(options.service, options.random, options.seed, &properties);
        FaultDisk {
            properties,
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Control over the disk.
    pub fn handle(&self) -> FaultHandle {
        FaultHandle::new(self.properties.clone(), Arc::clone(&self.state))
    }

    fn lock(&self) -> MutexGuard<'_, FaultState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for FaultDisk {
    fn properties(&self) -> &DiskProperties {
        &self.properties
    }

    fn submit(&mut self, now: Nanos, request: DiskRequest) {
        self.lock().submit(now, request);
    }

    fn collect(&mut self, now: Nanos, completions: &mut Vec<Completion>) {
        self.lock().collect(now, completions);
    }

    fn next_completion(&self) -> Option<Nanos> {
        self.lock().next_completion()
    }
}
