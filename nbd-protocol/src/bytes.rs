//! Big-endian integers in a byte slice. The caller guarantees that the slice is long enough.

/// The 16-bit number at `at`. Panics if the slice is too short.
#[inline]
pub fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The 32-bit number at `at`. Panics if the slice is too short.
#[inline]
pub fn be32(bytes: &[u8], at: usize) -> u32 {
    (u32::from(be16(bytes, at)) << 16) | u32::from(be16(bytes, at + 2))
}

/// The 64-bit number at `at`. Panics if the slice is too short.
#[inline]
pub fn be64(bytes: &[u8], at: usize) -> u64 {
    (u64::from(be32(bytes, at)) << 32) | u64::from(be32(bytes, at + 4))
}
