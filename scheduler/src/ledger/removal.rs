//! Removing streams while others are being served.
//!
//! A stream that is being removed takes no new requests. What it has queued and in flight is served
//! first, on its own account, as if it stayed; then its slot is free. A group goes when it is being
//! removed and its last member has gone; a member leaves the account as it is to the others.
//!
//! No promise to the others is broken. Slack at D is (D − now)·(1 − U_idle − u_sw) less the demands
//! with e ≤ D. An idle stream that goes lowers U_idle; one whose demand counts by itself takes a
//! demand away that is never negative (its effective deadline is where its budget is at least W);
//! the switching account's share falls. So slack rises everywhere or stays, and what was lent on it
//! still comes back in time:
//!
//! - *Time that it received in advance* is not given back. It was taken from slack when it was
//!   used, so no other stream counts on it.
//! - *Time that it lent* is not given back either: it has no deadline any more.
//! - *Its reservation* can be given to another stream at once. That stream's begins as every
//!   reservation does that is added beside others: pending, until there is slack for it everywhere.
//!   So the same share cannot be used twice in a period, by the one that goes and the one that
//!   comes.

use super::Ledger;
use crate::stream_id::StreamId;

impl Ledger {
    /// A stream takes no new requests, and its group no new members.
    pub(crate) fn begin_removal(&mut self, id: StreamId) {
        self.stream_mut(id).leave();
    }

    /// Whether a stream is being removed and has nothing left to do: no request, no member.
    pub(crate) fn is_drained(&self, id: StreamId) -> bool {
        let stream = self.stream(id);
        stream.is_leaving() && !stream.is_busy() && !self.has_members(id)
    }

    /// Frees the slot of a stream that is drained.
    pub(crate) fn remove(&mut self, id: StreamId) {
        debug_assert!(self.is_drained(id));
        self.withdraw_pending(id);
        self.end_grace(id);
        self.leave(id);
        self.timers.remove(id);
        self.changed.retain(|other| *other != id);
        self.yielded.retain(|other| *other != id);
        self.groups.remove(&id);
        if let Some(group) = self.stream(id).group() {
            self.remove_member(group, id);
        }
        let gone = self.streams.remove(id);
        let used = gone.counters().reserved + gone.counters().spare;
        self.counters.charged_to_removed += used;
        self.recompute_switching_share();
        self.reservations = None;
        self.void_scans();
    }
}
