//! What the end of a period changes: remainder and debt are carried into the next, and whether the
//! promise was kept is counted.

use super::Stream;
use crate::ppm_time::{scaled, unscaled};
use crate::report::StreamCounters;
use disktime_units::Nanos;

/// A stream's account as of some time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeriodBooks {
    budget: i128,
    deadline: Nanos,
    counters: StreamCounters,
}

/// What the end of a period depends on.
#[derive(Debug, Clone, Copy)]
pub(in crate::ledger) struct PeriodTerms {
    /// Unspent budget beyond which the deadline is missed.
    pub(in crate::ledger) bound: i128,
    /// It has had the disk to itself on its reserved account since then.
    pub(in crate::ledger) served_since: Option<Nanos>,
}

impl Stream {
    /// Its account as it was last touched.
    pub(in crate::ledger) fn books(&self) -> PeriodBooks {
        PeriodBooks {
            budget: self.budget,
            deadline: self.deadline,
            counters: self.counters,
        }
    }

    /// Its account as of `now`, with the periods that ended.
    pub(in crate::ledger) fn books_at(&self, terms: PeriodTerms, now: Nanos) -> PeriodBooks {
        let mut books = self.books();
        let ending = Ending {
            per_period: self.budget_per_period(),
            period: self.period(),
            is_busy: self.is_busy(),
            terms,
        };
        books.end_periods(ending, now);
        books
    }

    /// Works off the periods that ended by `now`.
    pub(in crate::ledger) fn end_periods(&mut self, terms: PeriodTerms, now: Nanos) {
        let books = self.books_at(terms, now);
        (self.budget, self.deadline) = (books.budget, books.deadline);
        self.counters = books.counters;
    }
}

/// The terms with what they apply to.
#[derive(Debug, Clone, Copy)]
struct Ending {
    per_period: i128,
    period: Nanos,
    /// It has requests queued or in flight.
    is_busy: bool,
    terms: PeriodTerms,
}

impl PeriodBooks {
    /// b, in ppm-nanoseconds.
    pub(crate) fn budget(&self) -> i128 {
        self.budget
    }

    pub(crate) fn counters(&self) -> StreamCounters {
        self.counters
    }

    /// d: the end of its current period.
    pub(crate) fn deadline(&self) -> Nanos {
        self.deadline
    }

    fn end_periods(&mut self, ending: Ending, now: Nanos) {
        if self.deadline > now {
            return;
        }
        let more = (now.0 - self.deadline.0) / ending.period.0;
        self.end_one(ending);
        if more > 0 {
            self.end_unserved(ending, more);
        }
    }

    /// One period ends: remainder and debt are carried into the next.
    fn end_one(&mut self, ending: Ending) {
        let bound = ending.terms.bound;
        let using = ending
            .terms
            .served_since
            .map_or(0, |since| scaled(self.deadline.saturating_sub(since)));
        let unspent = self.budget - using;
        if ending.is_busy {
            self.counters.note_unspent(unscaled(unspent));
        }
        if ending.is_busy && unspent > bound {
            self.counters.deadlines_missed += 1;
        } else {
            self.counters.deadlines_met += 1;
        }
        // With an admitted set this never applies. Where the disk could not do what was promised
        // (W untrue, a set that was never admitted), what was missed is not owed for ever.
        self.budget -= (unspent - bound).max(0);
        self.budget += ending.per_period;
        self.deadline += ending.period;
    }

    /// Many periods passed in which nothing was charged: a debt being repaid, a request that hung,
    /// a clock that jumped. The same as `count` single ends, without a loop that could take for
    /// ever.
    fn end_unserved(&mut self, ending: Ending, count: u64) {
        let bound = ending.terms.bound;
        let periods = i128::from(count);
        self.deadline += Nanos(ending.period.0 * count);
        if ending.terms.served_since.is_some() {
            // It uses all of the disk, so what is unspent falls from one end to the next.
            self.budget += ending.per_period * periods;
            self.counters.deadlines_met += count;
            return;
        }
        // Unspent at the ends: b, b + u·p, … until more than the bound.
        let within = ((bound - self.budget).div_euclid(ending.per_period) + 1).clamp(0, periods);
        let last = (self.budget + ending.per_period * (periods - 1)).min(bound + ending.per_period);
        self.budget = last.min(bound) + ending.per_period;
        let met = if ending.is_busy {
            u64::try_from(within).unwrap_or(0)
        } else {
            count
        };
        self.counters.deadlines_met += met;
        self.counters.deadlines_missed += count - met;
        if ending.is_busy {
            self.counters.note_unspent(unscaled(last));
        }
    }
}
