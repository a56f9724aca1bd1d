//! What a stream's limit leaves it. Unused limit is lost at the end of the limit's period; an
//! overrun is a debt to the next.

use super::Stream;
use crate::config::Limit;
use crate::ppm_time::scaled;
use disktime_units::Nanos;

/// The limit's account.
#[derive(Debug, Default)]
pub(super) struct LimitBudget {
    /// Left in the limit's period, in ppm-nanoseconds; negative is a debt.
    budget: i128,
    /// When the limit's period ends.
    end: Nanos,
    /// What was used of an earlier, higher limit beyond a lower one, and is no debt; until then it
    /// counts as used where the limit is raised again.
    forgiven: i128,
    forgiven_until: Nanos,
}

impl LimitBudget {
    /// Ends the periods up to `now`.
    fn refill(&mut self, now: Nanos, period: Nanos, per_period: i128) {
        if now < self.end {
            return;
        }
        let passed = (now.0 - self.end.0) / period.0 + 1;
        let refilled = self.budget.min(0) + per_period * i128::from(passed);
        self.budget = refilled.min(per_period);
        self.end += Nanos(period.0 * passed);
    }
}

impl Stream {
    pub(crate) fn has_limit(&self) -> bool {
        self.config.limit.is_some()
    }

    /// l, in parts per million, and its period.
    fn limit_terms(&self) -> Option<(i64, Nanos)> {
        self.config
            .limit
            .map(|limit| (i64::from(limit.share.0), limit.period))
    }

    /// A limit's first period begins.
    pub(super) fn begin_limit(&mut self, now: Nanos) {
        self.limit = LimitBudget {
            end: now,
            ..LimitBudget::default()
        };
        self.refill_limit(now);
    }

    /// The limit was another one up to now. What was used of that counts against the new one, or
    /// each change would give a period's limit again; and its period does not begin anew, or
    /// frequent changes would hold the stream back. What the old limit allowed is no debt to the
    /// new one: a limit that is a thousandth of the old one would hold the stream back for a
    /// thousand periods.
    pub(super) fn change_limit(&mut self, old: Option<Limit>, now: Nanos) {
        let (Some(old), Some((share_ppm, period))) = (old, self.limit_terms()) else {
            return self.begin_limit(now);
        };
        if self.limit.end == Nanos::ZERO {
            return self.begin_limit(now);
        }
        let old_budget = i128::from(old.period.0) * i128::from(old.share.0);
        self.limit.refill(now, old.period, old_budget);
        if now >= self.limit.forgiven_until {
            self.limit.forgiven = 0;
        }
        let left = self.limit.budget;
        let used = old_budget - left + self.limit.forgiven;
        let rest = i128::from(period.0) * i128::from(share_ppm) - used;
        self.limit.budget = rest.max(left.min(0));
        self.limit.forgiven = self.limit.budget - rest;
        self.limit.forgiven_until = self.limit.forgiven_until.max(self.limit.end);
        self.limit.end = self.limit.end.min(now.saturating_add(period));
    }

    /// The limit's first period begins with the stream's first request.
    pub(in crate::ledger) fn begin_limit_if_new(&mut self, now: Nanos) {
        if self.has_limit() && self.limit.end == Nanos::ZERO {
            self.limit.end = now;
        }
        self.refill_limit(now);
    }

    /// Ends the limit's periods up to `now`.
    pub(in crate::ledger) fn refill_limit(&mut self, now: Nanos) {
        let Some((share_ppm, period)) = self.limit_terms() else {
            return;
        };
        let per_period = i128::from(period.0) * i128::from(share_ppm);
        self.limit.refill(now, period, per_period);
    }

    /// Counts time against the limit, up to `now`. First the refill that is due: what was used up
    /// to now counts against the period that `now` is in, so that no unused rest of an older one
    /// pays for it.
    pub(in crate::ledger) fn use_limit(&mut self, used: Nanos, now: Nanos) {
        if self.has_limit() {
            self.refill_limit(now);
            self.limit.budget -= scaled(used);
        }
    }

    /// Gives back what was counted before it was known how much it would be.
    pub(in crate::ledger) fn return_limit(&mut self, unused: Nanos) {
        if self.has_limit() {
            self.limit.budget += scaled(unused);
        }
    }

    /// What the limit leaves it, in ppm-nanoseconds; call after a refill.
    pub(in crate::ledger) fn limit_left(&self) -> i128 {
        if self.has_limit() {
            self.limit.budget
        } else {
            i128::MAX
        }
    }

    /// Whether its limit holds it back; call after a refill.
    pub(crate) fn is_at_limit(&self) -> bool {
        self.limit_left() <= 0
    }

    /// When its limit lets it go on: a debt can last for several of the limit's periods.
    pub(in crate::ledger) fn limit_release(&self) -> Nanos {
        let Some((share_ppm, period)) = self.limit_terms() else {
            return self.limit.end;
        };
        let per_period = i128::from(period.0) * i128::from(share_ppm);
        if per_period == 0 {
            return Nanos::MAX;
        }
        let debt = self.limit.budget.min(0).unsigned_abs();
        let more = u64::try_from(debt / per_period.unsigned_abs()).unwrap_or(u64::MAX);
        let more = Nanos(more.saturating_mul(period.0));
        self.limit.end.saturating_add(more)
    }

    /// Counts the periods of its reservation that ended by `at` while its limit held it back: it
    /// had more than was promised.
    pub(in crate::ledger) fn count_limited_periods(&mut self, at: Nanos) {
        if self.deadline <= at {
            let passed = (at.0 - self.deadline.0) / self.period().0 + 1;
            self.counters.deadlines_met += passed;
        }
    }
}

#[cfg(test)]
mod tests;
