//! Identities that are never used twice: of a disk, and of each vdisk that was ever made on it.

use disktime_random::SplitMix64;
use std::fmt;

/// 16 bytes that identify a disk or a vdisk for ever.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Uuid([u8; 16]);

impl Uuid {
    /// As it lies on a disk.
    pub const fn from_bytes(bytes: [u8; 16]) -> Uuid {
        Uuid(bytes)
    }

    /// As it lies on a disk.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0
    }

    /// A version-4-shaped uuid that depends on the seed and the words only, so that a run in
    /// virtual time can be repeated. Real callers pass a random seed.
    pub fn derive(seed: u64, words: &[&[u8]]) -> Uuid {
        let mut state = [
            seed ^ 0x9E37_79B9_7F4A_7C15,
            seed.rotate_left(32) ^ 0xD1B5_4A32_D192_ED03,
        ];
        for (index, word) in words.iter().enumerate() {
            for byte in word.iter().chain(&[0xFF, index as u8]) {
                for (lane, value) in state.iter_mut().enumerate() {
                    *value = mix(*value ^ (u64::from(*byte) << (8 * lane)));
                }
            }
        }
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&mix(state[0]).to_le_bytes());
        bytes[8..].copy_from_slice(&mix(state[1]).to_le_bytes());
        bytes[6] = (bytes[6] & 0x0F) | 0x40;
        bytes[8] = (bytes[8] & 0x3F) | 0x80;
        Uuid(bytes)
    }
}

/// Spreads every bit of `value` over all 64.
fn mix(value: u64) -> u64 {
    SplitMix64::new(value).next_u64()
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
