//! The experiments, one file each, in the order of the report.

use crate::Experiment;

mod r1_runs;
mod r2_throughput_reservations;
mod r3_time_reservations;
mod r4_sequential_throughput;
mod r5_r6_estimates;
mod r7_nominal_capacity;
mod r8_transients;
mod rtas;

/// All of them.
pub const ALL: &[Experiment] = &[
    r1_runs::EXPERIMENT,
    r2_throughput_reservations::EXPERIMENT,
    r3_time_reservations::EXPERIMENT,
    r4_sequential_throughput::EXPERIMENT,
    r5_r6_estimates::RANDOM,
    r5_r6_estimates::SEQUENTIAL_OVER,
    r7_nominal_capacity::EXPERIMENT,
    r8_transients::EXPERIMENT,
];
