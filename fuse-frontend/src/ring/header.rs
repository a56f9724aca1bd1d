//! The header of an entry, shared with the kernel: of its request, later of its reply.

use crate::protocol::{HEADER_BYTES, REPLY_HEADER_BYTES};

const LEN_BYTES: usize = 288;
/// After the header of the request, which later is the header of the reply.
const FIXED: std::ops::Range<usize> = 128..256;
/// After the fixed part and flags of 8 bytes.
const COMMIT_ID_AT: usize = 264;
const PAYLOAD_BYTES_AT: usize = 272;

/// 128 bytes for the header of request or reply, 128 for the request's fixed part, and fields about
/// the entry itself.
#[repr(transparent)]
pub(super) struct SharedHeader([u8; LEN_BYTES]);

impl SharedHeader {
    /// The header of the request.
    pub(super) fn request(&self) -> &[u8] {
        &self.0[..HEADER_BYTES]
    }

    /// The request's fixed part, with unused bytes after it.
    pub(super) fn fixed(&self) -> &[u8] {
        &self.0[FIXED]
    }

    /// The kernel's identifier of the request.
    pub(super) fn commit_id(&self) -> u64 {
        let bytes = self.0[COMMIT_ID_AT..].first_chunk();
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }

    /// The length of the request's payload.
    pub(super) fn payload_bytes(&self) -> usize {
        let bytes = self.0[PAYLOAD_BYTES_AT..].first_chunk();
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes)) as usize
    }

    /// Replaces the request by the reply.
    pub(super) fn reply(&mut self, header: [u8; REPLY_HEADER_BYTES], payload_bytes: usize) {
        self.0[..REPLY_HEADER_BYTES].copy_from_slice(&header);
        let len = (payload_bytes as u32).to_ne_bytes();
        self.0[PAYLOAD_BYTES_AT..PAYLOAD_BYTES_AT + 4].copy_from_slice(&len);
    }
}

#[cfg(test)]
mod tests;
