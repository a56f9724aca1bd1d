//! The positions of a generated client's requests: one generator of block numbers for each pattern.
//!
//! Invariant: every position is in the range that the client uses. A new pattern is a variant of
//! [`Pattern`] and an arm in [`PositionGenerator::next_block`].

use crate::zipf::{MAX_THETA_PPM, Zipf};
use disktime_random::Random;

/// The order of a client's positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// Each block is drawn uniformly.
    Random,
    /// Block after block from the start of the range; at its end from the start again.
    Sequential,
    /// Runs of consecutive blocks, each run at a uniformly drawn position.
    SemiRandom {
        /// Blocks in a run, at least 1.
        run: u64,
    },
    /// Some blocks are drawn far more often than others, by Zipf's law.
    Zipf(Popularity),
}

impl Pattern {
    /// The names of all patterns.
    pub(crate) const NAMES: [&'static str; 4] = ["random", "sequential", "semi-random", "zipf"];

    /// Its name in files.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Pattern::Random => "random",
            Pattern::Sequential => "sequential",
            Pattern::SemiRandom { .. } => "semi-random",
            Pattern::Zipf(_) => "zipf",
        }
    }
}

/// How unequal things are: the k-th most popular one is drawn with a probability proportional
/// to 1/k^θ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Popularity {
    /// θ in parts per million, at most 5,000,000: 0 is uniform, 990,000 is usual.
    pub theta_ppm: u32,
    /// Whether the popular ones are scattered over the range; otherwise they are at its start, the
    /// most popular one first.
    pub scattered: bool,
}

impl Popularity {
    /// Scattered, with this θ in parts per million.
    pub const fn scattered(theta_ppm: u32) -> Popularity {
        Popularity {
            theta_ppm,
            scattered: true,
        }
    }
}

/// Draws blocks or directories by their popularity.
#[derive(Debug, Clone)]
pub(crate) struct PopularitySampler {
    zipf: Zipf,
    count: u64,
    /// The item of rank k is number k × `stride` modulo `count`: each item once, because the two
    /// have no common divisor, and neighbours in rank far apart, because the stride is near the
    /// golden section of the count.
    stride: u64,
}

impl PopularitySampler {
    /// Draws from `count > 0` items.
    pub(crate) fn new(count: u64, popularity: Popularity) -> PopularitySampler {
        let golden = (u128::from(count) * 618_034 / 1_000_000) as u64;
        let stride = (golden.max(1)..)
            .find(|stride| common_divisor(*stride, count) == 1)
            .unwrap_or(1);
        PopularitySampler {
            zipf: Zipf::new(count, popularity.theta_ppm.min(MAX_THETA_PPM)),
            count,
            stride: if popularity.scattered { stride } else { 1 },
        }
    }

    pub(crate) fn draw(&self, random: &mut Random) -> u64 {
        let rank = self.zipf.draw(random);
        (u128::from(rank) * u128::from(self.stride) % u128::from(self.count)) as u64
    }
}

/// The greatest common divisor; of 0 and any number that number.
pub(crate) fn common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The positions of one client.
#[derive(Debug, Clone)]
pub(crate) struct PositionGenerator {
    pattern: Pattern,
    /// Blocks in the range.
    blocks: u64,
    next: u64,
    left_in_run: u64,
    popular: Option<PopularitySampler>,
    random: Random,
}

impl PositionGenerator {
    /// Positions among `blocks > 0` blocks.
    pub(crate) fn new(pattern: Pattern, blocks: u64, random: Random) -> PositionGenerator {
        assert!(blocks > 0, "a client needs at least one block");
        PositionGenerator {
            pattern,
            blocks,
            next: 0,
            left_in_run: 0,
            popular: match pattern {
                Pattern::Zipf(popularity) => Some(PopularitySampler::new(blocks, popularity)),
                _ => None,
            },
            random,
        }
    }

    /// The next block's number in the range.
    #[inline]
    pub(crate) fn next_block(&mut self) -> u64 {
        if let Some(popular) = &self.popular {
            return popular.draw(&mut self.random);
        }
        match self.pattern {
            Pattern::Random | Pattern::Zipf(_) => self.random.below(self.blocks),
            Pattern::Sequential => self.step(),
            Pattern::SemiRandom { run } => {
                if self.left_in_run == 0 {
                    // A run is inside the range as a whole; one that is longer than the range fills
                    // it.
                    self.left_in_run = run.min(self.blocks);
                    self.next = self.random.below(self.blocks - self.left_in_run + 1);
                }
                self.left_in_run -= 1;
                self.step()
            }
        }
    }

    fn step(&mut self) -> u64 {
        let block = self.next;
        self.next = if block + 1 == self.blocks {
            0
        } else {
            block + 1
        };
        block
    }
}

#[cfg(test)]
mod tests;
