//! What an experiment is: where the claim comes from, what it says, and a function that measures.
//!
//! To add one: a file in `experiments/` with a constant of this type, and its line in
//! `experiments.rs`. Nothing else has to know it.

use crate::Finding;
use disktime_lab::Lab;
use disktime_lab::LabResult;
use disktime_units::Nanos;

/// Where a claim comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A published paper.
    Paper,
    /// This project; no paper says so.
    Own,
}

impl Origin {
    /// As a word.
    pub fn name(self) -> &'static str {
        match self {
            Origin::Paper => "paper",
            Origin::Own => "own",
        }
    }
}

/// Whether an experiment can be run in real time.
#[derive(Debug, Clone, Copy)]
pub enum Real {
    /// It can: so many runs, and each takes that long unless told otherwise.
    Runs {
        /// How many.
        runs: u32,
        /// Warm-up and measured time of each.
        each: Nanos,
        /// Whether some of its clients write: then it is run on our own paced disk only.
        writes: bool,
    },
    /// It cannot; a sentence says why.
    No(&'static str),
}

impl Real {
    /// It can, and none of its clients write.
    pub(crate) const fn reads(runs: usize, each: Nanos) -> Real {
        Real::Runs {
            runs: runs as u32,
            each,
            writes: false,
        }
    }
}

/// An experiment.
#[derive(Debug, Clone, Copy)]
pub struct Experiment {
    /// Its short name: `R2`.
    pub id: &'static str,
    /// What it is about, in a few words.
    pub title: &'static str,
    /// Who made the claim.
    pub origin: Origin,
    /// Where the claim is made: paper, section, figure.
    pub source: &'static str,
    /// The claim, as a sentence.
    pub claim: &'static str,
    /// Whether it can be run in real time.
    pub real: Real,
    /// Measures.
    pub run: fn(&Lab<'_>) -> LabResult<Finding>,
}
