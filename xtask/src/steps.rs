//! The steps of `cargo xtask test`, one after the other, and the summary.

use crate::report::Report;
use crate::{fuzz, packages, settings, tidy};
use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Whether the machine has what the tests need, which is brought there if that is allowed.
pub(crate) fn provide() -> bool {
    packages::provide() & settings::provide()
}

/// Runs everything that must pass.
pub(crate) fn test(workspace: &Path) -> bool {
    let mut report = Report::default();
    let steps = [
        timed("packages", provide),
        timed("format", || cargo(workspace, &["fmt", "--all", "--check"])),
        timed("lints", || {
            cargo(
                workspace,
                &[
                    "clippy",
                    "--workspace",
                    "--all-targets",
                    "--",
                    "-D",
                    "warnings",
                ],
            )
        }),
        timed("tests", || cargo_test(workspace, &mut report)),
        timed("fuzzing", || fuzz::run(workspace, fuzz::CI_SECONDS)),
    ];
    println!("\n==> summary");
    for step in &steps {
        let verdict = if step.passed { "ok" } else { "FAILED" };
        println!(
            "  {:<9} {verdict:<7} {:>4} s",
            step.name,
            step.took.as_secs()
        );
    }
    for skipped in &report.skipped {
        println!("  SKIPPED {skipped}");
    }
    let passed = steps.iter().all(|step| step.passed) && report.failed == 0;
    println!("{}", report.sums());
    passed
}

/// Checks the style rules alone, and warns.
pub(crate) fn tidy(workspace: &Path) -> bool {
    match tidy::check(workspace) {
        Ok(findings) => {
            for warning in findings.warnings() {
                println!("warning: {warning}");
            }
            for error in findings.errors() {
                println!("error: {error}");
            }
            println!(
                "{} errors, {} warnings",
                findings.errors().len(),
                findings.warnings().len()
            );
            findings.errors().is_empty()
        }
        Err(error) => {
            println!("error: the workspace cannot be read: {error}");
            false
        }
    }
}

struct Step {
    name: &'static str,
    passed: bool,
    took: Duration,
}

fn timed(name: &'static str, step: impl FnOnce() -> bool) -> Step {
    println!("\n==> {name}");
    let start = Instant::now();
    let passed = step();
    Step {
        name,
        passed,
        took: start.elapsed(),
    }
}

fn cargo_command(workspace: &Path, arguments: &[&str]) -> Command {
    let program = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(workspace)
        .stdin(Stdio::null());
    println!("> cargo {}", arguments.join(" "));
    command
}

fn cargo(workspace: &Path, arguments: &[&str]) -> bool {
    match cargo_command(workspace, arguments).status() {
        Ok(status) => status.success(),
        Err(error) => {
            println!("cargo cannot be started: {error}");
            false
        }
    }
}

/// All tests, also after one has failed. Cargo's own messages go to stderr as always.
fn cargo_test(workspace: &Path, report: &mut Report) -> bool {
    let arguments = [
        "test",
        "--workspace",
        "--no-fail-fast",
        "--",
        "--show-output",
    ];
    let child = cargo_command(workspace, &arguments)
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => {
            println!("cargo cannot be started: {error}");
            return false;
        }
    };
    if let Some(output) = child.stdout.take() {
        // Lines are bytes: a test may print anything.
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            if report.line(&line) {
                println!("{line}");
            }
        }
    }
    child.wait().is_ok_and(|status| status.success())
}
