//! The steps of `cargo xtask test`, one after the other, and the summary.

use crate::burners::Burners;
use crate::report::{self, Report};
use crate::{fuzz, packages, settings, tidy};
use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How the tests are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TestOptions {
    /// Threads that use the CPU beside the tests.
    pub(crate) burners: u32,
    /// How often the tests run.
    pub(crate) times: u32,
}

impl Default for TestOptions {
    fn default() -> TestOptions {
        TestOptions {
            burners: 0,
            times: 1,
        }
    }
}

impl TestOptions {
    /// Reads `--burners N` and `--times N`, or says what was expected.
    pub(crate) fn parse(arguments: &[&str]) -> Result<TestOptions, String> {
        let mut options = TestOptions::default();
        for pair in arguments.chunks(2) {
            let (option, value) = (pair[0], pair.get(1));
            let number = value.and_then(|value| value.parse::<u32>().ok());
            match (option, number) {
                ("--burners", Some(number)) => options.burners = number,
                ("--times", Some(number @ 1..)) => options.times = number,
                ("--burners" | "--times", _) => {
                    return Err(format!(
                        "{option} is followed by a number, as in `{option} 3`"
                    ));
                }
                _ => {
                    return Err(format!(
                        "test takes `--burners N` and `--times N`, not `{option}`"
                    ));
                }
            }
        }
        Ok(options)
    }
}

/// Whether the machine has what the tests need, which is brought there if that is allowed and
/// stays there.
pub(crate) fn provide() -> bool {
    let packages = packages::provide();
    let settings = settings::provide();
    let right = settings.are_right();
    settings.keep();
    packages & right
}

/// Runs everything that must pass.
pub(crate) fn test(workspace: &Path, options: TestOptions) -> bool {
    let lints = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    let mut settings = None;
    let mut runs = Vec::new();
    let mut steps = vec![
        timed("packages", || {
            let packages = packages::provide();
            packages & settings.insert(settings::provide()).are_right()
        }),
        timed("format", || cargo(workspace, &["fmt", "--all", "--check"])),
        timed("lints", || cargo(workspace, &lints)),
    ];
    for _ in 0..options.times {
        let mut report = Report::default();
        steps.push(timed("tests", || {
            let _burners = Burners::start(options.burners);
            cargo_test(workspace, &mut report)
        }));
        runs.push(report);
    }
    steps.push(timed("fuzzing", || fuzz::run(workspace, fuzz::CI_SECONDS)));
    drop(settings);
    summarise(&steps, &runs)
}

/// Prints the verdict of each step and what is to be known about single tests; whether all passed.
fn summarise(steps: &[Step], runs: &[Report]) -> bool {
    println!("\n==> summary");
    for step in steps {
        let verdict = if step.passed { "ok" } else { "FAILED" };
        println!(
            "  {:<9} {verdict:<7} {:>4} s",
            step.name,
            step.took.as_secs()
        );
    }
    let mut skipped: Vec<&String> = runs.iter().flat_map(|run| &run.skipped).collect();
    skipped.sort();
    skipped.dedup();
    for skipped in skipped {
        println!("  SKIPPED {skipped}");
    }
    if let Some(remedy) = runs.iter().find_map(Report::remedy) {
        println!("  {remedy}");
    }
    for (run, report) in (1..).zip(runs) {
        for name in &report.failures {
            match runs.len() {
                1 => println!("  FAILED {name}"),
                _ => println!("  FAILED {name} (run {run})"),
            }
        }
    }
    let steps_passed = steps.iter().all(|step| step.passed);
    let tests_failed: u64 = runs.iter().map(|run| run.failed).sum();
    let tests_step_failed = steps
        .iter()
        .any(|step| step.name == "tests" && !step.passed);
    if tests_step_failed && tests_failed == 0 {
        println!("  FAILED a test program did not build or ended early; its error is above");
    }
    println!("{}", report::sums(runs));
    steps_passed && tests_failed == 0
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

#[cfg(test)]
mod tests;
