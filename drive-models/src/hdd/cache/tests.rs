//! What the cache does, parameter by parameter: each decides whether a read that follows is served
//! without the medium.

use super::super::model::Served;
use super::super::*;
use crate::Operation;
use disktime_units::Nanos;

/// Tracks of 100 sectors; the electronics take half a millisecond, so that no read from the medium
/// is as fast as one from the cache.
fn drive(more: serde_json::Value) -> HddModel {
    let mut json = serde_json::json!({
        "rpm": 6000, "surfaces": 2, "cyls": 50, "zones": [[0, 49, 100, 10, 20]],
        "seek": [[1, 1.0], [49, 8.0]], "head_switch_ms": 0.5,
        "cache_segments": 2, "seg_sectors": 120,
        "overhead_ms": {
            "read_hit": [0.1, 0.2], "read_stream": 0.05, "read_miss": [0.5, 0.5],
            "read_ready": [2.0, 2.0], "write_hit": [0.3, 0.3], "write_miss": [0.6, 0.6]
        }
    });
    for (field, value) in more.as_object().expect("an object") {
        json[field] = value.clone();
    }
    HddModel::new(&HddParameters::from_json(&json).expect("valid")).expect("valid")
}

/// Serves reads (R) and writes (W) of 4 sectors with long pauses: how the last one was served.
fn last_of(more: serde_json::Value, requests: &[(char, u64)]) -> Served {
    let mut model = drive(more);
    let mut now = Nanos::ZERO;
    for (operation, sector) in requests {
        let operation = match operation {
            'W' => Operation::Write,
            _ => Operation::Read,
        };
        let done = model.serve(now, operation, sector * 512, 2048);
        now = done + Nanos::from_millis(100);
    }
    model.last_served()
}

#[test]
fn a_drive_reads_on_when_its_policy_says_so() {
    let cases = [
        ("always", &[('R', 250), ('R', 254)][..], Served::FromCache),
        ("sequential", &[('R', 250), ('R', 254)], Served::Near),
        (
            "sequential",
            &[('R', 250), ('R', 254), ('R', 258)],
            Served::FromCache,
        ),
        ("never", &[('R', 250), ('R', 254), ('R', 258)], Served::Near),
        ("never", &[('R', 250), ('R', 250)], Served::FromCache),
    ];
    for (read_ahead, requests, expected) in cases {
        let found = last_of(serde_json::json!({"read_ahead": read_ahead}), requests);
        assert_eq!(found, expected, "{read_ahead}: {requests:?}");
    }
    let bounded = serde_json::json!({"read_ahead_sectors": 16});
    assert_eq!(
        last_of(bounded.clone(), &[('R', 250), ('R', 266)]),
        Served::FromCache
    );
    assert_ne!(
        last_of(bounded, &[('R', 250), ('R', 267)]),
        Served::FromCache
    );
}

#[test]
fn a_full_segment_ends_the_reading_on_or_is_read_over() {
    for (keeps, same, farther) in [(true, true, false), (false, false, true)] {
        let policy = serde_json::json!({"read_ahead_keeps": keeps});
        let cached =
            |requests: &[(char, u64)]| last_of(policy.clone(), requests) == Served::FromCache;
        assert_eq!(cached(&[('R', 210), ('R', 210)]), same, "keeps: {keeps}");
        // 120 sectors from 210 on, or from 214 on.
        assert_eq!(cached(&[('R', 210), ('R', 329)]), farther, "keeps: {keeps}");
        assert!(cached(&[('R', 210), ('R', 326)]), "keeps: {keeps}");
    }
}

#[test]
fn what_lies_before_on_the_track_is_taken_as_the_policy_says() {
    // The platter begins at sector 0 of track 0 at time 0; the head is ready after 2 ms, over
    // sector 20, and waits until sector 90 comes by.
    let before = |policy: &str, sector: u64| {
        let policy = serde_json::json!({"read_before": policy, "read_ahead_keeps": true});
        last_of(policy, &[('R', 90), ('R', sector)]) == Served::FromCache
    };
    assert!(!before("nothing", 80));
    assert!(before("passing", 80) && before("passing", 30) && !before("passing", 10));
    assert!(before("track", 80) && before("track", 10) && before("track", 0));
    assert!(before("track", 116), "room is left for what follows too");
    assert!(
        !before("track", 118),
        "but the segment is no longer than it is"
    );
}

#[test]
fn a_write_makes_stale_what_the_policy_says() {
    let after = |policy: &str, write: u64, read: u64| {
        let policy = serde_json::json!({"write_invalidates": policy, "read_ahead_keeps": true});
        last_of(policy, &[('R', 210), ('W', write), ('R', read)]) == Served::FromCache
    };
    for (policy, behind, apart) in [
        ("overlap", true, true),
        ("segment", false, true),
        ("all", false, false),
    ] {
        assert!(!after(policy, 220, 220), "{policy}: what was overwritten");
        assert_eq!(
            after(policy, 220, 230),
            behind,
            "{policy}: what lies behind it"
        );
        assert_eq!(
            after(policy, 5000, 230),
            apart,
            "{policy}: after a write elsewhere"
        );
    }
    for hits in [false, true] {
        let policy = serde_json::json!({"reads_hit_writes": hits});
        let found = last_of(policy, &[('W', 300), ('R', 300)]) == Served::FromCache;
        assert_eq!(found, hits);
    }
}

#[test]
fn electronics_work_on_while_the_arm_moves() {
    let mut model = drive(serde_json::json!({"read_ahead": "never"}));
    // Near: 2 ms until ready, over sector 20 by then; sector 20 has just begun.
    let near = model.serve(Nanos::ZERO, Operation::Read, 20 * 512, 512);
    assert!(
        near >= Nanos::from_micros(2100) && near < Nanos::from_micros(2110),
        "{near}"
    );
    // Far: 0.5 ms, then 8 ms of the arm; the 2 ms are over long before.
    let start = Nanos::from_millis(100);
    let sector = 49 * 200;
    let far = model.serve(start, Operation::Read, sector * 512, 512) - start;
    let map = model.positioning_map();
    let guessed = map.positioning(start, map.place(20 * 512), map.place(sector * 512), false);
    assert!(guessed >= Nanos::from_micros(8500) && guessed < Nanos::from_micros(18500));
    assert!(
        far > guessed && far < guessed + Nanos::from_micros(110),
        "{far} {guessed}"
    );
    // A read that goes on where the last ended takes less of the electronics' time.
    let mut model = drive(serde_json::json!({}));
    let mut now = Nanos::ZERO;
    let mut times = Vec::new();
    for sector in [210, 220, 224] {
        let done = model.serve(now, Operation::Read, sector * 512, 2048);
        times.push(done - now);
        now = done + Nanos::from_millis(50);
    }
    assert_eq!(times[1] - times[2], Nanos::from_micros(50), "{times:?}");
}
