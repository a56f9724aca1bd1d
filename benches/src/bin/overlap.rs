//! Experiments on drives that overlap requests, in virtual time: prints a table of each.

use clap::{Parser, ValueEnum};
use disktime_benches::overlap::cases::{Family, Plan, run};
use disktime_lab::parallel;
use disktime_units::Nanos;

/// Streams on modelled drives that overlap requests, in virtual time, and tables of what they get.
/// The same numbers give the same tables.
#[derive(Debug, Parser)]
struct Cli {
    /// What to run.
    experiment: Experiment,
    /// Seed of random cases.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many random cases.
    #[arg(long)]
    count: Option<u64>,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Cases at once.
    #[arg(long)]
    threads: Option<usize>,
    /// What a client takes to answer an answer, in microseconds.
    #[arg(long, default_value_t = 10)]
    turnaround: u64,
    /// Measure each case at least so many milliseconds.
    #[arg(long, default_value_t = 1000)]
    milliseconds: u64,
    /// Print every case as well.
    #[arg(long)]
    list: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Experiment {
    /// One of eight readers with a reservation beside one of eight loads.
    Cases,
    /// The same with bursts, writers, flushes, discards, slow clients.
    Mixed,
}

fn main() {
    let cli = Cli::parse();
    let plan = |count| Plan {
        first: cli.first,
        count: cli.count.unwrap_or(count),
        seed: cli.seed,
        threads: cli.threads.unwrap_or_else(parallel::processors),
        turnaround: Nanos::from_micros(cli.turnaround),
        least: Nanos::from_millis(cli.milliseconds),
        list: cli.list,
    };
    let text = match cli.experiment {
        Experiment::Cases => run(Family::Pairs, plan(110)),
        Experiment::Mixed => run(Family::Mixed, plan(300)),
    };
    print!("{text}");
}
