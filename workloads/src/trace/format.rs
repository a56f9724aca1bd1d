//! The formats of traces, and how they are detected.

use super::fields::{columns, is_number};

/// A format of traces. docs/workloads.md shows a line of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceFormat {
    /// `time_us,dev,op,offset,bytes`.
    Csv,
    /// Microsoft Research Cambridge: `Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime`,
    /// times in units of 100 ns.
    Msr,
    /// Storage Performance Council: `ASU,LBA,Size,Opcode,Timestamp`, addresses in sectors of 512
    /// bytes, sizes in bytes, times in seconds.
    Spc,
    /// What `blkparse` prints by default.
    Blkparse,
    /// An iolog of fio, version 2 or 3, as its first line says.
    Fio,
}

impl TraceFormat {
    /// All formats.
    pub const ALL: [TraceFormat; 5] = [
        TraceFormat::Csv,
        TraceFormat::Msr,
        TraceFormat::Spc,
        TraceFormat::Blkparse,
        TraceFormat::Fio,
    ];

    /// Its name in workload files.
    pub const fn name(self) -> &'static str {
        match self {
            TraceFormat::Csv => "csv",
            TraceFormat::Msr => "msr",
            TraceFormat::Spc => "spc",
            TraceFormat::Blkparse => "blkparse",
            TraceFormat::Fio => "fio",
        }
    }

    /// The format of a name.
    pub fn from_name(name: &str) -> Option<TraceFormat> {
        TraceFormat::ALL
            .into_iter()
            .find(|format| format.name() == name)
    }

    /// A description of its lines, for messages.
    pub(crate) const fn line(self) -> &'static str {
        match self {
            TraceFormat::Csv => {
                "a line of a csv trace is `time_us,dev,op,offset,bytes`, as in `1500,0,R,4096,8192`"
            }
            TraceFormat::Msr => {
                "a line of an MSR trace is \
                    `Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime`, as in \
                    `128166372003061629,usr,0,Read,7014609920,24576,41286`"
            }
            TraceFormat::Spc => {
                "a line of an SPC trace is `ASU,LBA,Size,Opcode,Timestamp`, as in \
                    `0,20941264,8192,W,0.551706`"
            }
            TraceFormat::Blkparse => {
                "a request printed by blkparse is `8,0 1 42 0.001234567 697 Q WS 223490 + 8 \
                    [kworker/1:2]`"
            }
            TraceFormat::Fio => {
                "a line of a fio iolog is `FILE ACTION OFFSET BYTES` (version 3: with \
                    microseconds before it), as in `/dev/sdb read 4096 8192`"
            }
        }
    }

    /// The format of a file by its first line that is not empty.
    pub(crate) fn of_first_line(line: &[u8]) -> Option<TraceFormat> {
        if line.starts_with(b"fio version ") {
            return Some(TraceFormat::Fio);
        }
        if line.starts_with(b"Input file ") {
            return Some(TraceFormat::Blkparse);
        }
        if let Some(format) = super::csv::heading(line) {
            return Some(format);
        }
        let mut words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        if let (Some(device), Some(cpu)) = (words.next(), words.next())
            && device
                .iter()
                .all(|byte| byte.is_ascii_digit() || *byte == b',')
            && is_number(cpu)
        {
            return Some(TraceFormat::Blkparse);
        }
        let letter = |column: &[u8]| matches!(column, b"R" | b"r" | b"W" | b"w");
        let mut found: [&[u8]; 7] = [&[]; 7];
        let count = columns(line, &mut found);
        let [_, _, third, fourth, ..] = found;
        if count == 5 && letter(third) {
            Some(TraceFormat::Csv)
        } else if count == 7 && !letter(fourth) && !is_number(fourth) {
            Some(TraceFormat::Msr)
        } else if count >= 5 && letter(fourth) {
            Some(TraceFormat::Spc)
        } else {
            None
        }
    }
}

/// Which of blkparse's events are the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TraceEvent {
    /// `Q`: as programs submitted them.
    #[default]
    Queued,
    /// `D`: as they were sent to the device, merged and in the scheduler's order.
    Issued,
}

/// What happens to a line whose time is earlier than that of the line before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unsorted {
    /// It is an error.
    #[default]
    Refuse,
    /// Its request comes at once after the one before it.
    AtOnce,
}

/// How a trace is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TraceOptions {
    /// Its format; detected from the first line if `None`.
    pub format: Option<TraceFormat>,
    /// For blkparse: which events are the requests.
    pub event: TraceEvent,
    /// What happens to times that go back.
    pub unsorted: Unsorted,
}
