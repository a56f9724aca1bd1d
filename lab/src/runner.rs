//! What an experiment measures with: a [`Setup`] goes in and a [`Run`] comes out, in virtual time
//! or on a disk in real time, for as long as the session says.
//!
//! Invariant: in virtual time the result depends on the setup alone.

use crate::real::RealDisk;
use crate::run::simulate;
use crate::{LabResult, Run, Setup};
use disktime_units::Nanos;

/// How long runs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// As long as the figures need.
    Full,
    /// A quarter of that, for tests; claims may fail for want of time.
    Quick,
    /// In real time: each run as long as that, warm-up included.
    Real(Nanos),
}

/// What an experiment measures with.
#[derive(Debug)]
pub struct Lab<'a> {
    length: Length,
    real: Option<&'a RealDisk>,
}

impl<'a> Lab<'a> {
    /// Measures in virtual time.
    pub fn simulated(length: Length) -> Lab<'static> {
        Lab { length, real: None }
    }

    /// Measures on a disk in real time, each run `each` long.
    pub fn real(disk: &'a RealDisk, each: Nanos) -> Lab<'a> {
        Lab {
            length: Length::Real(each),
            real: Some(disk),
        }
    }

    /// The measured time of a run that takes so many seconds in full, in whole seconds.
    pub fn seconds(&self, full: u64) -> Nanos {
        match self.length {
            Length::Full => Nanos::from_secs(full),
            Length::Quick => Nanos::from_secs((full / 4).max(2)),
            // Two seconds of it are the usual warm-up.
            Length::Real(each) => Nanos::from_secs((each.0 / 1_000_000_000).max(4) - 2),
        }
    }

    /// How many seeds, points or mixes of `full` are to be run.
    pub fn count(&self, full: usize) -> usize {
        match self.length {
            Length::Full => full,
            Length::Quick | Length::Real(_) => full.div_ceil(4),
        }
    }

    /// Runs it.
    ///
    /// # Errors
    /// If the setup is not possible, as a sentence.
    pub fn run(&self, setup: &Setup) -> LabResult<Run> {
        match self.real {
            Some(disk) => disk.run(setup),
            None => simulate(setup),
        }
    }

    /// Runs them all, in their order.
    ///
    /// # Errors
    /// As [`Lab::run`].
    pub fn run_all(&self, setups: impl IntoIterator<Item = Setup>) -> LabResult<Vec<Run>> {
        setups.into_iter().map(|setup| self.run(&setup)).collect()
    }

    /// Requests per second that each stream would get with the disk for itself: in the same place,
    /// with the same clients, swept by this project's scheduler.
    ///
    /// # Errors
    /// As [`Lab::run`].
    pub fn rates_alone(&self, setup: &Setup) -> LabResult<Vec<f64>> {
        (0..setup.streams.len())
            .map(|index| Ok(self.run(&setup.alone(index))?.iops(index)))
            .collect()
    }
}
