//! What a policy is: it says whose request goes next, and how a measured time is split.
//!
//! The scheduler around it keeps the queues, the books and the requests in flight.

use crate::ledger::{Account, Ledger};
use crate::stream_id::StreamId;
use disktime_units::Nanos;

/// A policy's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pick {
    /// This stream's next request goes, on this account.
    Serve { stream: StreamId, account: Account },
    /// The disk stays idle for this stream, on this account, at most until then.
    Wait {
        stream: StreamId,
        account: Account,
        until: Nanos,
    },
    /// Nothing can go before something happens, or before `until`.
    Sleep { until: Option<Nanos> },
}

/// A dispatch that completed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Finished {
    pub(crate) stream: StreamId,
    pub(crate) account: Account,
    /// What the meter measured for it.
    pub(crate) measured: Nanos,
    /// What it would have cost had its stream been alone, by the seek curve; without correction.
    pub(crate) alone: Nanos,
    /// It continued its stream's last dispatch.
    pub(crate) sequential: bool,
    /// Somebody else, with an account of their own, was served before it.
    pub(crate) switched: bool,
    /// Another stream was served before it, of the same group or not.
    pub(crate) moved: bool,
    /// The stream served before it, if that was on spare time.
    pub(crate) after_spare_of: Option<StreamId>,
}

/// Who goes next, and who pays.
pub(crate) trait Policy: std::fmt::Debug + Send {
    /// Decides, with at least one request queued somewhere or a stream to wait for. The books are
    /// at `now`.
    fn pick(&mut self, ledger: &mut Ledger, now: Nanos) -> Pick;

    /// A request of `stream` is about to go to the disk after another stream's.
    fn returns_to(&mut self, _ledger: &mut Ledger, _now: Nanos, _stream: StreamId) {}

    /// A request of `stream` went to the disk.
    fn dispatched(
        &mut self,
        ledger: &mut Ledger,
        stream: StreamId,
        account: Account,
        end_bytes: Option<u64>,
    );

    /// A stream is about to be removed; it has no request queued or in flight.
    fn removed(&mut self, _stream: StreamId) {}

    /// Charges a dispatch that completed: the charges to streams and to the switching account are
    /// to add up to `finished.measured`.
    fn settle(&mut self, ledger: &mut Ledger, now: Nanos, finished: Finished);

    /// A request arrived for `stream`, which was being waited for or not.
    fn arrived(&mut self, ledger: &mut Ledger, now: Nanos, stream: StreamId, was_empty: bool);

    /// Whether [`Policy::queued`] is to be called.
    fn wants_arrivals(&self) -> bool {
        false
    }

    /// A request arrived for `stream`, and is in its queue and in the books.
    fn queued(&mut self, _ledger: &Ledger, _now: Nanos, _stream: StreamId) {}
}
