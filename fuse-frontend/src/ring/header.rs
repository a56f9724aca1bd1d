//! The header that an entry's request and its reply share with the kernel.

use crate::protocol::{HEADER_BYTES, REPLY_HEADER_BYTES};

const LEN_BYTES: usize = 288;
/// Behind the header of the request, which later is that of the reply.
const FIXED: std::ops::Range<usize> = 128..256;
/// Behind the fixed part, and flags of 8 bytes.
const COMMIT_ID_AT: usize = 264;
const PAYLOAD_BYTES_AT: usize = 272;

/// 128 bytes for the header of request or reply, 128 for the request's fixed part, and what is about the
/// entry itself.
#[repr(transparent)]
pub(super) struct SharedHeader([u8; LEN_BYTES]);

impl SharedHeader {
    /// The header of the request.
    pub(super) fn request(&self) -> &[u8] {
        &self.0[..HEADER_BYTES]
    }

    /// The request's fixed part, with whatever was behind it.
    pub(super) fn fixed(&self) -> &[u8] {
        &self.0[FIXED]
    }

    /// By what the kernel knows the request again.
    pub(super) fn commit_id(&self) -> u64 {
        let bytes = self.0[COMMIT_ID_AT..].first_chunk();
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    }

    /// Length of the request's payload.
    pub(super) fn payload_bytes(&self) -> usize {
        let bytes = self.0[PAYLOAD_BYTES_AT..].first_chunk();
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes)) as usize
    }

    /// Puts the reply in the request's place.
    pub(super) fn reply(&mut self, header: [u8; REPLY_HEADER_BYTES], payload_bytes: usize) {
        self.0[..REPLY_HEADER_BYTES].copy_from_slice(&header);
        let len = (payload_bytes as u32).to_ne_bytes();
        self.0[PAYLOAD_BYTES_AT..PAYLOAD_BYTES_AT + 4].copy_from_slice(&len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Header, Operation, decode, reply_header};

    #[test]
    fn a_request_is_read_where_the_kernel_puts_it_and_its_reply_put_where_it_looks() {
        let mut shared = SharedHeader([0; LEN_BYTES]);
        let mut put =
            |at: usize, bytes: &[u8]| shared.0[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &100_u32.to_ne_bytes());
        put(4, &16_u32.to_ne_bytes());
        put(8, &77_u64.to_ne_bytes());
        put(128 + 8, &4096_u64.to_ne_bytes());
        put(128 + 16, &20_u32.to_ne_bytes());
        put(256 + 8, &99_u64.to_ne_bytes());
        put(256 + 16, &20_u32.to_ne_bytes());
        let header = Header::decode(shared.request()).expect("long enough");
        assert_eq!((header.len_bytes, header.unique), (100, 77));
        assert_eq!((shared.commit_id(), shared.payload_bytes()), (99, 20));
        let operation = decode(&header, shared.fixed(), Some(&[0; 20])).expect("a write");
        assert!(
            matches!(
                operation,
                Operation::Write {
                    offset_bytes: 4096,
                    len_bytes: 20,
                    ..
                }
            ),
            "{operation:?}"
        );

        shared.reply(reply_header(77, libc::EIO, 8), 8);
        assert_eq!(shared.0[..4], 24_u32.to_ne_bytes());
        assert_eq!(shared.0[4..8], (-libc::EIO).to_ne_bytes());
        assert_eq!(shared.0[8..16], 77_u64.to_ne_bytes());
        assert_eq!((shared.commit_id(), shared.payload_bytes()), (99, 8));
    }
}
