//! Unit tests of `open`.

use super::*;

#[test]
fn a_refusal_names_its_cause_and_remedy() {
    let eperm = io::Error::from_raw_os_error(libc::EPERM);
    let by_sysctl = refusal("d", &eperm, Some("2\n"));
    assert!(
        by_sysctl.contains("sysctl kernel.io_uring_disabled=0"),
        "{by_sysctl}"
    );
    let by_filter = refusal("d", &eperm, Some("0\n"));
    assert!(by_filter.contains("seccomp"), "{by_filter}");
    let missing = refusal("d", &io::Error::from_raw_os_error(libc::ENOSYS), None);
    assert!(
        missing.contains("kernel has no usable io_uring"),
        "{missing}"
    );
}

#[test]
fn the_default_seek_curve_rises_from_nothing_to_the_whole_disk() {
    let curve = default_seek_curve(64 << 30);
    assert_eq!(curve[0].seek, Nanos::ZERO);
    assert_eq!(
        curve.last().map(|point| point.distance_bytes),
        Some(64 << 30)
    );
    assert!(curve.is_sorted_by(|a, b| { a.distance_bytes < b.distance_bytes && a.seek < b.seek }));
}
