//! Limits: a stream that has used up its limit does not compete until the limit's period ends.
//!
//! Meanwhile it counts as an idle stream that would wake fresh, the most that it could wake with.
//! Its old deadline is not kept: what the limit holds back is not owed later.

use super::{Ledger, StreamState};
use crate::stream_id::StreamId;
use disktime_units::Nanos;

impl Ledger {
    pub(super) fn limits_apply(&self) -> bool {
        self.config.policy.keeps_limits_of_time()
    }

    /// A stream has another entitlement, with a limit or not.
    pub(super) fn note_limit(&mut self, id: StreamId) {
        self.has_limits |= self.limits_apply() && self.stream(id).has_limit();
    }

    /// Holds a stream back that has used up what its limit allows.
    #[inline]
    pub(crate) fn enforce_limit(&mut self, id: StreamId, now: Nanos) {
        // Asked several times for each request.
        if self.has_limits {
            self.enforce_kept_limit(id, now);
        }
    }

    fn enforce_kept_limit(&mut self, id: StreamId, now: Nanos) {
        let stream = self.stream_mut(id);
        if !stream.is_active() || !stream.has_limit() {
            return;
        }
        stream.refill_limit(now);
        if stream.is_at_limit() && stream.has_queue() {
            self.roll(id, now);
            self.leave(id);
            self.enter(id, StreamState::Limited);
        }
    }

    /// The same for the account that pays for a stream, which can have been removed.
    #[inline]
    pub(crate) fn enforce_limit_of_user(&mut self, user: StreamId, now: Nanos) {
        if self.has_limits && self.contains(user) {
            self.enforce_limit(self.payer(user), now);
        }
    }

    /// Lets a limited stream go on, if its limit allows it as of now or of the time it was held
    /// until.
    pub(super) fn release_limit(&mut self, id: StreamId, now: Nanos) {
        let stream = self.stream_mut(id);
        let at = stream.limit_release().min(now);
        stream.refill_limit(at);
        if stream.is_at_limit() {
            self.set_timer(id);
            return;
        }
        self.leave(id);
        let worst_case = self.worst_case;
        let stream = self.stream_mut(id);
        if stream.is_reserved() {
            stream.count_limited_periods(at);
            stream.wake(at, worst_case);
        }
        self.activate(id);
        self.roll(id, now);
    }

    /// What its limit leaves a stream in this period, in ppm-nanoseconds.
    pub(crate) fn limit_left(&mut self, id: StreamId, now: Nanos) -> i128 {
        let stream = self.stream_mut(id);
        stream.refill_limit(now);
        stream.limit_left()
    }

    /// When the next limited stream may go on.
    pub(crate) fn next_limit_end(&self) -> Option<Nanos> {
        let limited = self.limited.iter();
        let releases = limited.map(|id| self.stream(*id).limit_release());
        releases.min()
    }
}
