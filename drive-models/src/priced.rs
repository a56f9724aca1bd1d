//! A device that takes what its prices say: for simulations of a disk of which no more is known.
//!
//! Requests are worked off one after the other, each for its occupancy, and each is answered its
//! lone latency after its turn began. So one request at a time gets lone latencies, and many at
//! once get the throughput of the occupancies.
//!
//! Invariant: a request counts as sequential if it begins where the last of its direction ended, so
//! streams that alternate are priced as random.

use crate::{
    CostModel, DriveProperties, ModelCompletion, ModelRequest, Operation, OverlapCost, OverlapModel,
};
use disktime_units::Nanos;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const BLOCK_BYTES: u32 = 512;

/// A device with these prices.
#[derive(Debug, Clone)]
pub struct PricedModel {
    cost: CostModel,
    /// When all that was submitted is worked off.
    worked_off: Nanos,
    /// The latest time seen.
    now: Nanos,
    /// Where the last read and the last write ended.
    ends: [Option<u64>; 2],
    /// Answers to come, with the order of their requests.
    answers: BinaryHeap<Reverse<(Nanos, u64, u64)>>,
    submitted: u64,
}

impl PricedModel {
    /// An idle device with these prices.
    pub fn new(cost: OverlapCost) -> PricedModel {
        PricedModel {
            cost: CostModel::Overlapping(cost),
            worked_off: Nanos::ZERO,
            now: Nanos::ZERO,
            ends: [None; 2],
            answers: BinaryHeap::new(),
            submitted: 0,
        }
    }

    /// What the device says of itself. A request alone takes at most `worst_case`.
    pub fn properties(
        &self,
        size_bytes: u64,
        worst_case: Nanos,
        max_in_flight: usize,
        quantum_bytes: u32,
    ) -> DriveProperties {
        DriveProperties {
            size_bytes: size_bytes - size_bytes % u64::from(BLOCK_BYTES),
            block_bytes: BLOCK_BYTES,
            has_seeks: false,
            worst_case,
            switch_cost: Nanos::ZERO,
            worst_seek: Nanos::ZERO,
            seek_curve: Vec::new(),
            positioning: None,
            cost: self.cost,
            max_in_flight,
            quantum_bytes,
            discards: true,
            write_cache: true,
            notices: Vec::new(),
        }
    }

    /// Whether the request goes on where the last of its direction ended.
    fn goes_on(&mut self, request: &ModelRequest) -> bool {
        let direction = match request.operation {
            Operation::Read => 0,
            Operation::Write | Operation::WriteZeroes => 1,
            Operation::Discard | Operation::Flush => return false,
        };
        let end = request.offset_bytes.saturating_add(request.len_bytes);
        self.ends[direction].replace(end) == Some(request.offset_bytes)
    }
}

impl OverlapModel for PricedModel {
    fn submit(&mut self, now: Nanos, request: ModelRequest) {
        self.now = self.now.max(now);
        let sequential = self.goes_on(&request);
        let ModelRequest {
            operation,
            len_bytes,
            durable,
            ..
        } = request;
        let quote = self.cost.quote(operation, len_bytes, durable, sequential);
        let start = self.worked_off.max(self.now);
        self.worked_off = start.saturating_add(quote.occupancy);
        let answer = start.saturating_add(quote.lone);
        self.answers
            .push(Reverse((answer, self.submitted, request.tag)));
        self.submitted += 1;
    }

    fn next_completion(&self) -> Option<Nanos> {
        self.answers.peek().map(|Reverse((at, _, _))| *at)
    }

    fn pop_completion(&mut self, until: Nanos) -> Option<ModelCompletion> {
        self.next_completion().filter(|at| *at <= until)?;
        let Reverse((at, _, tag)) = self.answers.pop()?;
        self.now = self.now.max(at);
        Some(ModelCompletion { tag, at })
    }
}

#[cfg(test)]
mod tests;
