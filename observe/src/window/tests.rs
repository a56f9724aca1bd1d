//! Unit tests of `window`.

use super::*;

#[test]
fn an_empty_window_has_no_shares() {
    let times = DiskTimes {
        busy: Nanos(1),
        ..DiskTimes::default()
    };
    let window = DiskWindow::new(Nanos::ZERO, times, 0, 0);
    assert_eq!((window.busy_share, window.busy_ns), (0.0, 1));
}

#[test]
fn shares_have_six_decimals_and_idle_time_is_what_is_left() {
    let times = DiskTimes {
        busy: Nanos(1),
        waiting: Nanos(1),
        ..DiskTimes::default()
    };
    let window = DiskWindow::new(Nanos(3), times, 0, 0);
    assert_eq!(window.busy_share, 0.333333);
    assert_eq!(window.idle_share, 0.333334);
    let full = DiskTimes {
        busy: Nanos(4),
        ..DiskTimes::default()
    };
    // Requests that began before the window are counted in it.
    assert_eq!(DiskWindow::new(Nanos(3), full, 0, 0).idle_share, 0.0);
}

#[test]
fn received_is_both_accounts() {
    let times = StreamTimes {
        reserved: Nanos(300),
        spare: Nanos(200),
        waited: Nanos(50),
    };
    let window = StreamWindow::new(Nanos(1_000), times, StreamCounts::default());
    assert_eq!(window.received_ns(), 500);
    assert_eq!((window.received_share, window.waited_share), (0.5, 0.05));
}
