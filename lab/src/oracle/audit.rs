//! What was promised to a stream against what was seen.
//!
//! With W the bound on one dispatch and B the bound on what may be unspent (W; with the switching
//! account W + the cap of its credit + one return seek):
//! - at every period end at most B is unspent, by the scheduler's own count;
//! - from the start of a backlog, k periods give at least k·u·p − B;
//! - k whole periods inside a backlog give at least k·u·p − B − W: a stream starts a request only
//!   with budget, so it enters the periods with a debt of at most W, and leaves them with at most
//!   B.
//!
//! What a limit holds back is not owed, so that of limited streams none of this is checked.

use super::world::World;
use disktime_units::Nanos;

/// How near a stream came to its bounds, in ns.
#[derive(Debug, Clone, Copy)]
pub struct StreamAudit {
    /// B.
    pub bound: i64,
    /// B + W.
    pub bound_inside: i64,
    /// The largest unspent budget at a period's end.
    pub unspent: i64,
    /// Period ends at which more was unspent than may be, by the scheduler's count.
    pub missed: u64,
    /// Largest shortfall from the start of a backlog over whole periods.
    pub from_start: i64,
    /// Largest shortfall over whole periods inside a backlog.
    pub inside: i64,
    /// Period ends inside backlogs.
    pub periods: u64,
}

impl StreamAudit {
    /// Whether all that was promised was kept.
    pub fn holds(&self) -> bool {
        self.unspent <= self.bound
            && self.missed == 0
            && self.from_start <= self.bound
            && self.inside <= self.bound_inside
    }
}

impl World {
    /// The audit of a stream without a limit. After [`World::drain`].
    pub fn audit(&self, index: usize) -> StreamAudit {
        let counters = self.counters(index);
        let bound = self.scheduler().unspent_bound();
        let nanos = |ppm_nanos: i128| (ppm_nanos / 1_000_000) as i64;
        let worst = self.shortfall(index);
        StreamAudit {
            bound: bound.0 as i64,
            bound_inside: (bound + self.worst_case()).0 as i64,
            unspent: counters.unspent_max.unwrap_or(0),
            missed: counters.deadlines_missed,
            from_start: nanos(worst.from_start),
            inside: nanos(worst.inside),
            periods: worst.periods,
        }
    }

    /// The audits of all streams that have a reservation without a limit.
    ///
    /// # Panics
    /// If a promise was not kept (I3).
    pub fn assert_promises(&self, context: &str) -> Vec<StreamAudit> {
        let mut audits = Vec::new();
        for index in 0..self.stream_count() {
            let config = self.config(index);
            if config.reservation.is_none() || config.limit.is_some() {
                continue;
            }
            let audit = self.audit(index);
            let behaviour = self.client(index).config().behaviour;
            assert!(
                audit.holds(),
                "{context}: stream {index} ({config:?}, {behaviour:?}): {audit:?}"
            );
            audits.push(audit);
        }
        audits
    }

    /// Most time that a limited stream used in a period of its limit, beyond the limit, in ns.
    pub fn over_limit(&self, index: usize) -> Option<i64> {
        self.books(index).over_limit()
    }

    /// A dispatch that took longer than W, if one did.
    pub fn longer_than_worst_case(&self) -> Option<Nanos> {
        let longest = self.scheduler().disk_counters(self.now()).longest;
        Some(longest).filter(|longest| *longest > self.worst_case())
    }
}
