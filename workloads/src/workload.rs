//! A workload as a value: who asks which virtual disk for what, how often and how long. Read from
//! a file by [`Workload::parse`], or built in code.
//!
//! What is not known here: how requests are served, and by which clock.

use crate::Location;
use crate::generated::{Blocks, Generated, Pace};
use crate::trace::TraceOptions;
use disktime_units::Nanos;
use std::path::PathBuf;

/// The largest read or write that a door takes.
pub const MAX_REQUEST_BYTES: u64 = 32 << 20;

/// The most requests that one client may have under way; it bounds memory.
pub const MAX_DEPTH: u32 = 65_536;

/// Requests under way at most in an open loop and in a replayed trace, unless the client says
/// otherwise; 1 in a closed loop.
pub const OPEN_DEPTH: u32 = 128;

/// Some clients, for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// How long it runs; what completes later is not measured.
    pub duration: Nanos,
    /// Where all random choices come from.
    pub seed: u64,
    /// The clients, in the file's order; their names are unique.
    pub clients: Vec<Client>,
}

/// One client of one virtual disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its name in the report.
    pub name: String,
    /// The virtual disk that it uses.
    pub vdisk: String,
    /// What it asks for.
    pub source: Source,
    /// Requests under way at most.
    pub depth: u32,
    /// When it starts.
    pub start: Nanos,
    /// When it stops asking.
    pub stop: Nanos,
    /// Start of the part of the virtual disk that it uses.
    pub offset_bytes: u64,
    /// Length of that part; the rest of the virtual disk if `None`.
    pub span_bytes: Option<u64>,
    /// Where the file says so, for errors that show only when the virtual disk is known.
    pub places: ClientPlaces,
}

/// Where in the file a client's keys are. Empty for a client built in code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientPlaces {
    /// The name of the virtual disk.
    pub vdisk: Option<Location>,
    /// The client.
    pub client: Option<Location>,
    /// The client's range, or else the client.
    pub range: Option<Location>,
    /// The trace file, or else the client.
    pub trace: Option<Location>,
}

/// Where a client's requests come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// They are made up.
    Generated(Generated),
    /// They were recorded.
    Trace(TraceSource),
}

/// Recorded requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceSource {
    /// The file, plain or compressed by gzip.
    pub path: PathBuf,
    /// How it is read.
    pub options: TraceOptions,
    /// Only requests of this device; `None` for all.
    pub dev: Option<u64>,
    /// When its requests come.
    pub timing: Timing,
    /// What is done about offsets that the virtual disk does not have.
    pub fit: Fit,
}

impl TraceSource {
    /// A whole trace as recorded.
    pub fn new(path: impl Into<PathBuf>) -> TraceSource {
        TraceSource {
            path: path.into(),
            options: TraceOptions::default(),
            dev: None,
            timing: Timing::AS_RECORDED,
            fit: Fit::Refuse,
        }
    }
}

/// When recorded requests come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// Open loop: at the times of the recording. What the depth holds back comes later, and is
    /// counted as delayed.
    Recorded {
        /// How much faster than recorded, in parts per million: 2,000,000 is twice as fast.
        speed_ppm: u64,
        /// No pause between two requests is longer than this, after the speed is applied.
        max_gap: Option<Nanos>,
    },
    /// Closed loop: whenever fewer requests than the depth are under way.
    AsFastAsPossible,
}

impl Timing {
    /// At the times of the recording, pauses and all.
    pub const AS_RECORDED: Timing = Timing::Recorded {
        speed_ppm: 1_000_000,
        max_gap: None,
    };
}

/// What is done when a trace was recorded on a larger disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It is an error.
    Refuse,
    /// Offsets are taken modulo the range, rounded down to 512 bytes.
    Wrap,
    /// Offsets are scaled linearly to the range, in steps of 512 bytes.
    Scale,
}

impl Workload {
    /// A workload without clients.
    pub fn new(duration: Nanos, seed: u64) -> Workload {
        Workload {
            duration,
            seed,
            clients: Vec::new(),
        }
    }
}

impl Client {
    /// A closed loop of random 4 KiB reads at depth 1 from 0 to `stop`, to be changed as needed.
    pub fn new(name: &str, vdisk: &str, stop: Nanos) -> Client {
        Client {
            name: name.to_owned(),
            vdisk: vdisk.to_owned(),
            source: Source::Generated(Generated::blocks(Blocks::RANDOM_READS, Pace::GREEDY)),
            depth: 1,
            start: Nanos::ZERO,
            stop,
            offset_bytes: 0,
            span_bytes: None,
            places: ClientPlaces::default(),
        }
    }
}
