//! Where a generated client goes next: one chooser of blocks for each pattern.
//!
//! Invariant: every place lies in the range that the client uses. A new pattern is a variant of
//! [`Pattern`] and an arm in [`Places::next_block`]; nothing else has to know it.

use crate::Random;

/// How a client walks through its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// Each block is drawn uniformly.
    Random,
    /// Block after block, from the start of the range, and again from the start at its end.
    Sequential,
    /// Runs of so many consecutive blocks, each run at a uniformly drawn place.
    SemiRandom {
        /// Blocks in a run, at least 1.
        run: u64,
    },
}

/// The chooser of one client.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pattern: Pattern,
    /// Blocks in the range.
    blocks: u64,
    next: u64,
    left_in_run: u64,
    random: Random,
}

impl Places {
    /// Chooses among `blocks > 0` blocks.
    pub(crate) fn new(pattern: Pattern, blocks: u64, random: Random) -> Places {
        assert!(blocks > 0, "a client needs at least one block");
        Places {
            pattern,
            blocks,
            next: 0,
            left_in_run: 0,
            random,
        }
    }

    /// The next block's number in the range.
    pub(crate) fn next_block(&mut self) -> u64 {
        match self.pattern {
            Pattern::Random => self.random.below(self.blocks),
            Pattern::Sequential => self.step(),
            Pattern::SemiRandom { run } => {
                if self.left_in_run == 0 {
                    // A run lies in the range as a whole; one longer than the range fills it.
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
mod tests {
    use super::*;

    fn drawn(pattern: Pattern, blocks: u64, count: usize) -> Vec<u64> {
        let mut places = Places::new(pattern, blocks, Random::labelled(1, "places"));
        (0..count).map(|_| places.next_block()).collect()
    }

    #[test]
    fn random_places_cover_the_range_evenly() {
        let places = drawn(Pattern::Random, 1000, 50_000);
        assert!(places.iter().all(|block| *block < 1000));
        let mean = places.iter().sum::<u64>() as f64 / places.len() as f64;
        // The mean of 50,000 uniform draws is within 4 standard errors (1.29) of the middle.
        assert!((mean - 499.5).abs() < 5.2, "mean {mean}");
        let distinct: std::collections::HashSet<_> = places.iter().collect();
        assert_eq!(distinct.len(), 1000);
    }

    #[test]
    fn sequential_places_follow_each_other_and_start_again() {
        assert_eq!(drawn(Pattern::Sequential, 3, 7), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn runs_have_their_length_and_random_starts() {
        let places = drawn(Pattern::SemiRandom { run: 16 }, 100_000, 16 * 2_000);
        let mut starts = Vec::new();
        for run in places.chunks(16) {
            assert!(
                run.windows(2).all(|pair| pair[1] == pair[0] + 1),
                "a broken run: {run:?}"
            );
            starts.push(run[0]);
        }
        let mean = starts.iter().sum::<u64>() as f64 / starts.len() as f64;
        assert!(
            (mean - 49_992.0).abs() < 4.0 * 28_867.0 / 2_000f64.sqrt(),
            "mean start {mean}"
        );
        assert!(
            starts
                .windows(2)
                .filter(|pair| pair[1] == pair[0] + 16)
                .count()
                < 5
        );
    }

    #[test]
    fn a_run_longer_than_the_range_fills_it() {
        assert_eq!(
            drawn(Pattern::SemiRandom { run: 9 }, 3, 6),
            [0, 1, 2, 0, 1, 2]
        );
    }
}
