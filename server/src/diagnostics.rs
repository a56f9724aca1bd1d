//! Standard error: sentences for the user, and the log.
//!
//! A command prints sentences (`disktime: …`). `serve` runs for months, so from the moment its file
//! was read everything it says is a line of the log, with its time and level: sentences that are
//! always printed (what is created, what was found) and what [`Verbosity`] selects.
//!
//! Invariants: a standard error that cannot be written (a terminal that was closed, a pipe whose
//! reader has ended) never ends the server or one of its threads; colour is used on a terminal
//! only, and not where `NO_COLOR` is set; whatever clients and disks do, the log grows by a bounded
//! number of lines per second.

mod left_out;
mod throttled_lines;

use crate::failure::{CommandResult, Failure};
use clap::{ArgAction, Args};
use left_out::LeftOut;
use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use throttled_lines::ThrottledLines;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// The target of sentences that are printed at every level.
const SENTENCE: &str = "disktime::sentence";

/// The target of the lines that say what is served: one for each vdisk, at the start only.
const ANNOUNCEMENT: &str = "disktime::announcement";

/// Whether sentences are lines of the log.
static IS_SERVER: AtomicBool = AtomicBool::new(false);

/// Lines of the log that were left out, as they were too many.
static LEFT_OUT: LazyLock<Arc<LeftOut>> = LazyLock::new(Arc::default);

/// How much is logged.
#[derive(Debug, Args)]
pub(crate) struct Verbosity {
    /// Log errors only, and leave out the summary at the end of `serve`.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Log more: -v what clients do (info), -vv debug, -vvv trace.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
}

impl Verbosity {
    /// Whether only errors are wanted.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// The least important level that is logged. `variable`: the value of `DISKTIME_LOG`.
    fn level(&self, variable: Option<&str>) -> CommandResult<Level> {
        match (self.quiet, self.verbose) {
            (true, _) => Ok(Level::ERROR),
            (false, 0) => variable.map_or(Ok(Level::WARN), named_level),
            (false, 1) => Ok(Level::INFO),
            (false, 2) => Ok(Level::DEBUG),
            (false, _) => Ok(Level::TRACE),
        }
    }
}

fn named_level(name: &str) -> CommandResult<Level> {
    match name {
        "error" => Ok(Level::ERROR),
        "warn" => Ok(Level::WARN),
        "info" => Ok(Level::INFO),
        "debug" => Ok(Level::DEBUG),
        "trace" => Ok(Level::TRACE),
        _ => Err(Failure::new(format!(
            "DISKTIME_LOG is {name:?}, which is no level of the log; use error, warn, info, debug \
             or trace, or unset it (then it is warn)"
        ))),
    }
}

/// Prints a sentence on standard error: of a command with the program's name, of a server as a line
/// of the log.
pub(crate) fn print_sentence(sentence: impl Display) {
    if IS_SERVER.load(Relaxed) {
        tracing::info!(target: SENTENCE, "{sentence}");
    } else {
        print(format_args!("disktime: {sentence}"));
    }
}

/// Logs a line of what is served, where standard output belongs to another program.
pub(crate) fn log_announcement(line: &str) {
    tracing::info!(target: ANNOUNCEMENT, "{line}");
}

/// Prints what is wrong and does not end the program, a sentence with its line in the file.
pub(crate) fn print_warning(warning: impl Display) {
    if IS_SERVER.load(Relaxed) {
        tracing::warn!(target: SENTENCE, "{}", without_level(&warning.to_string(), "warning: "));
    } else {
        print(coloured(
            &warning.to_string(),
            is_coloured(&std::io::stderr()),
        ));
    }
}

/// Prints why the program fails.
pub(crate) fn print_failure(failure: &Failure) {
    if IS_SERVER.load(Relaxed) {
        tracing::error!(target: SENTENCE, "{}", without_level(&failure.to_string(), "error: "));
    } else {
        let text = format!("disktime: {failure}");
        print(coloured(&text, is_coloured(&std::io::stderr())));
    }
}

/// A sentence for the log, whose lines begin with their level already.
fn without_level<'a>(sentence: &'a str, word: &str) -> &'a str {
    sentence.strip_prefix(word).unwrap_or(sentence)
}

fn print(text: impl Display) {
    // A failure has no other place to be reported.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Whether output to there may have colours.
pub(crate) fn is_coloured(stream: &impl IsTerminal) -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !unwanted
}

/// The words that say how bad it is, in colour.
fn coloured(text: &str, with_colour: bool) -> String {
    if !with_colour {
        return text.to_owned();
    }
    let of_line = |line: &str| {
        for (word, code) in [
            ("disktime: ", "1;31"),
            ("error", "1;31"),
            ("warning", "1;33"),
        ] {
            if let Some(rest) = line.strip_prefix(word) {
                return format!("\x1b[{code}m{word}\x1b[0m{rest}");
            }
        }
        line.to_owned()
    };
    let lines: Vec<String> = text.lines().map(of_line).collect();
    lines.join("\n")
}

/// Starts to write the log to standard error.
///
/// # Errors
/// `DISKTIME_LOG` names no level.
pub(crate) fn start_log(verbosity: &Verbosity) -> CommandResult {
    let variable = std::env::var_os("DISKTIME_LOG").filter(|value| !value.is_empty());
    let variable = variable.map(|value| value.to_string_lossy().into_owned());
    let level = verbosity.level(variable.as_deref())?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(is_coloured(&std::io::stderr()))
        // An error of the log itself would be printed to the same place, and panic.
        .log_internal_errors(false)
        .event_format(ThrottledLines::new(Arc::clone(&LEFT_OUT)));
    let selected = Targets::new()
        .with_default(level)
        .with_target(SENTENCE, Level::INFO)
        .with_target(disktime_volumes::PROGRESS_TARGET, Level::INFO);
    tracing_subscriber::registry()
        .with(lines.with_filter(selected))
        .init();
    Ok(())
}

/// From now on every sentence is a line of the log.
pub(crate) fn become_server() {
    IS_SERVER.store(true, Relaxed);
    LEFT_OUT.write_in_time();
}

/// Writes the last line of each kind that was left out: the program ends.
pub(crate) fn end_log() {
    LEFT_OUT.write_all();
}

#[cfg(test)]
mod tests;
