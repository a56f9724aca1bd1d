//! `disktime`: virtual disks with reserved disk time, served over NBD and FUSE.
//!
//! This file parses the command line, dispatches, and turns failures into exit codes.

mod assembly;
mod cli;
mod commands;
mod diagnostics;
mod disk_report;
mod failure;
mod moment_image;
mod serving;

use clap::Parser;
use cli::Cli;
use diagnostics::print_failure;
use serving::supervisor::Supervisor;
use std::process::ExitCode;

fn main() -> ExitCode {
    let (command, verbosity) = Cli::parse().into_parts();
    if let Err(failure) = diagnostics::start_log(&verbosity) {
        print_failure(&failure);
        return ExitCode::FAILURE;
    }
    serving::signals::survive_file_size_limit();
    if commands::prints_only(&command) {
        end_quietly_on_closed_pipe();
    }
    // SAFETY: no thread was started yet, and nothing was opened.
    let supervisor = unsafe { Supervisor::take() };
    let ended = supervisor.and_then(|supervisor| commands::run(command, &verbosity, supervisor));
    diagnostics::end_log();
    match ended {
        Ok(code) => code,
        Err(failure) => {
            print_failure(&failure);
            ExitCode::FAILURE
        }
    }
}

/// A closed pipe ends the program without an error, as it ends other programs that only print
/// (`disktime check FILE | head -1`).
fn end_quietly_on_closed_pipe() {
    // SAFETY: sets this process's disposition of one signal to the default, before any thread.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}
