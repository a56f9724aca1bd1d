//! Clones without a server: `list` and `info` find them in logs, beside a server, too; `check
//! --disks` says what a start makes of entries of their names, and both refuse what would hide one
//! or take away what it begins with.

use crate::check_disks::{passes, refused};
use crate::clones::{DISK, blocks, client, place};
use crate::history::{DB, run};
use crate::test_directory::{TestDirectory, assert_says};
use serde_json::Value;
use std::fs::{OpenOptions, remove_file};
use std::os::unix::fs::FileExt;

const NBD: &str = r#""nbd": {}"#;

/// With the clones `test` and `idle` of db, and `grand` of test; nothing was written to the last
/// two.
fn with_clones() -> TestDirectory {
    let place = place();
    let server = place.start();
    server.client("db").write(0, &[1; 4096]);
    run(&place, &["mark", "db", "golden"]);
    let terms = ["--reserve", "10%", "--period", "250ms", "--max", "64MiB"];
    run(
        &place,
        &[&["clone", "db@golden", "test"][..], &terms].concat(),
    );
    run(&place, &["clone", "db@golden", "idle", "--max", "80MiB"]);
    client(&server, "test").write(0, &[2; 4096]);
    run(&place, &["mark", "test", "mine"]);
    run(&place, &["clone", "test@mine", "grand", "--max", "64MiB"]);
    server.stop();
    place
}

fn listed(place: &TestDirectory) -> Value {
    let listed = place.succeeds(&["list", "--json"]);
    serde_json::from_str::<Value>(&listed).expect("JSON")["disks"]["d"].take()
}

#[test]
fn list_and_info_show_clones_with_and_without_a_server() {
    let place = with_clones();
    let before = place.contents();
    let found = listed(&place);
    let clones = &found["clones"];
    for (clone, of, log_mib, max_mib) in [
        ("test", "db@seq:", 64, 64),
        ("idle", "db@seq:", 0, 80),
        ("grand", "test@seq:", 0, 64),
    ] {
        let clone = &clones[clone];
        let moment = clone["clone_of"].as_str().expect("a moment");
        assert!(moment.starts_with(of), "{moment}");
        assert_eq!(clone["size_bytes"], 4 << 20);
        assert_eq!(clone["history_bytes"], log_mib << 20);
        assert_eq!(clone["max_bytes"], max_mib << 20);
        assert_eq!(clone["disk_in_file"], Value::Null);
    }
    assert_eq!(clones.as_object().map(|clones| clones.len()), Some(3));
    assert_eq!(found["vdisks"].as_object().map(|all| all.len()), Some(2));
    let said = place.succeeds(&["list"]);
    assert_says(&said, &["test   4MiB    64MiB", "clone of db@seq:5"]);
    let said = place.succeeds(&["info", "test"]);
    assert_says(
        &said,
        &[
            "clone of: db@seq:5",
            "reserved: 10 % per 250ms",
            "max: 64MiB",
        ],
    );
    assert_eq!(place.contents(), before, "nothing is changed");

    let server = place.start();
    let beside = listed(&place);
    assert_eq!(beside["clones"], found["clones"]);
    run(&place, &["drop", "idle"]);
    assert_eq!(listed(&place)["clones"]["idle"], Value::Null);
    server.stop();
}

/// Where the log of the vdisk is damaged, what it records is not known, and that is said.
#[test]
fn a_log_that_cannot_be_read_is_said() {
    let place = with_clones();
    let path = place.path("state/d.disk");
    let disk = OpenOptions::new().read(true).write(true).open(&path);
    let disk = disk.expect("it is there");
    let is_superblock = |at: &u64| {
        let mut magic = [0; 8];
        disk.read_exact_at(&mut magic, *at).expect("readable");
        magic == *b"DTHSUPER"
    };
    let superblocks = (0..480 << 20).step_by(4096).filter(is_superblock);
    // The log of db was made first.
    for at in superblocks.take(2) {
        disk.write_all_at(&[0; 4096], at).expect("written");
    }
    let found = listed(&place);
    assert!(found["unread_logs"]["db"].is_string());
    assert_eq!(found["clones"], serde_json::json!({}));
    let said = place.succeeds(&["list"]);
    assert_says(&said, &["the log of `db` cannot be read", "are not listed"]);
    let said = passes(&place);
    assert_says(&said, &["the log of `db` cannot be read", "are not known"]);
}

#[test]
fn an_entry_of_the_name_of_a_clone_hides_none() {
    let place = with_clones();
    let db = format!(r#""db": {{ "disk": "d", {DB} }}"#);
    let on = |disk: &str| format!(r#"{db}, "test": {{ "disk": "{disk}", "size": "4MiB" }}"#);
    place.configure_as(DISK, &on("d"), NBD);
    let said = passes(&place);
    assert_says(&said, &["d: the entry of `test`, a clone of db@seq:5"]);
    assert!(!said.contains("new, and empty"), "{said}");

    // On another disk a vdisk would be made.
    let disks = format!(r#"{DISK}, "e": {{ "path": "e.disk", "size": "64MiB", "seeks": false }}"#);
    place.configure_as(&disks, &on("e"), NBD);
    let words = ["`test` is a clone on disk `d`", "on `e`", "another name"];
    refused(&place, &words);

    // A state directory that does not remember it.
    place.configure_as(DISK, &on("d"), NBD);
    for file in ["disks.json", "lock"] {
        remove_file(place.path("state").join(file)).expect("removed");
    }
    let words = [
        "disktime.json:3:",
        "`test` is a clone on disk `d`",
        "take the entry out",
    ];
    refused(&place, &words);
    place.configure_as(DISK, &db, NBD);
    let server = place.start();
    assert_eq!(blocks(&client(&server, "test").read(0, 8192)), [2, 0]);
    server.stop();
    place.configure_as(DISK, &on("d"), NBD);
    let server = place.start();
    assert_eq!(blocks(&client(&server, "test").read(0, 8192)), [2, 0]);
    server.stop();
}

#[test]
fn a_history_that_clones_begin_with_is_not_switched_off() {
    let place = with_clones();
    let off = r#""db": { "disk": "d", "size": "4MiB", "history": "off" }"#;
    place.configure_as(DISK, off, NBD);
    let words = [
        "cannot be switched off",
        "the clones test, idle begin",
        "disktime drop",
    ];
    refused(&place, &words);
}
