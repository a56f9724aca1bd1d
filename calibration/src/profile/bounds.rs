//! Which numbers no device has: they come from a mistake, of a measurement or of a pen.
//!
//! Invariant: each refusal names the key as it is written in a profile.

use super::{Class, LoneLatency, Profile};
use disktime_units::Nanos;
use std::ops::RangeInclusive;
use thiserror::Error;

/// A time of one request or of a bound: 1 ns to 100 s.
pub(crate) const TIME_NS: RangeInclusive<u64> = 1..=100_000_000_000;
/// Bytes a second: a tenth of a megabyte to 1 TB.
pub(crate) const BYTES_PER_SECOND: RangeInclusive<u64> = 100_000..=1_000_000_000_000;
/// Operations a second.
pub(crate) const PER_SECOND: RangeInclusive<u64> = 1..=100_000_000;
/// Requests in flight.
pub(crate) const DEPTH: RangeInclusive<u64> = 1..=1024;
/// Length of the longest request.
pub(crate) const QUANTUM_BYTES: RangeInclusive<u64> = 4096..=(4 << 20);

/// A number that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{key}` {why}")]
pub struct Implausible {
    /// The key of the profile.
    pub key: String,
    /// Why it cannot be, and what would be possible.
    pub why: String,
}

impl Implausible {
    fn new(key: impl Into<String>, why: impl Into<String>) -> Implausible {
        Implausible {
            key: key.into(),
            why: why.into(),
        }
    }
}

impl Profile {
    /// Whether all numbers can be those of a device, and fit each other.
    ///
    /// # Errors
    /// The first that cannot be, with its key.
    pub fn check(&self) -> Result<(), Implausible> {
        self.check_coefficients()?;
        self.check_lone()?;
        let quantum = u64::from(self.quantum_bytes);
        let small = self.cost.random_read.quote(super::SMALL_BYTES).lone;
        let large = self.cost.random_read.quote(quantum).lone;
        within("quantum_bytes", quantum, &QUANTUM_BYTES)?;
        within("worst_case_ns", self.worst_case.0, &TIME_NS)?;
        within("knee_depth", u64::from(self.knee_depth), &DEPTH)?;
        within("max_in_flight", u64::from(self.max_in_flight), &DEPTH)?;
        at_most("settle_ns", self.cost.settle, Nanos(*TIME_NS.end()))?;
        at_least(
            "worst_case_ns",
            self.worst_case,
            large,
            "a read of the quantum alone",
        )?;
        let bound = self.cost.occupancy_bound;
        within("occupancy_bound_ns", bound.0, &TIME_NS)?;
        at_least("occupancy_bound_ns", bound, small, "a read of 4 KiB alone")?;
        match &self.seeks {
            Some(seeks) => {
                within("rotation_ns", seeks.rotation.0, &TIME_NS)?;
                for point in &seeks.curve {
                    at_most("seek_ns", point.seek, Nanos::from_secs(10))?;
                }
                let ascending = seeks
                    .curve
                    .is_sorted_by(|one, next| one.distance_bytes < next.distance_bytes);
                if seeks.curve.len() < 2 || !ascending {
                    let why = "has to have two points at least, in order of their distance";
                    return Err(Implausible::new("curve", why));
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn check_coefficients(&self) -> Result<(), Implausible> {
        let rates = self.coefficients();
        within("rbps", rates.rbps, &BYTES_PER_SECOND)?;
        within("wbps", rates.wbps, &BYTES_PER_SECOND)?;
        for (key, rate) in [
            ("rseqiops", rates.rseqiops),
            ("rrandiops", rates.rrandiops),
            ("wseqiops", rates.wseqiops),
            ("wrandiops", rates.wrandiops),
        ] {
            within(key, rate, &PER_SECOND)?;
        }
        for class in Class::ALL {
            let cost = class.of(&self.cost);
            for (key, time) in [
                ("occupancy_base_ns", cost.occupancy_base),
                ("occupancy_per_mib_ns", cost.occupancy_per_mib),
                ("lone_base_ns", cost.lone_base),
                ("lone_per_mib_ns", cost.lone_per_mib),
            ] {
                let key = format!("classes.{}.{key}", class.name());
                at_most(&key, time, Nanos(*TIME_NS.end()))?;
            }
        }
        Ok(())
    }

    fn check_lone(&self) -> Result<(), Implausible> {
        for (class, lone) in Class::ALL.into_iter().zip(&self.lone) {
            let Some(lone) = lone else { continue };
            for (which, latency) in [("small", &lone.small), ("quantum", &lone.quantum)] {
                let LoneLatency { p10, mean, p99 } = *latency;
                let key = |name: &str| format!("classes.{}.{which}.{name}", class.name());
                within(&key("mean_ns"), mean.0, &TIME_NS)?;
                at_most(&key("p10_ns"), p10, p99)?;
                at_most(&key("p99_ns"), p99, Nanos(*TIME_NS.end()))?;
            }
        }
        Ok(())
    }
}

fn within(key: &str, value: u64, range: &RangeInclusive<u64>) -> Result<(), Implausible> {
    if range.contains(&value) {
        return Ok(());
    }
    let (least, most) = (range.start(), range.end());
    let why = format!("is {value}, which no device has; possible are {least} to {most}");
    Err(Implausible::new(key, why))
}

fn at_most(key: &str, value: Nanos, most: Nanos) -> Result<(), Implausible> {
    if value <= most {
        return Ok(());
    }
    let why = format!("is {value}, which cannot be; it is at most {most}");
    Err(Implausible::new(key, why))
}

fn at_least(key: &str, value: Nanos, least: Nanos, what: &str) -> Result<(), Implausible> {
    if value >= least {
        return Ok(());
    }
    let why = format!("is {value}, which cannot be: {what} takes {least}");
    Err(Implausible::new(key, why))
}
