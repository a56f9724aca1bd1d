//! What a request costs: a base by its class and so much per 4 KiB.
//!
//! Invariant: a read or write is as long as a page at least; what moves nothing is free.
//!
//! What is not known here: who pays.

use super::super::IocostModel;
use crate::config::RequestKind;
use crate::queue::Queued;
use disktime_units::Nanos;

/// Sizes are counted in these.
const PAGE_BYTES: u64 = 4096;
/// A request so far from the end of its stream's last is random.
const SEQUENTIAL_WITHIN_BYTES: u64 = 16 << 20;

impl IocostModel {
    /// The cost of a request whose stream's last one ended there. The first request of a stream
    /// counts as sequential.
    pub(super) fn cost(&self, request: &Queued, last_end_bytes: Option<u64>) -> Nanos {
        let class = match request.kind() {
            RequestKind::Read => &self.read,
            RequestKind::Write | RequestKind::Zero => &self.write,
            RequestKind::Flush | RequestKind::Discard => return Nanos::ZERO,
        };
        let distance = request.offset_bytes().zip(last_end_bytes);
        let distance = distance.map_or(0, |(start, end)| start.abs_diff(end));
        let base = if distance > SEQUENTIAL_WITHIN_BYTES {
            class.random
        } else {
            class.sequential
        };
        let bytes = request.len_bytes().max(PAGE_BYTES);
        base + self.size_cost(bytes, request.kind().changes())
    }

    /// The part of a cost that grows with the size.
    pub(super) fn size_cost(&self, len_bytes: u64, writes: bool) -> Nanos {
        let class = if writes { &self.write } else { &self.read };
        let pages = u128::from(len_bytes / PAGE_BYTES);
        let nanos = (pages * u128::from(class.per_mib.0) * u128::from(PAGE_BYTES)) >> 20;
        Nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}
