//! Bytes to write, and comparisons that do not print megabytes.

/// Bytes that differ from place to place and from seed to seed.
pub fn pattern(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Compares without printing megabytes.
#[track_caller]
pub fn assert_same(got: &[u8], expected: &[u8], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}: lengths");
    if let Some(at) = got.iter().zip(expected).position(|(a, b)| a != b) {
        panic!(
            "{what}: byte {at} is {:#x} and should be {:#x}",
            got[at], expected[at]
        );
    }
}

/// All of them must be zero.
#[track_caller]
pub fn assert_zeroes(got: &[u8], what: &str) {
    if let Some(at) = got.iter().position(|byte| *byte != 0) {
        panic!("{what}: byte {at} is {:#x} and should be 0", got[at]);
    }
}
