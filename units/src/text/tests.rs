//! Unit tests of `text`.

use super::*;

#[test]
fn the_habits_of_other_tools_are_taken() {
    for (text, bytes) in [
        ("4k", 4096),
        ("1m", 1 << 20),
        ("2G", 2 << 30),
        ("1T", 1 << 40),
    ] {
        assert_eq!(parse_size(text), Ok(bytes), "{text}");
    }
    assert_eq!(parse_duration("1h"), Ok(Nanos::from_secs(3600)));
    assert_eq!(parse_duration("1.5h"), Ok(Nanos::from_secs(5400)));
}

#[test]
fn sizes_are_read_exactly() {
    assert_eq!(parse_size("64GiB"), Ok(64 << 30));
    assert_eq!(parse_size("1.5KiB"), Ok(1536));
    assert_eq!(parse_size("10 MB"), Ok(10_000_000));
    for bad in [
        "",
        "GiB",
        "64",
        "1.GiB",
        "1.0001B",
        "-1GiB",
        "1e3B",
        "64gib",
        "99999999PiB",
    ] {
        assert!(parse_size(bad).is_err(), "{bad} was accepted");
    }
}

#[test]
fn durations_and_shares_are_read_exactly() {
    assert_eq!(parse_duration("250ms"), Ok(Nanos::from_millis(250)));
    assert_eq!(parse_duration("1.5s"), Ok(Nanos::from_millis(1500)));
    assert_eq!(parse_share("12.5%"), Ok(Share(125_000)));
    assert_eq!(parse_share("100%"), Ok(Share::WHOLE));
    for bad in ["40", "100.0001%", "101%", "0.00001%", "%", "40 per cent"] {
        assert!(parse_share(bad).is_err(), "{bad} was accepted");
    }
}

#[test]
fn quantities_are_written_for_people() {
    assert_eq!(format_size(64 << 30), "64GiB");
    assert_eq!(format_size(1536), "1.50KiB");
    assert_eq!(Nanos(14_123_456).to_string(), "14.1ms");
    assert_eq!(Nanos::from_millis(500).to_string(), "500ms");
    assert_eq!(Share(125_000).to_string(), "12.5 %");
    assert_eq!(Share::from_percent(40).to_string(), "40 %");
}

#[test]
fn sizes_that_differ_read_differently() {
    const MIB: u64 = 1 << 20;
    let shown = |sizes| format_sizes(sizes).join(" ");
    assert_eq!(shown([3 << 30, 128 * MIB]), "3GiB 128MiB");
    assert_eq!(shown([128 * MIB, 128 * MIB]), "128MiB 128MiB");
    assert_eq!(shown([128 * MIB + 4096, 128 * MIB]), "131076KiB 131072KiB");
    assert_eq!(
        shown([(3 << 30) + MIB, (3 << 30) + 2 * MIB]),
        "3073MiB 3074MiB"
    );
    assert_eq!(
        shown([(3 << 30) + 1, (3 << 30) + 2]),
        "3221225473B 3221225474B"
    );
    assert_eq!(format_size(0), "0B");
}

proptest::proptest! {
    #[test]
    fn parsing_never_panics(text in ".{0,40}") {
        let _ = (parse_size(&text), parse_duration(&text), parse_share(&text));
    }
}
