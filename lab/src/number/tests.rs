//! Unit tests of `number`.

use super::*;

#[test]
fn numbers_have_four_digits() {
    let cases = [
        (70.654_32, "70.65"),
        (4552.4, "4552"),
        (0.012_345, "0.01235"),
        (1.0, "1"),
        (123_456.0, "123456"),
        (-0.000_000_1, "0"),
    ];
    for (value, text) in cases {
        assert_eq!(number(value), text);
    }
}
