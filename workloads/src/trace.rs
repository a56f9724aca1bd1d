//! Recorded requests: read from files of five formats, and replayed.
//!
//! `reader` opens a file and yields its requests one by one; `format` detects the format, and
//! `csv`, `blkparse` and `fio` read a line of each; `fields` reads numbers and times. `replay`
//! fits the requests into a client's range and determines their times.
//!
//! Invariants: a trace is streamed; whatever its length, one line is in memory. A line that cannot
//! be read is an error with file and line, never skipped. Times never go back: a line whose time
//! does is an error, or comes at once if the options say so.

mod blkparse;
mod csv;
mod fields;
mod fio;
mod format;
mod reader;
mod replay;
mod source;

pub(crate) use blkparse::device;
pub use format::{TraceEvent, TraceFormat, TraceOptions, Unsorted};
pub use reader::{TraceReader, TraceRecord};
pub(crate) use replay::Replay;
pub use replay::{TraceSurvey, survey};
pub use source::{Fit, Timing, TraceSource};

#[cfg(test)]
mod tests;
