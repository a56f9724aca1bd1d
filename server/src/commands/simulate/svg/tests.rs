//! Unit tests of `svg`.

use super::*;

#[test]
fn what_names_contain_does_not_break_the_picture() {
    assert_eq!(escaped("a<b & \"c\"\u{1}"), "a&lt;b &amp; &quot;c&quot;");
    assert_eq!(fitting("short", 10.0, 100.0), "short");
    let cut = fitting("a-very-long-name-of-a-vdisk", 10.0, 60.0);
    assert!(cut.ends_with('…') && width_of(&cut, 10.0) <= 60.0, "{cut}");
}
