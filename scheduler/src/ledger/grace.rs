//! Grace: an empty queue counts as backlogged for a while, because the client may only be thinking.
//!
//! That protects what the stream is owed, and must not cost others what they are owed. Two rules
//! keep it so, with one argument. Let x = b − u·(d − now) be what a stream is behind its line;
//! slack at D is (D − now)·(1 − Σu) less the sum of x over the streams with e ≤ D. When the disk
//! spends a time t on nothing, or on a stream that the stream in grace held back until then, slack
//! falls by at most t, and every stream in grace loses min(x, t). Either some x in the sum was t or
//! more, and slack is back where it was; or none of them is behind any more, and slack is ≥ 0.

use super::{GRACE, GRACE_MAX, Ledger};
use crate::ppm_time::scaled;
use crate::stream_id::StreamId;
use disktime_units::Nanos;

impl Ledger {
    /// The queue of a stream ran empty, nothing of it is in flight: its grace time begins. How long
    /// it is depends on the client that was served: for a group, that of the member.
    pub(super) fn begin_grace(&mut self, id: StreamId, served: StreamId, now: Nanos) {
        let think = self.stream(served).estimates().think();
        let round_trip = Nanos(self.config.switch_cost.0 * 2);
        // At least as long as it may be waited for.
        let expected = Nanos(think.0.saturating_mul(8)).max(round_trip);
        let until = now + expected.clamp(GRACE, GRACE_MAX);
        let index = self.in_grace.len() as u32;
        self.stream_mut(id).begin_grace(until, index);
        self.in_grace.push(id);
        self.note_change(id);
        self.set_timer(id);
    }

    /// A stream in grace has a request again, or goes idle. Its timer may stay early.
    pub(super) fn end_grace(&mut self, id: StreamId) {
        let stream = self.stream_mut(id);
        if !stream.is_in_grace() {
            return;
        }
        stream.end_grace();
        let index = stream.grace_index();
        self.in_grace.swap_remove(index as usize);
        if let Some(moved) = self.in_grace.get(index as usize).copied() {
            self.stream_mut(moved).moves_in_grace(index);
        }
        self.note_change(id);
    }

    /// The disk did nothing for `idle`, because no request was there. Streams in grace count as
    /// backlogged, but they left the disk idle: each loses what it is behind its line,
    /// up to that time, so that no other stream has to make up for it.
    pub(crate) fn forfeit(&mut self, idle: Nanos) {
        let now = self.now;
        for index in 0..self.in_grace.len() {
            let id = self.in_grace[index];
            if self.stream(id).is_reserved() {
                self.stream_mut(id).forfeit(idle, now);
                self.budget_changed(id);
            }
        }
    }

    /// Leaves the disk to the streams with requests in place of a stream in grace: what that is
    /// behind its line does not count until [`Ledger::end_yield`]. Whether it was behind.
    pub(crate) fn yield_grace(&mut self, id: StreamId, now: Nanos) -> bool {
        let stream = self.stream_mut(id);
        if !stream.is_reserved() || stream.is_busy() || !stream.set_lag_aside(now) {
            return false;
        }
        self.budget_changed(id);
        self.yielded.push(id);
        self.yielded_at = now;
        true
    }

    /// Whether the lag of a stream is set aside.
    pub(crate) fn has_yielded(&self) -> bool {
        !self.yielded.is_empty()
    }

    /// What was set aside counts again, less the time that others had meanwhile: a stream in grace
    /// loses no more of what it is owed than its pause cost, and no other stream makes up for it.
    #[inline]
    pub(crate) fn end_yield(&mut self, now: Nanos) {
        if self.has_yielded() {
            self.restore_yielded(now);
        }
    }

    fn restore_yielded(&mut self, now: Nanos) {
        let used = scaled(now.saturating_sub(self.yielded_at));
        while let Some(id) = self.yielded.pop() {
            self.stream_mut(id).restore_lag(used);
            self.note_change(id);
            // More is owed than the last scan found.
            self.void_scans();
        }
    }
}
