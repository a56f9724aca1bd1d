//! A mutator for stable Rust: inputs are seeds of the corpus with some changes, each change drawn
//! from a seeded generator, so a run can be repeated.
//!
//! It is not guided by coverage; in return the seeds are whole conversations, and some changes
//! write the lengths and boundary values of the protocol.

use disktime_random::SplitMix64;

/// Longest input.
const INPUT_BYTES_MAX: usize = 16 << 10;

/// Boundary values.
const EDGES: [u64; 12] = [
    0,
    1,
    27,
    28,
    4095,
    4096,
    65536,
    1 << 20,
    (32 << 20) + 1,
    u32::MAX as u64,
    1 << 63,
    u64::MAX,
];

/// A seeded source of inputs.
#[derive(Debug)]
pub struct Mutator {
    random: SplitMix64,
}

impl Mutator {
    /// The same seed gives the same inputs.
    pub fn new(seed: u64) -> Mutator {
        Mutator {
            random: SplitMix64::new(seed),
        }
    }

    fn next(&mut self) -> u64 {
        self.random.next_u64()
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// An input made of one or two of `seeds`.
    pub fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds
            .get(self.below(seeds.len()))
            .cloned()
            .unwrap_or_default();
        if self.below(4) == 0
            && let Some(other) = seeds.get(self.below(seeds.len()))
        {
            bytes.truncate(self.below(bytes.len() + 1));
            bytes.extend_from_slice(&other[self.below(other.len() + 1)..]);
        }
        for _ in 0..self.below(8) {
            self.change(&mut bytes);
        }
        bytes.truncate(INPUT_BYTES_MAX);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let len = self.below(40).min(bytes.len() - at);
        match self.below(7) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = self.next() as u8,
            2 => drop(bytes.drain(at..at + len)),
            3 => {
                let piece = bytes[at..at + len].to_vec();
                let to = self.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            4 => bytes.truncate(at),
            _ => {
                // A boundary value in one of the protocol's widths.
                let edge = EDGES[self.below(EDGES.len())].to_be_bytes();
                let width = [2, 4, 8][self.below(3)].min(bytes.len() - at);
                bytes[at..at + width].copy_from_slice(&edge[8 - width..]);
            }
        }
    }
}

#[cfg(test)]
mod tests;
