//! Runs a plan, and what its steps measured.
//!
//! Invariant: a measurement has an outcome for every step of its plan.

use crate::plan::{Job, Part, Plan, Step};
use crate::probe::{Burst, Places, Probe, ProbeError, Prober, Sample};
use disktime_drive_models::Operation;

/// What came of a step.
#[derive(Debug, Clone)]
pub(crate) enum Outcome {
    /// What a probe measured.
    Sample(Sample),
    /// Bursts of writes and the reads behind them.
    Bursts(Vec<Burst>),
}

/// What the steps of a plan measured.
#[derive(Debug, Clone)]
pub struct Measurements {
    pub(crate) plan: Plan,
    pub(crate) outcomes: Vec<(Step, Outcome)>,
}

/// Runs a plan; `begins` is told before each step.
///
/// # Errors
/// A request failed or was not answered; nothing is kept.
pub fn measure(
    plan: &Plan,
    prober: &mut dyn Prober,
    mut begins: impl FnMut(&Step),
) -> Result<Measurements, ProbeError> {
    let mut outcomes = Vec::new();
    for step in plan.steps() {
        begins(step);
        let outcome = match &step.job {
            Job::Probe(probe) => Outcome::Sample(prober.run(probe)?),
            Job::Bursts(bursts) => Outcome::Bursts(prober.bursts(bursts)?),
        };
        outcomes.push((*step, outcome));
    }
    Ok(Measurements {
        plan: plan.clone(),
        outcomes,
    })
}

/// Which probes are meant, of one part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Subject {
    pub(crate) part: Part,
    pub(crate) operation: Operation,
    pub(crate) places: Places,
    pub(crate) len_bytes: u64,
    /// `None` means: the deepest of the part.
    pub(crate) depth: Option<u32>,
    pub(crate) flushes: bool,
}

impl Subject {
    pub(crate) fn new(part: Part, operation: Operation, places: Places, len_bytes: u64) -> Subject {
        Subject {
            part,
            operation,
            places,
            len_bytes,
            depth: None,
            flushes: false,
        }
    }

    pub(crate) fn of(part: Part, probe: &Probe) -> Subject {
        Subject {
            depth: Some(probe.depth),
            flushes: probe.flushes,
            ..Subject::new(part, probe.operation, probe.places, probe.len_bytes)
        }
    }

    fn matches(&self, part: Part, probe: &Probe) -> bool {
        self.part == part
            && self.operation == probe.operation
            && self.places == probe.places
            && self.len_bytes == probe.len_bytes
            && self.flushes == probe.flushes
            && self.depth.is_none_or(|depth| depth == probe.depth)
    }
}

impl Measurements {
    /// All samples with their probes, in order.
    pub(crate) fn samples(&self) -> impl Iterator<Item = (Part, &Probe, &Sample)> {
        self.outcomes
            .iter()
            .filter_map(|(step, outcome)| match (&step.job, outcome) {
                (Job::Probe(probe), Outcome::Sample(sample)) => Some((step.part, probe, sample)),
                _ => None,
            })
    }

    /// The rounds of one subject.
    pub(crate) fn rounds(&self, subject: Subject) -> Vec<&Sample> {
        self.samples()
            .filter(|(part, probe, _)| subject.matches(*part, probe))
            .map(|(_, _, sample)| sample)
            .collect()
    }

    /// The bursts of each step that has some.
    pub(crate) fn bursts(&self) -> impl Iterator<Item = &[Burst]> {
        self.outcomes
            .iter()
            .filter_map(|(_, outcome)| match outcome {
                Outcome::Bursts(bursts) => Some(bursts.as_slice()),
                Outcome::Sample(_) => None,
            })
    }
}

/// The middle one; 0 of nothing.
pub(crate) fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or(0)
}
