//! How windows are written.

use super::*;

#[test]
fn a_window_is_written_in_its_greatest_whole_unit() {
    let cases = [
        (86_400e3, "window 24h"),
        (5_400e3, "window 90m"),
        (90e3, "window 90s"),
        (1500.0, "window 1.5s"),
    ];
    for (window_ms, text) in cases {
        assert_eq!(window_text(window_ms), text);
    }
}

#[test]
fn what_a_holder_keeps_is_said_where_the_window_does_not() {
    let holder = |held_bytes: u64, alone_bytes: u64, with_older_bytes: u64| {
        let what = "the mark a".to_owned();
        let holder = HistoryHolder {
            seq: 7,
            what,
            held_bytes,
            alone_bytes,
            with_older_bytes,
        };
        holder.to_string()
    };
    let cases = [
        (holder(0, 0, 0), ""),
        (
            holder(3 << 20, 1 << 20, 1 << 20),
            ": 3MiB; dropping it frees 1MiB",
        ),
        (
            holder(3 << 20, 0, 1 << 20),
            ": 3MiB; dropping it frees 0B, dropping all up to seq:7 1MiB",
        ),
    ];
    for (said, rest) in cases {
        assert_eq!(said, format!("kept from seq:7 on by the mark a{rest}"));
    }
}
