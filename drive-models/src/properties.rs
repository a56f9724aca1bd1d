//! What a model says of the drive that it models, for a scheduler and for people.
//!
//! What is not known here: whether the model runs in virtual time or paces a real disk.

use crate::{CostModel, PositioningMap};
use disktime_units::Nanos;

/// One point of a seek curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeekPoint {
    /// Distance in bytes of the disk's address space.
    pub distance_bytes: u64,
    /// Seek time for it, without rotation.
    pub seek: Nanos,
}

/// Bounds, means and abilities of a modelled drive.
#[derive(Debug, Clone)]
pub struct DriveProperties {
    /// Size of the address space, a multiple of `block_bytes`.
    pub size_bytes: u64,
    /// Offsets and lengths of requests are multiples of this.
    pub block_bytes: u32,
    /// Whether a change of place costs a seek.
    pub has_seeks: bool,
    /// W: bound on the service time of one request of at most `quantum_bytes`.
    pub worst_case: Nanos,
    /// s: mean cost of a switch between streams: mean seek + half a turn. 0 without seeks.
    pub switch_cost: Nanos,
    /// R: the longest seek plus a turn. 0 without seeks.
    pub worst_seek: Nanos,
    /// Seek time by distance, ascending, from 0 to the whole disk. Empty without seeks.
    pub seek_curve: Vec<SeekPoint>,
    /// Seeks and angles of every place, where the drive has a platter.
    pub positioning: Option<PositioningMap>,
    /// Prices before dispatch.
    pub cost: CostModel,
    /// Bound on requests in flight; 1 on a drive with seeks.
    pub max_in_flight: usize,
    /// Longest request that is sent in one piece.
    pub quantum_bytes: u32,
    /// Whether discards do anything.
    pub discards: bool,
    /// Whether the drive answers writes before they are on the medium.
    pub write_cache: bool,
    /// What the user should be told once at start, as sentences.
    pub notices: Vec<String>,
}
