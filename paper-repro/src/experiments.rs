//! The experiments, one file each, in the order of the report.

use crate::Experiment;
use disktime_lab::figure::Axis;
use disktime_lab::measures::{RECEIVED_COLUMNS, received_cells};
use disktime_lab::{Run, Scheduling, Table};

mod f1_reservable;
mod f2_four_streams;
mod h1_mariner;
mod h2_time_travel;
mod h3_potemkin;
mod h4_ventana;
mod history_bed;
mod o10_untested;
mod o11_overlap_isolation;
mod o12_overlap_depth;
mod o13_overlap_prices;
mod o14_overlap_many;
mod o15_overlap_slow;
mod o1_utilization_error;
mod o2_lag;
mod o3_isolation;
mod o4_efficiency;
mod o5_periods;
mod o6_worst_case;
mod o7_wake_up;
mod o8_depth;
mod o9_accounts;
mod overlapping;
mod r1_runs;
mod r2_throughput_reservations;
mod r3_time_reservations;
mod r4_sequential_throughput;
mod r5_r6_estimates;
mod r7_nominal_capacity;
mod r8_transients;
mod rtas;
mod z1_macro;

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
    f1_reservable::EXPERIMENT,
    f2_four_streams::EXPERIMENT,
    z1_macro::EXPERIMENT,
    h1_mariner::EXPERIMENT,
    h2_time_travel::EXPERIMENT,
    h3_potemkin::EXPERIMENT,
    h4_ventana::EXPERIMENT,
    o1_utilization_error::EXPERIMENT,
    o2_lag::EXPERIMENT,
    o3_isolation::EXPERIMENT,
    o4_efficiency::EXPERIMENT,
    o5_periods::EXPERIMENT,
    o6_worst_case::EXPERIMENT,
    o7_wake_up::EXPERIMENT,
    o8_depth::EXPERIMENT,
    o9_accounts::EXPERIMENT,
    o10_untested::EXPERIMENT,
    o11_overlap_isolation::EXPERIMENT,
    o12_overlap_depth::EXPERIMENT,
    o13_overlap_prices::EXPERIMENT,
    o14_overlap_many::EXPERIMENT,
    o15_overlap_slow::EXPERIMENT,
];

/// The axis of isolation: throughput over share × throughput alone.
fn isolation_axis(to: f64) -> Axis {
    Axis::linear("throughput ÷ (share × alone)", 0.0, to)
}

/// What each stream got under each way of scheduling. `names` are a way's first cells, stream by
/// stream, below `columns`.
fn received_table<'a, N: IntoIterator<Item = Vec<String>>>(
    columns: &[&str],
    runs: impl Iterator<Item = (&'a Scheduling, &'a Run)>,
    names: impl Fn(&'a Scheduling) -> N,
) -> Table {
    let columns = columns.iter().chain(&RECEIVED_COLUMNS);
    let mut table = Table::new(columns).with_title("What each stream got");
    for (way, run) in runs {
        for (stream, mut row) in names(way).into_iter().enumerate() {
            row.extend(received_cells(run, stream));
            table.row(row);
        }
    }
    table
}
