//! Unit tests of `processors`.

use super::*;

#[test]
fn ranges_and_single_processors_count() {
    assert_eq!(count_in("0-1\n"), Some(2));
    assert_eq!(count_in("0\n"), Some(1));
    assert_eq!(count_in("0-3,8,10-11"), Some(7));
    for bad in ["", "x", "3-1", "0-", "-1", "0,,1", "0-70000"] {
        assert_eq!(count_in(bad), None, "{bad}");
    }
}
