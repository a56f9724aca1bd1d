//! Standard error: sentences for the user, and the log.
//!
//! Invariant: a standard error that cannot be written (a terminal that was closed, a pipe whose
//! reader has ended) never ends the server or one of its threads.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use tracing::Level;

/// Prints a sentence on standard error.
pub(crate) fn print_diagnostic(sentence: impl Display) {
    // A failure has no other place to be reported.
    let _ = writeln!(std::io::stderr(), "{sentence}");
}

/// Starts to write the log to standard error.
pub(crate) fn start_log() {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        // An error of the log itself would be printed to the same place, and panic.
        .log_internal_errors(false)
        .with_max_level(log_level())
        .init();
}

/// `DISKTIME_LOG`: error, warn, info, debug or trace; warn without it.
fn log_level() -> Level {
    std::env::var("DISKTIME_LOG")
        .ok()
        .and_then(|level| level.parse().ok())
        .unwrap_or(Level::WARN)
}
