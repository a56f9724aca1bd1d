//! How close the bounds were, of one seed and of many.

use super::Account;
use std::fmt;

/// The largest part of a bound that was used, and the seed of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Closest {
    /// 1 is the bound.
    pub ratio: f64,
    /// Where.
    pub seed: u64,
}

impl Closest {
    fn take(&mut self, other: Closest) {
        if other.ratio > self.ratio {
            *self = other;
        }
    }
}

/// What one seed showed.
#[derive(Debug, Clone, Default)]
pub struct SeedOutcome {
    /// Which.
    pub seed: u64,
    /// Whose account; `None` after a panic.
    pub account: Option<Account>,
    /// Requests served.
    pub requests: u64,
    /// Period ends that the scheduler counted.
    pub deadlines: u64,
    /// Period ends that were counted from outside.
    pub periods: u64,
    /// Unspent at a period end ÷ B.
    pub unspent: f64,
    /// Short from the start of a backlog ÷ B.
    pub from_start: f64,
    /// Short over whole periods inside one ÷ (B + W).
    pub inside: f64,
    /// Time in a limit's period over the limit ÷ the overrun that is allowed.
    pub over_limit: f64,
    /// What was not as promised.
    pub violations: Vec<String>,
}

/// What all seeds showed, one account or both.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// Seeds run.
    pub seeds: u64,
    /// Requests served.
    pub requests: u64,
    /// Period ends that the schedulers counted.
    pub deadlines: u64,
    /// Period ends that were counted from outside.
    pub periods: u64,
    /// As in [`SeedOutcome`].
    pub unspent: Closest,
    /// As in [`SeedOutcome`].
    pub from_start: Closest,
    /// As in [`SeedOutcome`].
    pub inside: Closest,
    /// As in [`SeedOutcome`].
    pub over_limit: Closest,
}

impl Totals {
    /// Adds a seed.
    pub fn add(&mut self, outcome: &SeedOutcome) {
        self.seeds += 1;
        self.requests += outcome.requests;
        self.deadlines += outcome.deadlines;
        self.periods += outcome.periods;
        let closest = |ratio| Closest {
            ratio,
            seed: outcome.seed,
        };
        self.unspent.take(closest(outcome.unspent));
        self.from_start.take(closest(outcome.from_start));
        self.inside.take(closest(outcome.inside));
        self.over_limit.take(closest(outcome.over_limit));
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  {} requests, {} seeds, {} period ends, {} of them seen from outside",
            self.requests, self.seeds, self.deadlines, self.periods
        )?;
        let rows = [
            ("unspent at a period end", "B", self.unspent),
            ("short from the start of a backlog", "B", self.from_start),
            ("short over whole periods inside one", "B + W", self.inside),
            (
                "beyond a limit in its period",
                "the overrun allowed",
                self.over_limit,
            ),
        ];
        for (what, bound, closest) in rows {
            writeln!(
                f,
                "  {what}: at most {:.4} of {bound} (seed {})",
                closest.ratio, closest.seed
            )?;
        }
        Ok(())
    }
}
