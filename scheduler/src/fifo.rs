//! First come, first served, over all streams: what a disk without a scheduler does.
//!
//! For comparison only. The books are kept as under `fahrrad` (a stream pays from its budget while
//! it has one, from spare time otherwise; everything is charged to the one served), so that the
//! deadlines which this policy misses are counted. It never waits and knows no limits.

use crate::config::StreamId;
use crate::ledger::{Account, Ledger};
use crate::policy::{Finished, Pick, Policy};
use disktime_units::Nanos;

/// The policy; it has no state of its own.
#[derive(Debug, Default)]
pub(crate) struct Fifo;

impl Policy for Fifo {
    fn pick(&mut self, ledger: &mut Ledger, _now: Nanos) -> Pick {
        let candidates = ledger.active.iter().chain(&ledger.limited);
        let first = candidates
            .filter_map(|id| Some((ledger.stream(*id).queue.front_sequence()?, *id)))
            .min();
        let Some((_, stream)) = first else {
            return Pick::Sleep { until: None };
        };
        let has_budget = ledger.stream(stream).is_reserved() && ledger.stream(stream).budget > 0;
        let account = if has_budget {
            Account::Own
        } else {
            Account::Spare
        };
        Pick::Serve { stream, account }
    }

    fn dispatched(&mut self, _: &mut Ledger, _: StreamId, _: Account, _: Option<u64>) {}

    fn settle(&mut self, ledger: &mut Ledger, _now: Nanos, finished: Finished) {
        ledger.charge(finished.stream, finished.account, finished.measured);
    }

    fn arrived(&mut self, _: &mut Ledger, _: Nanos, _: StreamId, _: bool) {}
}
