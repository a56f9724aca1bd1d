//! The arithmetic of a stream's budget b and deadline d, exact in ppm-nanoseconds: its demand, the
//! line that a fluid service of its share follows, and what an idle stream counts as.
//!
//! docs/design/scheduler.md has the rules and the argument for them.

use super::{Stream, StreamState};
use crate::config::StreamConfig;
use crate::ppm_time::{divide, scaled};
use disktime_units::Nanos;

/// What an idle stream would have if it woke now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WakeBudget {
    /// A whole budget, and a deadline one period away.
    Fresh,
    /// This budget until that deadline.
    Held { budget: i128, deadline: Nanos },
}

/// Demand of a stream as the slack test counts it: nothing before `deadline`, then `budget` plus
/// the share of what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demand {
    /// e: the effective deadline.
    pub(crate) deadline: Nanos,
    /// β.
    pub(crate) budget: i128,
}

impl Stream {
    /// b, in ppm-nanoseconds.
    pub(crate) fn budget(&self) -> i128 {
        self.budget
    }

    /// d.
    pub(crate) fn deadline(&self) -> Nanos {
        self.deadline
    }

    /// u, in parts per million; 0 for best effort.
    pub(crate) fn share_ppm(&self) -> i64 {
        share_ppm(&self.config)
    }

    pub(crate) fn is_reserved(&self) -> bool {
        self.share_ppm() > 0
    }

    /// Whether it has budget of its own.
    pub(crate) fn has_budget(&self) -> bool {
        self.is_reserved() && self.budget > 0
    }

    /// p; zero for best effort.
    pub(crate) fn period(&self) -> Nanos {
        self.config
            .reservation
            .map_or(Nanos::ZERO, |reservation| reservation.period)
    }

    /// u·p, exactly.
    pub(crate) fn budget_per_period(&self) -> i128 {
        i128::from(self.period().0) * i128::from(self.share_ppm())
    }

    /// u·(d − now), exactly; the line that a fluid service of rate u follows.
    pub(crate) fn fluid_budget(&self, now: Nanos) -> i128 {
        let left = i128::from(self.deadline.0) - i128::from(now.0);
        left * i128::from(self.share_ppm())
    }

    /// The demand that the slack test counts for `budget` and `deadline`: a budget below W competes
    /// one period (or more) later, together with the next one. What was taken for requests in
    /// flight may come back, so it counts for whether the budget is below W: else a demand that
    /// others did not reckon with would return just before its deadline.
    fn demand(&self, budget: i128, deadline: Nanos, worst_case: i128) -> Demand {
        let per_period = self.budget_per_period();
        let at_most = budget + scaled(self.solo.debited());
        if at_most >= worst_case || per_period == 0 {
            let budget = budget.max(0);
            return Demand { deadline, budget };
        }
        let missing = worst_case - budget;
        let periods = divide(missing + per_period - 1, per_period);
        let count = u64::try_from(periods).unwrap_or(u64::MAX);
        let postponed = self.period().0.saturating_mul(count);
        Demand {
            deadline: deadline.saturating_add(Nanos(postponed)),
            budget: budget + periods * per_period,
        }
    }

    /// The demand that `budget` until `deadline` would be.
    pub(in crate::ledger) fn demand_of(
        &self,
        budget: i128,
        deadline: Nanos,
        worst_case: i128,
    ) -> Demand {
        self.demand(budget, deadline, worst_case)
    }

    /// The demand of the stream with what it has.
    pub(crate) fn current_demand(&self, worst_case: i128) -> Demand {
        self.demand(self.budget, self.deadline, worst_case)
    }

    /// Behind its fluid share, up to the time that passes for all: b/u − d in nanoseconds.
    pub(crate) fn lag(&self) -> i64 {
        let behind = divide(self.budget, i128::from(self.share_ppm().max(1)));
        let lag = behind - i128::from(self.deadline.0);
        i64::try_from(lag).unwrap_or(if lag < 0 { i64::MIN } else { i64::MAX })
    }

    /// When the account of an active stream changes by itself in a way that others see: its grace
    /// ends, a debt is repaid, or its effective deadline passes. Ends of periods in between change
    /// nothing that others see, and are worked off when the stream is next touched.
    pub(in crate::ledger) fn active_until(&self, worst_case: i128) -> Nanos {
        if !self.is_reserved() {
            return self.grace_until;
        }
        let own = if self.budget > 0 {
            self.current_demand(worst_case).deadline
        } else {
            let periods = divide(-self.budget, self.budget_per_period());
            let periods = u64::try_from(periods).unwrap_or(u64::MAX);
            let repaid = self.period().0.saturating_mul(periods);
            let repaid = self.deadline.saturating_add(Nanos(repaid));
            repaid.min(self.current_demand(worst_case).deadline)
        };
        own.min(self.grace_until)
    }

    /// When an idle stream that holds a remainder or a debt will count as fresh.
    pub(in crate::ledger) fn held_until(&self, worst_case: i128) -> Nanos {
        if self.budget >= worst_case && self.budget > 0 {
            let left = divide(self.budget - 1, i128::from(self.share_ppm().max(1)));
            let left = Nanos(u64::try_from(left).unwrap_or(u64::MAX));
            return self.deadline.saturating_sub(left);
        }
        let per_period = self.budget_per_period().max(1);
        let periods = divide(-self.budget.min(0) + per_period - 1, per_period);
        let periods = u64::try_from(periods).unwrap_or(u64::MAX);
        let repaid = self.period().0.saturating_mul(periods);
        self.deadline.saturating_add(Nanos(repaid))
    }

    /// What it would have if it woke now: a remainder below W is truncated to the fluid line and
    /// keeps its deadline, a debt is repaid by idle time, everything else starts afresh.
    pub(crate) fn if_woken(&self, now: Nanos, worst_case: i128) -> WakeBudget {
        let per_period = self.budget_per_period();
        let (mut budget, mut deadline) = (self.budget, self.deadline);
        if now >= deadline && budget < 0 && per_period > 0 {
            let to_repay = (-budget + per_period - 1) / per_period;
            let passed = (now.0 - deadline.0) / self.period().0 + 1;
            let periods = passed.min(u64::try_from(to_repay).unwrap_or(u64::MAX));
            budget += i128::from(periods) * per_period;
            deadline += Nanos(self.period().0 * periods);
        }
        if now >= deadline {
            return WakeBudget::Fresh;
        }
        let fluid = i128::from(deadline.0 - now.0) * i128::from(self.share_ppm());
        if budget >= worst_case {
            if budget > fluid {
                WakeBudget::Fresh
            } else {
                WakeBudget::Held { budget, deadline }
            }
        } else {
            WakeBudget::Held {
                budget: budget.min(fluid),
                deadline,
            }
        }
    }

    /// The idle state that it is in as of `now`.
    pub(in crate::ledger) fn idle_state(&self, now: Nanos, worst_case: i128) -> StreamState {
        let fresh = !self.is_reserved() || self.if_woken(now, worst_case) == WakeBudget::Fresh;
        if fresh {
            StreamState::IdleFresh
        } else {
            StreamState::IdleHeld
        }
    }

    /// Gives an idle or limited stream with a reservation what it wakes with at `now`.
    pub(in crate::ledger) fn wake(&mut self, now: Nanos, worst_case: i128) {
        (self.budget, self.deadline) = match self.if_woken(now, worst_case) {
            WakeBudget::Fresh => (self.budget_per_period(), now + self.period()),
            WakeBudget::Held { budget, deadline } => (budget, deadline),
        };
    }

    /// Brings what an idle stream holds to what it would wake with now. `None`: it would wake with
    /// a fresh budget. Else whether what it holds became less.
    pub(in crate::ledger) fn refine(&mut self, now: Nanos, worst_case: i128) -> Option<bool> {
        let WakeBudget::Held { budget, deadline } = self.if_woken(now, worst_case) else {
            return None;
        };
        let changes = (budget, deadline) != (self.budget, self.deadline);
        (self.budget, self.deadline) = (budget, deadline);
        Some(changes)
    }

    /// Another entitlement takes effect, and with a reservation a new period begins. What it had in
    /// advance of its old line stays, as a debt; what it was behind is forgotten.
    pub(in crate::ledger) fn reconfigure(
        &mut self,
        config: StreamConfig,
        now: Nanos,
        worst_case: i128,
    ) {
        let is_idle = matches!(self.state, StreamState::IdleFresh | StreamState::IdleHeld);
        let ahead = match self.if_woken(now, worst_case) {
            // Idle time has repaid what it had too much.
            WakeBudget::Fresh if is_idle || !self.is_reserved() => 0,
            WakeBudget::Held { budget, deadline } if is_idle => {
                let left = i128::from(deadline.0 - now.0) * i128::from(self.share_ppm());
                (budget - left).min(0)
            }
            _ => (self.budget - self.fluid_budget(now)).min(0),
        };
        let old_limit = self.config.limit;
        self.config = config;
        self.set_aside = 0;
        self.budget = 0;
        if self.is_reserved() && is_idle && ahead == 0 {
            // It will wake with a whole budget.
            self.deadline = now;
        } else if self.is_reserved() {
            self.deadline = now + self.period();
            self.budget = self.budget_per_period() + ahead;
        }
        if self.config.limit != old_limit {
            self.change_limit(old_limit, now);
        }
    }
}

/// u of an entitlement, in parts per million; 0 for best effort.
pub(in crate::ledger) fn share_ppm(config: &StreamConfig) -> i64 {
    config
        .reservation
        .map_or(0, |reservation| i64::from(reservation.share.0))
}
