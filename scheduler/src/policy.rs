//! What a policy is: it says which stream's request goes next, and how a measured time is split.
//!
//! The scheduler around it keeps the queues, the ledger and the requests in flight.

use crate::config::RequestKind;
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
pub(crate) struct FinishedDispatch {
    pub(crate) stream: StreamId,
    pub(crate) account: Account,
    /// What the meter measured for it.
    pub(crate) measured: Nanos,
    /// From dispatch to completion.
    pub(crate) service: Nanos,
    /// Its price.
    pub(crate) price: Nanos,
    /// What its first request does.
    pub(crate) kind: RequestKind,
    /// What it would have cost had its stream been alone, by the seek curve; without correction.
    pub(crate) alone: Nanos,
    /// It continued its stream's last dispatch.
    pub(crate) sequential: bool,
    /// A stream that another account pays for was served before it.
    pub(crate) switched: bool,
    /// Another stream was served before it, of the same group or not.
    pub(crate) moved: bool,
    /// The stream served before it, if that was on spare time. It can have been removed since.
    pub(crate) after_spare_of: Option<StreamId>,
}

/// Which stream is served next, and which account pays.
pub(crate) trait Policy: std::fmt::Debug + Send {
    /// Decides, with at least one request queued. The ledger is at `now`.
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

    /// Charges a dispatch that completed: the charges to streams and to the switching account are
    /// to add up to `finished.measured`. The default: its stream pays all of it.
    fn settle(&mut self, ledger: &mut Ledger, _now: Nanos, finished: FinishedDispatch) {
        ledger.charge(finished.stream, finished.account, finished.measured);
    }

    /// A request arrived for `stream`, which had none queued or in flight; it may have been waited
    /// for.
    fn arrived(&mut self, _ledger: &mut Ledger, _now: Nanos, _stream: StreamId) {}

    /// Whether [`Policy::queued`] is to be called.
    fn wants_arrivals(&self) -> bool {
        false
    }

    /// A request arrived for `stream`, and is in its queue and in the ledger.
    fn queued(&mut self, _ledger: &Ledger, _now: Nanos, _stream: StreamId) {}

    /// A stream is about to be removed; it has no request queued or in flight.
    fn removed(&mut self, _stream: StreamId) {}
}
