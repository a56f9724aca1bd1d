//! A workload as a value: which clients send which requests to which virtual disk, how often and
//! how long. Read from a file by [`Workload::parse`], or built in code.
//!
//! What is not known here: how requests are served, and by which clock.

use crate::generated::{Blocks, Generated, Pace};
use crate::trace::TraceSource;
use disktime_documents::Excerpt;
use disktime_units::Nanos;

/// The most requests that one client may have in flight; it bounds memory.
pub const MAX_DEPTH: u32 = 65_536;

/// The most requests in flight in an open loop and in a replayed trace, unless the client says
/// otherwise; 1 in a closed loop.
pub const OPEN_DEPTH: u32 = 128;

/// A set of clients with a duration and a seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// How long it runs; requests that complete later are not measured.
    pub duration: Nanos,
    /// The seed of all random choices.
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
    /// Where its requests come from.
    pub source: RequestSource,
    /// The most requests in flight.
    pub depth: u32,
    /// When it starts.
    pub start: Nanos,
    /// When it stops sending requests.
    pub stop: Nanos,
    /// Start of the part of the virtual disk that it uses.
    pub offset_bytes: u64,
    /// Length of that part; the rest of the virtual disk if `None`.
    pub span_bytes: Option<u64>,
    /// The lines of the file, for errors that are found only when the virtual disk is known.
    pub excerpts: ClientExcerpts,
}

/// The lines of a client's keys in the file. Empty for a client built in code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClientExcerpts {
    /// The name of the virtual disk.
    pub vdisk: Option<Excerpt>,
    /// The client.
    pub client: Option<Excerpt>,
    /// The client's range, or else the client.
    pub range: Option<Excerpt>,
    /// The trace file, or else the client.
    pub trace: Option<Excerpt>,
}

/// Where a client's requests come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestSource {
    /// They are generated.
    Generated(Generated),
    /// They were recorded.
    Trace(TraceSource),
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
    /// Whether it may change what its vdisk holds. What a trace does is known only while it is
    /// read.
    pub fn may_write(&self) -> bool {
        match &self.source {
            RequestSource::Generated(generated) => generated.writes(),
            RequestSource::Trace(_) => true,
        }
    }

    /// A closed loop of random 4 KiB reads at depth 1 from 0 to `stop`, to be changed as needed.
    pub fn new(name: &str, vdisk: &str, stop: Nanos) -> Client {
        Client {
            name: name.to_owned(),
            vdisk: vdisk.to_owned(),
            source: RequestSource::Generated(Generated::blocks(Blocks::RANDOM_READS, Pace::GREEDY)),
            depth: 1,
            start: Nanos::ZERO,
            stop,
            offset_bytes: 0,
            span_bytes: None,
            excerpts: ClientExcerpts::default(),
        }
    }
}
