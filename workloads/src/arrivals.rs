//! When the requests of an open loop come, and how long users of a closed one think.
//!
//! Invariants: arrivals depend on the seed alone, not on answers; times never go back; nothing is
//! allocated. What is not known here: what is asked for.

use crate::generated::{Pace, Rate, Times};
use disktime_random::Random;
use disktime_units::Nanos;

/// Draws lengths of time.
#[derive(Debug, Clone)]
pub(crate) struct Clockwork {
    times: Times,
    random: Random,
}

impl Clockwork {
    pub(crate) fn new(times: Times, random: Random) -> Clockwork {
        Clockwork { times, random }
    }

    #[inline]
    pub(crate) fn draw(&mut self) -> Nanos {
        match self.times {
            Times::Constant(time) => time,
            Times::Exponential { mean } => {
                // The cast saturates.
                Nanos((self.random.exponential() * mean.0 as f64).round() as u64)
            }
            Times::Uniform { least, most } => {
                Nanos(self.random.between(least.0, most.0.max(least.0)))
            }
        }
    }
}

/// The arrivals of an open loop.
#[derive(Debug)]
pub(crate) struct Arrivals {
    next: Nanos,
    law: Law,
}

#[derive(Debug)]
enum Law {
    Constant {
        rate: Rate,
        start: Nanos,
        index: u64,
    },
    Poisson {
        gap_ns: f64,
        random: Random,
    },
    Bursts {
        periods: Clockwork,
        rate: Rate,
        counts: Random,
        /// Requests of this burst that are still to come.
        left: u64,
        next_burst: Nanos,
    },
}

impl Arrivals {
    /// The arrivals of a pace from `start`, or `None` for a closed loop.
    pub(crate) fn new(pace: Pace, start: Nanos, mut random: Random) -> Option<Arrivals> {
        let mut next = start;
        let law = match pace {
            Pace::Closed { .. } => return None,
            Pace::Constant { rate } => Law::Constant {
                rate,
                start,
                index: 0,
            },
            Pace::Poisson { rate } => {
                // The first comes as long after the start as any after the one before it.
                let gap_ns = rate.mean_gap_ns();
                next = start.saturating_add(poisson_gap(&mut random, gap_ns));
                Law::Poisson { gap_ns, random }
            }
            Pace::Bursts { period, rate } => {
                let mut law = Law::Bursts {
                    counts: Random::new(random.bits()),
                    periods: Clockwork::new(period, random),
                    rate,
                    left: 0,
                    next_burst: start,
                };
                next = law.following(start);
                return Some(Arrivals { next, law });
            }
        };
        Some(Arrivals { next, law })
    }

    /// When the next request comes.
    #[inline]
    pub(crate) fn next(&self) -> Nanos {
        self.next
    }

    /// It came.
    #[inline]
    pub(crate) fn advance(&mut self) {
        self.next = self.law.following(self.next);
    }
}

impl Law {
    /// The arrival after the one at `now`.
    #[inline]
    fn following(&mut self, now: Nanos) -> Nanos {
        match self {
            Law::Constant { rate, start, index } => {
                *index += 1;
                start.saturating_add(rate.time_of(*index))
            }
            Law::Poisson { gap_ns, random } => now.saturating_add(poisson_gap(random, *gap_ns)),
            Law::Bursts {
                periods,
                rate,
                counts,
                left,
                next_burst,
            } => {
                if *left == 0 {
                    let burst = *next_burst;
                    // Without a length a period would be followed by the next one without end.
                    let period = periods.draw().max(Nanos(1));
                    *left = counts.between(1, rate.count_in(period).max(1));
                    *next_burst = burst.saturating_add(period);
                    *left -= 1;
                    return burst;
                }
                *left -= 1;
                now
            }
        }
    }
}

#[inline]
fn poisson_gap(random: &mut Random, gap_ns: f64) -> Nanos {
    Nanos((random.exponential() * gap_ns).round() as u64)
}

#[cfg(test)]
mod tests;
