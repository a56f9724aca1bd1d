//! `fifo`: first come, first served, over all streams; what a disk without a scheduler does.
//!
//! Where it fails: a stream gets as much of the disk as it has requests outstanding. A reader with
//! 2 sequential requests of 64 KiB outstanding, 1 ms each, beside one with 32 random requests of 13
//! ms gets one turn in 17: 2 ms of every 420, though it may have 60 % reserved. Every request after
//! another stream's pays a seek. Nothing starves, and the longest wait is the whole queue.
//!
//! It knows no reservations, limits or weights; the ledger counts the deadlines that it misses.

use super::{serve, with_requests};
use crate::ledger::{Account, Ledger};
use crate::policy::{Pick, Policy};
use crate::stream_id::StreamId;
use disktime_units::Nanos;

/// The policy; it has no state of its own.
#[derive(Debug)]
pub(crate) struct Fifo;

impl Policy for Fifo {
    fn pick(&mut self, ledger: &mut Ledger, _now: Nanos) -> Pick {
        let first = with_requests(ledger)
            .filter_map(|id| Some((ledger.stream(id).queue().front_sequence()?, id)))
            .min();
        match first {
            Some((_, stream)) => serve(ledger, stream),
            None => Pick::Sleep { until: None },
        }
    }

    fn dispatched(&mut self, _: &mut Ledger, _: StreamId, _: Account, _: Option<u64>) {}
}
