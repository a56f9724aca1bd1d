//! Recorded requests: lines of `time_us,dev,op,offset,bytes`, plain or compressed by gzip.
//!
//! Invariants: a trace is streamed; whatever its length, one line is held. A line that cannot be
//! read is an error with file and line, never skipped. Times that go back are read as "at once",
//! because recorders on several processors write such lines.

use crate::requests::Wanted;
use crate::workload::{Fit, MAX_REQUEST_BYTES, TraceSource};
use crate::{Location, WorkloadError};
use disktime_engine::RequestKind;
use disktime_units::{Nanos, format_size};
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

/// The columns, which may also be the first line of the file.
const COLUMNS: &str = "time_us,dev,op,offset,bytes";
/// A longer line is not one of a trace.
const MAX_LINE_BYTES: u64 = 1024;
/// Read from the file at a time.
const CHUNK_BYTES: usize = 128 << 10;

/// One line of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceRecord {
    /// Microseconds since the first request.
    pub time_us: u64,
    /// Number of the device in the recording.
    pub dev: u64,
    /// A write, not a read.
    pub write: bool,
    /// Start of the range.
    pub offset_bytes: u64,
    /// Length of the range, 1 to 32 MiB.
    pub len_bytes: u64,
    /// The line, counted from 1.
    pub line: u64,
}

impl TraceRecord {
    /// The request in a range that starts at `base_bytes`.
    pub(crate) fn wanted(&self, base_bytes: u64) -> Wanted {
        Wanted {
            kind: if self.write {
                RequestKind::Write
            } else {
                RequestKind::Read
            },
            offset_bytes: base_bytes + self.offset_bytes,
            len_bytes: self.len_bytes,
            fua: false,
        }
    }
}

/// Reads a trace line by line.
pub struct TraceReader {
    file: Arc<str>,
    input: Box<dyn BufRead + Send>,
    text: Vec<u8>,
    line: u64,
}

impl std::fmt::Debug for TraceReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TraceReader({}, line {})", self.file, self.line)
    }
}

impl TraceReader {
    /// Opens a file; gzip is recognised by its first bytes, whatever the name.
    ///
    /// # Errors
    /// If the file cannot be opened or read.
    pub fn open(path: &Path) -> Result<TraceReader, WorkloadError> {
        let unreadable = |error: std::io::Error| {
            WorkloadError::new(format!(
                "the trace `{}` cannot be read: {error}; paths are relative to the workload file",
                path.display()
            ))
        };
        let mut plain =
            BufReader::with_capacity(CHUNK_BYTES, File::open(path).map_err(unreadable)?);
        let compressed = plain
            .fill_buf()
            .map_err(unreadable)?
            .starts_with(&[0x1F, 0x8B]);
        let input: Box<dyn BufRead + Send> = if compressed {
            Box::new(BufReader::with_capacity(
                CHUNK_BYTES,
                MultiGzDecoder::new(plain),
            ))
        } else {
            Box::new(plain)
        };
        Ok(TraceReader::from_input(&path.display().to_string(), input))
    }

    /// Reads from anything; `name` is what errors call it.
    pub fn from_input(name: &str, input: Box<dyn BufRead + Send>) -> TraceReader {
        TraceReader {
            file: Arc::from(name),
            input,
            text: Vec::new(),
            line: 0,
        }
    }

    /// The next line, or `None` at the end.
    ///
    /// # Errors
    /// If the file cannot be read on, or the line is not one of a trace.
    pub fn next_record(&mut self) -> Result<Option<TraceRecord>, WorkloadError> {
        loop {
            self.text.clear();
            let read = (&mut self.input)
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut self.text);
            self.line += 1;
            match read {
                Err(error) => {
                    return Err(self.error(format!("the trace cannot be read on: {error}")));
                }
                Ok(0) => return Ok(None),
                Ok(_) => {}
            }
            let text = self.text.trim_ascii();
            if text.is_empty() || (self.line == 1 && text == COLUMNS.as_bytes()) {
                continue;
            }
            return match parse_line(text, self.line) {
                Ok(record) => Ok(Some(record)),
                Err(what) => Err(self.error(what).help(format!(
                    "a line of a trace is `{COLUMNS}`, as in `1500,0,R,4096,8192`"
                ))),
            };
        }
    }

    /// An error about the line read last.
    pub(crate) fn error(&self, message: String) -> WorkloadError {
        let text = String::from_utf8_lossy(self.text.trim_ascii());
        let line = usize::try_from(self.line).unwrap_or(usize::MAX);
        WorkloadError::at(Some(&Location::line(&self.file, line, &text)), message)
    }
}

/// The digits of a number; faster than `str::parse`, which matters at ten million lines.
fn parse_number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

fn parse_line(text: &[u8], line: u64) -> Result<TraceRecord, String> {
    let mut columns = text
        .split(|byte| *byte == b',')
        .map(|column| column.trim_ascii());
    let mut column = |name: &str| {
        columns
            .next()
            .ok_or_else(|| format!("the column `{name}` is missing"))
    };
    let (time, dev, op) = (column("time_us")?, column("dev")?, column("op")?);
    let (offset, bytes) = (column("offset")?, column("bytes")?);
    if columns.next().is_some() {
        return Err("there are more than five columns".to_owned());
    }
    let number = |name: &str, text: &[u8]| {
        parse_number(text).ok_or_else(|| {
            format!(
                "`{}` in the column `{name}` is not a whole number",
                String::from_utf8_lossy(text)
            )
        })
    };
    let record = TraceRecord {
        time_us: number("time_us", time)?,
        dev: number("dev", dev)?,
        write: match op {
            b"R" | b"r" => false,
            b"W" | b"w" => true,
            _ => {
                return Err(format!(
                    "`{}` is neither R nor W",
                    String::from_utf8_lossy(op)
                ));
            }
        },
        offset_bytes: number("offset", offset)?,
        len_bytes: number("bytes", bytes)?,
        line,
    };
    if record.len_bytes == 0 || record.len_bytes > MAX_REQUEST_BYTES {
        return Err(format!(
            "a request has 1 byte to 32 MiB, not {} bytes",
            record.len_bytes
        ));
    }
    if record.offset_bytes.checked_add(record.len_bytes).is_none() {
        return Err("the request ends beyond the largest address".to_owned());
    }
    Ok(record)
}

/// What a whole trace is like; learnt by reading it once before it is replayed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TraceSurvey {
    /// How many requests.
    pub requests: u64,
    /// Where the furthest of them ends.
    pub extent_bytes: u64,
    /// The longest of them.
    pub longest_bytes: u64,
    /// The time of the last of them.
    pub last_us: u64,
}

/// Reads a whole trace without replaying it, so that a bad line shows before anything has run.
///
/// # Errors
/// A file or line that cannot be read; with [`Fit::Refuse`] an offset beyond `range_bytes`; a
/// request longer than the range; no line at all of the device.
pub fn survey(source: &TraceSource, range_bytes: u64) -> Result<TraceSurvey, WorkloadError> {
    let mut reader = TraceReader::open(&source.path)?;
    let mut survey = TraceSurvey::default();
    while let Some(record) = reader.next_record()? {
        if source.dev.is_some_and(|dev| dev != record.dev) {
            continue;
        }
        let end = record.offset_bytes + record.len_bytes;
        if source.fit == Fit::Refuse && end > range_bytes {
            let what = format!(
                "the request ends at {} ({end} bytes), beyond the {} that the client may use",
                format_size(end),
                format_size(range_bytes)
            );
            return Err(reader.error(what).help(
                "write \"fit\": \"wrap\" or \"fit\": \"scale\", or use a larger virtual disk",
            ));
        }
        if record.len_bytes > range_bytes {
            return Err(reader.error(format!(
                "the request has {}, but the client may use {} only; use a larger virtual disk",
                format_size(record.len_bytes),
                format_size(range_bytes)
            )));
        }
        survey.requests += 1;
        survey.extent_bytes = survey.extent_bytes.max(end);
        survey.longest_bytes = survey.longest_bytes.max(record.len_bytes);
        survey.last_us = survey.last_us.max(record.time_us);
    }
    if survey.requests == 0 {
        let which = source
            .dev
            .map_or(String::new(), |dev| format!(" of device {dev}"));
        return Err(WorkloadError::new(format!(
            "the trace `{}` holds no request{which}; check the file and `dev`",
            source.path.display()
        )));
    }
    Ok(survey)
}

/// A trace as a client replays it: lines of its device, at its speed, in its range.
#[derive(Debug)]
pub(crate) struct Replay {
    reader: TraceReader,
    source: TraceSource,
    range_bytes: u64,
    extent_bytes: u64,
    start: Nanos,
    latest: Nanos,
}

impl Replay {
    pub(crate) fn new(
        source: &TraceSource,
        range_bytes: u64,
        start: Nanos,
    ) -> Result<Replay, WorkloadError> {
        let survey = survey(source, range_bytes)?;
        Ok(Replay {
            reader: TraceReader::open(&source.path)?,
            source: source.clone(),
            range_bytes,
            extent_bytes: survey.extent_bytes,
            start,
            latest: start,
        })
    }

    /// The next request: when it comes, and the line with its offset moved into the range.
    pub(crate) fn next(&mut self) -> Result<Option<(Nanos, TraceRecord)>, WorkloadError> {
        while let Some(mut record) = self.reader.next_record()? {
            if self.source.dev.is_some_and(|dev| dev != record.dev) {
                continue;
            }
            record.offset_bytes = fitted_offset(
                self.source.fit,
                &record,
                self.range_bytes,
                self.extent_bytes,
            )
            .ok_or_else(|| {
                self.reader
                    .error("the trace changed while it was replayed".to_owned())
            })?;
            let nanos =
                u128::from(record.time_us) * 1_000 * 1_000_000 / u128::from(self.source.speed_ppm);
            let at = self
                .start
                .saturating_add(Nanos(u64::try_from(nanos).unwrap_or(u64::MAX)));
            self.latest = self.latest.max(at);
            return Ok(Some((self.latest, record)));
        }
        Ok(None)
    }
}

/// Where a request goes in a range, or `None` if it does not fit, which the survey excluded.
fn fitted_offset(
    fit: Fit,
    record: &TraceRecord,
    range_bytes: u64,
    extent_bytes: u64,
) -> Option<u64> {
    let last = range_bytes.checked_sub(record.len_bytes)?;
    let offset = match fit {
        Fit::Refuse => return (record.offset_bytes <= last).then_some(record.offset_bytes),
        Fit::Wrap => record.offset_bytes % range_bytes,
        Fit::Scale => {
            let scaled = u128::from(record.offset_bytes) * u128::from(range_bytes)
                / u128::from(extent_bytes.max(1));
            u64::try_from(scaled).ok()? / 512 * 512
        }
    };
    // What would stick out at the end is moved back, to a multiple of 512 as recorded ones are.
    Some(if offset <= last {
        offset
    } else {
        last / 512 * 512
    })
}

#[cfg(test)]
#[path = "trace_tests.rs"]
mod tests;
