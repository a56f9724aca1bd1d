//! Unit tests of `overlap`.

use super::*;
use crate::{Account, Entitlement, ServerStatus, StreamStatus, VdiskStatus};

fn on_ssd(solo: Option<SoloTime>) -> VdiskStatus {
    let account = Account {
        solo,
        entitlement: Entitlement {
            disk: "ssd0".to_owned(),
            ..Entitlement::default()
        },
        ..Account::default()
    };
    VdiskStatus {
        stream: StreamStatus {
            account,
            ..StreamStatus::default()
        },
        group: None,
        ..VdiskStatus::default()
    }
}

fn status() -> ServerStatus {
    let ssd = DiskStatus {
        unspent_bound_ms: 10.0,
        overlap: Some(DiskOverlap {
            occupancy_bound_ms: 0.44,
            occupancy_ms: 0.1,
            occupancy_most_ms: 0.9,
            drain_ms: 0.2,
            focus_share: Windows {
                last_1s: 0.5,
                last_10s: 0.25,
                total: 0.125,
            },
            slower_than_priced: None,
        }),
        ..DiskStatus::default()
    };
    let solo = SoloTime::new(
        Nanos::from_millis(410),
        Nanos::from_secs(1),
        Share::from_percent(40),
        1_100_000,
    );
    ServerStatus {
        disks: [
            ("hdd0".to_owned(), DiskStatus::default()),
            ("ssd0".to_owned(), ssd),
        ]
        .into(),
        vdisks: [
            ("db".to_owned(), on_ssd(Some(solo))),
            ("web".to_owned(), on_ssd(None)),
        ]
        .into(),
        ..ServerStatus::default()
    }
}

#[test]
fn the_ratio_is_of_what_is_reserved_of_the_backlogged_time() {
    let ratio = |received_ms, backlogged_ms, percent| {
        let received = Nanos::from_millis(received_ms);
        let backlogged = Nanos::from_millis(backlogged_ms);
        SoloTime::new(received, backlogged, Share::from_percent(percent), 0).solo_ratio
    };
    assert_eq!(ratio(400, 1_000, 40), Some(1.0));
    assert_eq!(ratio(100, 1_000, 40), Some(0.25));
    assert_eq!(ratio(100, 1_000, 0), None, "best effort is owed nothing");
    assert_eq!(ratio(0, 0, 40), None, "nothing was asked for");
}

#[test]
fn a_disk_that_is_slower_than_priced_has_a_sentence() {
    let mut status = status();
    assert!(!status.to_string().contains("slower"));
    let ssd = status.disks.get_mut("ssd0").expect("it is there");
    let overlap = ssd.overlap.as_mut().expect("it overlaps");
    overlap.slower_than_priced = Some(SlowerDisk {
        latency_factor: 2.96,
        occupancy_factor: 3.04,
        since_ms: 12_340.0,
    });
    let text = status.to_string();
    let expected = "ssd0: slower than its prices for 12.3 s: latency × 3.0, throughput ÷ 3.0";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn only_what_overlaps_is_in_the_tables() {
    let text = status().to_string();
    let text = text.replace('\n', " \n");
    let of_disk = "H 0.44 ms, work in it 0.10 ms (the most 0.90 ms), empty in 0.20 ms";
    assert_eq!(text.matches(of_disk).count(), 1, "{text}");
    assert!(text.contains("25.0 % (last 10s)"), "{text}");
    let vdisk = text
        .lines()
        .find(|line| line.starts_with("db") && line.contains("1.025"));
    let cells: Vec<_> = vdisk.expect("a line").split_whitespace().collect();
    assert_eq!(cells, ["db", "410.0", "1000.0", "1.025", "1.100"]);
    let of_web = text.lines().filter(|line| line.starts_with("web"));
    assert_eq!(of_web.count(), 2, "shares and latencies: {text}");
}

#[test]
fn what_does_not_overlap_has_no_such_keys() {
    let json = serde_json::to_value(status()).expect("it is JSON");
    assert!(json["disks"]["hdd0"].get("overlap").is_none());
    assert_eq!(
        json["disks"]["ssd0"]["overlap"]["focus_share"]["last_10s"],
        0.25
    );
    assert!(json["vdisks"]["web"].get("solo").is_none());
    assert_eq!(json["vdisks"]["db"]["solo"]["solo_ratio"], 1.025);
    let back: ServerStatus = serde_json::from_value(json).expect("it is a status");
    assert_eq!(back, status());
}
