//! The first probe of a device: whether it rotates, told by a second of reads.
//!
//! What the kernel says of a virtual disk is often wrong: virtio and many cloud volumes report a
//! rotational disk where nothing rotates.
//!
//! Invariant: only reads are sent. What is not known here: what the device reports of itself, and
//! whether the places that are read hold data. Reads of holes cost nothing on any disk.

use crate::plan::{SMALL_BYTES, probe};
use crate::probe::{Places, ProbeError, Prober};
use disktime_drive_models::Operation;
use disktime_units::Nanos;

/// More random reads a second, one at a time, than a rotating disk does: even without a seek it
/// waits half a turn, 2 ms at 15,000 turns a minute.
const ROTATING_ALONE: u64 = 1000;
/// More than it does with many in flight, which it serves in the order of their places.
const ROTATING_DEEP: u64 = 3000;
/// Reads in flight.
const DEPTH: u32 = 32;
/// Each of the two probes takes so long: 40 reads of a slow disk.
const TIME: Nanos = Nanos::from_millis(500);

/// What the first reads of a device told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstProbe {
    /// Random reads of 4 KiB a second, one at a time.
    pub reads_per_second_alone: u64,
    /// The same with many in flight.
    pub reads_per_second_deep: u64,
}

impl FirstProbe {
    /// Reads from the device for a second.
    ///
    /// # Errors
    /// A read failed or was not answered.
    pub fn take(prober: &mut dyn Prober) -> Result<FirstProbe, ProbeError> {
        let depth = DEPTH.min(prober.facts().max_depth).max(1);
        let mut rate = |depth| {
            let mut reads = probe(Operation::Read, Places::Random, SMALL_BYTES, depth);
            reads.duration = TIME;
            prober.run(&reads).map(|sample| sample.late_per_second())
        };
        Ok(FirstProbe {
            reads_per_second_alone: rate(1)?,
            reads_per_second_deep: rate(depth)?,
        })
    }

    /// Whether a rotating disk could have been as fast.
    pub fn may_rotate(&self) -> bool {
        self.reads_per_second_alone <= ROTATING_ALONE && self.reads_per_second_deep <= ROTATING_DEEP
    }
}
