//! Reads a trace line by line: plain or compressed by gzip, of any format.

use super::fio::FioState;
use super::format::{TraceFormat, TraceOptions, Unsorted};
use super::{blkparse, csv};
use crate::WorkloadError;
use crate::operation::MAX_REQUEST_BYTES;
use crate::requests::RequestSpec;
use disktime_documents::Excerpt;
use disktime_engine::RequestKind;
use disktime_units::Nanos;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

/// The longest line of a trace.
const MAX_LINE_BYTES: u64 = 1024;
/// How much is read from the file at a time.
const CHUNK_BYTES: usize = 128 << 10;
/// The longest trim, which is the limit of the NBD protocol.
const MAX_TRIM_BYTES: u64 = u32::MAX as u64;

/// One request of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceRecord {
    /// When: in the format `csv` as written, in the others since the first request.
    pub at: Nanos,
    /// Number of the device in the recording: as written; for blkparse major × 2^20 + minor; for
    /// fio the number of the file, from 0 in the order in which they occur.
    pub dev: u64,
    /// The kind of request.
    pub kind: RequestKind,
    /// Whether it is a write with FUA.
    pub fua: bool,
    /// Start of the range; 0 for a flush.
    pub offset_bytes: u64,
    /// Length of the range, 1 byte to 32 MiB (a trim to 4 GiB); 0 for a flush.
    pub len_bytes: u64,
    /// The line, counted from 1.
    pub line: u64,
}

impl TraceRecord {
    /// The request in a range that starts at `base_bytes`.
    pub(crate) fn spec(&self, base_bytes: u64) -> RequestSpec {
        let flush = self.kind == RequestKind::Flush;
        RequestSpec {
            kind: self.kind,
            offset_bytes: if flush {
                0
            } else {
                base_bytes + self.offset_bytes
            },
            len_bytes: self.len_bytes,
            fua: self.fua,
        }
    }
}

/// What a format made of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A line without a request.
    Nothing,
    One(Line),
    /// A flush and what came with it.
    Two(Line, Line),
    /// The rest is not for us.
    End,
}

/// A request as a format has it, its time since whenever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub at: Nanos,
    pub dev: u64,
    pub kind: RequestKind,
    pub fua: bool,
    pub offset_bytes: u64,
    pub len_bytes: u64,
}

impl Line {
    fn check(&self) -> Result<(), String> {
        let most = match self.kind {
            RequestKind::Flush => return Ok(()),
            RequestKind::Trim => MAX_TRIM_BYTES,
            _ => MAX_REQUEST_BYTES,
        };
        if self.len_bytes == 0 || self.len_bytes > most {
            return Err(format!(
                "a request has 1 byte to 32 MiB, not {} bytes",
                self.len_bytes
            ));
        }
        if self.offset_bytes.checked_add(self.len_bytes).is_none() {
            return Err("the request ends beyond the largest address".to_owned());
        }
        Ok(())
    }
}

/// Reads a trace request by request.
pub struct TraceReader {
    file: Arc<str>,
    input: Box<dyn BufRead + Send>,
    options: TraceOptions,
    text: Vec<u8>,
    line: u64,
    fio: FioState,
    /// The time of the first request, from which times count.
    origin: Option<Nanos>,
    latest: Nanos,
    /// The second request of a line that had two.
    second: Option<Line>,
    ended: bool,
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
    pub fn open(path: &Path, options: TraceOptions) -> Result<TraceReader, WorkloadError> {
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
            let unpacked = MultiGzDecoder::new(plain);
            Box::new(BufReader::with_capacity(CHUNK_BYTES, unpacked))
        } else {
            Box::new(plain)
        };
        let name = path.display().to_string();
        Ok(TraceReader::from_input(&name, options, input))
    }

    /// Reads from anything; `name` is what errors call it.
    pub fn from_input(
        name: &str,
        options: TraceOptions,
        input: Box<dyn BufRead + Send>,
    ) -> TraceReader {
        TraceReader {
            file: Arc::from(name),
            input,
            options,
            text: Vec::with_capacity(MAX_LINE_BYTES as usize),
            line: 0,
            fio: FioState::default(),
            origin: None,
            latest: Nanos::ZERO,
            second: None,
            ended: false,
        }
    }

    /// The next request, or `None` at the end.
    ///
    /// # Errors
    /// If the file cannot be read any further, or the line is not in its format, or its time goes
    /// back.
    pub fn next_record(&mut self) -> Result<Option<TraceRecord>, WorkloadError> {
        if let Some(second) = self.second.take() {
            return self.record(second).map(Some);
        }
        while !self.ended {
            if !self.read_line()? {
                break;
            }
            let format = self.format()?;
            let Some(format) = format else { continue };
            let text = self.text.trim_ascii();
            let parsed = match format {
                _ if text.is_empty() => Ok(Parsed::Nothing),
                TraceFormat::Csv => csv::own(text).map(Parsed::One),
                TraceFormat::Msr => csv::msr(text).map(Parsed::One),
                TraceFormat::Spc => csv::spc(text).map(Parsed::One),
                TraceFormat::Blkparse => blkparse::line(text, self.options.event),
                TraceFormat::Fio => self.fio.line(text),
            };
            match parsed {
                Ok(Parsed::Nothing) => {}
                Ok(Parsed::One(line)) => return self.record(line).map(Some),
                Ok(Parsed::Two(line, second)) => {
                    self.second = Some(second);
                    return self.record(line).map(Some);
                }
                Ok(Parsed::End) => self.ended = true,
                Err(what) => return Err(self.error(what).help(format.line())),
            }
        }
        Ok(None)
    }

    /// Reads a line; `false` at the end.
    fn read_line(&mut self) -> Result<bool, WorkloadError> {
        self.text.clear();
        let read = (&mut self.input)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut self.text);
        self.line += 1;
        match read {
            Err(error) => Err(self.error(format!("the trace cannot be read any further: {error}"))),
            Ok(bytes) if bytes as u64 == MAX_LINE_BYTES && !self.text.ends_with(b"\n") => {
                let what = format!("the line has more than {MAX_LINE_BYTES} bytes");
                Err(self.error(what).help("this is not a trace; check the file"))
            }
            Ok(bytes) => Ok(bytes > 0),
        }
    }

    /// The format, which is detected from the first line if it is not given; `None` for a line to
    /// ignore: an empty one, or one with the names of the columns.
    fn format(&mut self) -> Result<Option<TraceFormat>, WorkloadError> {
        let text = self.text.trim_ascii();
        if text.is_empty() {
            return Ok(None);
        }
        if self.options.format.is_none() {
            let found = TraceFormat::of_first_line(text);
            if found.is_none() {
                let names: Vec<_> = TraceFormat::ALL
                    .iter()
                    .map(|format| format!("\"{}\"", format.name()))
                    .collect();
                let what = "this line is in no known format of traces".to_owned();
                let help = format!("write \"format\": one of {}", names.join(", "));
                return Err(self.error(what).help(help));
            }
            self.options.format = found;
        }
        // The names of the columns may only stand before the first request.
        Ok(self
            .options
            .format
            .filter(|_| self.origin.is_some() || csv::heading(text).is_none()))
    }

    /// A request of the line read last, checked and with its time.
    fn record(&mut self, line: Line) -> Result<TraceRecord, WorkloadError> {
        line.check().map_err(|what| {
            let help = self.options.format.map_or("", TraceFormat::line);
            self.error(what).help(help)
        })?;
        let from_file = match self.options.format {
            Some(TraceFormat::Csv) => Nanos::ZERO,
            _ => line.at,
        };
        let origin = *self.origin.get_or_insert(from_file);
        let at = line.at.saturating_sub(origin);
        if line.at < origin || at < self.latest {
            match self.options.unsorted {
                Unsorted::AtOnce => {}
                Unsorted::Refuse => {
                    let back = origin.saturating_add(self.latest).saturating_sub(line.at);
                    let what = format!("the time goes back, by {back}");
                    return Err(self
                        .error(what)
                        .help("sort the trace by time, or write \"unsorted\": \"at-once\""));
                }
            }
        }
        self.latest = self.latest.max(at);
        Ok(TraceRecord {
            at: self.latest,
            dev: line.dev,
            kind: line.kind,
            fua: line.fua,
            offset_bytes: line.offset_bytes,
            len_bytes: line.len_bytes,
            line: self.line,
        })
    }

    /// An error about the line read last.
    pub(crate) fn error(&self, message: String) -> WorkloadError {
        let text = String::from_utf8_lossy(self.text.trim_ascii());
        let line = usize::try_from(self.line).unwrap_or(usize::MAX);
        WorkloadError::at(Some(&Excerpt::of_line(&self.file, line, &text)), message)
    }
}
