//! Unit tests of `dates`.

use super::*;
use std::time::Duration;

#[test]
fn dates_are_those_of_the_calendar() {
    for (seconds, expected) in [
        (0, "1970-01-01 00:00 UTC"),
        (951_782_399, "2000-02-28 23:59 UTC"),
        (951_782_400, "2000-02-29 00:00 UTC"),
        (1_767_225_540, "2025-12-31 23:59 UTC"),
        (4_107_542_400, "2100-03-01 00:00 UTC"),
    ] {
        let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        assert_eq!(date(time), expected);
    }
}
