//! The profile of a device: what was measured of it, and for which device that holds.
//!
//! - `bounds`: which numbers are impossible. `document`: the profile as JSON. `advice`: what it
//!   means.
//!
//! Invariant: a profile that passes [`Profile::check`] has prices and bounds that a scheduler can
//! use: no zero, no overflow, H at least a small read alone, W at least a read of the quantum
//! alone.
//!
//! What is not known here: how it was measured.

mod advice;
mod bounds;
mod document;

pub use bounds::Implausible;
pub use document::ProfileError;

use disktime_disks::DiskIdentity;
use disktime_drive_models::{ClassCost, CostModel, LinearCost, OverlapCost, SeekPoint};
use disktime_units::Nanos;

/// Length of the small requests that latencies and operations a second are given for.
const SMALL_BYTES: u64 = 4096;

/// The device that a profile is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Where it was found; for people.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its model, where it has one; the file system's device, for a file.
    pub model: Option<String>,
    /// Its serial number, where it has one.
    pub serial: Option<String>,
    /// Whether a change of place costs a seek.
    pub rotational: bool,
    /// The kernel's scheduler above it while it was measured.
    pub scheduler: Option<String>,
    /// Whether it answers writes before they are on the medium.
    pub write_cache: Option<bool>,
}

impl Device {
    /// The device as the kernel describes it, but for whether it rotates.
    pub fn of(identity: &DiskIdentity, rotational: bool) -> Device {
        Device {
            path: identity.path.display().to_string(),
            size_bytes: identity.size_bytes,
            model: identity.model.clone(),
            serial: identity.serial.clone(),
            rotational,
            scheduler: identity.scheduler.clone(),
            write_cache: identity.write_cache,
        }
    }
}

/// The classes of requests that have prices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Reads anywhere.
    RandomRead,
    /// Reads behind each other.
    SequentialRead,
    /// Writes anywhere.
    RandomWrite,
    /// Writes behind each other.
    SequentialWrite,
    /// Discards.
    Discard,
    /// Flushes.
    Flush,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 6] = [
        Class::RandomRead,
        Class::SequentialRead,
        Class::RandomWrite,
        Class::SequentialWrite,
        Class::Discard,
        Class::Flush,
    ];

    /// Its name in a profile.
    pub const fn name(self) -> &'static str {
        match self {
            Class::RandomRead => "random_read",
            Class::SequentialRead => "sequential_read",
            Class::RandomWrite => "random_write",
            Class::SequentialWrite => "sequential_write",
            Class::Discard => "discard",
            Class::Flush => "flush",
        }
    }

    pub(crate) fn of(self, cost: &OverlapCost) -> &ClassCost {
        match self {
            Class::RandomRead => &cost.random_read,
            Class::SequentialRead => &cost.sequential_read,
            Class::RandomWrite => &cost.random_write,
            Class::SequentialWrite => &cost.sequential_write,
            Class::Discard => &cost.discard,
            Class::Flush => &cost.flush,
        }
    }
}

/// The six coefficients of the linear cost model, as blk-iocost names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coefficients {
    /// Bytes read a second.
    pub rbps: u64,
    /// Sequential reads of 4 KiB a second.
    pub rseqiops: u64,
    /// Random reads of 4 KiB a second.
    pub rrandiops: u64,
    /// Bytes written a second, sustained.
    pub wbps: u64,
    /// Sequential writes of 4 KiB a second, sustained.
    pub wseqiops: u64,
    /// Random writes of 4 KiB a second, sustained.
    pub wrandiops: u64,
}

/// Latencies of one kind of request alone on the idle device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoneLatency {
    /// The latency that a tenth of the requests do not exceed.
    pub p10: Nanos,
    /// Their mean.
    pub mean: Nanos,
    /// The latency that 99 % do not exceed.
    pub p99: Nanos,
}

/// Lone latencies of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LonePair {
    /// Of requests of 4 KiB; of flushes.
    pub small: LoneLatency,
    /// Of requests of the quantum; of flushes.
    pub quantum: LoneLatency,
}

/// A tenth of small random reads alone takes at most so many per cent of their mean.
pub(crate) fn fast_read_percent(lone: &[Option<LonePair>; 6]) -> u32 {
    lone[Class::RandomRead as usize].map_or(100, |pair| {
        let LoneLatency { p10, mean, .. } = pair.small;
        let percent = u128::from(p10.0) * 100 / u128::from(mean.0.max(1));
        u32::try_from(percent).unwrap_or(100).clamp(1, 100)
    })
}

/// What random reads do at one depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DepthPoint {
    /// Length of each read.
    pub len_bytes: u64,
    /// Reads in flight.
    pub depth: u32,
    /// Reads each second.
    pub per_second: u64,
    /// Their mean latency.
    pub mean: Nanos,
    /// The latency that 99 % do not exceed.
    pub p99: Nanos,
}

/// What a device with seeks does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeks {
    /// Time of a turn.
    pub rotation: Nanos,
    /// Seek time by distance, ascending, from 0 to the whole disk.
    pub curve: Vec<SeekPoint>,
}

/// What was measured of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// The device.
    pub device: Device,
    /// How long was measured.
    pub seconds: u64,
    /// Whether writes were measured; otherwise they are priced by guess, and dearly.
    pub measured_writes: bool,
    /// Longest request that is sent in one piece.
    pub quantum_bytes: u32,
    /// Prices, H and σ.
    pub cost: OverlapCost,
    /// Lone latencies, by [`Class::ALL`]; `None` for what was not measured.
    pub lone: [Option<LonePair>; 6],
    /// W.
    pub worst_case: Nanos,
    /// The least depth of small random reads with 95 % of their peak.
    pub knee_depth: u32,
    /// Requests to keep in flight at most.
    pub max_in_flight: u32,
    /// Random reads by depth.
    pub depths: Vec<DepthPoint>,
    /// Seeks, of a device that has them.
    pub seeks: Option<Seeks>,
    /// What differed while it was measured, as sentences.
    pub remarks: Vec<String>,
}

impl Profile {
    /// The six coefficients, which its prices give.
    pub fn coefficients(&self) -> Coefficients {
        let quantum = u64::from(self.quantum_bytes);
        let rate = |class: Class, len_bytes: u64, each: u64| {
            let time = class.of(&self.cost).quote(len_bytes).occupancy.0;
            each.saturating_mul(1_000_000_000) / time.max(1)
        };
        Coefficients {
            rbps: rate(Class::SequentialRead, quantum, quantum),
            rseqiops: rate(Class::SequentialRead, SMALL_BYTES, 1),
            rrandiops: rate(Class::RandomRead, SMALL_BYTES, 1),
            wbps: rate(Class::SequentialWrite, quantum, quantum),
            wseqiops: rate(Class::SequentialWrite, SMALL_BYTES, 1),
            wrandiops: rate(Class::RandomWrite, SMALL_BYTES, 1),
        }
    }

    /// The prices as a disk hands them out.
    pub fn cost_model(&self) -> CostModel {
        if self.seeks.is_none() {
            return CostModel::Overlapping(self.cost);
        }
        CostModel::Linear(LinearCost {
            read_base: self.cost.random_read.lone_base,
            read_per_mib: self.cost.random_read.lone_per_mib,
            write_base: self.cost.random_write.lone_base,
            write_per_mib: self.cost.random_write.lone_per_mib,
            flush: self.cost.flush.lone_base,
        })
    }

    /// s: the mean seek and half a turn; 0 without seeks.
    pub fn switch_cost(&self) -> Nanos {
        self.seeks.as_ref().map_or(Nanos::ZERO, Seeks::switch_cost)
    }

    /// R: the longest seek and a turn; 0 without seeks.
    pub fn worst_seek(&self) -> Nanos {
        self.seeks.as_ref().map_or(Nanos::ZERO, |seeks| {
            let longest = seeks.curve.iter().map(|point| point.seek).max();
            longest.unwrap_or(Nanos::ZERO) + seeks.rotation
        })
    }

    /// H.
    pub fn occupancy_bound(&self) -> Nanos {
        self.cost.occupancy_bound
    }

    /// What the device may still have to do when a stream is to have it alone: H, the longest read
    /// or write alone, and σ.
    pub fn drain(&self) -> Nanos {
        let quantum = u64::from(self.quantum_bytes);
        let moving = [
            Class::RandomRead,
            Class::SequentialRead,
            Class::RandomWrite,
            Class::SequentialWrite,
        ];
        let alone = moving.map(|class| class.of(&self.cost).quote(quantum).lone);
        let longest = alone.into_iter().max().unwrap_or(Nanos::ZERO);
        self.cost.occupancy_bound + longest + self.cost.settle
    }
}

impl Seeks {
    /// The mean seek between two random places and half a turn. Distances between random places
    /// are short more often than long: of density 2 (1 − x).
    fn switch_cost(&self) -> Nanos {
        let whole = self
            .curve
            .last()
            .map_or(0, |point| point.distance_bytes)
            .max(1);
        let (mut sum, mut weights) = (0_u128, 0_u128);
        for pair in self.curve.windows(2) {
            let middle = (pair[0].distance_bytes + pair[1].distance_bytes) / 2;
            let width = pair[1].distance_bytes - pair[0].distance_bytes;
            let weight = u128::from(whole - middle) * u128::from(width);
            sum += weight * u128::from((pair[0].seek.0 + pair[1].seek.0) / 2);
            weights += weight;
        }
        let mean = u64::try_from(sum / weights.max(1)).unwrap_or(u64::MAX);
        Nanos(mean).saturating_add(Nanos(self.rotation.0 / 2))
    }
}

#[cfg(test)]
mod tests;
