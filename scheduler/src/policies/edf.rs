//! `edf`: among the streams with budget left, the one whose period ends first; nothing else.
//!
//! Source: Liu and Layland, *Scheduling Algorithms for Multiprogramming in a Hard-Real-Time
//! Environment*, JACM 1973, with reservations (u, p) as the tasks and their budgets of disk time as
//! the executions. What is left goes by weight to the stream that has had least of it. Limits of
//! disk time are kept. Inside a stream requests go in the stream's own sweep.
//!
//! Where it fails:
//! - *It cannot be interrupted, and does not look ahead.* A request is started when b > 0, however
//!   little that is. Of n streams with equal periods that each enter their last request with b = 1
//!   µs, each overshoots by up to W, and the last finds that its period is over: up to (n − 1)·W
//!   short. Twenty streams of 50 ms per second and requests of 9.7 ms (W = 10 ms) use 58.2 ms each;
//!   those due last have all of their 50 ms unspent, 5 W, where slack stealing leaves at most W.
//! - *Spare time is given away without a test* as soon as no stream with budget has a request,
//!   though one may be back within a millisecond. Sets of streams that sleep until another's long
//!   request has just started left up to 19 W unspent.
//! - *No freedom.* The stream with the earliest deadline goes, wherever the head is, though most
//!   periods have slack to finish a neighbour's run first. Three streams with periods of 100, 110
//!   and 120 ms change places at every period end, and every change is a seek.
//! - *Overload.* Seeks between streams are charged to the ones served, so 100 % reserved is more
//!   than 100 %. EDF then fails the stream that is due last, not each a little: with 60 % per 100
//!   ms and 40 % per 200 ms, a third stream with 20 % per 10 s gets 1 % of the disk.
//! - *A stream that thinks between requests is never waited for*, so it loses the disk at each
//!   answer, and the other seeks twice for each of its requests: the same reader of depth 1 that
//!   has 35 MB/s under slack stealing has 2.

use super::due_or_spare;
use crate::ledger::{Account, Ledger};
use crate::policy::{Pick, Policy};
use crate::stream_id::StreamId;
use disktime_units::Nanos;

/// The policy; it has no state of its own.
#[derive(Debug)]
pub(crate) struct Edf;

impl Policy for Edf {
    fn pick(&mut self, ledger: &mut Ledger, _now: Nanos) -> Pick {
        due_or_spare(ledger)
    }

    fn dispatched(&mut self, _: &mut Ledger, _: StreamId, _: Account, _: Option<u64>) {}
}
