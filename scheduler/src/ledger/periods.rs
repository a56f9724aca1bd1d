//! The books in time: ends of periods, of grace times and of limits, at their own times.

use super::{Account, Ledger};
use crate::report::StreamCounters;
use crate::stream::{Presence, Stream, Virtual, scaled, unscaled};
use crate::stream_id::StreamId;
use disktime_units::Nanos;

impl Ledger {
    /// Brings the books to `now`: ends of grace times, of limits, of debts and of what idle streams
    /// hold, in order of time.
    pub(crate) fn advance(&mut self, now: Nanos) {
        self.now = now;
        if let Some(used) = self.accruing {
            self.roll(used.stream, now);
        }
        while let Some((at, id)) = self.timers.first()
            && at <= now
        {
            self.fire(id, now);
        }
    }

    /// A stream's timer went off.
    fn fire(&mut self, id: StreamId, now: Nanos) {
        match self.stream(id).presence {
            Presence::IdleFresh => self.set_timer(id),
            Presence::IdleHeld => {
                if self.stream(id).if_woken(now, self.worst_case) == Virtual::Fresh {
                    self.leave(id);
                    self.enter(id, Presence::IdleFresh);
                } else {
                    self.set_timer(id);
                }
            }
            Presence::Limited => self.unlimit(id, now),
            Presence::Active => self.fire_active(id, now),
        }
    }

    fn fire_active(&mut self, id: StreamId, now: Nanos) {
        let is_waited_for = self.accruing.is_some_and(|used| used.stream == id);
        let grace_until = self.stream(id).grace_until;
        if grace_until <= now && !is_waited_for {
            self.roll(id, grace_until);
            self.go_idle(id, grace_until);
            return;
        }
        self.roll(id, now);
        self.changed(id);
        if grace_until <= now {
            // A wait may outlast the grace time; the stream is active as long as it is waited for.
            self.timers.remove(id);
        } else {
            self.set_timer(id);
        }
    }

    /// Works off the ends of an active stream's periods up to `now`.
    pub(crate) fn roll(&mut self, id: StreamId, now: Nanos) {
        let stream = self.stream(id);
        if stream.deadline > now || !stream.is_reserved() || stream.presence != Presence::Active {
            return;
        }
        let books = self.rolled(id, now);
        let stream = self.stream_mut(id);
        (stream.budget, stream.deadline) = (books.budget, books.deadline);
        stream.counters = books.counters;
        self.changed(id);
    }

    /// A stream's books as of now, periods that ended since it was last touched included.
    pub(crate) fn as_of_now(&self, id: StreamId) -> Books {
        let stream = self.stream(id);
        if stream.is_reserved() && stream.presence == Presence::Active {
            self.rolled(id, self.now)
        } else {
            Books::of(stream)
        }
    }

    fn rolled(&self, id: StreamId, now: Nanos) -> Books {
        let stream = self.stream(id);
        let used = self
            .accruing
            .filter(|used| used.stream == id && used.account == Account::Own);
        let terms = Terms {
            per_period: stream.budget_per_period(),
            period: stream.period(),
            bound: self.unspent_bound,
            is_busy: stream.is_busy(),
            served_since: used.map(|used| used.since),
        };
        let mut books = Books::of(stream);
        books.end_periods(terms, now);
        books
    }

    /// A wait for a stream is over: its timer runs again.
    pub(crate) fn wait_ended(&mut self, id: StreamId) {
        self.set_timer(id);
    }
}

/// What the end of a period changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Books {
    pub(crate) budget: i128,
    pub(crate) deadline: Nanos,
    pub(crate) counters: StreamCounters,
}

/// What the end of a period depends on.
#[derive(Debug, Clone, Copy)]
struct Terms {
    per_period: i128,
    period: Nanos,
    /// Unspent budget beyond which the deadline is missed.
    bound: i128,
    /// It has requests waiting or in service.
    is_busy: bool,
    /// It has had the disk to itself on its own account since then.
    served_since: Option<Nanos>,
}

impl Books {
    fn of(stream: &Stream) -> Books {
        Books {
            budget: stream.budget,
            deadline: stream.deadline,
            counters: stream.counters,
        }
    }

    fn end_periods(&mut self, terms: Terms, now: Nanos) {
        if self.deadline > now {
            return;
        }
        let more = (now.0 - self.deadline.0) / terms.period.0;
        self.end_one(terms);
        if more > 0 {
            self.end_unserved(terms, more);
        }
    }

    /// One period ends: remainder and debt are carried into the next.
    fn end_one(&mut self, terms: Terms) {
        let using = terms
            .served_since
            .map_or(0, |since| scaled(self.deadline.saturating_sub(since)));
        let unspent = self.budget - using;
        if terms.is_busy {
            self.counters.note_unspent(unscaled(unspent));
        }
        if terms.is_busy && unspent > terms.bound {
            self.counters.deadlines_missed += 1;
        } else {
            self.counters.deadlines_met += 1;
        }
        // With an admitted set this never bites. Where the disk could not do what was promised
        // (W untrue, a set that was never admitted), what was missed is not owed for ever.
        self.budget -= (unspent - terms.bound).max(0);
        self.budget += terms.per_period;
        self.deadline += terms.period;
    }

    /// Many periods passed in which nothing was charged: a debt being repaid, a request that
    /// hung, a clock that jumped. The same as `count` single ends, without a loop that could take
    /// for ever.
    fn end_unserved(&mut self, terms: Terms, count: u64) {
        let periods = i128::from(count);
        self.deadline += Nanos(terms.period.0 * count);
        if terms.served_since.is_some() {
            // It uses all of the disk, so what is unspent falls from one end to the next.
            self.budget += terms.per_period * periods;
            self.counters.deadlines_met += count;
            return;
        }
        // Unspent at the ends: b, b + u·p, … until more than the bound.
        let within =
            ((terms.bound - self.budget).div_euclid(terms.per_period) + 1).clamp(0, periods);
        let last =
            (self.budget + terms.per_period * (periods - 1)).min(terms.bound + terms.per_period);
        self.budget = last.min(terms.bound) + terms.per_period;
        let met = if terms.is_busy {
            u64::try_from(within).unwrap_or(0)
        } else {
            count
        };
        self.counters.deadlines_met += met;
        self.counters.deadlines_missed += count - met;
        if terms.is_busy {
            self.counters.note_unspent(unscaled(last));
        }
    }
}
