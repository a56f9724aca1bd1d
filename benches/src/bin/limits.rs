//! The limits of the scheduler on the modelled hard disk, in virtual time: tables in Markdown, and
//! all figures as JSON; fails when a limit is not reached.

use clap::Parser;
use disktime_benches::BenchResult;
use disktime_benches::limits::{efficiency, isolation, latency};
use disktime_engine::PolicyKind;
use disktime_lab::adversaries::Beside;
use disktime_lab::{Table, cells};
use disktime_units::Nanos;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Efficiency beside every other policy, isolation under every adversary, latency at the shortest
/// period; on the modelled drive desktop-7200-2008, in virtual time, the same figures every time.
/// Exit code: 0 all limits are reached, 1 one is not, 2 it could not be run.
#[derive(Debug, Parser)]
struct Cli {
    /// Only these parts.
    #[arg(long, value_name = "PART", value_parser = ["efficiency", "isolation", "latency"])]
    only: Vec<String>,
    /// Measured seconds of each run.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(4..))]
    seconds: u64,
    /// Where to write the figures as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Periods of the efficiency tables, and the mean that is asked for.
const EFFICIENCY: [(u64, f64); 2] = [(250, 0.92), (1_000, 0.98)];
/// Periods of the isolation tables.
const ISOLATION_MS: [u64; 4] = [250, 500, 1_000, 2_000];
/// What a victim is to keep.
const ISOLATION: f64 = 0.99;

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("limits: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: &Cli) -> BenchResult<bool> {
    let wants = |part: &str| cli.only.is_empty() || cli.only.iter().any(|only| only == part);
    let duration = Nanos::from_secs(cli.seconds);
    let mut report = json!({ "seconds": cli.seconds });
    let mut missed = Vec::new();
    if wants("efficiency") {
        report["efficiency"] = show_efficiency(duration, &mut missed)?;
    }
    if wants("isolation") {
        report["isolation"] = show_isolation(duration, &mut missed)?;
    }
    if wants("latency") {
        report["latency"] = show_latency(duration, &mut missed)?;
    }
    report["missed"] = json!(missed);
    if let Some(path) = &cli.json {
        let text = serde_json::to_string_pretty(&report)? + "\n";
        std::fs::write(path, text)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    for one in &missed {
        println!("not reached: {one}");
    }
    println!("{} limits not reached", missed.len());
    Ok(missed.is_empty())
}

fn show_efficiency(duration: Nanos, missed: &mut Vec<String>) -> BenchResult<Value> {
    let policies = PolicyKind::all();
    let mut report = Vec::new();
    for (period_ms, least_mean) in EFFICIENCY {
        let period = Nanos::from_millis(period_ms);
        let rows = efficiency::run(period, duration)?;
        let mean = efficiency::mean_of_ours(&rows);
        println!("Worst isolation / efficiency, periods around {period}, the served pays:\n");
        let names = policies.iter().map(|policy| policy.name());
        let mut table = Table::new(std::iter::once("mix").chain(names));
        for row in &rows {
            let results = row.results();
            let cells =
                results.map(|(_, one)| format!("{:.2} / {:.3}", one.isolation, one.efficiency));
            table.row(std::iter::once(row.mix().to_owned()).chain(cells).collect());
        }
        println!("{table}\nmean efficiency of ours: {mean:.3}\n");
        if mean < least_mean {
            missed.push(format!(
                "mean efficiency {mean:.4} at {period}, asked for {least_mean}"
            ));
        }
        let losses = efficiency::losses(&rows).into_iter();
        missed.extend(losses.map(|loss| format!("at {period}: {loss}")));
        let cells: Vec<Value> = rows.iter().flat_map(|row| row.json()).collect();
        report.push(json!({ "period_ms": period_ms, "mean": mean, "cells": cells }));
    }
    Ok(Value::Array(report))
}

fn show_isolation(duration: Nanos, missed: &mut Vec<String>) -> BenchResult<Value> {
    println!("Isolation of a victim with 40 %, switching account:\n");
    let periods = ISOLATION_MS.map(Nanos::from_millis);
    let columns = ["victim", "beside"].map(str::to_owned).into_iter();
    let mut table = Table::new(columns.chain(periods.map(|period| format!("p = {period}"))));
    let mut report = Vec::new();
    for victim in isolation::VICTIMS {
        for adversary in isolation::ADVERSARIES {
            let mut row = cells![victim.name(), adversary.name()];
            for period in periods {
                let beside = Beside {
                    victim,
                    adversary,
                    period,
                };
                let result = isolation::run(beside, duration)?;
                row.push(format!("{:.3}", result.isolation));
                if result.isolation < ISOLATION || result.deadlines_missed > 0 {
                    missed.push(format!(
                        "{} beside {} at {period}: isolation {:.4}, {} deadlines missed",
                        victim.name(),
                        adversary.name(),
                        result.isolation,
                        result.deadlines_missed
                    ));
                }
                report.push(result.json());
            }
            table.row(row);
        }
    }
    println!("{table}");
    Ok(Value::Array(report))
}

fn show_latency(duration: Nanos, missed: &mut Vec<String>) -> BenchResult<Value> {
    println!(
        "A random 4 KiB read every 60 ms, 50 % of every 50 ms, beside a greedy sequential writer:\n"
    );
    let mut table =
        Table::headed("account | p50 | p99 | p99.9 | longest | asked for | writer MB/s");
    let mut report = Vec::new();
    for account in latency::ACCOUNTS {
        // A thousand requests a minute: ten times as long for the thousandth part.
        let result = latency::run(account, Nanos(duration.0 * 10))?;
        let seen = result.latency;
        table.row(cells![
            result.account(),
            seen.p50,
            seen.p99,
            seen.p99_9,
            seen.max,
            result.bound,
            format!("{:.1}", result.writer_bytes_per_second / 1e6),
        ]);
        if seen.p99_9 > result.bound {
            missed.push(format!(
                "p99.9 {} with {}, asked for {}",
                seen.p99_9,
                result.account(),
                result.bound
            ));
        }
        report.push(result.json());
    }
    println!("{table}");
    Ok(Value::Array(report))
}
