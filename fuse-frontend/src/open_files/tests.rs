//! The bytes of a notification.

use super::*;

#[test]
fn a_notification_is_as_the_kernel_reads_it() {
    let message = invalidation(7);
    let words = |at: usize| i64::from_ne_bytes(message[at..at + 8].try_into().expect("8"));
    assert_eq!(message.len(), 40);
    assert_eq!(message[..4], 40u32.to_ne_bytes());
    assert_eq!(message[4..8], 2i32.to_ne_bytes());
    assert_eq!([words(8), words(16), words(24), words(32)], [0, 7, 0, 0]);
}
