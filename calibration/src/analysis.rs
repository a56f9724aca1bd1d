//! From measurements to a profile.
//!
//! - `aftermath`: σ, and reads within it. `seeks`: the seek curve. `remarks`: what differed while
//!   it was measured.
//!
//! A figure is the middle one of its rounds. Throughput is that of the second half of each probe,
//! when what had gathered of cache and credit is used up.
//!
//! Invariant: the same measurements give the same profile. What is not known here: the device.

mod aftermath;
mod remarks;
mod seeks;

use crate::measurements::{Measurements, Subject, median};
use crate::plan::{Part, SMALL_BYTES};
use crate::probe::{Places, Sample};
use crate::profile::{
    Class, DepthPoint, Device, Implausible, LoneLatency, LonePair, Profile, fast_read_percent,
};
use disktime_drive_models::{ClassCost, CostModel, Operation, OverlapCost, Quote};
use disktime_units::Nanos;

/// Of a device whose writes were not measured: how many times a read a write is taken for.
const GUESSED_WRITE: u64 = 4;
/// A flush and σ of such a device.
const GUESSED_FLUSH: Nanos = Nanos::from_millis(5);
const GUESSED_SETTLE: Nanos = Nanos::from_millis(3);
/// A lone request that takes so many times the 99th percentile is left out of W, and said.
const OUTLIER: u64 = 4;
/// W is longer than the longest lone request by one part in so many: not all were seen.
const WORST_MARGIN: u64 = 4;
/// A lone request can meet a write in progress and one that waits behind it, each for σ.
const WRITES_MET: u64 = 2;

impl Measurements {
    /// What was measured, of that device.
    ///
    /// # Errors
    /// A number that no device has; the measurement was disturbed or the device answers without
    /// doing anything.
    pub fn profile(&self, device: Device) -> Result<Profile, Implausible> {
        let writes = self.plan.options.writes;
        let quantum_bytes = self.plan.quantum_bytes;
        let lone = Class::ALL.map(|class| self.lone_pair(class));
        let mut cost = self.prices(&lone);
        let depths = self.depths();
        let knee_depth = knee(&depths);
        let worst_case = self.worst_case(&cost);
        let seeks = self.seeks();
        if seeks.is_some() {
            cost = alone_only(cost);
        }
        let mut profile = Profile {
            device,
            seconds: self.plan.options.seconds,
            measured_writes: writes,
            quantum_bytes: u32::try_from(quantum_bytes).unwrap_or(u32::MAX),
            worst_case,
            knee_depth,
            max_in_flight: 1,
            cost,
            lone,
            depths,
            seeks,
            remarks: Vec::new(),
        };
        profile.max_in_flight = self.max_in_flight(&profile);
        profile.remarks = self.remarks(&profile);
        profile.check()?;
        Ok(profile)
    }

    fn prices(&self, lone: &[Option<LonePair>; 6]) -> OverlapCost {
        let random_read = self.class_cost(Class::RandomRead, lone);
        let sequential_read = self.class_cost(Class::SequentialRead, lone);
        let small = random_read.quote(SMALL_BYTES).lone;
        let large = random_read.quote(self.plan.quantum_bytes).lone;
        let fast_read_percent = fast_read_percent(lone);
        let occupancy_bound = Nanos((2 * small.0).max(large.0 + large.0 / 10));
        if !self.plan.options.writes {
            let write = dearer(random_read);
            let flush = ClassCost {
                occupancy_base: GUESSED_FLUSH,
                lone_base: GUESSED_FLUSH,
                occupancy_per_mib: Nanos::ZERO,
                lone_per_mib: Nanos::ZERO,
            };
            return OverlapCost {
                random_read,
                sequential_read,
                random_write: write,
                sequential_write: write,
                discard: flush,
                flush,
                occupancy_bound,
                settle: GUESSED_SETTLE,
                fast_read_percent,
            };
        }
        let random_write = self.class_cost(Class::RandomWrite, lone);
        let discard = match lone[4] {
            Some(_) => self.class_cost(Class::Discard, lone),
            None => random_write,
        };
        OverlapCost {
            random_read,
            sequential_read,
            random_write,
            sequential_write: self.class_cost(Class::SequentialWrite, lone),
            discard,
            flush: self.flush_cost(&random_write, lone),
            occupancy_bound,
            settle: self.settle(random_write.quote(self.plan.quantum_bytes).occupancy),
            fast_read_percent,
        }
    }

    fn subject(class: Class, part: Part, len_bytes: u64) -> Subject {
        let (operation, places) = match class {
            Class::RandomRead => (Operation::Read, Places::Random),
            Class::SequentialRead => (Operation::Read, Places::Sequential),
            Class::RandomWrite => (Operation::Write, Places::Random),
            Class::SequentialWrite => (Operation::Write, Places::Sequential),
            Class::Discard => (Operation::Discard, Places::Sequential),
            Class::Flush => {
                return Subject {
                    flushes: true,
                    ..Subject::new(part, Operation::Write, Places::Random, SMALL_BYTES)
                };
            }
        };
        Subject::new(part, operation, places, len_bytes)
    }

    /// `None` if the class was not measured.
    fn lone_pair(&self, class: Class) -> Option<LonePair> {
        let latency = |len_bytes| {
            let rounds = self.rounds(Self::subject(class, Part::Alone, len_bytes));
            let middle = |figure: &dyn Fn(&Sample) -> Nanos| {
                Nanos(median(
                    rounds.iter().map(|sample| figure(sample).0).collect(),
                ))
            };
            (!rounds.is_empty()).then(|| LoneLatency {
                p10: middle(&|sample| sample.quantile(100)),
                mean: middle(&Sample::mean),
                p99: middle(&|sample| sample.quantile(990)),
            })
        };
        let small = latency(SMALL_BYTES)?;
        Some(LonePair {
            small,
            quantum: latency(self.plan.quantum_bytes)?,
        })
    }

    fn occupancy(&self, subject: Subject) -> Nanos {
        let rounds = self.rounds(subject);
        let times = rounds.iter().map(|sample| sample.late_time_per_request().0);
        Nanos(median(times.collect()))
    }

    fn class_cost(&self, class: Class, lone: &[Option<LonePair>; 6]) -> ClassCost {
        let alone = lone[class as usize];
        let quote = |len_bytes, alone: Option<LoneLatency>| {
            let occupancy = self.occupancy(Self::subject(class, Part::Loaded, len_bytes));
            let lone = alone.map_or(Nanos::ZERO, |alone| alone.mean);
            Quote {
                occupancy,
                lone: lone.max(occupancy),
            }
        };
        let quantum = self.plan.quantum_bytes;
        ClassCost::through(
            (
                SMALL_BYTES,
                quote(SMALL_BYTES, alone.map(|pair| pair.small)),
            ),
            (quantum, quote(quantum, alone.map(|pair| pair.quantum))),
        )
    }

    /// What a flush behind a write takes beyond the write, and at least what an empty one takes.
    fn flush_cost(&self, write: &ClassCost, lone: &[Option<LonePair>; 6]) -> ClassCost {
        let pair = self.occupancy(Self::subject(Class::Flush, Part::Loaded, SMALL_BYTES));
        let empty = Subject::new(Part::Loaded, Operation::Flush, Places::Random, 0);
        let beyond = pair.saturating_sub(write.quote(SMALL_BYTES).occupancy);
        let lone_base = lone[Class::Flush as usize].map_or(GUESSED_FLUSH, |pair| pair.small.mean);
        ClassCost {
            occupancy_base: beyond.max(self.occupancy(empty)),
            occupancy_per_mib: Nanos::ZERO,
            lone_base,
            lone_per_mib: Nanos::ZERO,
        }
    }

    fn depths(&self) -> Vec<DepthPoint> {
        let mut points: Vec<DepthPoint> = Vec::new();
        for (part, probe, _) in self.samples() {
            let known = |point: &DepthPoint| {
                point.depth == probe.depth && point.len_bytes == probe.len_bytes
            };
            if part != Part::Depths || points.iter().any(known) {
                continue;
            }
            let rounds = self.rounds(Subject::of(part, probe));
            let middle = |figure: &dyn Fn(&Sample) -> u64| {
                median(rounds.iter().map(|sample| figure(sample)).collect())
            };
            points.push(DepthPoint {
                len_bytes: probe.len_bytes,
                depth: probe.depth,
                per_second: middle(&Sample::late_per_second),
                mean: Nanos(middle(&|sample| sample.mean().0)),
                p99: Nanos(middle(&|sample| sample.quantile(990).0)),
            });
        }
        points.sort_by_key(|point| (point.len_bytes, point.depth));
        points
    }

    /// W: a request alone, behind what writes before it left. What one kind of request showed as
    /// its worst beyond its mean can meet the slowest kind as well.
    fn worst_case(&self, cost: &OverlapCost) -> Nanos {
        let quantum_bytes = self.plan.quantum_bytes;
        let write = cost.random_write.quote(quantum_bytes).occupancy;
        let behind = self.longest_behind_writes(write, cost.settle);
        let usual = cost.random_read.quote(SMALL_BYTES).lone;
        let (mut longest, mut beyond) = (behind, behind.saturating_sub(usual));
        for (_, probe, sample) in self.samples() {
            if probe.depth == 1 {
                let longest_here = longest_of(sample);
                longest = longest.max(longest_here);
                beyond = beyond.max(longest_here.saturating_sub(sample.mean()));
            }
        }
        let slowest = CostModel::Overlapping(*cost).longest_alone(quantum_bytes);
        let longest = longest.max(slowest + beyond);
        let longest = longest.0 + longest.0 / WORST_MARGIN;
        Nanos(longest.saturating_add(cost.settle.0.saturating_mul(WRITES_MET)))
    }

    /// Enough for the knee, and for a device that is kept several times H full while no stream with
    /// a reservation is active.
    fn max_in_flight(&self, profile: &Profile) -> u32 {
        if profile.seeks.is_some() {
            return 1;
        }
        let shortest = profile.cost.random_read.quote(SMALL_BYTES).occupancy;
        let full = 4 * profile.cost.occupancy_bound.0 / shortest.0.max(1);
        let full = u32::try_from(full).unwrap_or(u32::MAX);
        let most = self.plan.facts.max_depth.clamp(2, 1024);
        profile.knee_depth.max(full).clamp(2, most)
    }
}

/// The longest request of a probe, without what is far beyond all others.
fn longest_of(sample: &Sample) -> Nanos {
    let usual = Nanos(sample.quantile(990).0 * OUTLIER);
    sample.quantile(1000).min(usual)
}

/// Prices of writes that were not measured, from those of reads.
fn dearer(read: ClassCost) -> ClassCost {
    let times = |time: Nanos| Nanos(time.0.saturating_mul(GUESSED_WRITE));
    let occupancy_base = times(read.occupancy_base);
    let occupancy_per_mib = times(read.occupancy_per_mib);
    ClassCost {
        occupancy_base,
        occupancy_per_mib,
        lone_base: read.lone_base.max(occupancy_base),
        lone_per_mib: read.lone_per_mib.max(occupancy_per_mib),
    }
}

/// A device that does one request at a time: what a request takes is what it takes alone.
fn alone_only(cost: OverlapCost) -> OverlapCost {
    let class = |class: ClassCost| ClassCost {
        occupancy_base: class.lone_base,
        occupancy_per_mib: class.lone_per_mib,
        ..class
    };
    OverlapCost {
        random_read: class(cost.random_read),
        sequential_read: class(cost.sequential_read),
        random_write: class(cost.random_write),
        sequential_write: class(cost.sequential_write),
        discard: class(cost.discard),
        flush: class(cost.flush),
        ..cost
    }
}

/// The least depth of small reads with 95 % of their peak; 1 without a sweep.
fn knee(depths: &[DepthPoint]) -> u32 {
    let small = || depths.iter().filter(|point| point.len_bytes == SMALL_BYTES);
    let peak = small().map(|point| point.per_second).max().unwrap_or(0);
    let mut enough = small().filter(|point| point.per_second * 100 >= peak * 95);
    enough.next().map_or(1, |point| point.depth)
}
