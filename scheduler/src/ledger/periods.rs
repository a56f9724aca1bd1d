//! The ledger in time: ends of periods, of grace times and of limits, at their own times.

use super::stream::{PeriodBooks, PeriodTerms};
use super::{Account, Ledger, StreamState, WakeBudget};
use crate::stream_id::StreamId;
use disktime_units::Nanos;

impl Ledger {
    /// Brings the ledger to `now`.
    #[inline]
    pub(crate) fn advance(&mut self, now: Nanos) {
        self.now = now;
        let is_due = self.timers.first().is_some_and(|(at, _)| at <= now);
        if is_due || self.open_charge.is_some() {
            self.work_off(now);
        }
    }

    /// Ends of grace times, of limits, of debts and of what idle streams hold, in order of time.
    fn work_off(&mut self, now: Nanos) {
        if let Some(open) = self.open_charge {
            self.roll(open.payer, now);
        }
        while let Some((at, id)) = self.timers.first()
            && at <= now
        {
            self.fire(id, now);
        }
    }

    /// A stream's timer went off.
    fn fire(&mut self, id: StreamId, now: Nanos) {
        match self.stream(id).state() {
            StreamState::IdleFresh => self.set_timer(id),
            StreamState::IdleHeld => {
                if self.stream(id).if_woken(now, self.worst_case) == WakeBudget::Fresh {
                    self.leave(id);
                    self.enter(id, StreamState::IdleFresh);
                } else {
                    self.set_timer(id);
                }
            }
            StreamState::Limited => self.release_limit(id, now),
            StreamState::Active => self.fire_active(id, now),
        }
    }

    fn fire_active(&mut self, id: StreamId, now: Nanos) {
        let has_disk = self.open_charge.is_some_and(|open| open.payer == id);
        let grace_until = self.stream(id).grace_until();
        if grace_until <= now && !has_disk {
            self.roll(id, grace_until);
            self.go_idle(id, grace_until);
            return;
        }
        self.roll(id, now);
        self.note_change(id);
        if grace_until <= now {
            // A wait may outlast the grace time; the stream is active as long as it is waited for.
            self.timers.remove(id);
        } else {
            self.set_timer(id);
        }
    }

    /// Works off the ends of an active stream's periods up to `now`.
    #[inline]
    pub(super) fn roll(&mut self, id: StreamId, now: Nanos) {
        let stream = self.stream(id);
        if stream.deadline() > now || !stream.is_reserved() || !stream.is_active() {
            return;
        }
        if self.overlaps() {
            self.charge_gap(id, now);
        }
        let terms = self.period_terms(id);
        self.stream_mut(id).end_periods(terms, now);
        self.note_change(id);
    }

    /// After `now` no stream could be served for `pause`, which does not pass here.
    pub(crate) fn count_pause(&mut self, now: Nanos, pause: Nanos) {
        self.counters.pauses += 1;
        self.counters.paused += pause;
        let streams: Vec<StreamId> = self.streams().map(|(id, _)| id).collect();
        for id in streams {
            self.roll(id, now);
            self.stream_mut(id).count_pause(now, pause);
        }
    }

    /// A stream's account as of now, periods that ended since it was last touched included.
    pub(crate) fn as_of_now(&self, id: StreamId) -> PeriodBooks {
        let stream = self.stream(id);
        if stream.is_reserved() && stream.is_active() {
            stream.books_at(self.period_terms(id), self.now)
        } else {
            stream.books()
        }
    }

    fn period_terms(&self, id: StreamId) -> PeriodTerms {
        let open = self
            .open_charge
            .filter(|open| open.payer == id && open.account == Account::Reserved);
        PeriodTerms {
            bound: self.unspent_bound,
            served_since: open.map(|open| open.since),
        }
    }
}
