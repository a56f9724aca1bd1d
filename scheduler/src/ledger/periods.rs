//! The books in time: ends of periods, of grace times and of limits, in order, at their own times.

use super::{Account, Ledger};
use crate::config::StreamId;
use crate::stream::{Presence, scaled, unscaled};
use disktime_units::Nanos;

impl Ledger {
    /// Brings the books to `now`: ends of periods, of grace times and of limits, in order of time.
    pub(crate) fn advance(&mut self, now: Nanos) {
        self.now = now;
        if now < self.next_event {
            return;
        }
        let mut index = 0;
        while index < self.active.len() {
            let id = self.active[index];
            if self.advance_stream(id, now) {
                index += 1;
            }
        }
        let mut index = 0;
        while index < self.limited.len() {
            let id = self.limited[index];
            while self.stream(id).presence == Presence::Limited && self.stream(id).limit_end <= now
            {
                self.unlimit_at(id, now);
            }
            if self.stream(id).presence == Presence::Limited {
                index += 1;
            } else {
                self.advance_stream(id, now);
            }
        }
        self.next_event = self.find_next_event();
    }

    fn find_next_event(&self) -> Nanos {
        let active = self.active.iter().map(|id| {
            let stream = self.stream(*id);
            let deadline = if stream.is_reserved() {
                stream.deadline
            } else {
                Nanos::MAX
            };
            deadline.min(stream.grace_until)
        });
        let limited = self.limited.iter().map(|id| self.stream(*id).limit_end);
        active.chain(limited).min().unwrap_or(Nanos::MAX)
    }

    /// Period ends and grace end of one active stream up to `now`; whether it is still active.
    fn advance_stream(&mut self, id: StreamId, now: Nanos) -> bool {
        loop {
            let stream = self.stream(id);
            let deadline = if stream.is_reserved() {
                stream.deadline
            } else {
                Nanos::MAX
            };
            let is_waited_for = self.accruing.is_some_and(|used| used.stream == id);
            if stream.grace_until < deadline && stream.grace_until <= now && !is_waited_for {
                let at = stream.grace_until;
                self.go_idle(id, at);
                return false;
            }
            if deadline > now {
                return true;
            }
            // A wait may outlast the grace time; the stream is active as long as it is waited for.
            let until = if is_waited_for {
                now
            } else {
                now.min(stream.grace_until)
            };
            let more = (until.0 - deadline.0) / stream.period().0;
            self.end_period(id);
            self.end_unserved_periods(id, more);
        }
    }

    /// Many periods passed in one go, in which nothing completed: a request that hung, a clock that
    /// jumped. The same as `count` single ends, without a loop that could take for ever.
    fn end_unserved_periods(&mut self, id: StreamId, count: u64) {
        if count == 0 {
            return;
        }
        let bound = self.unspent_bound;
        let is_served = self
            .accruing
            .is_some_and(|used| used.stream == id && used.account == Account::Own);
        let stream = self.stream_mut(id);
        let (budget, per_period) = (stream.budget, stream.budget_per_period());
        let periods = i128::from(count);
        stream.deadline += Nanos(stream.period().0 * count);
        if is_served {
            // It uses all of the disk, so what is unspent falls from one end to the next.
            stream.budget += per_period * periods;
            stream.counters.deadlines_met += count;
            return;
        }
        // Unspent at the ends: b, b + u·p, … until more than the bound.
        let within = ((bound - budget).div_euclid(per_period) + 1).clamp(0, periods);
        let last = (budget + per_period * (periods - 1)).min(bound + per_period);
        stream.budget = last.min(bound) + per_period;
        let waiting = stream.is_busy();
        let met = if waiting {
            u64::try_from(within).unwrap_or(0)
        } else {
            count
        };
        stream.counters.deadlines_met += met;
        stream.counters.deadlines_missed += count - met;
        if waiting {
            stream.counters.note_unspent(unscaled(last));
        }
    }

    /// One period of an active stream ends: remainder and debt are carried into the next.
    fn end_period(&mut self, id: StreamId) {
        let bound = self.unspent_bound;
        let accruing = self
            .accruing
            .filter(|used| used.stream == id && used.account == Account::Own);
        let stream = self.stream_mut(id);
        let using = accruing.map_or(0, |used| scaled(stream.deadline.saturating_sub(used.since)));
        let unspent = stream.budget - using;
        let waiting = stream.is_busy();
        let counters = &mut stream.counters;
        if waiting {
            counters.note_unspent(unscaled(unspent));
        }
        if waiting && unspent > bound {
            counters.deadlines_missed += 1;
        } else {
            counters.deadlines_met += 1;
        }
        // With an admitted set this never bites. Where the disk could not do what was promised
        // (W untrue, a set that was never admitted), what was missed is not owed for ever.
        stream.budget -= (unspent - bound).max(0);
        stream.budget += stream.budget_per_period();
        stream.deadline += stream.period();
    }
}
