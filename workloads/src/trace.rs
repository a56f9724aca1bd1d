//! Recorded requests: read from files of five formats, and replayed.
//!
//! `reader` opens a file and yields its requests one by one; `format` tells the formats apart, and
//! `csv`, `blkparse` and `fio` read a line of each; `fields` reads numbers and times. `replay`
//! fits the requests into a client's range and decides when they come.
//!
//! Invariants: a trace is streamed; whatever its length, one line is held. A line that cannot be
//! read is an error with file and line, never skipped. Times never go back: unless asked to be read as
//! "at once", a line that does is an error.

mod blkparse;
mod csv;
mod fields;
mod fio;
mod format;
mod reader;
mod replay;

pub(crate) use blkparse::device;
pub use format::{TraceEvent, TraceFormat, TraceOptions, Unsorted};
pub use reader::{TraceReader, TraceRecord};
pub(crate) use replay::Replay;
pub use replay::{TraceSurvey, survey};

#[cfg(test)]
mod tests;
