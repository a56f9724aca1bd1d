//! splitmix64: small, seeded, the same everywhere.

use disktime_units::Nanos;

/// A generator.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// From a seed.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to below `high`.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        assert!(low < high, "an empty range");
        low + ((u128::from(self.next()) * u128::from(high - low)) >> 64) as u64
    }

    /// With that probability in per cent.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.range(0, 100) < percent
    }

    /// From 0 to below 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Exponential with that mean.
    pub fn exponential(&mut self, mean: Nanos) -> Nanos {
        Nanos((-(1.0 - self.unit()).ln() * mean.0 as f64) as u64)
    }

    /// Log-uniform.
    pub fn log_uniform(&mut self, low: Nanos, high: Nanos) -> Nanos {
        let (low, high) = ((low.0 as f64).ln(), (high.0 as f64).ln());
        Nanos((low + self.unit() * (high - low)).exp() as u64)
    }

    /// `count` shares in parts per million that add up to `total` exactly, each at least 1000.
    pub fn shares(&mut self, count: usize, total: u64) -> Vec<u32> {
        let weights: Vec<u64> = (0..count).map(|_| self.range(50, 1000)).collect();
        let sum: u64 = weights.iter().sum();
        let free = total - 1000 * count as u64;
        let mut shares: Vec<u64> = weights.iter().map(|w| 1000 + free * w / sum).collect();
        shares[0] += total - shares.iter().sum::<u64>();
        shares.into_iter().map(|share| share as u32).collect()
    }
}
