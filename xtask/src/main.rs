//! Project tasks: install what the tests need, check the style, run everything.
//!
//! Knows the workspace's folders, cargo, and Debian's packages; no crate of the project. It uses
//! the standard library alone, so that it builds in seconds.

mod burners;
mod fuzz;
mod packages;
mod report;
mod settings;
mod steps;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "\
Project tasks of disktime.

Usage: cargo xtask TASK

  test [--burners N] [--times N]
             everything that must pass, as CI runs it:
               1. packages   the Debian packages that the tests need are installed, and FUSE over
                             io_uring is switched on in the kernel until the end, if this is root
                             or sudo asks no password; else the commands are shown
               2. format     cargo fmt --all --check
               3. lints      cargo clippy --workspace --all-targets -- -D warnings
               4. tests      cargo test --workspace; among them tidy (below) and the
                             interoperability tests against fio, libnbd, QEMU, ext4
               5. fuzzing    of the NBD frontend and of the disk label, a minute for each entry
                             point (below)
             then a summary: each step, each skipped test with its reason, each failed test,
             and last a line `N passed, N failed, N skipped`
             --burners N  N threads use the CPU beside step 4; no test may depend on speed
             --times N    step 4 runs N times
  tidy       only the project's style rules, with warnings: length of files and lines, headers
             that say what a file is for, one module style, words that the glossary replaces,
             dead links, trailing blanks, marks of unfinished work, licences
  packages   only step 1; the switch stays on
  fuzz [--seconds N]
             only step 5, for N seconds each: with cargo-fuzz where it is installed for
             nightly, else with the stable compiler and a mutator of our own

All steps run even if one fails. Exit code: 0 all passed, 1 something failed, 2 usage.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let passed = match arguments[..] {
        ["test", ref options @ ..] => match steps::TestOptions::parse(options) {
            Ok(options) => steps::test(&workspace(), options),
            Err(error) => {
                eprintln!("{error}");
                return ExitCode::from(2);
            }
        },
        ["tidy"] => steps::tidy(&workspace()),
        ["packages"] => steps::provide(),
        ["fuzz"] => fuzz::run(&workspace(), fuzz::CI_SECONDS),
        ["fuzz", "--seconds", seconds] => match seconds.parse() {
            Ok(seconds) => fuzz::run(&workspace(), seconds),
            Err(_) => {
                eprintln!("--seconds is followed by a number of seconds, not by `{seconds}`");
                return ExitCode::from(2);
            }
        },
        ["--help" | "-h" | "help"] => {
            print!("{HELP}");
            true
        }
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The root of the workspace, which is the folder above this crate.
fn workspace() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}
