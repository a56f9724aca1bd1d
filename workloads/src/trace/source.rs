//! Which trace a client replays, when its requests come, and how they fit its range.

use super::format::TraceOptions;
use disktime_units::Nanos;
use std::path::PathBuf;

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
    /// What happens to offsets that the virtual disk does not have.
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
    /// Open loop: at the times of the recording. Requests that the depth delays are counted as
    /// delayed.
    Recorded {
        /// How much faster than recorded, in parts per million: 2,000,000 is twice as fast.
        speed_ppm: u64,
        /// No pause between two requests is longer than this, after the speed is applied.
        max_gap: Option<Nanos>,
    },
    /// Closed loop: whenever fewer requests than the depth are in flight.
    AsFastAsPossible,
}

impl Timing {
    /// At the times of the recording, with all pauses.
    pub const AS_RECORDED: Timing = Timing::Recorded {
        speed_ppm: 1_000_000,
        max_gap: None,
    };
}

/// What happens to the requests of a trace that was recorded on a larger disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It is an error.
    Refuse,
    /// Offsets are taken modulo the range, rounded down to 512 bytes.
    Wrap,
    /// Offsets are scaled linearly to the range, in steps of 512 bytes.
    Scale,
}
