//! Vdisks that come, grow, go and come back, over restarts of the server.

use crate::nbd::{assert_same, assert_zeroes};
use crate::programs::finished;
use crate::server::sizes;
use crate::test_directory::{MIB, PLAIN_DISK, TestDirectory, assert_says};
use serde_json::Value;
use std::fs;

/// On a disk that holds nothing but zeroes, and on one that held something else before.
fn on_both_kinds(check: fn(TestDirectory)) {
    check(TestDirectory::new());
    let place = TestDirectory::new();
    place.configure(&[]);
    place.make_garbage_disk();
    check(place);
}

#[test]
fn a_vdisk_starts_as_zeroes() {
    on_both_kinds(|place| {
        place.configure(&[("a", r#""size": "48MiB""#)]);
        let server = place.start();
        assert_zeroes(&server.client("a").read_all(), "a new vdisk");
        // Around what was written, too, down to the byte.
        let mut client = server.client("a");
        client.write(10 * MIB + 1000, &[0xEE; 5]);
        let around = client.read(10 * MIB, 8192);
        assert_zeroes(&around[..1000], "before");
        assert_eq!(around[1000..1005], [0xEE; 5]);
        assert_zeroes(&around[1005..], "behind");
        server.stop();
        let server = place.start();
        let all = server.client("a").read_all();
        let written = 10 * MIB as usize + 1000;
        assert_zeroes(&all[..written], "before, after a restart");
        assert_eq!(all[written..written + 5], [0xEE; 5]);
        assert_zeroes(&all[written + 5..], "behind, after a restart");
        server.stop();
    });
}

#[test]
fn a_vdisk_that_grew_keeps_its_data_and_the_rest_is_zeroes() {
    on_both_kinds(|place| {
        let b = ("b", r#""size": "16MiB""#);
        place.configure(&[("a", r#""size": "16MiB""#), b]);
        let server = place.start();
        let data_of_a = server.client("a").fill(1);
        let data_of_b = server.client("b").fill(2);
        server.stop();
        for mebibytes in [32_usize, 37] {
            place.configure(&[b, ("a", &format!(r#""size": "{mebibytes}MiB""#))]);
            let server = place.start();
            let all = server.client("a").read_all();
            assert_eq!(all.len(), mebibytes << 20);
            assert_same(&all[..16 << 20], &data_of_a, "the old part");
            assert_zeroes(&all[16 << 20..], "the new part");
            assert_same(&server.client("b").read_all(), &data_of_b, "the neighbour");
            server.stop();
        }
    });
}

#[test]
fn a_vdisk_that_vanished_is_kept_until_it_is_removed() {
    let keep = ("keep", r#""size": "100MiB""#);
    let place = TestDirectory::with(&[keep, ("gone", r#""size": "100MiB""#)]);
    let server = place.start();
    let data = server.client("gone").fill(4);
    server.stop();

    // Without it, the server says so and serves the rest; its space is not given away.
    place.configure(&[keep]);
    let server = place.start();
    assert_eq!(sizes(&server).into_keys().collect::<Vec<_>>(), ["keep"]);
    let said = server.stop();
    assert_says(&said, &["`gone`", "100MiB", "disktime remove"]);
    let third = ("third", r#""size": "120MiB""#);
    place.configure(&[keep, third]);
    let sentence = place.fails(&["serve"]);
    assert_says(&sentence, &["third", "free", "`gone`", "disktime remove"]);

    // Named again, it has its old data.
    place.configure(&[("gone", r#""size": "100MiB""#), keep]);
    let server = place.start();
    assert_same(&server.client("gone").read_all(), &data, "named again");
    server.stop();

    // One that the file names is not removed; one that it does not name is, and makes space.
    assert_says(
        &place.fails(&["remove", "gone"]),
        &["`gone`", "take it out"],
    );
    place.configure(&[keep]);
    assert_says(
        &place.fails(&["remove", "other"]),
        &["`other`", "nothing was changed"],
    );
    // The tests have no terminal to ask at.
    let sentence = place.fails(&["remove", "gone"]);
    assert_says(&sentence, &["`gone`", "100MiB", "`d0`", "--yes"]);
    assert_says(
        &place.succeeds(&["remove", "gone", "--yes"]),
        &["`gone`", "freed"],
    );
    assert_says(
        &place.fails(&["remove", "gone"]),
        &["`gone`", "nothing was changed"],
    );
    place.configure(&[keep, third]);
    let server = place.start();
    assert_zeroes(&server.client("third").read_all(), "a vdisk in freed space");
    let said = server.stop();
    assert!(!said.contains("still holds"), "{said}");
}

#[test]
fn a_disk_that_cannot_be_read_hides_no_vdisk_of_another() {
    let place = TestDirectory::new();
    let disks = format!(r#""gone": {{ "path": "gone.disk", "size": "64MiB" }}, {PLAIN_DISK}"#);
    let vdisks = r#""lost": { "disk": "gone", "size": "8MiB" },
        "kept": { "disk": "d0", "size": "8MiB" }"#;
    place.configure_as(&disks, vdisks, r#""nbd": {}"#);
    place.start().stop();
    fs::write(place.path("state/gone.disk"), [0xA5; 1 << 20]).expect("room for it");
    let listed = finished(place.command(&["list"]));
    assert_eq!(listed.status.code(), Some(1));
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert_says(&listed, &["gone: cannot be read", "kept", "in the file"]);
    let json = finished(place.command(&["list", "--json"]));
    assert_eq!(json.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert!(json["disks"]["gone"]["error"].is_string(), "{json}");
    assert!(json["disks"]["d0"]["error"].is_null(), "{json}");
    assert!(
        json["disks"]["d0"]["vdisks"]["kept"]["uuid"].is_string(),
        "{json}"
    );
    assert_says(&place.succeeds(&["info", "kept"]), &["disk: d0", "8MiB"]);
    assert_says(
        &place.fails(&["info", "lost"]),
        &["`lost` was not found", "disk `gone` cannot be read"],
    );
    // One that is not there at all, and would not be made.
    let disks = format!(r#""gone": {{ "path": "/dev/none-such" }}, {PLAIN_DISK}"#);
    place.configure_as(&disks, vdisks, r#""nbd": {}"#);
    assert_says(&place.succeeds(&["info", "kept"]), &["disk: d0"]);
}

#[test]
fn what_was_done_is_said_though_it_cannot_be_remembered() {
    let size = r#""size": "8MiB""#;
    let place = TestDirectory::with(&[("old", size), ("gone", size)]);
    place.start().stop();
    // What is remembered is written to a file of this name first.
    fs::create_dir(place.path("state/disks.json.new")).expect("a directory");
    place.configure(&[("new", size)]);
    let both = ["`old` is called `new` now", "disks.json", "disktime adopt"];
    assert_says(&place.fails(&["rename", "old", "new"]), &both);
    assert_says(&place.succeeds(&["list"]), &["new", "in the file"]);
    let both = ["`gone` is freed", "disks.json", "disktime adopt"];
    assert_says(&place.fails(&["remove", "gone", "--yes"]), &both);
    fs::remove_dir(place.path("state/disks.json.new")).expect("it is there");
    place.succeeds(&["adopt"]);
    place.start().stop();
}

#[test]
fn a_vdisk_is_listed_and_gets_another_name_without_a_server() {
    let keep = ("keep", r#""size": "8MiB""#);
    let place = TestDirectory::with(&[keep, ("old", r#""size": "8MiB""#)]);
    let listed = place.succeeds(&["list"]);
    assert_says(
        &listed,
        &["d0.disk", "no label yet", "old", "made by the next start"],
    );
    let server = place.start();
    let data = server.client("old").fill(4);
    // Beside a server as well.
    assert_says(
        &place.succeeds(&["list"]),
        &["256MiB in use", "in the file"],
    );
    assert_says(
        &place.fails(&["rename", "old", "new"]),
        &["call it `new` there first"],
    );
    server.stop();
    let uuid = |name: &str| {
        let json: Value = serde_json::from_str(&place.succeeds(&["list", "--json"])).expect("JSON");
        json["disks"]["d0"]["vdisks"][name]["uuid"]
            .as_str()
            .map(str::to_owned)
    };
    let before = uuid("old").expect("it is on the disk");
    assert_says(
        &place.fails(&["rename", "old", "new"]),
        &["has a vdisk `old`"],
    );
    assert_says(
        &place.fails(&["rename", "other", "new"]),
        &["has no vdisk `new`"],
    );
    place.configure(&[
        keep,
        (
            "new",
            r#""size": "8MiB", "reserve": "10%", "period": "500ms""#,
        ),
    ]);
    assert_says(&place.succeeds(&["list"]), &["kept; not in the file"]);
    assert_says(
        &place.fails(&["rename", "other", "new"]),
        &["no vdisk `other`", "`old`"],
    );
    assert_says(
        &place.fails(&["rename", "old", "keep"]),
        &["another vdisk", "that name"],
    );
    assert_says(
        &place.succeeds(&["rename", "old", "new"]),
        &["`old`", "`new`"],
    );
    assert_eq!(uuid("new"), Some(before.clone()));
    assert_eq!(uuid("old"), None);
    let info = place.succeeds(&["info", "new"]);
    assert_says(
        &info,
        &[
            "disk: d0",
            &before,
            "8MiB",
            "10 % per 500ms",
            "state: in the file",
        ],
    );
    assert_says(
        &place.fails(&["info", "old"]),
        &["no vdisk `old`", "disktime list"],
    );
    let server = place.start();
    assert!(
        !server.said().contains("new, and empty"),
        "{}",
        server.said()
    );
    assert_same(
        &server.client("new").read_all(),
        &data,
        "under its new name",
    );
    server.stop();
}

#[test]
fn a_vdisk_in_freed_space_starts_as_zeroes() {
    on_both_kinds(|place| {
        for round in 1..=3 {
            let name = format!("v{round}");
            place.configure(&[(&name, r#""size": "200MiB""#)]);
            let server = place.start();
            assert_zeroes(&server.client(&name).read_all(), "in space that was freed");
            server.client(&name).fill(round);
            server.stop();
            place.configure(&[]);
            place.succeeds(&["remove", &name, "--yes"]);
        }
    });
}

#[test]
fn shrinking_is_refused_and_changes_nothing() {
    let b = ("b", r#""size": "8MiB""#);
    let place = TestDirectory::with(&[("a", r#""size": "16MiB""#), b]);
    let server = place.start();
    let data = server.client("a").fill(9);
    server.stop();
    // `c` is new and would fit, but nothing is done by halves.
    place.configure(&[("c", r#""size": "8MiB""#), b, ("a", r#""size": "12MiB""#)]);
    let before = place.contents();
    let sentence = place.fails(&["serve"]);
    assert_says(&sentence, &["`a`", "16MiB", "12MiB", "disktime remove"]);
    assert_eq!(place.contents(), before, "nothing was changed");
    place.configure(&[("a", r#""size": "16MiB""#), b]);
    let server = place.start();
    assert_same(&server.client("a").read_all(), &data, "with its size again");
    server.stop();
}
