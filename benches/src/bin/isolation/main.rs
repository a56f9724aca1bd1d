//! Isolation: what a stream keeps of its own, whatever the others on the disk do.
//!
//! `virtual` runs every mix on the modelled hard disk in virtual time, exactly; `real` serves a
//! paced hard disk over NBD and loads it with fio; `overlapping` does so on disks that overlap
//! requests, beside what users have instead. All print tables in Markdown and write what was
//! measured as JSON; the latter two fail when a target is missed.

mod fio;
mod matrix;
mod overlapping;
mod real;
mod server;

use clap::{Args, Parser, Subcommand};
use disktime_benches::program::Program;
use disktime_benches::{BenchResult, machine};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What a stream keeps of its own, whatever the others on the disk do.
#[derive(Debug, Parser)]
#[command(arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    clock: Clock,
}

#[derive(Debug, Subcommand)]
enum Clock {
    /// Every mix on the modelled hard disk, in virtual time.
    Virtual(Options),
    /// Served over NBD and loaded by fio, on a paced hard disk. Takes about 25 minutes.
    Real {
        #[command(flatten)]
        options: Options,
        /// Seconds for each measurement of a guarantee.
        #[arg(long, value_name = "SECONDS")]
        seconds: Option<u64>,
    },
    /// Disks that overlap requests: paced models over NBD, and a file beside bfq and QEMU's
    /// throttle filter. Needs root, for loop devices. Takes about 12 minutes, `--quick` 4.
    Overlapping(OverlappingOptions),
}

#[derive(Debug, Args)]
struct OverlappingOptions {
    #[command(flatten)]
    options: Options,
    /// Where the disks' files are made, and removed; on the disk that is to be measured.
    #[arg(long, value_name = "DIR", default_value = "target/isolation")]
    directory: PathBuf,
    /// Each measurement by fio, in milliseconds.
    #[arg(long, value_name = "N", default_value_t = 1500)]
    milliseconds: u64,
}

#[derive(Debug, Args)]
struct Options {
    /// Where the measurements go, as JSON.
    #[arg(long, value_name = "DIR", default_value = "target/isolation")]
    out: PathBuf,
    /// A part of it, in a fraction of the time.
    #[arg(long)]
    quick: bool,
    /// The program under test, if it is not to be built.
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
}

fn write(out: &Path, name: &str, measured: &Value) -> BenchResult {
    std::fs::create_dir_all(out)?;
    let path = out.join(name);
    std::fs::write(&path, format!("{measured:#}\n"))?;
    println!("\nMeasurements: {}", path.display());
    Ok(())
}

/// Whether every target was met.
fn run(clock: Clock) -> BenchResult<bool> {
    println!("{}\n", machine::sentence());
    match clock {
        Clock::Virtual(options) => {
            let program = Program::find(options.program.as_deref())?;
            let measured = matrix::run(&program, options.quick)?;
            write(&options.out, "virtual.json", &measured)?;
            Ok(true)
        }
        Clock::Real { options, seconds } => {
            let program = Program::find(options.program.as_deref())?;
            let (measured, met) = real::run(&program, options.quick, seconds)?;
            write(&options.out, "real.json", &measured)?;
            Ok(met)
        }
        Clock::Overlapping(OverlappingOptions {
            options,
            directory,
            milliseconds,
        }) => {
            let program = Program::find(options.program.as_deref())?;
            let plan = overlapping::Plan {
                milliseconds,
                rounds: if options.quick { 1 } else { 3 },
            };
            let (measured, met) = overlapping::run(&program, &directory, plan)?;
            write(&options.out, "overlapping.json", &measured)?;
            Ok(met)
        }
    }
}

fn main() -> ExitCode {
    match run(Cli::parse().clock) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("isolation: a target was missed");
            ExitCode::FAILURE
        }
        Err(failure) => {
            eprintln!("isolation: {failure}");
            ExitCode::FAILURE
        }
    }
}
