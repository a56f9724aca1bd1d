//! Unit tests of `similar`.

use super::*;

#[test]
fn near_words_are_found_and_far_ones_are_not() {
    let keys = ["reserve", "period", "limit", "size", "disk"];
    assert_eq!(nearest("reserved", keys), Some("reserve"));
    assert_eq!(nearest("Peroid", keys), Some("period"));
    assert_eq!(nearest("dsik", keys), Some("disk"));
    assert_eq!(nearest("colour", keys), None);
    assert_eq!(nearest("", keys), None);
}
