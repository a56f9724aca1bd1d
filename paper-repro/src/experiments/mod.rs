//! The experiments, one file each, in the order of the report.

use crate::Experiment;

mod r1_runs;

/// All of them.
pub const ALL: &[Experiment] = &[r1_runs::EXPERIMENT];
