//! SplitMix64 (Steele, Lea and Flood, 2014): one 64-bit counter and a mixing function.
//!
//! Invariants: every method draws exactly one number, except where its documentation says
//! otherwise, so that sequences stay the same when code around them changes. Integers are the same
//! on every machine; [`SplitMix64::exponential`] and [`SplitMix64::log_uniform`] use the system's
//! logarithm, which may differ between machines in the last digit.

use disktime_units::Nanos;

/// Deterministic numbers from a seed. Not for secrets.
#[derive(Debug, Clone)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// A generator that repeats for the same seed.
    pub fn new(seed: u64) -> SplitMix64 {
        SplitMix64 { state: seed }
    }

    /// The next 64 bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if `bound` is 0.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` (included) to `high` (not included); `low` if both are equal.
    ///
    /// # Panics
    /// If `high` is less than `low`.
    #[inline]
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "there is no number from {low} to below {high}");
        low + self.below(high - low)
    }

    /// True `per_million` times in a million.
    pub fn chance(&mut self, per_million: u32) -> bool {
        self.below(1_000_000) < u64::from(per_million)
    }

    /// True `percent` times in a hundred.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A number from 0 (included) to 1 (not included), in steps of 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// An exponentially distributed duration with that mean.
    pub fn exponential(&mut self, mean: Nanos) -> Nanos {
        Nanos((-(1.0 - self.unit()).ln() * mean.0 as f64) as u64)
    }

    /// A duration from `low` to `high` whose logarithm is uniform.
    pub fn log_uniform(&mut self, low: Nanos, high: Nanos) -> Nanos {
        let (low, high) = ((low.0 as f64).ln(), (high.0 as f64).ln());
        Nanos((low + self.unit() * (high - low)).exp() as u64)
    }
}

#[cfg(test)]
mod tests;
