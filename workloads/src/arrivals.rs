//! The arrival times of an open loop, and the think times of a closed loop.
//!
//! Invariants: arrivals depend on the seed only, not on replies; times never go back; nothing is
//! allocated. What is not known here: what is requested.

use crate::generated::{Pace, Rate, Times};
use disktime_random::Random;
use disktime_units::Nanos;

/// Draws lengths of time from a law.
#[derive(Debug, Clone)]
pub(crate) struct DurationSampler {
    times: Times,
    random: Random,
}

impl DurationSampler {
    pub(crate) fn new(times: Times, random: Random) -> DurationSampler {
        DurationSampler { times, random }
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
    process: ArrivalProcess,
}

#[derive(Debug)]
enum ArrivalProcess {
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
        periods: DurationSampler,
        rate: Rate,
        counts: Random,
        /// The remaining requests of this burst.
        left: u64,
        next_burst: Nanos,
    },
}

impl Arrivals {
    /// The arrivals of a pace from `start`, or `None` for a closed loop.
    pub(crate) fn new(pace: Pace, start: Nanos, mut random: Random) -> Option<Arrivals> {
        let mut next = start;
        let process = match pace {
            Pace::Closed { .. } => return None,
            Pace::Constant { rate } => ArrivalProcess::Constant {
                rate,
                start,
                index: 0,
            },
            Pace::Poisson { rate } => {
                // The first gap, from the start, has the same distribution as all others.
                let gap_ns = rate.mean_gap_ns();
                next = start.saturating_add(poisson_gap(&mut random, gap_ns));
                ArrivalProcess::Poisson { gap_ns, random }
            }
            Pace::Bursts { period, rate } => {
                let mut process = ArrivalProcess::Bursts {
                    counts: Random::new(random.bits()),
                    periods: DurationSampler::new(period, random),
                    rate,
                    left: 0,
                    next_burst: start,
                };
                next = process.following(start);
                return Some(Arrivals { next, process });
            }
        };
        Some(Arrivals { next, process })
    }

    /// When the next request comes.
    #[inline]
    pub(crate) fn next(&self) -> Nanos {
        self.next
    }

    /// Moves on to the request after that one.
    #[inline]
    pub(crate) fn advance(&mut self) {
        self.next = self.process.following(self.next);
    }
}

impl ArrivalProcess {
    /// The arrival after the one at `now`.
    #[inline]
    fn following(&mut self, now: Nanos) -> Nanos {
        match self {
            ArrivalProcess::Constant { rate, start, index } => {
                *index += 1;
                start.saturating_add(rate.time_of(*index))
            }
            ArrivalProcess::Poisson { gap_ns, random } => {
                now.saturating_add(poisson_gap(random, *gap_ns))
            }
            ArrivalProcess::Bursts {
                periods,
                rate,
                counts,
                left,
                next_burst,
            } => {
                if *left == 0 {
                    let burst = *next_burst;
                    // A period of zero length would never let time pass.
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
