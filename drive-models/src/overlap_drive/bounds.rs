//! The bounds of a drive that follow from the figures of its model: σ and W.
//!
//! Invariant: both come from the figures alone, so a drive with other figures has other bounds, and
//! no run is asked. Tests compare them with what probes find.
//!
//! What is not known here: prices, and what a scheduler makes of the bounds.

use super::OverlapParameters;
use crate::cost::moving;
use crate::{CloudParameters, FlashParameters};
use disktime_units::Nanos;

/// W is a multiple of this.
const STEP: Nanos = Nanos::from_micros(100);

/// Collected programs go to dies at random. So many standard deviations beyond the mean are
/// reckoned with on one die.
const DEVIATIONS: u64 = 3;

impl OverlapParameters {
    /// σ: the time that a program and what it brings keep a die, which is what reads may still meet
    /// when the writes' own time has run off.
    pub(super) fn settle(&self) -> Nanos {
        match self {
            OverlapParameters::Flash(flash) => flash.settle(),
            OverlapParameters::Cloud(_) => Nanos::ZERO,
        }
    }

    /// W: the longest that a request of up to `quantum_bytes` takes alone, behind what writes
    /// before it left.
    pub(super) fn worst_case(&self, quantum_bytes: u64) -> Nanos {
        let longest = match self {
            OverlapParameters::Flash(flash) => flash.longest(quantum_bytes),
            OverlapParameters::Cloud(cloud) => cloud.longest(quantum_bytes),
        };
        Nanos(longest.0.next_multiple_of(STEP.0))
    }
}

impl FlashParameters {
    /// A program at the sustained rate, with its share of an erase.
    fn sustained_program(&self) -> Nanos {
        let program = match self.cache_bytes {
            Some(_) => self.slow_program,
            None => self.program,
        };
        program + self.erase_share
    }

    fn settle(&self) -> Nanos {
        let amplified = 1000 + u64::from(self.collected_per_thousand);
        Nanos(self.sustained_program().0 * amplified / 1000)
    }

    /// A read or write alone behind what writes left on its dies, or a flush of it. Reads delay
    /// programs, so a die can have one in progress and one that waits, if the buffer holds as many.
    fn longest(&self, quantum_bytes: u64) -> Nanos {
        let moved = self.longest_read(quantum_bytes);
        let moved = moved.max(self.longest_write(quantum_bytes));
        let stripes = self.buffer_bytes / u64::from(self.stripe_bytes);
        let programs = (stripes / (self.luns() as u64).max(1)).clamp(1, 2);
        moved + Nanos(self.settle().0 * programs) + self.longest_collection()
    }

    /// The stripes of a read lie on dies next to each other, which share channels.
    fn longest_read(&self, quantum_bytes: u64) -> Nanos {
        let stripe_bytes = u64::from(self.stripe_bytes);
        let stripes = quantum_bytes.div_ceil(stripe_bytes) + 1;
        let rounds = stripes.div_ceil(self.luns() as u64);
        let varied = u64::from(100 + self.variation_percent);
        let read = Nanos(self.read.0 * rounds * varied / 100);
        let of_channel = u64::from(self.luns_per_channel) * stripe_bytes * rounds;
        self.command
            + self.read_latency
            + read
            + moving(self.channel_per_mib, of_channel.min(quantum_bytes))
            + moving(self.link_per_mib, quantum_bytes)
    }

    fn longest_write(&self, quantum_bytes: u64) -> Nanos {
        self.write_command + moving(self.link_per_mib, quantum_bytes) + self.write_latency
    }

    /// What garbage collection puts on one die beyond its part: it collects for a whole buffer of
    /// writes, each program on a die at random.
    fn longest_collection(&self) -> Nanos {
        let stripes = self.buffer_bytes / u64::from(self.stripe_bytes);
        let collected = stripes * u64::from(self.collected_per_thousand) / 1000;
        let dies = (self.luns() as u64).max(1);
        let variance = collected * (dies - 1) / (dies * dies);
        let beyond = DEVIATIONS * variance.isqrt();
        Nanos((self.sustained_program() + self.read).0 * beyond)
    }
}

impl CloudParameters {
    /// Both rates admit it, the credit being used up, and then it takes the longest latency.
    fn longest(&self, quantum_bytes: u64) -> Nanos {
        let operations = quantum_bytes.div_ceil(self.operation_bytes).max(1);
        let operations = Nanos(self.operation.0 * operations);
        operations.max(moving(self.per_mib, quantum_bytes)) + self.latency_max
    }
}
