//! A reservation file that is wrong: a sentence with place, cause and remedy, status 1, and nothing
//! changed on disk, by `check` and by `serve` alike.

use crate::test_directory::{PLAIN_DISK, TestDirectory, assert_says, exits_with};
use std::fs;
use std::net::TcpListener;

/// Both commands refuse the file of the place, saying this, and leave no trace.
#[track_caller]
fn refused(place: &TestDirectory, fragments: &[&str]) {
    let before = place.contents();
    for command in ["check", "serve"] {
        assert_says(&place.fails(&[command]), fragments);
    }
    assert_eq!(place.contents(), before, "something was changed");
}

#[track_caller]
fn refused_text(text: &str, fragments: &[&str]) {
    let place = TestDirectory::new();
    place.write("disktime.json", text);
    refused(&place, fragments);
}

#[track_caller]
fn refused_vdisks(disk: &str, vdisks: &str, fragments: &[&str]) {
    let place = TestDirectory::configured(disk, vdisks, r#""nbd": {}"#);
    refused(&place, fragments);
}

#[test]
fn a_file_that_is_not_json() {
    refused_text("", &["disktime.json"]);
    refused_text("hello", &["disktime.json:1:1"]);
    let open = "{ \"state_dir\": \"s\",\n  \"disks\": { \"d0\": { \"path\": \"a\" }\n";
    refused_text(open, &["disktime.json:2:", "add the `}`"]);
    refused_text("[]", &["disktime.json:1:1"]);
    let place = TestDirectory::new();
    assert_says(&place.fails(&["serve"]), &["disktime.json", "No such file"]);
    fs::create_dir(place.file()).expect("a directory");
    assert_says(&place.fails(&["serve"]), &["disktime.json"]);
}

#[test]
fn names_that_nobody_knows() {
    let vdisk = r#""web": { "disk": "d0", "size": "8MiB", "reserved": "40%" }"#;
    refused_vdisks(
        PLAIN_DISK,
        vdisk,
        &["disktime.json:3:", "`reserved`", "did you mean `reserve`"],
    );
    let vdisk = r#""web": { "disk": "d1", "size": "8MiB" }"#;
    refused_vdisks(PLAIN_DISK, vdisk, &["disktime.json:3:", "d1", "d0"]);
    let disk = r#""d0": { "path": "d0.disk", "size": "64MiB", "policy": "farhad" }"#;
    refused_vdisks(
        disk,
        "",
        &[
            "disktime.json:2:",
            "`policy`",
            "\"farhad\"",
            "fahrrad",
            "fifo",
        ],
    );
    let disk = r#""d0": { "path": "d0.disk", "size": "64GiB", "emulate": "desktop-7200" }"#;
    refused_vdisks(
        disk,
        "",
        &["disktime.json:2:", "desktop-7200", "desktop-7200-2008"],
    );
    refused_text(
        "{ \"state_dir\": \"s\", \"disk\": {} }",
        &["disktime.json:1:", "`disk`", "disks"],
    );
}

#[test]
fn promises_that_cannot_be_kept() {
    let disk = r#""d0": { "path": "d0.disk", "size": "64GiB", "emulate": "desktop-7200-2008" }"#;
    let sixty = |name| {
        format!(
            r#""{name}": {{ "disk": "d0", "size": "8GiB", "reserve": "60%", "period": "500ms" }}"#
        )
    };
    let vdisks = format!("{}, {}", sixty("a"), sixty("b"));
    refused_vdisks(disk, &vdisks, &["120 %", "what would fit"]);
    let vdisk = r#""a": { "disk": "d0", "size": "80GiB" }"#;
    refused_vdisks(disk, vdisk, &["disktime.json:3:", "80GiB", "64GiB"]);
    let vdisk = r#""a": { "disk": "d0", "size": "8MiB", "reserve": "40%", "period": "1s", "limit": "30%" }"#;
    refused_vdisks(PLAIN_DISK, vdisk, &["disktime.json:3:", "limit"]);
    let vdisk = r#""a": { "disk": "d0", "size": "8MiB", "reserve": "40%" }"#;
    refused_vdisks(PLAIN_DISK, vdisk, &["disktime.json:3:", "period"]);
    let vdisk = r#""a": { "disk": "d0", "size": "99999999TiB" }"#;
    refused_vdisks(PLAIN_DISK, vdisk, &["disktime.json:3:"]);
}

#[test]
fn disks_that_are_not_there() {
    let vdisk = r#""a": { "disk": "d0", "size": "8MiB" }"#;
    let disk = r#""d0": { "path": "/dev/disktime-nowhere" }"#;
    refused_vdisks(disk, vdisk, &["/dev/disktime-nowhere", "disktime.json:2:"]);
    let disk = r#""d0": { "path": "/dev/disktime-nowhere", "size": "64MiB" }"#;
    refused_vdisks(disk, vdisk, &["/dev/disktime-nowhere", "disktime.json:2:"]);
    let disk = r#""d0": { "path": "nowhere.disk" }"#;
    refused_vdisks(disk, vdisk, &["nowhere.disk", "size"]);
    let disk = r#""d0": { "path": "/dev/null" }"#;
    refused_vdisks(disk, vdisk, &["/dev/null", "character device"]);
    let disk = r#""d0": { "path": "/tmp", "size": "64MiB" }"#;
    refused_vdisks(disk, vdisk, &["/tmp", "directory"]);
}

/// `serve` refuses what only shows when it is tried, saying this, and no disk file is made.
#[track_caller]
fn refused_by_serve(place: &TestDirectory, fragments: &[&str]) {
    assert_says(&place.fails(&["serve"]), fragments);
    assert!(!place.disk_file().exists(), "a disk was made for nothing");
    assert!(!place.path("state/nbd.sock").exists() && !place.control().exists());
}

#[test]
fn a_port_in_use() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("any port");
    let address = taken.local_addr().expect("its address").to_string();
    let frontends = format!(r#""nbd": {{ "listen": ["{address}"] }}"#);
    let place = TestDirectory::configured(
        PLAIN_DISK,
        r#""a": { "disk": "d0", "size": "8MiB" }"#,
        &frontends,
    );
    refused_by_serve(
        &place,
        &[&address, "in use", "another port", "disktime.json:4:"],
    );
}

#[test]
fn places_that_cannot_be_written() {
    let vdisk = r#""a": { "disk": "d0", "size": "8MiB" }"#;
    // What lies below a regular file, or in the kernel's own file system, no user may create.
    let place = TestDirectory::new();
    place.write("regular", "content");
    let disk = r#""d0": { "path": "../regular/d0.disk", "size": "64MiB" }"#;
    place.configure_as(disk, vdisk, r#""nbd": {}"#);
    refused_by_serve(&place, &["regular/d0.disk"]);
    let disk = r#""d0": { "path": "/proc/d0.disk", "size": "64MiB" }"#;
    place.configure_as(disk, vdisk, r#""nbd": {}"#);
    refused_by_serve(&place, &["/proc/d0.disk"]);
    let disk = r#""d0": { "path": "missing/d0.disk", "size": "64MiB" }"#;
    place.configure_as(disk, vdisk, r#""nbd": {}"#);
    refused_by_serve(&place, &["missing", "mkdir"]);
    place.configure_as(
        PLAIN_DISK,
        vdisk,
        r#""nbd": { "socket": "/proc/nbd.sock" }"#,
    );
    refused_by_serve(&place, &["/proc/nbd.sock", "writable"]);
    place.configure_as(PLAIN_DISK, vdisk, r#""nbd": { "socket": "../regular" }"#);
    refused_by_serve(&place, &["regular", "not a socket"]);
    let control = r#""nbd": {}, "control": { "socket": "../regular" }"#;
    place.configure_as(PLAIN_DISK, vdisk, control);
    refused_by_serve(&place, &["regular", "control"]);
    assert_eq!(
        fs::read(place.path("regular")).expect("still there"),
        b"content"
    );

    let text = fs::read_to_string(place.file()).expect("it is there");
    place.write(
        "disktime.json",
        text.replace("\"state\"", "\"regular/state\""),
    );
    assert_says(
        &place.fails(&["serve"]),
        &["regular/state", "Not a directory"],
    );
    place.write(
        "disktime.json",
        text.replace("\"state\"", "\"/proc/state\""),
    );
    assert_says(&place.fails(&["serve"]), &["/proc/state", "may write"]);
}

#[test]
fn a_mount_point_that_holds_something() {
    let place = TestDirectory::with(&[("a", r#""size": "8MiB""#)]);
    fs::create_dir_all(place.mount()).expect("a directory");
    fs::write(place.mount().join("precious"), "content").expect("a file");
    let sentence = place.fails(&["serve"]);
    assert_says(&sentence, &["vdisks", "empty", "disktime.json:4:"]);
    assert_eq!(
        fs::read(place.mount().join("precious")).expect("still there"),
        b"content"
    );
    assert!(!place.path("state/nbd.sock").exists() && !place.control().exists());
    assert!(!place.disk_file().exists(), "a disk was made for nothing");
    fs::remove_file(place.mount().join("precious")).expect("it is there");
    place.start().stop();
}

#[test]
fn a_command_line_that_is_not_understood() {
    let place = TestDirectory::with(&[]);
    let before = place.contents();
    for arguments in [
        &[][..],
        &["explode"],
        &["serve"],
        &["serve", "disktime.json", "--nonsense"],
        &["check"],
        &["status"],
        &["simulate", "disktime.json"],
        &["load", "disktime.json"],
        &["remove", "disktime.json"],
    ] {
        let sentence = exits_with(place.bare(arguments), 2);
        assert_says(&sentence, &["Usage:"]);
    }
    assert_eq!(place.contents(), before);
}

#[test]
fn a_size_beyond_any_disk() {
    let disk = r#""d0": { "null": true, "size": "1000001TiB" }"#;
    let vdisk = r#""a": { "disk": "d0", "size": "1000000TiB" }"#;
    refused_vdisks(disk, vdisk, &["disktime.json:2:", "too large", "1PiB"]);
    refused_vdisks(
        PLAIN_DISK,
        vdisk,
        &["disktime.json:3:", "too large", "1PiB"],
    );
}
