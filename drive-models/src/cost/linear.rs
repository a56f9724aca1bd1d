//! Prices of a device that does one request at a time: a base and a rate.
//!
//! Invariant: no overflow; a price that does not fit is the longest time there is.
//!
//! What is not known here: that no request is free, see [`CostModel`](super::CostModel).

use super::{moving, scaled};
use crate::Operation;
use disktime_units::Nanos;

/// Linear cost of a request on a device without seeks: `base + bytes × per_mib / 1 MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinearCost {
    /// Cost of a read of no bytes.
    pub read_base: Nanos,
    /// Cost of a MiB read.
    pub read_per_mib: Nanos,
    /// Cost of a write of no bytes.
    pub write_base: Nanos,
    /// Cost of a MiB written.
    pub write_per_mib: Nanos,
    /// Cost of a flush.
    pub flush: Nanos,
}

impl LinearCost {
    #[inline]
    pub(super) fn price(&self, operation: Operation, len_bytes: u64, durable: bool) -> Nanos {
        match operation {
            Operation::Read => self.read(len_bytes),
            Operation::Write | Operation::WriteZeroes => {
                let flush = if durable { self.flush } else { Nanos::ZERO };
                self.write(len_bytes).saturating_add(flush)
            }
            Operation::Discard => self.write_base,
            Operation::Flush => self.flush,
        }
    }

    /// What a read of that length costs.
    #[inline]
    pub(crate) fn read(&self, len_bytes: u64) -> Nanos {
        self.read_base
            .saturating_add(moving(self.read_per_mib, len_bytes))
    }

    /// What a write of that length costs.
    #[inline]
    pub(crate) fn write(&self, len_bytes: u64) -> Nanos {
        self.write_base
            .saturating_add(moving(self.write_per_mib, len_bytes))
    }

    pub(super) fn in_percent(self, percent: u32) -> LinearCost {
        LinearCost {
            read_base: scaled(self.read_base, percent),
            read_per_mib: scaled(self.read_per_mib, percent),
            write_base: scaled(self.write_base, percent),
            write_per_mib: scaled(self.write_per_mib, percent),
            flush: scaled(self.flush, percent),
        }
    }
}
