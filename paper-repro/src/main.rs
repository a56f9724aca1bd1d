//! The figures and tables of the papers, run again: see the library of this room.

use clap::Parser;
use paper_repro::cli::{Cli, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("paper-repro: {error}");
            ExitCode::FAILURE
        }
    }
}
