//! One rate of a cloud volume: so many units a second, and faster while there is credit.
//!
//! Invariant: over any time the units admitted are at most those of the sustained rate and the
//! credit; never faster than the burst rate.
//!
//! What is not known here: what a unit is.

use disktime_units::Nanos;

/// Units that were not used are credit for later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// How much faster than the sustained rate, in per cent of it. More than 100.
    pub burst_percent: u32,
    /// The time at the sustained rate whose units the full credit holds.
    pub full: Nanos,
}

/// A rate with its credit.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    credit: Option<Credit>,
    /// When all that was admitted would be done at the sustained rate.
    sustained: Nanos,
    /// When all that was admitted is done at the burst rate.
    burst: Nanos,
}

impl Bucket {
    /// A rate whose credit is full.
    pub(super) fn new(credit: Option<Credit>) -> Bucket {
        Bucket {
            credit,
            sustained: Nanos::ZERO,
            burst: Nanos::ZERO,
        }
    }

    /// Admits what takes `time` at the sustained rate; when it is through.
    pub(super) fn admit(&mut self, now: Nanos, time: Nanos) -> Nanos {
        self.sustained = self.sustained.max(now).saturating_add(time);
        let Some(credit) = self.credit else {
            return self.sustained;
        };
        let fast = Nanos(time.0.saturating_mul(100) / u64::from(credit.burst_percent.max(1)));
        let begin = self.burst.max(now);
        let covered = self.sustained.saturating_sub(credit.full);
        self.burst = begin.saturating_add(fast).max(covered);
        self.burst
    }
}
