//! The progress of a run in real time, for a live table.

use disktime_units::Nanos;

/// What happened since the last call; for a live table.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Time since the start.
    pub at: Nanos,
    /// The clients, in the workload's order.
    pub clients: Vec<ClientProgress>,
}

/// What one client did since the last call.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientProgress {
    /// Its name.
    pub name: String,
    /// Requests completed per second.
    pub iops: f64,
    /// Bytes per second.
    pub bytes_per_second: f64,
    /// 1 % of the requests took longer; `None` if none was completed.
    pub p99: Option<Nanos>,
    /// Requests in flight.
    pub in_flight: u32,
    /// Failed requests since the start.
    pub errors: u64,
}
