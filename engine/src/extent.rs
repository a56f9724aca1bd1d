//! The reply to a status request: a list of extents in the request's buffer, in the order of the
//! range, without gaps.
//!
//! The encoding is this crate's own and never leaves the process: eight bytes, the length times
//! four plus two bits. A frontend translates it into its protocol.

/// A range of a vdisk with the same status throughout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// How long it is; at most 2⁶² − 1, which no vdisk reaches.
    pub len_bytes: u64,
    /// Nothing is stored there: never written, trimmed, or zeroed where a hole may be made.
    pub hole: bool,
    /// It reads as zeroes.
    pub zero: bool,
}

impl Extent {
    /// Its size in a buffer.
    pub const BYTES: usize = 8;

    /// Its encoding in a buffer.
    pub fn encode(self) -> [u8; Self::BYTES] {
        debug_assert!(self.len_bytes >> 62 == 0, "an extent longer than any vdisk");
        let flags = u64::from(self.hole) | u64::from(self.zero) << 1;
        (self.len_bytes << 2 | flags).to_ne_bytes()
    }

    /// The extent that a buffer encodes.
    pub fn decode(bytes: [u8; Self::BYTES]) -> Extent {
        let number = u64::from_ne_bytes(bytes);
        Extent {
            len_bytes: number >> 2,
            hole: number & 1 != 0,
            zero: number & 2 != 0,
        }
    }

    /// The extents in the buffer of an answered status request.
    pub fn read_all(buffer: &[u8]) -> impl Iterator<Item = Extent> {
        let (entries, _) = buffer.as_chunks::<{ Extent::BYTES }>();
        entries.iter().map(|entry| Extent::decode(*entry))
    }
}

#[cfg(test)]
mod tests;
