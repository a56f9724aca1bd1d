//! Chunks of structured replies: the header with its encoding, and what kinds of chunks there are.

use super::{STRUCTURED_REPLY_MAGIC, be16, be32, be64};

/// Kinds and flags of chunks.
pub mod chunk {
    /// Nothing more comes.
    pub const NONE: u16 = 0;
    /// An offset (8 bytes) and the data there.
    pub const OFFSET_DATA: u16 = 1;
    /// An offset (8 bytes) and how many zeroes are there (4 bytes).
    pub const OFFSET_HOLE: u16 = 2;
    /// The number of a metadata context (4 bytes), then descriptors: length and status, 4 bytes each.
    pub const BLOCK_STATUS: u16 = 5;
    /// Set in the kind of every error.
    pub const ERROR_BIT: u16 = 1 << 15;
    /// An error number (4 bytes), the length of a text (2 bytes), the text.
    pub const ERROR: u16 = ERROR_BIT | 1;
    /// The same, then the offset where it failed (8 bytes).
    pub const ERROR_OFFSET: u16 = ERROR_BIT | 2;
    /// The flag of the last chunk of a reply.
    pub const DONE: u16 = 1;
}

/// The header of a chunk: 20 bytes, then what its kind says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkHeader {
    /// [`chunk::DONE`] or nothing.
    pub flags: u16,
    /// Of [`chunk`].
    pub kind: u16,
    /// As in the request.
    pub cookie: u64,
    /// How many bytes follow.
    pub len_bytes: u32,
}

impl ChunkHeader {
    /// Its size on the wire.
    pub const BYTES: usize = 20;

    /// As on the wire.
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&STRUCTURED_REPLY_MAGIC.to_be_bytes());
        bytes[4..6].copy_from_slice(&self.flags.to_be_bytes());
        bytes[6..8].copy_from_slice(&self.kind.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.cookie.to_be_bytes());
        bytes[16..].copy_from_slice(&self.len_bytes.to_be_bytes());
        bytes
    }

    /// From the wire; `None` if the magic is wrong.
    pub fn decode(bytes: &[u8; Self::BYTES]) -> Option<ChunkHeader> {
        (be32(bytes, 0) == STRUCTURED_REPLY_MAGIC).then(|| ChunkHeader {
            flags: be16(bytes, 4),
            kind: be16(bytes, 6),
            cookie: be64(bytes, 8),
            len_bytes: be32(bytes, 16),
        })
    }
}

#[cfg(test)]
mod tests;
