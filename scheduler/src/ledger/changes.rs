//! Changing what a stream is entitled to while others are being served.
//!
//! Whoever has lent time counts on what is not reserved to get it back before his deadline: a stream may be far
//! behind its line with slack to spare. A reservation that grows at that moment would take that
//! slack away and break his promise. So more than a stream has now is *pending* first: it is counted as a slower disk
//! at once, which nobody may lend on any more, and takes effect when there is slack everywhere
//! nevertheless. Until then the stream has what it had. Less takes effect at once.
//!
//! When a reservation takes effect a new period begins. Being ahead of its old line stays, as a
//! debt; being behind it is forgotten: a promise counts from the start of its period.

use super::Ledger;
use crate::config::{PolicyKind, StreamConfig};
use crate::stream::{Presence, Virtual};
use crate::stream_id::StreamId;
use disktime_units::Nanos;

impl Ledger {
    /// Gives a stream another entitlement, now or as soon as nobody else suffers.
    pub(crate) fn reconfigure(&mut self, id: StreamId, config: StreamConfig, now: Nanos) {
        let share = |config: &StreamConfig| {
            let reservation = config.reservation.as_ref();
            reservation.map_or(0, |reservation| i64::from(reservation.share.0))
        };
        self.withdraw_pending(id);
        let grows = share(&config) > share(&self.stream(id).config);
        let others = self.active.iter().any(|other| *other != id) || !self.limited.is_empty();
        if grows && others && self.config.policy == PolicyKind::Fahrrad {
            let more = share(&config) - share(&self.stream(id).config);
            self.pending_share_ppm += more;
            self.pending.push(id);
            self.stream_mut(id).pending = Some(config);
            self.recompute_switching_share();
        } else {
            self.take_effect(id, config, now);
        }
        self.look_again();
    }

    pub(super) fn withdraw_pending(&mut self, id: StreamId) {
        if self.stream_mut(id).pending.take().is_some() {
            self.pending.retain(|other| *other != id);
            self.recompute_pending_share();
        }
    }

    fn recompute_pending_share(&mut self) {
        let more = |id: &StreamId| {
            let stream = self.stream(*id);
            let pending = stream.pending.and_then(|config| config.reservation);
            pending.map_or(0, |reservation| i64::from(reservation.share.0)) - stream.share_ppm()
        };
        self.pending_share_ppm = self.pending.iter().map(more).sum();
    }

    /// There is slack everywhere, what is pending included: it takes effect.
    pub(crate) fn apply_pending(&mut self, now: Nanos) {
        while let Some(id) = self.pending.pop() {
            if let Some(config) = self.stream_mut(id).pending.take() {
                self.take_effect(id, config, now);
            }
        }
        self.pending_share_ppm = 0;
        self.look_again();
    }

    /// What the policy knows of slack is no longer true.
    pub(super) fn look_again(&mut self) {
        self.woken_deadline = Nanos::ZERO;
        self.woken_since_allowance = Nanos::ZERO;
    }

    fn take_effect(&mut self, id: StreamId, config: StreamConfig, now: Nanos) {
        self.roll(id, now);
        self.leave(id);
        let worst_case = self.worst_case;
        let stream = self.stream_mut(id);
        let is_idle = matches!(stream.presence, Presence::IdleFresh | Presence::IdleHeld);
        let ahead = match stream.if_woken(now, worst_case) {
            // Idle time has repaid what it had too much.
            Virtual::Fresh if is_idle || !stream.is_reserved() => 0,
            Virtual::Held { budget, deadline } if is_idle => {
                let left = i128::from(deadline.0 - now.0) * i128::from(stream.share_ppm());
                (budget - left).min(0)
            }
            _ => (stream.budget - stream.fluid_budget(now)).min(0),
        };
        let limit_changes = stream.config.limit != config.limit;
        stream.config = config;
        stream.yielded = 0;
        stream.budget = 0;
        if stream.is_reserved() && is_idle && ahead == 0 {
            // It will wake with a whole budget.
            stream.deadline = now;
        } else if stream.is_reserved() {
            stream.deadline = now + stream.period();
            stream.budget = stream.budget_per_period() + ahead;
        }
        if limit_changes {
            (stream.limit_budget, stream.limit_end) = (0, now);
            stream.roll_limit(now);
        }
        self.recompute_switching_share();
        self.return_to_presence(id, now);
    }

    fn return_to_presence(&mut self, id: StreamId, now: Nanos) {
        let worst_case = self.worst_case;
        let presence = match self.stream(id).presence {
            Presence::Limited if !self.stream(id).is_at_limit() => Presence::Active,
            Presence::IdleFresh | Presence::IdleHeld => {
                let stream = self.stream(id);
                let is_fresh =
                    !stream.is_reserved() || stream.if_woken(now, worst_case) == Virtual::Fresh;
                if is_fresh {
                    Presence::IdleFresh
                } else {
                    Presence::IdleHeld
                }
            }
            same => same,
        };
        if self.stream(id).presence == Presence::Limited && presence == Presence::Active {
            self.stream_mut(id).grace_until = Nanos::MAX;
        }
        self.enter(id, presence);
    }
}
