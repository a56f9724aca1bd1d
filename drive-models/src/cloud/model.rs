//! The model of a cloud volume.
//!
//! Invariant: a request's end is known when it is submitted, and later ones do not change it.

use super::bucket::{Bucket, Credit};
use crate::cost::moving;
use crate::slowdown::Slowdown;
use crate::{ModelCompletion, ModelRequest, Operation, OverlapModel};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Figures of a cloud volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudParameters {
    /// Time of one operation at the sustained rate.
    pub operation: Nanos,
    /// The most bytes that count as one operation.
    pub operation_bytes: u64,
    /// Time of a MiB at the sustained rate.
    pub per_mib: Nanos,
    /// Credit of both rates, if there is any.
    pub credit: Option<Credit>,
    /// The shortest latency after a request was admitted.
    pub latency_min: Nanos,
    /// The mean of what is added to it, before the bound: short ones are frequent.
    pub latency_varies: Nanos,
    /// The longest latency.
    pub latency_max: Nanos,
    /// Requests that the volume takes at once.
    pub queue_depth: u32,
}

/// A cloud volume.
#[derive(Debug)]
pub struct CloudModel {
    parameters: CloudParameters,
    slowdown: Slowdown,
    now: Nanos,
    operations: Bucket,
    bytes: Bucket,
    /// Ends and tags of the requests in flight; those of one time in order of submission.
    ends: BinaryHeap<Reverse<(Nanos, u64, u64)>>,
    submitted: u64,
    random: SplitMix64,
}

impl CloudModel {
    /// A volume with these figures, whose latencies repeat for the same seed.
    pub fn new(parameters: CloudParameters, seed: u64) -> CloudModel {
        CloudModel {
            operations: Bucket::new(parameters.credit),
            bytes: Bucket::new(parameters.credit),
            parameters,
            slowdown: Slowdown::NONE,
            now: Nanos::ZERO,
            ends: BinaryHeap::new(),
            submitted: 0,
            random: SplitMix64::new(seed),
        }
    }

    /// The same volume, slower for a time.
    pub fn with_slowdown(mut self, slowdown: Slowdown) -> CloudModel {
        self.slowdown = slowdown;
        self
    }

    /// Bytes that count for the rates: those that are moved, and zeroes that are written.
    fn counted_bytes(request: &ModelRequest) -> u64 {
        match request.operation {
            Operation::Read | Operation::Write | Operation::WriteZeroes => request.len_bytes,
            Operation::Flush | Operation::Discard => 0,
        }
    }

    fn admit(&mut self, now: Nanos, request: &ModelRequest) -> Nanos {
        let bytes = CloudModel::counted_bytes(request);
        let operations = bytes.div_ceil(self.parameters.operation_bytes).max(1);
        let time = Nanos(self.parameters.operation.0.saturating_mul(operations));
        let time = self.slowdown.scaled(now, time);
        let through = self.operations.admit(now, time);
        let time = moving(self.parameters.per_mib, bytes);
        let time = self.slowdown.scaled(now, time);
        through.max(self.bytes.admit(now, time))
    }

    /// An exponential variate in whole numbers: each leading zero of a random number adds its
    /// half-life, and the bits behind it interpolate.
    fn latency(&mut self) -> Nanos {
        let random = self.random.next_u64() | 1;
        let zeros = u64::from(random.leading_zeros());
        let behind = (random << zeros << 1) >> 32;
        // In units of 2^-32 of a half-life; its mean is one and a half.
        let half_lives = ((zeros + 1) << 32) - behind;
        let varies = u128::from(self.parameters.latency_varies.0);
        let added = (varies * u128::from(half_lives) * 2 / 3) >> 32;
        let added = Nanos(u64::try_from(added).unwrap_or(u64::MAX));
        let latency = self.parameters.latency_min.saturating_add(added);
        latency.min(self.parameters.latency_max)
    }
}

impl OverlapModel for CloudModel {
    fn submit(&mut self, now: Nanos, request: ModelRequest) {
        self.now = self.now.max(now);
        let now = self.now;
        let admitted = self.admit(now, &request);
        let latency = self.latency();
        let end = admitted + self.slowdown.scaled(now, latency);
        self.submitted += 1;
        self.ends.push(Reverse((end, self.submitted, request.tag)));
    }

    fn next_completion(&self) -> Option<Nanos> {
        self.ends.peek().map(|Reverse((at, ..))| *at)
    }

    fn pop_completion(&mut self, until: Nanos) -> Option<ModelCompletion> {
        self.next_completion().filter(|at| *at <= until)?;
        let Reverse((at, _, tag)) = self.ends.pop()?;
        Some(ModelCompletion { tag, at })
    }
}
