//! Fuzzes each entry point for a given time, by the best means that are installed.
//!
//! cargo-fuzz needs a nightly compiler and is guided by coverage; without it the same entry points
//! run under the stable compiler with the mutator of the crate `fuzz`, from the same corpus. Each
//! processor has one at a time.

use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

/// The entry points.
const TARGETS: [&str; 6] = [
    "handshake",
    "protocol",
    "transmission",
    "label",
    "history",
    "image",
];

/// How long CI fuzzes each.
pub(crate) const CI_SECONDS: u32 = 60;

/// Fuzzes each target for `seconds`; returns whether no input failed.
pub(crate) fn run(workspace: &Path, seconds: u32) -> bool {
    let guided = is_guided(workspace);
    if guided {
        println!("cargo-fuzz is installed, so coverage guides the inputs");
    } else {
        println!(
            "without cargo-fuzz on nightly, inputs are mutated blindly; `rustup toolchain install \
             nightly` and `cargo install cargo-fuzz` bring it"
        );
    }
    let run_target = |target: &str| {
        succeeds(if guided {
            guided_run(workspace, target, seconds)
        } else {
            blind_run(workspace, target, seconds)
        })
    };
    let at_once = thread::available_parallelism().map_or(1, |processors| processors.get());
    TARGETS.chunks(at_once).all(|targets| {
        thread::scope(|scope| {
            let runs = targets
                .iter()
                .map(|target| scope.spawn(|| run_target(target)));
            let runs: Vec<_> = runs.collect();
            let mut ends = runs.into_iter().map(|run| run.join().unwrap_or(false));
            ends.all(|succeeded| succeeded)
        })
    })
}

fn succeeds(mut command: Command) -> bool {
    println!("> {command:?}");
    match command.stdin(Stdio::null()).status() {
        Ok(status) => status.success(),
        Err(error) => {
            println!("it cannot be started: {error}");
            false
        }
    }
}

/// Cargo as rustup gives it, for the nightly toolchain.
fn nightly(workspace: &Path) -> Command {
    let mut command = Command::new("cargo");
    command
        .current_dir(workspace)
        .env_remove("CARGO")
        .env("RUSTUP_TOOLCHAIN", "nightly");
    command
}

fn is_guided(workspace: &Path) -> bool {
    // Asked to run a missing toolchain, rustup would install it; the user decides about that.
    let installed = Command::new("rustup")
        .args(["run", "nightly", "rustc", "--version"])
        .output()
        .is_ok_and(|output| output.status.success());
    installed
        && nightly(workspace)
            .args(["fuzz", "--version"])
            .output()
            .is_ok_and(|output| output.status.success())
}

fn guided_run(workspace: &Path, target: &str, seconds: u32) -> Command {
    // Inputs that are found go to the first folder, a temporary one; the corpus is only read.
    let found = std::env::temp_dir().join(format!("disktime-fuzz-{}-{target}", std::process::id()));
    if let Err(error) = std::fs::create_dir_all(&found) {
        println!("{}: {error}", found.display());
    }
    let mut command = nightly(workspace);
    command
        .args(["fuzz", "run", "--fuzz-dir", "fuzz/libfuzzer", target])
        .arg(found)
        .arg(format!("fuzz/corpus/{target}"))
        .args(["--", "-max_len=16384"])
        .arg(format!("-max_total_time={seconds}"));
    command
}

/// With the profile of the tests, so that little has to be compiled beside them.
fn blind_run(workspace: &Path, target: &str, seconds: u32) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command
        .current_dir(workspace)
        .args(["run", "--quiet", "--profile", "test", "--package"])
        .args(["disktime-fuzz", "--", target])
        .arg(seconds.to_string());
    command
}
