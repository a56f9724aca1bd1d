//! Experiments on drives that overlap requests, in virtual time: prints a table of each.

use clap::{Parser, ValueEnum};
use disktime_benches::overlap::cases::{self, Family};
use disktime_benches::overlap::{scenarios, sets, slow};
use disktime_lab::overlap::sets::Admission;
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
    /// Sets with this Σu in thousandths, whatever the changes between streams cost.
    #[arg(long)]
    total: Option<u64>,
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
    /// Two to eight reserved streams at the limit of admission.
    Sets,
    /// A client that comes back just after the wait for it is over.
    Adversary,
    /// 10, 100 and 1000 reserved streams.
    Many,
    /// Prices that are wrong.
    Errors,
    /// Discards and flushes beside a reservation.
    Storms,
    /// A drive that is three times as slow for ten seconds.
    Slow,
    /// A client that sleeps.
    Wake,
    /// A full drive without reservations, or with one that is never behind.
    Full,
}

fn main() {
    let cli = Cli::parse();
    let threads = cli.threads.unwrap_or_else(parallel::processors);
    let text = match cli.experiment {
        Experiment::Cases => cases::run(Family::Pairs, cases_plan(&cli, threads, 110)),
        Experiment::Mixed => cases::run(Family::Mixed, cases_plan(&cli, threads, 300)),
        Experiment::Sets => sets::run(sets::Plan {
            count: cli.count.unwrap_or(30),
            first: cli.first,
            seed: cli.seed,
            threads,
            admission: match cli.total {
                Some(thousandths) => Admission::Total(thousandths * 1000),
                None => Admission::Promised,
            },
        }),
        Experiment::Adversary => scenarios::adversary(threads),
        Experiment::Many => scenarios::many(threads),
        Experiment::Errors => scenarios::errors(threads),
        Experiment::Storms => scenarios::storms(threads),
        Experiment::Slow => slow::run(threads),
        Experiment::Wake => scenarios::wake(threads),
        Experiment::Full => scenarios::full(threads),
    };
    print!("{text}");
}

fn cases_plan(cli: &Cli, threads: usize, count: u64) -> cases::Plan {
    cases::Plan {
        first: cli.first,
        count: cli.count.unwrap_or(count),
        seed: cli.seed,
        threads,
        turnaround: Nanos::from_micros(cli.turnaround),
        least: Nanos::from_millis(cli.milliseconds),
        list: cli.list,
    }
}
