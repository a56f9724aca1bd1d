//! What a request is expected to cost, before it is dispatched.
//!
//! A disk hands its cost model to the loop that schedules it; the scheduler charges the price at
//! dispatch and replaces it by measured time at completion.
//!
//! - `linear`: a device that does one request at a time, [`LinearCost`].
//! - `overlapping`: a device that does several at once, [`OverlapCost`]: a request takes a share of
//!   the device's throughput, and alone it takes longer than that.
//!
//! Invariants: pure (the same request has the same price), no allocation, never less than 1 ns, so
//! that every request counts; a request alone never takes less than its occupancy.
//!
//! What is not known here: queues, and what a request really took.

mod linear;
mod overlapping;

pub use linear::LinearCost;
pub use overlapping::{ClassCost, OverlapCost};

use crate::Operation;
use disktime_units::Nanos;

/// Length of the small random read that latencies are compared with.
const SMALL_READ_BYTES: u64 = 4096;

/// Prices of a disk's requests. More kinds of disk add variants here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostModel {
    /// A base and a rate for reads and for writes.
    Linear(LinearCost),
    /// Two bases and two rates for each class of request, of a device that overlaps requests.
    Overlapping(OverlapCost),
}

/// What one request is expected to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quote {
    /// What it takes of the device's throughput at the sustained rate. At least 1 ns.
    pub occupancy: Nanos,
    /// How long it takes alone on an idle device. At least `occupancy`.
    pub lone: Nanos,
}

impl Quote {
    fn new(occupancy: Nanos, lone: Nanos) -> Quote {
        let occupancy = occupancy.max(Nanos(1));
        Quote {
            occupancy,
            lone: lone.max(occupancy),
        }
    }

    /// This request and then the other.
    fn then(self, other: Quote) -> Quote {
        Quote {
            occupancy: self.occupancy.saturating_add(other.occupancy),
            lone: self.lone.saturating_add(other.lone),
        }
    }
}

impl CostModel {
    /// What a request is expected to take. A `durable` write or zeroing (FUA) takes a flush more.
    /// `sequential` says that it begins where the one before it of its stream ended; it matters on
    /// devices that overlap requests only.
    #[inline]
    pub fn quote(
        &self,
        operation: Operation,
        len_bytes: u64,
        durable: bool,
        sequential: bool,
    ) -> Quote {
        match self {
            CostModel::Linear(cost) => {
                let price = cost.price(operation, len_bytes, durable);
                Quote::new(price, price)
            }
            CostModel::Overlapping(cost) => cost.quote(operation, len_bytes, durable, sequential),
        }
    }

    /// The occupancy of a request that does not continue the one before it.
    #[inline]
    pub fn price(&self, operation: Operation, len_bytes: u64, durable: bool) -> Nanos {
        self.quote(operation, len_bytes, durable, false).occupancy
    }

    /// H: how much occupancy to keep in the device so that it is full enough, and no more. Without
    /// a measured one, twice a small random read alone, and enough for a read of `quantum_bytes`.
    pub fn occupancy_bound(&self, quantum_bytes: u64) -> Nanos {
        match self {
            CostModel::Linear(_) => {
                let small = self.lone_read(SMALL_READ_BYTES);
                let large = self.lone_read(quantum_bytes);
                small
                    .saturating_add(small)
                    .max(large.saturating_add(Nanos(large.0 / 10)))
            }
            CostModel::Overlapping(cost) => cost.occupancy_bound,
        }
    }

    /// How long the longest read or write of up to `quantum_bytes` takes alone.
    pub fn longest_alone(&self, quantum_bytes: u64) -> Nanos {
        let kinds = [Operation::Read, Operation::Write];
        let quotes = kinds.into_iter().flat_map(|operation| {
            [false, true].map(|sequential| self.quote(operation, quantum_bytes, false, sequential))
        });
        quotes.map(|quote| quote.lone).max().unwrap_or_default()
    }

    /// σ: how long after the last write reads are as fast as on an idle device.
    pub fn settle(&self) -> Nanos {
        match self {
            CostModel::Linear(_) => Nanos::ZERO,
            CostModel::Overlapping(cost) => cost.settle,
        }
    }

    /// A tenth of small random reads alone takes at most so many per cent of their mean.
    pub fn fast_read_percent(&self) -> u32 {
        match self {
            CostModel::Linear(_) => 100,
            CostModel::Overlapping(cost) => cost.fast_read_percent,
        }
    }

    /// The same prices and bounds, each in per cent of what it is: for tests of wrong estimates.
    pub fn in_percent(self, percent: u32) -> CostModel {
        match self {
            CostModel::Linear(cost) => CostModel::Linear(cost.in_percent(percent)),
            CostModel::Overlapping(cost) => CostModel::Overlapping(cost.in_percent(percent)),
        }
    }

    fn lone_read(&self, len_bytes: u64) -> Nanos {
        self.quote(Operation::Read, len_bytes, false, false).lone
    }
}

/// Time of `len_bytes` at a rate for each MiB, rounded down.
#[inline]
pub(crate) fn moving(per_mib: Nanos, len_bytes: u64) -> Nanos {
    let nanos = (u128::from(per_mib.0) * u128::from(len_bytes)) >> 20;
    Nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// A time in per cent of what it is, rounded down.
fn scaled(time: Nanos, percent: u32) -> Nanos {
    let nanos = u128::from(time.0) * u128::from(percent) / 100;
    Nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
