//! Unit tests of `difference`.

use crate::{
    Account, DiskStatus, DiskTimes, DiskWindow, Entitlement, Pacing, ServerStatus, StreamCounts,
    StreamStatus, StreamTimes, StreamWindow, VdiskStatus, Windows,
};
use disktime_units::Nanos;

fn stream(at_s: u64, reserved_ms: u64, requests: u64) -> StreamStatus {
    let times = StreamTimes {
        reserved: Nanos::from_millis(reserved_ms),
        ..StreamTimes::default()
    };
    let counts = StreamCounts {
        requests,
        ..StreamCounts::default()
    };
    StreamStatus {
        account: Account {
            entitlement: Entitlement {
                reserved_share: 0.4,
                ..Entitlement::default()
            },
            windows: Windows {
                total: StreamWindow::new(Nanos::from_secs(at_s), times, counts),
                ..Windows::default()
            },
            ..Account::default()
        },
        ..StreamStatus::default()
    }
}

fn status(at_s: u64, busy_ms: u64, reserved_ms: u64) -> ServerStatus {
    let times = DiskTimes {
        busy: Nanos::from_millis(busy_ms),
        ..DiskTimes::default()
    };
    let disk = DiskStatus {
        windows: Windows {
            total: DiskWindow::new(Nanos::from_secs(at_s), times, at_s, 2 * at_s),
            ..Windows::default()
        },
        pacing: Pacing {
            requests: 10 * at_s,
            overruns: at_s,
        },
        ..DiskStatus::default()
    };
    let web = VdiskStatus {
        stream: stream(at_s, reserved_ms, 5 * at_s),
        group: None,
        ..VdiskStatus::default()
    };
    let metadata = ("metadata".to_owned(), stream(at_s, 10 * at_s, at_s));
    ServerStatus {
        disks: [("hdd0".to_owned(), disk)].into(),
        vdisks: [("web".to_owned(), web)].into(),
        background: [("hdd0".to_owned(), [metadata].into())].into(),
        ..ServerStatus::default()
    }
}

#[test]
fn shares_are_of_the_time_between_the_readings() {
    let difference = status(6, 2_000, 1_000).since(&status(2, 1_000, 200));
    let disk = &difference.disks["hdd0"];
    assert_eq!(disk.window.elapsed_ns, 4_000_000_000);
    assert_eq!(
        (disk.window.busy_share, disk.window.idle_share),
        (0.25, 0.75)
    );
    assert_eq!(
        (disk.window.switches, disk.window.requests_dispatched),
        (4, 8)
    );
    assert_eq!((disk.pacing.requests, disk.pacing.overruns), (40, 4));
    assert_eq!(disk.background["metadata"].received_share, 0.01);
    let web = &difference.vdisks["web"];
    assert_eq!(
        (web.window.reserved_used_share, web.reserved_share),
        (0.2, 0.4)
    );
    assert_eq!(web.window.requests, 20);
}

#[test]
fn what_was_not_there_before_counts_from_zero() {
    let difference = status(4, 1_000, 1_000).since(&ServerStatus::default());
    assert_eq!(difference.vdisks["web"].window.reserved_used_share, 0.25);
    assert_eq!(difference.disks["hdd0"].window.busy_share, 0.25);
}

#[test]
fn tables_have_a_line_per_vdisk_and_disk() {
    let text = status(4, 1_000, 1_000)
        .since(&ServerStatus::default())
        .to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[1],
        "web      40.0 %    25.0 %        0.0 %              0       0"
    );
    assert_eq!(lines[4], "hdd0  25.0 %    0.0 %    0.0 %      0.0 %");
    assert_eq!(lines.len(), 5, "a table of no groups: {text}");
}

#[test]
fn counters_that_began_anew_do_not_go_below_zero() {
    // The server was started again between the two readings.
    let difference = status(1, 100, 100).since(&status(6, 2_000, 1_000));
    assert_eq!(difference.vdisks["web"].window.reserved_used_ns, 0);
    assert_eq!(difference.disks["hdd0"].window.busy_share, 0.0);
}
