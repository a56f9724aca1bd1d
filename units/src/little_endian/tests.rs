//! Unit tests of numbers in bytes.

use super::*;

#[test]
fn the_byte_at_the_place_is_the_least() {
    let bytes = [9, 1, 2, 3, 4, 5, 6, 7, 8];
    assert_eq!(u16_at(&bytes, 1), 0x0201);
    assert_eq!(u32_at(&bytes, 1), 0x0403_0201);
    assert_eq!(u64_at(&bytes, 1), 0x0807_0605_0403_0201);
    assert_eq!(array_at(&bytes, 7), [7, 8]);
    assert!(is_zero(&[0; 3]) && !is_zero(&[0, 0, 1]));
}
