//! `edf`: among the streams with budget left, the one whose period ends first; nothing else.
//!
//! Source: Liu and Layland, *Scheduling Algorithms for Multiprogramming in a Hard-Real-Time
//! Environment*, JACM 1973, with reservations (u, p) as the tasks and their budgets of disk time as
//! the executions. What is left goes by weight to whoever has had least of it. Limits of disk time
//! are kept. Inside a stream requests go in the stream's own sweep.
//!
//! Where it fails:
//! - *It cannot be interrupted, and does not look ahead.* A request is started when b > 0, however
//!   little that is. Of n streams with equal periods that each enter their last request with b = 1 µs,
//!   each overshoots by up to W, and the last finds that its period is over: it is (n − 1)·W short,
//!   190 ms for 20 streams on a disk with W = 10 ms, where slack stealing leaves at most W.
//! - *No freedom.* The stream with the earliest deadline goes, wherever the head is, though most
//!   periods have slack to finish a neighbour's run first. Three streams of 10 ms requests with
//!   periods of 100, 110 and 120 ms change places at every period end, and every change is a seek.
//! - *Overload.* Seeks between streams are charged to the ones served, so 100 % reserved is more
//!   than 100 %. EDF then fails whoever is due last, not everybody a little: with 60 % per 100 ms
//!   and 40 % per 200 ms, a third stream with 20 % per 10 s gets what it can in the last 100 ms of
//!   its period: 1 % instead of 20.
//! - *A stream that thinks between requests is never waited for*, so it loses the disk at each
//!   answer, to a stream that stays as long as its budget lasts.

use super::{earliest_due, least_spare};
use crate::config::StreamId;
use crate::ledger::{Account, Ledger};
use crate::policy::{Finished, Pick, Policy};
use disktime_units::Nanos;

/// The policy; it has no state of its own.
#[derive(Debug)]
pub(crate) struct Edf;

impl Policy for Edf {
    fn pick(&mut self, ledger: &mut Ledger, _now: Nanos) -> Pick {
        if let Some(stream) = earliest_due(ledger) {
            let account = Account::Own;
            return Pick::Serve { stream, account };
        }
        if let Some(stream) = least_spare(ledger) {
            let account = Account::Spare;
            return Pick::Serve { stream, account };
        }
        Pick::Sleep {
            until: ledger.next_limit_end(),
        }
    }

    fn dispatched(&mut self, _: &mut Ledger, _: StreamId, _: Account, _: Option<u64>) {}

    fn settle(&mut self, ledger: &mut Ledger, _now: Nanos, finished: Finished) {
        ledger.charge(finished.stream, finished.account, finished.measured);
    }

    fn arrived(&mut self, _: &mut Ledger, _: Nanos, _: StreamId, _: bool) {}
}
