//! Which probes are run, in which order and for how long.
//!
//! - `overlapping`: devices that do several requests at once.
//! - `rotational`: devices with seeks, one request at a time.
//!
//! A plan is a list of steps whose weights divide the time that the user gives. Rounds repeat and
//! interleave the probes of one part, so that a device that changes meanwhile shows as spread.
//!
//! Invariants: pure; the steps' times add up to the time given; a plan without consent to writing
//! has reads only; no step has more requests in flight than the device takes.
//!
//! What is not known here: what the probes measure.

mod overlapping;
mod rotational;

use crate::probe::{BurstProbe, DeviceFacts, Places, Probe};
use disktime_drive_models::Operation;
use disktime_units::Nanos;

/// Length of a small request.
pub(crate) const SMALL_BYTES: u64 = 4096;
/// Requests in flight with which throughput is measured.
pub(crate) const DEEP: u32 = 128;
/// How often the probes of a part are repeated.
pub(crate) const ROUNDS: u32 = 3;

/// What a user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanOptions {
    /// How long to measure.
    pub seconds: u64,
    /// Whether it may write; what the device holds is lost.
    pub writes: bool,
}

/// What a step is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// One request at a time on an idle device.
    Alone,
    /// Uses up caches and credit, so that what follows is sustained.
    Warm,
    /// Many requests in flight.
    Loaded,
    /// Each depth after the other.
    Depths,
    /// Reads behind writes.
    Aftermath,
    /// Seeks over one distance.
    Seeks,
    /// One request at a time once more, at the end.
    Again,
}

impl Part {
    /// What is being done, for people.
    pub fn about(self) -> &'static str {
        match self {
            Part::Alone => "one request at a time",
            Part::Warm => "full load, until caches and credit are used up",
            Part::Loaded => "many requests in flight",
            Part::Depths => "throughput by depth",
            Part::Aftermath => "reads after writes",
            Part::Seeks => "seeks by distance",
            Part::Again => "one request at a time, again",
        }
    }
}

/// What is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Job {
    /// A probe.
    Probe(Probe),
    /// Bursts of writes.
    Bursts(BurstProbe),
}

/// One step of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub(crate) part: Part,
    pub(crate) job: Job,
    pub(crate) time: Nanos,
}

impl Step {
    /// What it is for.
    pub fn part(&self) -> Part {
        self.part
    }

    /// How long it takes.
    pub fn time(&self) -> Nanos {
        self.time
    }
}

/// All steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub(crate) facts: DeviceFacts,
    pub(crate) options: PlanOptions,
    pub(crate) quantum_bytes: u64,
    steps: Vec<Step>,
}

impl Plan {
    /// The plan for a device.
    pub fn new(facts: DeviceFacts, options: PlanOptions) -> Plan {
        let (quantum_bytes, weighted) = if facts.rotational {
            rotational::steps(&facts, options)
        } else {
            overlapping::steps(&facts, options)
        };
        let total: u64 = weighted.iter().map(|(weight, ..)| weight).sum();
        let all = Nanos::from_secs(options.seconds);
        let steps = weighted.into_iter().map(|(weight, part, job)| {
            let time = u128::from(all.0) * u128::from(weight) / u128::from(total.max(1));
            timed(part, job, Nanos(u64::try_from(time).unwrap_or(u64::MAX)))
        });
        Plan {
            facts,
            options,
            quantum_bytes,
            steps: steps.collect(),
        }
    }

    /// The smallest device that can be measured: random places have to miss caches.
    pub const MIN_SIZE_BYTES: u64 = 64 << 20;

    /// The shortest time in which the probes measure anything.
    pub const MIN_SECONDS: u64 = 4;

    /// The steps in their order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

fn timed(part: Part, job: Job, time: Nanos) -> Step {
    let job = match job {
        Job::Probe(probe) => Job::Probe(Probe {
            duration: time,
            ..probe
        }),
        Job::Bursts(bursts) => {
            let one = bursts.burst + bursts.watch;
            let repeats = u32::try_from(time.0 / one.0.max(1)).unwrap_or(u32::MAX);
            Job::Bursts(BurstProbe {
                repeats: repeats.max(4),
                ..bursts
            })
        }
    };
    Step { part, job, time }
}

/// A step with its weight, before the time is divided.
pub(crate) type Weighted = (u64, Part, Job);

/// A probe that keeps `depth` requests in flight; its time comes later.
pub(crate) fn probe(operation: Operation, places: Places, len_bytes: u64, depth: u32) -> Probe {
    Probe {
        operation,
        len_bytes,
        places,
        depth,
        flushes: false,
        turnaround: Nanos::ZERO,
        duration: Nanos::ZERO,
    }
}

#[cfg(test)]
mod tests;
