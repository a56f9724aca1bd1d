//! A request of a client, with the time at which it is due.

use disktime_engine::RequestKind;
use disktime_units::Nanos;

/// The largest read or write that a frontend accepts.
pub const MAX_REQUEST_BYTES: u64 = 32 << 20;

/// A request of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The kind of request.
    pub kind: RequestKind,
    /// Start of the range in the virtual disk.
    pub offset_bytes: u64,
    /// Length of the range.
    pub len_bytes: u64,
    /// Whether the reply waits until the data are durable.
    pub fua: bool,
    /// The user of a closed loop, from 0 to the depth; 0 in an open loop.
    pub user: u32,
    /// When it was due: latency counts from here. In an open loop and in a trace this may be before
    /// the time of the poll, when the depth delayed it.
    pub arrived_at: Nanos,
}
