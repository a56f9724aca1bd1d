//! Slack in its exact form, by a pass over all streams: what the promise is argued with.
//!
//! The scheduler decides by a bound from below that counts idle streams as a slower disk. Here an
//! idle stream counts with the budget that it would wake with now. Nothing is changed. For tests
//! and for people; a pass costs the streams' number times its logarithm, and allocates.

use super::{Ledger, Stream, StreamState, WakeBudget};
use crate::ppm_time::scaled;
use disktime_units::Nanos;

impl Ledger {
    /// The least slack over all D, in ppm-nanoseconds; `None` without reservations.
    pub(crate) fn exact_slack(&self) -> Option<i128> {
        let now = self.now;
        let reserved = self.streams.iter().map(|(_, stream)| stream);
        let reserved = reserved.filter(|stream| stream.is_reserved());
        let mut demands: Vec<(Nanos, i128, i128)> = reserved
            .map(|stream| {
                let (budget, deadline) = self.entitled(stream, now);
                let demand = stream.demand_of(budget, deadline, self.worst_case);
                let share = i128::from(stream.share_ppm());
                (demand.deadline, demand.budget, share)
            })
            .collect();
        demands.sort_unstable();
        let drain = scaled(self.drain(now));
        let (mut rate, mut constant, mut least) = (0i128, 0i128, None);
        for (deadline, budget, share) in demands {
            rate += share;
            constant += budget - share * i128::from(deadline.0);
            let at = i128::from(deadline.0);
            let left = scaled(deadline.saturating_sub(now));
            let slack = left - (rate * at + constant) - drain;
            least = Some(least.map_or(slack, |known: i128| known.min(slack)));
        }
        least
    }

    /// Budget and deadline as of now, or what an idle stream would wake with.
    fn entitled(&self, stream: &Stream, now: Nanos) -> (i128, Nanos) {
        if stream.state() != StreamState::Active {
            return match stream.if_woken(now, self.worst_case) {
                WakeBudget::Fresh => (stream.budget_per_period(), now + stream.period()),
                WakeBudget::Held { budget, deadline } => (budget, deadline),
            };
        }
        let (mut budget, mut deadline) = (stream.budget(), stream.deadline());
        let behind = budget - stream.fluid_budget(now);
        let gap = scaled(stream.solo().gap(now));
        budget -= behind.clamp(0, gap);
        if deadline <= now {
            let ended = (now.0 - deadline.0) / stream.period().0 + 1;
            budget += i128::from(ended) * stream.budget_per_period();
            deadline += Nanos(stream.period().0 * ended);
        }
        (budget, deadline)
    }
}
