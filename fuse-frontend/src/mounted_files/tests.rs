//! The bytes of a notification.

use super::*;

#[test]
fn a_name_that_is_gone_is_told_as_the_kernel_reads_it() {
    let message = invalidation("db");
    assert_eq!(message.len(), 16 + 16 + 3);
    assert_eq!(message[..4], 35u32.to_ne_bytes());
    assert_eq!(message[4..8], 3i32.to_ne_bytes());
    assert_eq!(message[16..24], 1u64.to_ne_bytes());
    assert_eq!(message[24..28], 2u32.to_ne_bytes());
    assert_eq!(&message[32..], b"db\0");
}
