//! Unit tests of `status`: the JSON's keys, and the tables.

use super::*;
use crate::{DiskTimes, StreamCounts, StreamTimes};
use disktime_units::Nanos;
use serde_json::{Value, json};

fn account(reserved_share: f64, reserved_ms: u64) -> Account {
    let times = StreamTimes {
        reserved: Nanos::from_millis(reserved_ms),
        spare: Nanos::from_millis(50),
        waited: Nanos::from_millis(10),
    };
    let counts = StreamCounts {
        deadlines_met: 2,
        deadlines_missed: 1,
        requests: 40,
    };
    let window = StreamWindow::new(Nanos::from_secs(1), times, counts);
    Account {
        entitlement: Entitlement {
            disk: "hdd0".to_owned(),
            reserved_share,
            period_ms: (reserved_share > 0.0).then_some(500.0),
            limit_share: None,
            weight: 100,
        },
        windows: Windows {
            last_1s: window,
            last_10s: window,
            total: window,
        },
        unspent_last_ms: -0.5,
        unspent_max_ms: None,
        solo: None,
    }
}

fn stream(account: Account) -> StreamStatus {
    let queue_time_us = Percentiles {
        count: 40,
        p50: 1500.0,
        p99: 20_250.0,
        ..Percentiles::default()
    };
    StreamStatus {
        account,
        queue_time_us,
        service_time_us: Percentiles::default(),
    }
}

/// A disk with a group of one, a vdisk outside it, background work, and the FUSE frontend.
fn status() -> ServerStatus {
    let times = DiskTimes {
        busy: Nanos::from_millis(600),
        charged: Nanos::from_millis(580),
        waiting: Nanos::from_millis(30),
        switching: Nanos::from_millis(20),
    };
    let window = DiskWindow::new(Nanos::from_secs(1), times, 7, 90);
    let disk = DiskStatus {
        description: "a modelled disk".to_owned(),
        policy: "fahrrad".to_owned(),
        worst_case_ms: 40.0,
        longest_ms: 12.5,
        windows: Windows {
            last_1s: window,
            last_10s: window,
            total: window,
        },
        space: Some(DiskSpace {
            promised_bytes: 64 << 30,
            stored_bytes: 3 << 29,
            free_bytes: 10 << 30,
        }),
        ..DiskStatus::default()
    };
    let of_group = VdiskStatus {
        stream: stream(account(0.0, 100)),
        group: Some("tenant".to_owned()),
        stored_bytes: 65_536,
        trim: "hold".to_owned(),
        trim_held_bytes: Some(4096),
        clients: 2,
        read_only: true,
        no_space: 3,
        clone_of: Some("db@seq:7".to_owned()),
    };
    let mut limited = account(0.4, 400);
    limited.entitlement.limit_share = Some(0.6);
    let alone = VdiskStatus {
        stream: stream(limited),
        group: None,
        stored_bytes: 0,
        trim: "pass".to_owned(),
        trim_held_bytes: None,
        clients: 0,
        read_only: false,
        no_space: 0,
        clone_of: None,
    };
    let group = GroupStatus {
        account: account(0.2, 100),
        members: vec!["web".to_owned()],
    };
    let metadata = ("metadata".to_owned(), stream(account(0.01, 1)));
    let files = FilesStatus {
        mount: "/mnt/disktime".into(),
        over_io_uring: false,
        unmounted: false,
    };
    ServerStatus {
        disks: [("hdd0".to_owned(), disk)].into(),
        vdisks: [("db".to_owned(), alone), ("web".to_owned(), of_group)].into(),
        groups: [("tenant".to_owned(), group)].into(),
        background: [("hdd0".to_owned(), [metadata].into())].into(),
        files: Some(files),
        past: Some(PastStatus {
            mount: "/mnt/past".into(),
            unmounted: false,
        }),
    }
}

fn keys(value: &Value) -> Vec<&str> {
    let object = value.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

#[test]
fn the_json_says_everything_and_comes_back_the_same() {
    let status = status();
    let text = serde_json::to_string(&status).expect("it is JSON");
    let back: ServerStatus = serde_json::from_str(&text).expect("it is a status");
    assert_eq!(back, status);
}

#[test]
fn keys_are_those_that_readers_know() {
    let json = serde_json::to_value(status()).expect("it is JSON");
    assert_eq!(
        keys(&json),
        ["background", "disks", "files", "groups", "past", "vdisks"]
    );
    let windows = ["last_10s", "last_1s", "total"];
    let disk = keys(&json["disks"]["hdd0"]);
    for key in windows.into_iter().chain([
        "description",
        "longest_ms",
        "overruns",
        "pacing",
        "policy",
        "switching_reserved_share",
        "unspent_bound_ms",
        "worst_case_ms",
    ]) {
        assert!(disk.contains(&key), "{key} is missing in {disk:?}");
    }
    assert_eq!(
        keys(&json["disks"]["hdd0"]["total"]),
        [
            "busy_ns",
            "busy_share",
            "charged_ns",
            "charged_share",
            "elapsed_ns",
            "idle_share",
            "requests_dispatched",
            "switches",
            "switching_ns",
            "switching_share",
            "waiting_ns",
            "waiting_share",
        ]
    );
    assert_eq!(
        keys(&json["vdisks"]["db"]),
        [
            "clients",
            "disk",
            "group",
            "last_10s",
            "last_1s",
            "limit_share",
            "no_space",
            "period_ms",
            "queue_time_us",
            "read_only",
            "reserved_share",
            "service_time_us",
            "stored_bytes",
            "total",
            "trim",
            "unspent_last_ms",
            "unspent_max_ms",
            "weight",
        ]
    );
    assert_eq!(
        keys(&json["background"]["hdd0"]["metadata"]["total"]),
        [
            "deadlines_met",
            "deadlines_missed",
            "elapsed_ns",
            "received_share",
            "requests",
            "reserved_used_ns",
            "reserved_used_share",
            "spare_ns",
            "spare_share",
            "waited_ns",
            "waited_share",
        ]
    );
    assert_eq!(json["vdisks"]["web"]["limit_share"], Value::Null);
    assert_eq!(json["vdisks"]["web"]["group"], "tenant");
    assert_eq!(json["groups"]["tenant"]["members"], json!(["web"]));
    assert_eq!(json["vdisks"]["web"]["clients"], 2);
    assert_eq!(json["vdisks"]["web"]["read_only"], true);
    assert_eq!(json["vdisks"]["web"]["stored_bytes"], 65_536);
    assert_eq!(json["vdisks"]["web"]["trim_held_bytes"], 4096);
    assert_eq!(json["files"]["over_io_uring"], false);
}

#[test]
fn what_was_found_damaged_is_said_below_the_tables() {
    let mut status = status();
    let json = serde_json::to_value(&status).expect("it is JSON");
    assert_eq!(json["disks"]["hdd0"]["notices"], Value::Null);
    let notices = &mut status.disks.get_mut("hdd0").expect("a disk").notices;
    notices.push("copy 0 was damaged".to_owned());
    let disk = status.disks.get_mut("hdd0").expect("a disk");
    (disk.pauses, disk.paused_ms) = (2, 10_250.0);
    let json = serde_json::to_value(&status).expect("it is JSON");
    assert_eq!(
        json["disks"]["hdd0"]["notices"],
        json!(["copy 0 was damaged"])
    );
    let text = status.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.contains(&"hdd0: copy 0 was damaged"), "{text}");
    assert!(
        text.contains("hdd0: pauses of the server: 2, 10.2 s together"),
        "{text}"
    );
}

#[test]
fn the_text_says_what_is_promised_and_who_found_no_space() {
    let mut status = status();
    let text = status.to_string();
    let space = "64GiB promised, 1.50GiB stored, 10GiB free on its file system";
    let count = "hdd0: requests of web that found no space (ENOSPC): 3";
    for line in [space, count] {
        assert!(text.lines().any(|said| said == line), "{text}");
    }
    assert!(!text.contains("requests of db"), "{text}");
    let disk = status.disks.get_mut("hdd0").expect("it is there");
    disk.space_problem = Some("it cannot hold it".to_owned());
    assert!(status.to_string().contains("hdd0: it cannot hold it"));
}

#[test]
fn clones_are_named_and_no_more_than_a_line_has_room_for() {
    let mut status = status();
    let text = status.to_string();
    assert!(
        text.contains("\nhdd0: web is a clone of db@seq:7\n"),
        "{text}"
    );
    for number in 0..20 {
        let mut clone = status.vdisks["web"].clone();
        clone.group = None;
        status.vdisks.insert(format!("x{number:02}"), clone);
    }
    let text = status.to_string().replace('\n', " ");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let last = "x06 is a clone of db@seq:7, and there are 13 more clones";
    assert!(words.contains(last), "{words}");
}

#[test]
fn a_key_that_a_newer_server_adds_is_ignored() {
    let mut json = serde_json::to_value(status()).expect("it is JSON");
    json["disks"]["hdd0"]["temperature"] = json!(40);
    json["uptime_s"] = json!(3);
    let read: ServerStatus = serde_json::from_value(json).expect("it is a status");
    assert_eq!(read, status());
}

#[test]
fn tables_put_members_under_their_group_and_background_work_last() {
    let text = status().to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "hdd0: a modelled disk, policy fahrrad");
    assert_eq!(
        lines[4],
        "total     60.0 %    3.0 %  37.0 %   58.0 %      2.0 %         7        90"
    );
    assert!(lines[5].starts_with("W 40.0 ms, longest request 12.5 ms"));
    let expected = [
        "received    reserved  period  limit      1s     10s   total  spare  met  missed",
        "tenant          20 %   500ms      -  15.0 %  15.0 %  15.0 %  5.0 %    2       1",
        "  web              -       -      -  15.0 %  15.0 %  15.0 %  5.0 %    2       1",
        "db              40 %   500ms   60 %  45.0 %  45.0 %  45.0 %  5.0 %    2       1",
        "(metadata)       1 %   500ms      -   5.1 %   5.1 %   5.1 %  5.0 %    2       1",
    ];
    assert!(lines[6].starts_with("64GiB promised"), "{text}");
    assert_eq!(lines[8..13], expected, "{text}");
    assert_eq!(
        lines[15],
        "  web              1.5  20.2  0.0          0.0  0.0  0.0        40        2"
    );
    let last = [
        "files in /mnt/disktime, served by /dev/fuse",
        "files of the past in /mnt/past",
    ];
    assert_eq!(lines[lines.len() - 2..], last);
}

#[test]
fn no_line_is_longer_than_a_hundred_columns() {
    let mut status = status();
    let mut db = status.vdisks["db"].clone();
    let windows = &mut db.stream.account.windows;
    windows.total.deadlines_met = 123_456_789;
    windows.total.deadlines_missed = 1_234_567;
    windows.total.requests = 123_456_789_012;
    windows.last_1s.received_share = 3.289;
    db.stream.queue_time_us.max = 12_345_678.9;
    status.vdisks.insert("a-long-name-".repeat(20), db);
    let disk = disk_of(&mut status);
    disk.description = "word ".repeat(60);
    disk.notices = vec!["what was found is told in many words ".repeat(9)];
    let text = status.to_string();
    let longest = text.lines().max_by_key(|line| line.chars().count());
    let longest = longest.expect("there are lines");
    assert!(longest.chars().count() <= 100, "{longest}");
    assert!(text.contains("a-long-"), "{text}");
}

fn disk_of(status: &mut ServerStatus) -> &mut DiskStatus {
    status.disks.get_mut("hdd0").expect("a disk")
}

#[test]
fn missed_deadlines_have_their_reasons() {
    let mut status = status();
    let joined = |status: &ServerStatus| status.to_string().replace('\n', " ");
    let expected = "hdd0: deadlines missed: db 1, tenant 1. No request took longer than W and the \
                    server was not paused";
    assert!(joined(&status).contains(expected), "{status}");
    let disk = disk_of(&mut status);
    (disk.overruns, disk.longest_ms, disk.pauses) = (3, 88.5, 1);
    let expected = "The server was paused; Requests that took longer than W (40.0 ms): 3, the \
                    longest 88.5 ms";
    assert!(joined(&status).contains(expected), "{status}");
    disk_of(&mut status).policy = "fifo".to_owned();
    assert!(joined(&status).contains("The policy fifo keeps no reservations"));
    for vdisk in status.vdisks.values_mut() {
        vdisk.stream.account.windows.total.deadlines_missed = 0;
    }
    let group = status.groups.get_mut("tenant").expect("a group");
    group.account.windows.total.deadlines_missed = 0;
    assert!(!joined(&status).contains("deadlines missed"));
    assert_eq!(
        status.summary(),
        ["hdd0: busy 60.0 % of 1.0 s, 90 requests; deadlines met: 4, missed: 0"]
    );
}

#[test]
fn colours_say_nothing_that_the_text_does_not() {
    let (plain, coloured) = (status().to_string(), status().coloured());
    assert!(coloured.contains("\x1b[1;31m"), "{coloured}");
    let mut stripped = coloured;
    for code in ["\x1b[1;31m", "\x1b[1m", "\x1b[0m"] {
        stripped = stripped.replace(code, "");
    }
    assert_eq!(stripped, plain);
}
