//! The promise of the scheduler under an adversary, for as many requests as wanted: prints how
//! close each bound was and in which seed; fails with the seed if one did not hold.

use clap::{Parser, ValueEnum};
use disktime_benches::soak::{self, Account, SeedOutcome, Totals};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Runs random sets of streams at the limit of admission against an adversary, in virtual time,
/// and checks all that the scheduler promises of each. Exit code: 0 all held, 1 one did not.
#[derive(Debug, Parser)]
struct Cli {
    /// Requests to serve, over all seeds.
    #[arg(long, value_name = "N", default_value_t = 20_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    requests: u64,
    /// Sets of streams.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Threads; all cores if not said.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    threads: Option<u64>,
    /// The first seed; the others follow it.
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Whose account pays for switches; both in turn if not said.
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<AccountName>,
    /// On modelled drives that overlap requests.
    #[arg(long, conflicts_with = "account")]
    overlapping: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AccountName {
    /// The stream that is served.
    Served,
    /// The switching account.
    Reserved,
}

impl From<AccountName> for Account {
    fn from(name: AccountName) -> Account {
        match name {
            AccountName::Served => Account::Served,
            AccountName::Reserved => Account::Reserved,
        }
    }
}

/// What the threads share.
#[derive(Default)]
struct SoakState {
    next: AtomicU64,
    requests: AtomicU64,
    finished: AtomicBool,
    results: Mutex<Results>,
}

#[derive(Default)]
struct Results {
    served: Totals,
    reserved: Totals,
    overlapping: Totals,
    violations: u64,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let cores = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let threads = cli.threads.unwrap_or(cores).min(cli.seeds);
    let shared = SoakState::default();
    let start = Instant::now();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| scope.spawn(|| work(&cli, &shared)))
            .collect();
        let progress = scope.spawn(|| show_progress(&cli, &shared, start));
        for worker in workers {
            // A panic in a run is caught there; one elsewhere is reported by the scope.
            let _ = worker.join();
        }
        shared.finished.store(true, Ordering::Release);
        progress.thread().unpark();
    });
    let seconds = start.elapsed().as_secs_f64();
    let results = shared.results.into_inner().unwrap_or_default();
    for (name, totals) in [
        (
            "each stream pays its seeks, or no seeks (B = W)",
            &results.served,
        ),
        (
            "switching account (B = W + 50 ms + the longest return)",
            &results.reserved,
        ),
        ("drives that overlap requests (B = W)", &results.overlapping),
    ] {
        if totals.seeds > 0 {
            print!("{name}:\n{totals}");
        }
    }
    let requests =
        results.served.requests + results.reserved.requests + results.overlapping.requests;
    println!(
        "{requests} requests in {seconds:.1} s with {threads} threads: {:.2} million per second and \
         thread; {} violations",
        requests as f64 / seconds / threads as f64 / 1e6,
        results.violations
    );
    if results.violations > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn per_seed(cli: &Cli) -> u64 {
    cli.requests.div_ceil(cli.seeds)
}

fn work(cli: &Cli, shared: &SoakState) {
    loop {
        let index = shared.next.fetch_add(1, Ordering::Relaxed);
        if index >= cli.seeds {
            return;
        }
        let seed = cli.seed.wrapping_add(index);
        let outcome = if cli.overlapping {
            soak::run_overlapping(seed, per_seed(cli))
        } else {
            soak::run(seed, cli.account.map(Account::from), per_seed(cli))
        };
        shared
            .requests
            .fetch_add(outcome.requests, Ordering::Relaxed);
        report(cli, &outcome);
        if let Ok(mut results) = shared.results.lock() {
            results.violations += outcome.violations.len() as u64;
            match outcome.account {
                Some(Account::Reserved) => results.reserved.add(&outcome),
                _ if cli.overlapping => results.overlapping.add(&outcome),
                _ => results.served.add(&outcome),
            }
        }
    }
}

/// Says what did not hold, and how to run that alone.
fn report(cli: &Cli, outcome: &SeedOutcome) {
    let seed = outcome.seed;
    for violation in &outcome.violations {
        println!("VIOLATION, seed {seed}: {violation}");
    }
    if !outcome.violations.is_empty() {
        let account = match cli.account {
            Some(AccountName::Served) => " --account served",
            Some(AccountName::Reserved) => " --account reserved",
            None if cli.overlapping => " --overlapping",
            None => "",
        };
        println!(
            "  alone: cargo run --release -p disktime-benches --bin soak -- --seed {seed} --seeds 1 \
             --requests {}{account}",
            per_seed(cli)
        );
    }
}

fn show_progress(cli: &Cli, shared: &SoakState, start: Instant) {
    while !shared.finished.load(Ordering::Acquire) {
        thread::park_timeout(Duration::from_secs(10));
        let requests = shared.requests.load(Ordering::Relaxed) as f64;
        let seeds = shared.next.load(Ordering::Relaxed).min(cli.seeds);
        eprintln!(
            "{:.0} s: {:.1} of {:.1} million requests, {seeds} of {} seeds begun",
            start.elapsed().as_secs_f64(),
            requests / 1e6,
            cli.requests as f64 / 1e6,
            cli.seeds
        );
    }
}
