//! What people are told on standard error, by sentences as by the log.
//!
//! Invariant: a standard error that nobody reads any more (a terminal that was closed, a pipe whose reader
//! has ended) never ends a server or a part of it.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use tracing::Level;

/// Says a sentence.
pub(crate) fn say(sentence: impl Display) {
    // There is nobody left to be told that it failed.
    let _ = writeln!(std::io::stderr(), "{sentence}");
}

/// Begins to show the log.
pub(crate) fn show_log() {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .without_time()
        // It would print what failed to the same place, and panic.
        .log_internal_errors(false)
        .with_max_level(log_level())
        .init();
}

/// `DISKTIME_LOG` is one of error, warn, info, debug, trace; warnings are shown without it.
fn log_level() -> Level {
    std::env::var("DISKTIME_LOG")
        .ok()
        .and_then(|level| level.parse().ok())
        .unwrap_or(Level::WARN)
}
