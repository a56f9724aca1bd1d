//! Prices of a device that does several requests at once: each class of request has what it takes
//! of the device's throughput (its occupancy) and what it takes alone on an idle device.
//!
//! The occupancy of a write is that of the *sustained* rate: a device that answers from its buffer
//! owes the rest later, and the writer pays for it.
//!
//! Invariants: no overflow; a request alone never takes less than its occupancy.
//!
//! What is not known here: how a device comes to these numbers, and who measured them.

use super::{Quote, moving, scaled};
use crate::Operation;
use disktime_units::Nanos;

/// Prices of one class of request, by its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassCost {
    /// Occupancy of a request of no bytes.
    pub occupancy_base: Nanos,
    /// Occupancy of a MiB, at the sustained rate.
    pub occupancy_per_mib: Nanos,
    /// Latency of a request of no bytes, alone on the idle device.
    pub lone_base: Nanos,
    /// Latency that a MiB adds, alone on the idle device.
    pub lone_per_mib: Nanos,
}

/// Prices of a device that overlaps requests, and its bounds. Zeroing is priced as writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OverlapCost {
    /// Reads that do not continue the one before.
    pub random_read: ClassCost,
    /// Reads that begin where the one before ended.
    pub sequential_read: ClassCost,
    /// Writes that do not continue the one before.
    pub random_write: ClassCost,
    /// Writes that begin where the one before ended.
    pub sequential_write: ClassCost,
    /// Discards.
    pub discard: ClassCost,
    /// Flushes; they have no length.
    pub flush: ClassCost,
    /// H: the occupancy in flight with which the device is full enough.
    pub occupancy_bound: Nanos,
    /// σ: the time until reads are normal after writes stop.
    pub settle: Nanos,
    /// A tenth of small random reads alone takes at most so many per cent of their mean: less than
    /// 100 where latency varies.
    pub fast_read_percent: u32,
}

impl ClassCost {
    /// The class in which a small and a large request take this, each given with its length.
    pub fn through(small: (u64, Quote), large: (u64, Quote)) -> ClassCost {
        let span = large.0.saturating_sub(small.0).max(1);
        let line = |small_time: Nanos, large_time: Nanos| {
            let rise = u128::from(large_time.saturating_sub(small_time).0);
            let per_mib = (rise << 20) / u128::from(span);
            let per_mib = Nanos(u64::try_from(per_mib).unwrap_or(u64::MAX));
            (small_time.saturating_sub(moving(per_mib, small.0)), per_mib)
        };
        let (occupancy_base, occupancy_per_mib) = line(small.1.occupancy, large.1.occupancy);
        let (lone_base, lone_per_mib) = line(small.1.lone, large.1.lone);
        ClassCost {
            occupancy_base,
            occupancy_per_mib,
            lone_base,
            lone_per_mib,
        }
    }

    /// What a request of that length takes.
    #[inline]
    pub fn quote(&self, len_bytes: u64) -> Quote {
        let line = |base: Nanos, per_mib| base.saturating_add(moving(per_mib, len_bytes));
        Quote::new(
            line(self.occupancy_base, self.occupancy_per_mib),
            line(self.lone_base, self.lone_per_mib),
        )
    }

    fn in_percent(self, percent: u32) -> ClassCost {
        ClassCost {
            occupancy_base: scaled(self.occupancy_base, percent),
            occupancy_per_mib: scaled(self.occupancy_per_mib, percent),
            lone_base: scaled(self.lone_base, percent),
            lone_per_mib: scaled(self.lone_per_mib, percent),
        }
    }
}

impl OverlapCost {
    #[inline]
    pub(super) fn quote(
        &self,
        operation: Operation,
        len_bytes: u64,
        durable: bool,
        sequential: bool,
    ) -> Quote {
        match operation {
            Operation::Read if sequential => self.sequential_read.quote(len_bytes),
            Operation::Read => self.random_read.quote(len_bytes),
            Operation::Write | Operation::WriteZeroes => {
                let class = if sequential {
                    &self.sequential_write
                } else {
                    &self.random_write
                };
                let write = class.quote(len_bytes);
                if durable {
                    write.then(self.flush.quote(0))
                } else {
                    write
                }
            }
            Operation::Discard => self.discard.quote(len_bytes),
            Operation::Flush => self.flush.quote(0),
        }
    }

    pub(super) fn in_percent(self, percent: u32) -> OverlapCost {
        OverlapCost {
            random_read: self.random_read.in_percent(percent),
            sequential_read: self.sequential_read.in_percent(percent),
            random_write: self.random_write.in_percent(percent),
            sequential_write: self.sequential_write.in_percent(percent),
            discard: self.discard.in_percent(percent),
            flush: self.flush.in_percent(percent),
            occupancy_bound: scaled(self.occupancy_bound, percent),
            settle: scaled(self.settle, percent),
            ..self
        }
    }
}
