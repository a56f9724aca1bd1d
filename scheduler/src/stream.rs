//! One stream's account: budget, deadline, effective deadline, and what an idle stream counts as.
//!
//! Budgets are kept in *ppm-nanoseconds* (a nanosecond times a million), because a share in parts
//! per million of a whole number of nanoseconds is a whole number of them: no rounding ever, so
//! the promise can be tested exactly. They are kept in 128 bits: in 64, a budget, a debt or a
//! request that hangs for two and a half hours would overflow. The rules and their proof: ARCHITECTURE.md, "The promise".

use crate::config::StreamConfig;
use crate::queue::{QueueOrder, StreamQueue};
use crate::report::StreamCounters;
use crate::stream_id::StreamId;
use disktime_units::Nanos;

/// Parts per million in one.
const MILLION: i128 = 1_000_000;

/// Time in ppm-nanoseconds.
pub(crate) fn scaled(time: Nanos) -> i128 {
    i128::from(time.0) * MILLION
}

/// Whole nanoseconds of a scaled time, rounded down.
pub(crate) fn unscaled(time: i128) -> i64 {
    let nanos = time.div_euclid(MILLION);
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

/// Whole nanoseconds of a scaled time that is a length; zero if it is negative.
pub(crate) fn length(time: i128) -> Nanos {
    Nanos(u64::try_from(unscaled(time)).unwrap_or(0))
}

/// `dividend / divisor`; in 64 bits where both fit, which they do but for absurd periods: this is
/// done for every stream in every scan.
pub(crate) fn divide(dividend: i128, divisor: i128) -> i128 {
    match (i64::try_from(dividend), i64::try_from(divisor)) {
        (Ok(dividend), Ok(divisor)) => i128::from(dividend.wrapping_div(divisor)),
        _ => dividend / divisor,
    }
}

/// Whether a stream competes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Nothing to do, and on waking it gets a fresh budget: counted as a slower disk.
    IdleFresh,
    /// Nothing to do, but what it would wake with is still what it left with.
    IdleHeld,
    /// Backlogged, or in the grace time after its queue ran empty.
    Active,
    /// Has requests, but its limit is used up: counted as idle until the limit's period ends.
    Limited,
}

/// What an idle stream would have if it woke now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Virtual {
    /// A whole budget, and a deadline one period away.
    Fresh,
    /// This budget until that deadline.
    Held { budget: i128, deadline: Nanos },
}

/// Demand of a stream as the slack test sees it: nothing before `deadline`, then `budget` plus the
/// share of what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) deadline: Nanos,
    pub(crate) budget: i128,
}

/// A stream: what it is entitled to, what it has had, what it waits for.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) config: StreamConfig,
    pub(crate) queue: StreamQueue,
    pub(crate) in_flight: usize,
    pub(crate) presence: Presence,
    /// b, in ppm-nanoseconds; negative is a debt. 0 without a reservation.
    pub(crate) budget: i128,
    /// What is put aside of b while others are served in its grace time.
    pub(crate) yielded: i128,
    /// d: the end of the current period.
    pub(crate) deadline: Nanos,
    /// The empty queue counts as backlogged until then.
    pub(crate) grace_until: Nanos,
    /// Virtual time of spare service received: ppm-nanoseconds per unit of weight.
    pub(crate) tag: u128,
    /// Limit left in the limit's period, in ppm-nanoseconds.
    pub(crate) limit_budget: i128,
    /// When the limit's period ends.
    pub(crate) limit_end: Nanos,
    /// Where its last dispatch ended; `None` before the first.
    pub(crate) last_end_bytes: Option<u64>,
    /// When its last dispatch completed.
    pub(crate) last_completion: Nanos,
    /// When its last request came.
    pub(crate) last_arrival: Nanos,
    pub(crate) habits: Habits,
    pub(crate) counters: StreamCounters,
    /// Its index in the list of its presence, if there is one.
    pub(crate) slot: u32,
    /// Its index among those in grace.
    pub(crate) grace_slot: u32,
    /// It is on the list of streams that changed since the policy last looked.
    pub(crate) is_noted: bool,
    /// What it will be entitled to as soon as nobody else suffers.
    pub(crate) pending: Option<StreamConfig>,
    /// The group whose account pays for it.
    pub(crate) group: Option<StreamId>,
    /// It is being removed: it takes no new requests, and is gone when it has none left.
    pub(crate) is_leaving: bool,
    /// Of a group: members with requests.
    pub(crate) members_waiting: u32,
}

/// What was learnt of a stream's behaviour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Habits {
    /// Moving average of the time between a completion that emptied its queue and the next arrival.
    pub(crate) think: Nanos,
    /// Moving average of "it came back while it was waited for", in ppm.
    pub(crate) hit_rate_ppm: u32,
    /// Opportunities to wait that were passed up since the last try.
    pub(crate) waits_skipped: u32,
    /// How often of late its requests came without being answered, up to a few.
    pub(crate) unprompted: u8,
    /// It was waited for in vain since its last completion.
    pub(crate) gave_up: bool,
    /// Moving average of measured over estimated service for its own non-sequential requests, ppm.
    pub(crate) estimate_ratio_ppm: u64,
    /// The same for requests that continue the stream's last one.
    pub(crate) sequential_ratio_ppm: u64,
}

impl Default for Habits {
    fn default() -> Habits {
        Habits {
            think: Nanos::from_millis(1),
            hit_rate_ppm: 1_000_000,
            waits_skipped: 0,
            unprompted: 0,
            gave_up: false,
            estimate_ratio_ppm: 1_000_000,
            sequential_ratio_ppm: 1_000_000,
        }
    }
}

impl Stream {
    pub(crate) fn new(config: StreamConfig, order: QueueOrder) -> Stream {
        assert!(config.weight >= 1, "a weight is at least 1");
        Stream {
            config,
            queue: StreamQueue::new(order),
            in_flight: 0,
            presence: Presence::IdleFresh,
            budget: 0,
            yielded: 0,
            deadline: Nanos::ZERO,
            grace_until: Nanos::ZERO,
            tag: 0,
            limit_budget: 0,
            limit_end: Nanos::ZERO,
            last_end_bytes: None,
            last_completion: Nanos::ZERO,
            last_arrival: Nanos::ZERO,
            habits: Habits::default(),
            counters: StreamCounters::default(),
            slot: 0,
            grace_slot: 0,
            is_noted: false,
            pending: None,
            group: None,
            is_leaving: false,
            members_waiting: 0,
        }
    }

    /// u, in parts per million; 0 for best effort.
    pub(crate) fn share_ppm(&self) -> i64 {
        self.config
            .reservation
            .map_or(0, |reservation| i64::from(reservation.share.0))
    }

    pub(crate) fn is_reserved(&self) -> bool {
        self.share_ppm() > 0
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

    /// The demand that the slack test counts: a budget below W competes one period (or more) later,
    /// together with the next one.
    pub(crate) fn demand(&self, budget: i128, deadline: Nanos, worst_case: i128) -> Demand {
        let per_period = self.budget_per_period();
        if budget >= worst_case || per_period == 0 {
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

    /// Demand of the stream as it is (active).
    pub(crate) fn current_demand(&self, worst_case: i128) -> Demand {
        self.demand(self.budget, self.deadline, worst_case)
    }

    /// When an active stream's books change by themselves in a way that others see: its grace ends,
    /// a debt is repaid, or its effective deadline passes. Ends of periods in between change nothing
    /// that others see, and are worked off when the stream is next looked at.
    pub(crate) fn active_until(&self, worst_case: i128) -> Nanos {
        if !self.is_reserved() {
            return self.grace_until;
        }
        let own = if self.budget > 0 {
            self.current_demand(worst_case).deadline
        } else {
            let periods = divide(-self.budget, self.budget_per_period());
            let periods = u64::try_from(periods).unwrap_or(u64::MAX);
            let repaid = self.period().0.saturating_mul(periods);
            self.deadline.saturating_add(Nanos(repaid))
        };
        own.min(self.grace_until)
    }

    /// When an idle stream that holds a remainder or a debt will count as fresh.
    pub(crate) fn held_until(&self, worst_case: i128) -> Nanos {
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

    /// What it would have if it woke now: a remainder below W is truncated and keeps its deadline,
    /// a debt is repaid by idle time, everything else starts afresh.
    pub(crate) fn if_woken(&self, now: Nanos, worst_case: i128) -> Virtual {
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
            return Virtual::Fresh;
        }
        let fluid = i128::from(deadline.0 - now.0) * i128::from(self.share_ppm());
        if budget >= worst_case {
            if budget > fluid {
                Virtual::Fresh
            } else {
                Virtual::Held { budget, deadline }
            }
        } else {
            Virtual::Held {
                budget: budget.min(fluid),
                deadline,
            }
        }
    }

    /// l, in parts per million, and its period.
    fn limit(&self) -> Option<(i64, Nanos)> {
        self.config
            .limit
            .map(|limit| (i64::from(limit.share.0), limit.period))
    }

    /// Brings the limit's budget to `now`: unused limit is lost at the end of its period, an
    /// overrun is carried.
    pub(crate) fn roll_limit(&mut self, now: Nanos) {
        let Some((share_ppm, period)) = self.limit() else {
            return;
        };
        if now < self.limit_end {
            return;
        }
        let per_period = i128::from(period.0) * i128::from(share_ppm);
        let passed = (now.0 - self.limit_end.0) / period.0 + 1;
        let refilled = self.limit_budget.min(0) + per_period * i128::from(passed);
        self.limit_budget = refilled.min(per_period);
        self.limit_end += Nanos(period.0 * passed);
    }

    /// When its limit lets it go on, if it does.
    pub(crate) fn limit_release(&self) -> Nanos {
        let Some((share_ppm, period)) = self.limit() else {
            return self.limit_end;
        };
        let per_period = i128::from(period.0) * i128::from(share_ppm);
        if per_period == 0 {
            return Nanos::MAX;
        }
        let debt = self.limit_budget.min(0).unsigned_abs();
        let more = u64::try_from(debt / per_period.unsigned_abs()).unwrap_or(u64::MAX);
        let more = Nanos(more.saturating_mul(period.0));
        self.limit_end.saturating_add(more)
    }

    /// Whether its limit keeps it back; call after `roll_limit`.
    pub(crate) fn is_at_limit(&self) -> bool {
        self.config.limit.is_some() && self.limit_budget <= 0
    }

    /// Behind its fluid share, but for the time that passes for all: b/u − d in nanoseconds.
    pub(crate) fn lag(&self) -> i64 {
        let behind = divide(self.budget, i128::from(self.share_ppm().max(1)));
        let lag = behind - i128::from(self.deadline.0);
        i64::try_from(lag).unwrap_or(if lag < 0 { i64::MIN } else { i64::MAX })
    }

    /// Whether it has requests waiting or in flight.
    pub(crate) fn is_busy(&self) -> bool {
        self.has_queue() || self.in_flight > 0
    }

    /// Whether it, or a member of it, has requests waiting.
    pub(crate) fn has_queue(&self) -> bool {
        self.members_waiting > 0 || !self.queue.is_empty()
    }
}

#[cfg(test)]
mod tests;
