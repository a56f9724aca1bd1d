//! `c-look`: upwards from the head over the requests of all streams, then again from the lowest;
//! what a disk's elevator does, and what many disk schedulers are underneath.
//!
//! Source: folklore (Seltzer, Chen and Ousterhout, *Disk Scheduling Revisited*, USENIX 1990,
//! compare its kind). Strictly by place; no ageing.
//!
//! Where it fails:
//! - *It knows no streams.* Shares are by the number of requests in each part of the disk.
//! - *It starves.* A sequential stream that keeps the next request queued always has the nearest
//!   one ahead: the head stays with it until the end of its part of the disk. At 80 MB/s a part of
//!   80 GB is 17 minutes without a single request for any other stream.
//! - *It ping-pongs.* With requests of ten streams mixed by place, nearly every request is another
//!   stream's; a share of the disk held for one of them buys seeks for all.
//!
//! What it is good at: total throughput. Depths add up over streams, so that seeks get short;
//! beside a policy that serves one stream at a time it may have more requests per second, in unfair
//! parts. It knows no reservations, limits or weights.

use super::{serve, with_requests};
use crate::ledger::{Account, Ledger};
use crate::policy::{Pick, Policy};
use crate::stream_id::StreamId;
use disktime_units::Nanos;

/// The policy.
#[derive(Debug, Default)]
pub(crate) struct CLook {
    /// Where the last dispatch ended.
    head_bytes: u64,
}

/// Order of service: requests without a place, then upwards from `head_bytes`, then from below.
pub(super) fn place_in_sweep(head_bytes: u64, place: Option<u64>) -> (u8, u64) {
    match place {
        None => (0, 0),
        Some(place) if place >= head_bytes => (1, place),
        Some(place) => (2, place),
    }
}

impl Policy for CLook {
    fn pick(&mut self, ledger: &mut Ledger, _now: Nanos) -> Pick {
        let head_bytes = self.head_bytes;
        let next = with_requests(ledger)
            .filter_map(|id| {
                let queued = ledger.stream(id).queue().peek_from(head_bytes)?;
                let place = place_in_sweep(head_bytes, queued.offset_bytes());
                Some((place, queued.sequence(), id))
            })
            .min();
        let Some((_, _, stream)) = next else {
            return Pick::Sleep { until: None };
        };
        ledger.queue_mut(stream).0.go_on_from(head_bytes);
        serve(ledger, stream)
    }

    fn dispatched(&mut self, _: &mut Ledger, _: StreamId, _: Account, end_bytes: Option<u64>) {
        self.head_bytes = end_bytes.unwrap_or(self.head_bytes);
    }
}
