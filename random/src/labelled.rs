//! xoshiro256++ (Blackman and Vigna, 2019), seeded by splitmix64, with a label for each purpose.
//!
//! Invariant: the same seed and label give the same numbers on every machine and in every later
//! version, because reports are compared byte by byte. It is not fit for secrets.

use crate::SplitMix64;

/// One independent sequence of random numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random {
    state: [u64; 4],
}

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Random {
        let mut mixer = SplitMix64::new(seed);
        Random {
            state: std::array::from_fn(|_| mixer.next_u64()),
        }
    }

    /// The sequence of a seed for one purpose, e.g. a client's name: sequences of different labels
    /// are independent of each other, so adding a client changes no other client.
    pub fn labelled(seed: u64, label: &str) -> Random {
        // FNV-1a: short, stable, and good enough before the mixer.
        let hash = label.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        Random::new(SplitMix64::new(seed).next_u64() ^ hash)
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// A uniform number below `bound`.
    ///
    /// # Panics
    /// If `bound` is zero.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below zero");
        loop {
            // The high half of the product is uniform once the few low halves that would make
            // some results likelier than others are drawn again.
            let product = u128::from(self.bits()) * u128::from(bound);
            let low = product as u64;
            if low >= bound || low >= bound.wrapping_neg() % bound {
                return (product >> 64) as u64;
            }
        }
    }

    /// A uniform number from `least` to `most`, both included.
    ///
    /// # Panics
    /// If `most` is less than `least`.
    #[inline]
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        assert!(least <= most, "there is no number from {least} to {most}");
        match (most - least).checked_add(1) {
            Some(count) => least + self.below(count),
            None => self.bits(),
        }
    }

    /// A uniform number from 0 (included) to 1 (not included), in steps of 2^-53.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// An exponentially distributed number with the mean 1, at most 36.8.
    #[inline]
    pub fn exponential(&mut self) -> f64 {
        // Not `f64::ln`, which may differ between machines in its last digit.
        -libm::log1p(-self.unit())
    }

    /// Fills `bytes` with random content.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let word = self.bits().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests;
