//! What a request is expected to cost, before it is dispatched.
//!
//! A disk hands its cost model to the loop that schedules it; the scheduler charges the price at
//! dispatch and replaces it by measured time at completion.
//!
//! Invariants: pure (the same request has the same price), no allocation, never less than 1 ns, so
//! that every request counts.
//!
//! What is not known here: queues, and what a request really took.

use crate::Operation;
use disktime_units::Nanos;

/// Prices of a disk's requests. More kinds of disk add variants here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostModel {
    /// A base and a rate for reads and for writes.
    Linear(LinearCost),
}

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

impl CostModel {
    /// What a request is expected to cost. A `durable` write or zeroing (FUA) costs a flush more.
    #[inline]
    pub fn price(&self, operation: Operation, len_bytes: u64, durable: bool) -> Nanos {
        let CostModel::Linear(cost) = self;
        cost.price(operation, len_bytes, durable).max(Nanos(1))
    }
}

impl CostModel {
    /// The same prices, each in per cent of what it is: for tests of wrong estimates.
    pub fn in_percent(self, percent: u32) -> CostModel {
        let CostModel::Linear(cost) = self;
        let scaled = |time: Nanos| Nanos(time.0 * u64::from(percent) / 100);
        CostModel::Linear(LinearCost {
            read_base: scaled(cost.read_base),
            read_per_mib: scaled(cost.read_per_mib),
            write_base: scaled(cost.write_base),
            write_per_mib: scaled(cost.write_per_mib),
            flush: scaled(cost.flush),
        })
    }
}

impl LinearCost {
    #[inline]
    fn price(&self, operation: Operation, len_bytes: u64, durable: bool) -> Nanos {
        match operation {
            Operation::Read => self.read(len_bytes),
            Operation::Write | Operation::WriteZeroes => {
                let flush = if durable { self.flush } else { Nanos::ZERO };
                self.write(len_bytes) + flush
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
}

/// Time of `len_bytes` at a rate for each MiB, rounded down.
#[inline]
fn moving(per_mib: Nanos, len_bytes: u64) -> Nanos {
    let nanos = (u128::from(per_mib.0) * u128::from(len_bytes)) >> 20;
    Nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
