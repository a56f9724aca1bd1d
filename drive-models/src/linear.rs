//! A device without seeks: one server whose requests take a linear time, one after the other.
//!
//! Invariant: a request's time depends on its operation and its length alone.

use crate::{CostModel, DriveProperties, LinearCost, Operation, ServiceModel};
use disktime_units::Nanos;

/// Longest request that goes to a device without seeks in one piece,
const LINEAR_QUANTUM_BYTES: u32 = 256 << 10;
/// and if several are sent at once: what is in the device has to be drained before a deadline.
const OVERLAPPING_QUANTUM_BYTES: u32 = 128 << 10;

const BLOCK_BYTES: u32 = 512;

/// A server of linear cost: `base + bytes × per_mib / 1 MiB`, one request after the other.
#[derive(Debug, Clone, Copy)]
pub struct LinearModel {
    cost: LinearCost,
}

impl LinearModel {
    /// A server of that cost.
    pub fn new(cost: LinearCost) -> LinearModel {
        LinearModel { cost }
    }

    fn time(&self, operation: Operation, len_bytes: u64) -> Nanos {
        match operation {
            Operation::Read => self.cost.read(len_bytes),
            Operation::Write => self.cost.write(len_bytes),
            Operation::Flush => self.cost.flush,
            // Neither moves data over the link; the device notes the range.
            Operation::Discard | Operation::WriteZeroes => self.cost.write_base,
        }
    }

    /// What the device says of itself when up to `max_in_flight` requests are sent to it at once.
    /// With several its W is twice the longest request, so that a request fits beside the drain of
    /// another.
    ///
    /// # Panics
    /// If `max_in_flight` is 0.
    pub fn properties(&self, size_bytes: u64, max_in_flight: usize) -> DriveProperties {
        assert!(
            max_in_flight > 0,
            "a disk takes at least one request at a time"
        );
        let overlaps = max_in_flight > 1;
        let quantum_bytes = if overlaps {
            OVERLAPPING_QUANTUM_BYTES
        } else {
            LINEAR_QUANTUM_BYTES
        };
        let quantum = u64::from(quantum_bytes);
        let longest = [Operation::Read, Operation::Write, Operation::Flush]
            .map(|operation| self.time(operation, quantum).0);
        let longest = longest.into_iter().max().unwrap_or(0);
        DriveProperties {
            size_bytes: size_bytes - size_bytes % u64::from(BLOCK_BYTES),
            block_bytes: BLOCK_BYTES,
            has_seeks: false,
            worst_case: Nanos(longest.saturating_mul(if overlaps { 2 } else { 1 })),
            switch_cost: Nanos::ZERO,
            worst_seek: Nanos::ZERO,
            seek_curve: Vec::new(),
            positioning: None,
            cost: CostModel::Linear(self.cost),
            max_in_flight,
            quantum_bytes,
            discards: true,
            write_cache: false,
            notices: Vec::new(),
        }
    }
}

impl ServiceModel for LinearModel {
    fn serve(
        &mut self,
        start: Nanos,
        operation: Operation,
        _offset_bytes: u64,
        len_bytes: u64,
    ) -> Nanos {
        start.saturating_add(self.time(operation, len_bytes))
    }
}
