//! The limits of the scheduler on the modelled hard disk, in virtual time: tables in Markdown, and
//! all figures as JSON; fails when a limit is not reached.

use clap::Parser;
use disktime_benches::Outcome;
use disktime_benches::limits::{efficiency, isolation, latency};
use disktime_engine::PolicyKind;
use disktime_lab::Table;
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

fn run(cli: &Cli) -> Outcome<bool> {
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

fn show_efficiency(duration: Nanos, missed: &mut Vec<String>) -> Outcome<Value> {
    let policies = PolicyKind::all();
    let all: Vec<usize> = (0..disktime_lab::mixes::MIXES.len()).collect();
    let mut report = Vec::new();
    for (period_ms, least_mean) in EFFICIENCY {
        let period = Nanos::from_millis(period_ms);
        let cells = efficiency::run(&all, &policies, period, duration)?;
        let mean = efficiency::mean_of_ours(&cells);
        println!("Worst isolation / efficiency, periods around {period}, the served pays:\n");
        let mut headings = vec!["mix"];
        headings.extend(policies.iter().map(|policy| policy.name()));
        let mut table = Table::new(&headings);
        for of_mix in cells.chunks(policies.len()) {
            let mut row = vec![of_mix[0].mix.clone()];
            row.extend(
                of_mix
                    .iter()
                    .map(|cell| format!("{:.2} / {:.3}", cell.isolation, cell.efficiency)),
            );
            table.row(row);
        }
        println!("{table}\nmean efficiency of ours: {mean:.3}\n");
        if mean < least_mean {
            missed.push(format!(
                "mean efficiency {mean:.4} at {period}, asked for {least_mean}"
            ));
        }
        for (other, ours) in efficiency::losses(&cells) {
            missed.push(format!(
                "{} at {period}: {} has efficiency {:.4} (isolation {:.3}), ours {:.4} ({:.3})",
                other.mix,
                other.policy,
                other.efficiency,
                other.isolation,
                ours.efficiency,
                ours.isolation
            ));
        }
        let cells: Vec<Value> = cells.iter().map(efficiency::Cell::json).collect();
        report.push(json!({ "period_ms": period_ms, "mean": mean, "cells": cells }));
    }
    Ok(Value::Array(report))
}

fn show_isolation(duration: Nanos, missed: &mut Vec<String>) -> Outcome<Value> {
    println!("Isolation of a victim with 40 %, switching account:\n");
    let periods = ISOLATION_MS.map(Nanos::from_millis);
    let names = periods.map(|period| format!("p = {period}"));
    let mut headings = vec!["victim", "beside"];
    headings.extend(names.iter().map(String::as_str));
    let mut table = Table::new(&headings);
    let mut report = Vec::new();
    for victim in isolation::VICTIMS {
        for adversary in isolation::Adversary::ALL {
            let mut row = vec![victim.name(), adversary.name().to_owned()];
            for period in periods {
                let cell = isolation::run(victim, adversary, period, duration)?;
                row.push(format!("{:.3}", cell.isolation));
                if cell.isolation < ISOLATION || cell.deadlines_missed > 0 {
                    missed.push(format!(
                        "{} beside {} at {period}: isolation {:.4}, {} deadlines missed",
                        cell.victim, cell.adversary, cell.isolation, cell.deadlines_missed
                    ));
                }
                report.push(cell.json());
            }
            table.row(row);
        }
    }
    println!("{table}");
    Ok(Value::Array(report))
}

fn show_latency(duration: Nanos, missed: &mut Vec<String>) -> Outcome<Value> {
    println!(
        "A random 4 KiB read every 60 ms, 50 % of every 50 ms, beside a greedy sequential writer:\n"
    );
    let mut table = Table::new(&[
        "account",
        "p50",
        "p99",
        "p99.9",
        "longest",
        "asked for",
        "writer MB/s",
    ]);
    let mut report = Vec::new();
    for switching in latency::ACCOUNTS {
        // A thousand requests a minute: ten times as long for the thousandth part.
        let cell = latency::run(switching, Nanos(duration.0 * 10))?;
        let seen = cell.latency;
        table.row(vec![
            cell.account().to_owned(),
            seen.p50.to_string(),
            seen.p99.to_string(),
            seen.p99_9.to_string(),
            seen.max.to_string(),
            cell.bound().to_string(),
            format!("{:.1}", cell.writer_bytes_per_second / 1e6),
        ]);
        if seen.p99_9 > cell.bound() {
            missed.push(format!(
                "p99.9 {} with {}, asked for {}",
                seen.p99_9,
                cell.account(),
                cell.bound()
            ));
        }
        report.push(cell.json());
    }
    println!("{table}");
    Ok(Value::Array(report))
}
