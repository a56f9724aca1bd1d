//! Where a generated client goes next: one chooser of blocks for each pattern.
//!
//! Invariant: every place lies in the range that the client uses. A new pattern is a variant of
//! [`Pattern`] and an arm in [`Places::next_block`]; nothing else has to know it.

use crate::Random;
use crate::zipf::{MAX_THETA_PPM, Zipf};

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
    /// Whether the popular ones lie scattered over the range; else they lie at its start, the most
    /// popular one first.
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

/// Draws things by their popularity.
#[derive(Debug, Clone)]
pub(crate) struct Popular {
    zipf: Zipf,
    count: u64,
    /// The thing of rank k is number k × `stride` modulo `count`: each once, because the two have
    /// no common divisor, and neighbours in rank far apart, because the stride is near to the golden
    /// section of the count.
    stride: u64,
}

impl Popular {
    /// Among `count > 0` things.
    pub(crate) fn new(count: u64, popularity: Popularity) -> Popular {
        let golden = (u128::from(count) * 618_034 / 1_000_000) as u64;
        let stride = (golden.max(1)..)
            .find(|stride| common_divisor(*stride, count) == 1)
            .unwrap_or(1);
        Popular {
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

/// The chooser of one client.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pattern: Pattern,
    /// Blocks in the range.
    blocks: u64,
    next: u64,
    left_in_run: u64,
    popular: Option<Popular>,
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
            popular: match pattern {
                Pattern::Zipf(popularity) => Some(Popular::new(blocks, popularity)),
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
    use crate::statistics::chi_square;

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
    fn every_block_has_its_popularity_and_popular_ones_lie_scattered() {
        let zipf = |scattered| {
            Pattern::Zipf(Popularity {
                theta_ppm: 990_000,
                scattered,
            })
        };
        let count = |places: &[u64]| {
            let mut counts = vec![0u64; 100];
            places.iter().for_each(|block| counts[*block as usize] += 1);
            counts
        };
        let packed = count(&drawn(zipf(false), 100, 100_000));
        let weights: Vec<f64> = (1..=100).map(|k| f64::from(k).powf(-0.99)).collect();
        // Chi-square with 99 degrees of freedom: 148.2 is the 0.1 % point.
        let chi = chi_square(&packed, &weights);
        assert!(chi < 148.2, "chi-square {chi}");
        let scattered = count(&drawn(zipf(true), 100, 100_000));
        let sorted = |mut counts: Vec<u64>| {
            counts.sort_unstable();
            counts
        };
        assert_eq!(
            sorted(scattered.clone()),
            sorted(packed),
            "the same, elsewhere"
        );
        let half: u64 = scattered[..50].iter().sum();
        assert!((35_000..65_000).contains(&half), "{half} in the first half");
    }

    #[test]
    fn scattering_leaves_no_block_out() {
        for count in [1, 2, 3, 10, 97, 618, 1024, 3_000] {
            let popular = Popular::new(count, Popularity::scattered(1));
            let hit: std::collections::HashSet<_> = (0..count)
                .map(|rank| rank * popular.stride % count)
                .collect();
            assert_eq!(hit.len() as u64, count);
        }
    }

    #[test]
    fn a_run_longer_than_the_range_fills_it() {
        assert_eq!(
            drawn(Pattern::SemiRandom { run: 9 }, 3, 6),
            [0, 1, 2, 0, 1, 2]
        );
    }
}
