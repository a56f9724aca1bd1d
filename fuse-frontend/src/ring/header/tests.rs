//! Unit tests of `header`.

use super::*;
use crate::protocol::{Header, Operation, decode, reply_header};

#[test]
fn request_and_reply_are_where_the_kernel_writes_and_reads_them() {
    let mut shared = SharedHeader([0; LEN_BYTES]);
    let mut put = |at: usize, bytes: &[u8]| shared.0[at..at + bytes.len()].copy_from_slice(bytes);
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
