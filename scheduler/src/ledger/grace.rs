//! Grace: an empty queue counts as backlogged for a while, because the client may only be thinking.
//!
//! That protects what the stream is owed, and must not cost others what they are owed. Two rules
//! see to it, with one argument. Let x = b − u·(d − now) be what a stream is behind its line; slack
//! at D is (D − now)·(1 − Σu) less the sum of x over the streams with e ≤ D. When the disk spends a
//! time t on nothing, or on somebody who could not go while the stream in grace held him up, slack
//! falls by at most t, and every stream in grace loses min(x, t). Either some x in the sum was t or
//! more, and slack is back where it was; or none of them is behind any more, and slack is ≥ 0.

use super::{GRACE, GRACE_MAX, Ledger};
use crate::stream::{Presence, scaled};
use crate::stream_id::StreamId;
use disktime_units::Nanos;

impl Ledger {
    /// The queue of a stream ran empty, nothing of it is in flight: its grace time begins, by the
    /// habits of the one of it that was served.
    pub(crate) fn begin_grace(&mut self, id: StreamId, served: StreamId, now: Nanos) {
        let think = self.stream(served).habits.think;
        let round_trip = Nanos(self.config.switch_cost.0 * 2);
        let slot = self.in_grace.len() as u32;
        let stream = self.stream_mut(id);
        debug_assert!(!stream.is_busy() && stream.presence == Presence::Active);
        // At least as long as it may be waited for.
        let expected = Nanos(think.0.saturating_mul(8)).max(round_trip);
        stream.grace_until = now + expected.clamp(GRACE, GRACE_MAX);
        stream.grace_slot = slot;
        self.in_grace.push(id);
        self.changed(id);
        self.set_timer(id);
    }

    /// A stream in grace has a request again, or goes idle. Its timer may stay early.
    pub(crate) fn end_grace(&mut self, id: StreamId) {
        let stream = self.stream_mut(id);
        if stream.grace_until == Nanos::MAX || stream.presence != Presence::Active {
            return;
        }
        stream.grace_until = Nanos::MAX;
        let slot = stream.grace_slot;
        self.in_grace.swap_remove(slot as usize);
        if let Some(moved) = self.in_grace.get(slot as usize).copied() {
            self.stream_mut(moved).grace_slot = slot;
        }
        self.changed(id);
    }

    /// The disk did nothing for `idle`, because nothing was asked of it. Streams in grace count as
    /// backlogged, but it was they who left the disk idle: each loses what it is behind its line,
    /// up to that time, and so nobody else will have to make up for it.
    pub(crate) fn forfeit(&mut self, idle: Nanos) {
        let now = self.now;
        for index in 0..self.in_grace.len() {
            let id = self.in_grace[index];
            let stream = self.stream_mut(id);
            if stream.is_reserved() {
                let behind = stream.budget - stream.fluid_budget(now);
                stream.budget -= behind.clamp(0, scaled(idle));
                self.budget_changed(id);
            }
        }
    }

    /// Lets the disk go from a stream in grace to those that have requests: what it is behind its
    /// line does not count until [`Ledger::end_yield`]. Whether there was anything.
    pub(crate) fn yield_grace(&mut self, id: StreamId, now: Nanos) -> bool {
        let stream = self.stream_mut(id);
        if !stream.is_reserved() || stream.is_busy() {
            return false;
        }
        let behind = stream.budget - stream.fluid_budget(now);
        if behind <= 0 {
            return false;
        }
        stream.budget -= behind;
        stream.yielded += behind;
        self.budget_changed(id);
        self.yielded.push(id);
        self.yielded_at = now;
        true
    }

    /// Whether somebody's lag is put aside.
    pub(crate) fn has_yielded(&self) -> bool {
        !self.yielded.is_empty()
    }

    /// What was put aside counts again, less the time that others had meanwhile: a stream in grace
    /// loses no more of what it is owed than its pause cost, and nobody else makes up for it.
    pub(crate) fn end_yield(&mut self, now: Nanos) {
        let used = scaled(now.saturating_sub(self.yielded_at));
        while let Some(id) = self.yielded.pop() {
            let stream = self.stream_mut(id);
            stream.budget += (stream.yielded - used).max(0);
            stream.yielded = 0;
            self.changed(id);
            // What is owed is more than when the policy last looked.
            self.woken_deadline = Nanos::ZERO;
            self.woken_since_allowance = Nanos::ZERO;
        }
    }
}
