//! The header of a chunk of a structured reply, with its encoding.

use crate::bytes::{be16, be32, be64};
use crate::constants::{STRUCTURED_REPLY_MAGIC, chunk};

/// The header of a chunk: 20 bytes, then a payload that depends on its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkHeader {
    /// [`chunk::DONE`], or 0.
    pub flags: u16,
    /// The kind, of [`chunk`].
    pub kind: u16,
    /// As in the request.
    pub cookie: u64,
    /// The number of payload bytes that follow.
    pub len_bytes: u32,
}

impl ChunkHeader {
    /// Its size on the wire.
    pub const BYTES: usize = 20;

    /// The header of a chunk with `len_bytes` behind it; `last` ends the reply.
    #[inline]
    pub fn new(cookie: u64, kind: u16, last: bool, len_bytes: u32) -> ChunkHeader {
        ChunkHeader {
            flags: if last { chunk::DONE } else { 0 },
            kind,
            cookie,
            len_bytes,
        }
    }

    /// As on the wire.
    #[inline]
    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..4].copy_from_slice(&STRUCTURED_REPLY_MAGIC.to_be_bytes());
        bytes[4..6].copy_from_slice(&self.flags.to_be_bytes());
        bytes[6..8].copy_from_slice(&self.kind.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.cookie.to_be_bytes());
        bytes[16..].copy_from_slice(&self.len_bytes.to_be_bytes());
        bytes
    }

    /// From the wire; `None` if the magic number is wrong.
    #[inline]
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
