//! Limits: a stream that has used up its limit is out of the competition until the limit's period
//! ends.
//!
//! It counts as fresh idle meanwhile, the most that it could wake with. Its old deadline is not
//! kept: what the limit holds back is not owed.

use super::Ledger;
use crate::stream::{Presence, Virtual};
use crate::stream_id::StreamId;
use disktime_units::Nanos;

impl Ledger {
    pub(super) fn limits_apply(&self) -> bool {
        self.config.policy.keeps_limits_of_time()
    }

    /// Takes a stream with requests, which has left its presence, out of the competition.
    pub(super) fn limit(&mut self, id: StreamId) {
        self.enter(id, Presence::Limited);
    }

    /// Limits a stream that has used up what its limit allows.
    pub(crate) fn enforce_limit(&mut self, id: StreamId, now: Nanos) {
        if !self.limits_apply() {
            return;
        }
        let stream = self.stream_mut(id);
        if stream.presence != Presence::Active || stream.config.limit.is_none() {
            return;
        }
        stream.roll_limit(now);
        if stream.is_at_limit() && stream.has_queue() {
            self.roll(id, now);
            self.leave(id);
            self.limit(id);
        }
    }

    /// Lets a limited stream go on, if its limit allows as of now or of the time it was held until.
    pub(super) fn unlimit(&mut self, id: StreamId, now: Nanos) {
        let stream = self.stream_mut(id);
        let at = stream.limit_release().min(now);
        stream.roll_limit(at);
        if stream.is_at_limit() {
            self.set_timer(id);
            return;
        }
        self.leave(id);
        let worst_case = self.worst_case;
        let stream = self.stream_mut(id);
        if stream.is_reserved() {
            if stream.deadline <= at {
                // These periods ended while its limit held it back: it had more than was promised.
                let passed = (at.0 - stream.deadline.0) / stream.period().0 + 1;
                stream.counters.deadlines_met += passed;
            }
            if let Virtual::Held { budget, deadline } = stream.if_woken(at, worst_case) {
                (stream.budget, stream.deadline) = (budget, deadline);
            } else {
                (stream.budget, stream.deadline) =
                    (stream.budget_per_period(), at + stream.period());
            }
        }
        self.activate(id);
        self.roll(id, now);
    }

    /// What its limit leaves a stream in this period, in ppm-nanoseconds.
    pub(crate) fn limit_left(&mut self, id: StreamId, now: Nanos) -> i128 {
        let stream = self.stream_mut(id);
        if stream.config.limit.is_none() {
            return i128::MAX;
        }
        stream.roll_limit(now);
        stream.limit_budget
    }

    /// When the next limited stream may go on: a debt may last for several of its limit's periods.
    pub(crate) fn next_limit_end(&self) -> Option<Nanos> {
        let limited = self.limited.iter();
        let releases = limited.map(|id| self.stream(*id).limit_release());
        releases.min()
    }
}
