//! Changing what a stream is entitled to while others are being served.
//!
//! A stream that has lent time counts on what is not reserved to get it back before its deadline:
//! it can be far behind its line with slack to spare. A reservation that grows at that moment would
//! take that slack away and break its promise. So more than a stream has now is *pending* first: it
//! is counted as a slower disk at once, so that no stream is lent time on it any more, and takes
//! effect when there is slack everywhere nevertheless. Until then the stream has what it had. Less
//! takes effect at once.
//!
//! When a reservation takes effect a new period begins. Being ahead of its old line stays, as a
//! debt; being behind it is forgotten: a promise counts from the start of its period.

use super::stream::share_ppm;
use super::{Ledger, StreamState};
use crate::config::{PolicyKind, StreamConfig};
use crate::stream_id::StreamId;
use disktime_units::Nanos;

impl Ledger {
    /// Gives a stream another entitlement, now or as soon as that harms no other stream.
    pub(crate) fn reconfigure(&mut self, id: StreamId, config: StreamConfig, now: Nanos) {
        self.withdraw_pending(id);
        let more = share_ppm(&config) - self.stream(id).share_ppm();
        let others = self.active.iter().any(|other| *other != id) || !self.limited.is_empty();
        if more > 0 && others && self.config.policy == PolicyKind::Fahrrad {
            self.pending_share_ppm += more;
            self.pending.push(id);
            self.stream_mut(id).set_pending(config);
            self.recompute_switching_share();
        } else {
            self.take_effect(id, config, now);
        }
        self.reservations = None;
        self.void_scans();
    }

    /// Forgets a change that has not taken effect.
    pub(super) fn withdraw_pending(&mut self, id: StreamId) {
        if self.stream_mut(id).take_pending().is_some() {
            self.pending.retain(|other| *other != id);
            self.recompute_pending_share();
        }
    }

    fn recompute_pending_share(&mut self) {
        let more = |id: &StreamId| {
            let stream = self.stream(*id);
            share_ppm(&stream.asked_config()) - stream.share_ppm()
        };
        self.pending_share_ppm = self.pending.iter().map(more).sum();
    }

    /// Whether a change is still to take effect.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// There is slack everywhere, what is pending included: it takes effect.
    pub(crate) fn apply_pending(&mut self, now: Nanos) {
        while let Some(id) = self.pending.pop() {
            if let Some(config) = self.stream_mut(id).take_pending() {
                self.take_effect(id, config, now);
            }
        }
        self.pending_share_ppm = 0;
        self.void_scans();
    }

    fn take_effect(&mut self, id: StreamId, config: StreamConfig, now: Nanos) {
        self.roll(id, now);
        self.leave(id);
        let worst_case = self.worst_case;
        self.stream_mut(id).reconfigure(config, now, worst_case);
        self.note_limit(id);
        self.recompute_switching_share();
        self.return_to_state(id, now);
    }

    fn return_to_state(&mut self, id: StreamId, now: Nanos) {
        let stream = self.stream(id);
        let state = match stream.state() {
            StreamState::Limited if !stream.is_at_limit() => {
                self.stream_mut(id).end_grace();
                StreamState::Active
            }
            StreamState::IdleFresh | StreamState::IdleHeld => {
                stream.idle_state(now, self.worst_case)
            }
            same => same,
        };
        self.enter(id, state);
    }
}
