//! How windows are written.

use super::*;

#[test]
fn a_window_is_written_in_its_greatest_whole_unit() {
    let cases = [
        (86_400e3, "24h"),
        (5_400e3, "90m"),
        (90e3, "90s"),
        (1500.0, "1.5s"),
    ];
    for (window_ms, text) in cases {
        assert_eq!(window_text(window_ms), text);
    }
}
