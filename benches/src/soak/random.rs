//! splitmix64: small, fast, the same everywhere.

use disktime_units::Nanos;

/// A generator.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to below `high`.
    pub(super) fn range(&mut self, low: u64, high: u64) -> u64 {
        low + ((u128::from(self.next()) * u128::from(high - low)) >> 64) as u64
    }

    /// With that probability in per cent.
    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.range(0, 100) < percent
    }

    /// From 0 to below 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Exponential with that mean.
    pub(super) fn exponential(&mut self, mean: Nanos) -> Nanos {
        Nanos((-(1.0 - self.unit()).ln() * mean.0 as f64) as u64)
    }

    /// Log-uniform.
    pub(super) fn log_uniform(&mut self, low: Nanos, high: Nanos) -> Nanos {
        let (low, high) = ((low.0 as f64).ln(), (high.0 as f64).ln());
        Nanos((low + self.unit() * (high - low)).exp() as u64)
    }

    /// `count` shares in parts per million that add up to `total`, each at least `least`; the larger
    /// `skew`, the more unequal.
    pub(super) fn shares(&mut self, count: usize, total: u64, least: u64, skew: i32) -> Vec<u64> {
        let weights: Vec<f64> = (0..count)
            .map(|_| (0.02 + self.unit()).powi(skew))
            .collect();
        let sum: f64 = weights.iter().sum();
        let free = (total - least * count as u64) as f64;
        let part = |weight: &f64| least + (free * weight / sum) as u64;
        let mut shares: Vec<u64> = weights.iter().map(part).collect();
        let given: u64 = shares.iter().sum();
        shares[0] = (shares[0] + total).saturating_sub(given);
        shares
    }
}
