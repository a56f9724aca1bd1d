//! Isolation: what a stream keeps of its own, whatever the others on the disk do.
//!
//! `virtual` runs every mix on the modelled hard disk in virtual time, exactly; `real` serves a
//! paced hard disk over NBD and loads it with fio; `overlapping` does so on disks that overlap
//! requests, beside what users have instead; `neighbours` does so beside block status and trims.
//! All print tables in Markdown and write what was measured as JSON; all but the first fail when a
//! target is missed.

mod fio;
mod matrix;
mod neighbours;
mod overlapping;
mod real;
mod served;
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
    Overlapping(FileOptions),
    /// A reader beside clients that ask for block status, and beside a storm of trims, on a file
    /// and on a paced model. Takes about 3 minutes, `--quick` 1.
    Neighbours(FileOptions),
}

#[derive(Debug, Args)]
struct FileOptions {
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

impl FileOptions {
    /// Runs an experiment on the disk that is to be measured.
    fn run(
        &self,
        experiment: impl FnOnce(&Program, &Path, overlapping::Plan) -> BenchResult<(Value, bool)>,
    ) -> BenchResult<(Value, bool)> {
        let program = Program::find(self.options.program.as_deref())?;
        let plan = overlapping::Plan {
            milliseconds: self.milliseconds,
            rounds: if self.options.quick { 1 } else { 3 },
        };
        experiment(&program, &self.directory, plan)
    }
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
        Clock::Overlapping(options) => {
            let (measured, met) = options.run(overlapping::run)?;
            write(&options.options.out, "overlapping.json", &measured)?;
            Ok(met)
        }
        Clock::Neighbours(options) => {
            let (measured, met) = options.run(neighbours::run)?;
            write(&options.options.out, "neighbours.json", &measured)?;
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
