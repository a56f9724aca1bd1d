//! `check --disks` says what a start would say, and changes nothing; what needs no disk is said by
//! `check` alone.

use crate::programs::{Loop, Mounted, text, tool};
use crate::test_directory::{MIB, PLAIN_DISK, TestDirectory, assert_says, exits_with};
use std::fs;
use std::net::TcpListener;
use std::process::Command;

const NBD: &str = r#""nbd": {}"#;

fn place() -> TestDirectory {
    TestDirectory::configured(PLAIN_DISK, &vdisk("a", "16MiB"), NBD)
}

fn vdisk(name: &str, size: &str) -> String {
    format!(r#""{name}": {{ "disk": "d0", "size": "{size}" }}"#)
}

/// `check` agrees; `check --disks` and `serve` refuse with these words, and change nothing.
#[track_caller]
pub(crate) fn refused(place: &TestDirectory, fragments: &[&str]) {
    place.succeeds(&["check"]);
    let before = place.contents();
    assert_says(&place.fails(&["check", "--disks"]), fragments);
    assert_eq!(place.contents(), before, "check changed something");
    assert_says(&place.fails(&["serve"]), fragments);
}

/// A start would succeed; what it says on stderr.
#[track_caller]
pub(crate) fn passes(place: &TestDirectory) -> String {
    let before = place.contents();
    let said = exits_with(place.command(&["check", "--disks"]), 0);
    assert_says(&said, &["in order", "nothing was changed"]);
    assert_eq!(place.contents(), before, "check changed something");
    said
}

#[test]
fn what_a_start_would_create_is_said() {
    let place = place();
    assert_says(
        &passes(&place),
        &["d0.disk is blank", "new label", "`a` (16MiB)"],
    );
    place.start().stop();
    let said = passes(&place);
    assert!(!said.contains("new"), "{said}");
    place.configure_as(PLAIN_DISK, &vdisk("a", "24MiB"), NBD);
    assert_says(&passes(&place), &["`a` grows from 16MiB to 24MiB"]);
    // A file that would be grown is read as it is.
    let larger = PLAIN_DISK.replace("256MiB", "512MiB");
    place.configure_as(&larger, &vdisk("a", "400MiB"), NBD);
    assert_says(&passes(&place), &["`a` grows from 16MiB to 400MiB"]);
    place.start().stop();
    // One in memory is new at every start.
    place.configure_as(
        r#""d0": { "memory": true, "size": "64MiB" }"#,
        &vdisk("b", "8MiB"),
        NBD,
    );
    passes(&place);
}

#[test]
fn vdisks_that_do_not_fit_their_disk() {
    let place = place();
    place.start().stop();
    place.configure_as(PLAIN_DISK, &vdisk("a", "8MiB"), NBD);
    refused(&place, &["`a`", "16MiB", "8MiB", "do not shrink"]);
    place.configure_as(PLAIN_DISK, &vdisk("b", "250MiB"), NBD);
    refused(&place, &["`b`", "`a`", "disktime remove"]);
}

/// The newest data of a vdisk with a history lies in its log: nothing is served without it.
#[test]
fn a_history_that_is_not_as_the_file_says() {
    let with = |size: &str, history: &str| {
        format!(r#""db": {{ "disk": "d0", "size": "{size}"{history} }}"#)
    };
    let kept = r#", "history": { "window": "1h", "max": "64MiB" }"#;
    let place = TestDirectory::configured(PLAIN_DISK, &with("16MiB", ""), NBD);
    place.start().stop();
    // One that is switched on is said.
    place.configure_as(PLAIN_DISK, &with("16MiB", kept), NBD);
    assert_says(&passes(&place), &["`db` gets a history", "64MiB"]);
    place.start().stop();
    assert!(!passes(&place).contains("gets a history"));
    place.configure_as(PLAIN_DISK, &with("16MiB", ""), NBD);
    refused(&place, &["the history of vdisk `db`", "`history` back"]);
    let larger = kept.replace("64MiB", "80MiB");
    place.configure_as(PLAIN_DISK, &with("16MiB", &larger), NBD);
    assert_says(
        &passes(&place),
        &["the log of vdisk `db` grows", "64MiB", "80MiB"],
    );
    place.configure_as(PLAIN_DISK, &with("24MiB", kept), NBD);
    assert_says(&passes(&place), &["`db` grows", "16MiB", "24MiB"]);
    place.configure_as(PLAIN_DISK, &with("8MiB", kept), NBD);
    refused(&place, &["`db`", "16MiB", "8MiB", "do not shrink"]);
    // A vdisk that is new does not fit beside the log.
    let second = format!(
        r#"{}, "web": {{ "disk": "d0", "size": "200MiB"{kept} }}"#,
        with("16MiB", kept)
    );
    place.configure_as(PLAIN_DISK, &second, NBD);
    let said = place.fails(&["check"]);
    assert_says(&said, &["disktime.json:3:", "256MiB"]);
}

#[test]
fn the_wrong_disk() {
    let place = place();
    place.start().stop();
    fs::rename(place.disk_file(), place.path("aside")).expect("a rename");
    refused(
        &place,
        &["`d0`", "blank or missing", "--accept-new-disk d0"],
    );
    fs::rename(place.path("aside"), place.disk_file()).expect("a rename");
    let cut = fs::OpenOptions::new().write(true).open(place.disk_file());
    cut.expect("it is there").set_len(64 * MIB).expect("a cut");
    refused(&place, &["64MiB", "256MiB", "its end is lost"]);
    fs::write(place.disk_file(), vec![7; 4096]).expect("a write");
    refused(&place, &["no label of ours", "--force"]);
    fs::write(place.disk_file(), vec![0; 256 << 20]).expect("a write");
    tool("e2fsprogs", "mkfs.ext4", &["-q", text(&place.disk_file())]);
    refused(&place, &["ext4"]);
}

#[test]
fn a_disk_that_is_in_use() {
    let place = place();
    let server = place.start();
    // By the server of this file it may be.
    let process = format!("process {}", server.process());
    assert_says(&passes(&place), &[&process]);
    let disk = |path: &str| format!(r#""d0": {{ "path": "{path}", "seeks": false }}"#);
    let path = text(&place.disk_file()).to_owned();
    let other = TestDirectory::configured(&disk(&path), &vdisk("a", "16MiB"), NBD);
    refused(&other, &["d0.disk", "in use"]);
    let device = Loop::attach(&place.disk_file());
    other.configure_as(&disk(text(&device.device)), &vdisk("a", "16MiB"), NBD);
    refused(&other, &["loop device over", "in use"]);
    server.stop();
}

#[test]
fn a_disk_that_may_not_be_written() {
    let place = TestDirectory::configured(
        r#""d0": { "path": "fixed/d0.disk", "size": "32MiB", "seeks": false }"#,
        &vdisk("a", "16MiB"),
        NBD,
    );
    let fixed = ["-t", "tmpfs", "-o", "ro,size=40m", "disktime-test"];
    let _fixed = Mounted::new(&fixed, &place.path("state/fixed"));
    refused(&place, &["d0.disk", "Read-only file system"]);
}

#[test]
fn sockets_ports_and_directories_that_are_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it is bound");
    let with =
        |frontends: &str| TestDirectory::configured(PLAIN_DISK, &vdisk("a", "16MiB"), frontends);
    let place = with(&format!(r#""nbd": {{ "listen": ["{address}"] }}"#));
    refused(
        &place,
        &["disktime.json:4:", &address.to_string(), "in use"],
    );
    let place = with(r#""nbd": { "socket": "../no-such-folder/nbd.sock" }"#);
    refused(
        &place,
        &["disktime.json:4:", "no-such-folder", "its folder exists"],
    );
    let place = with(r#""nbd": { "socket": "../taken" }"#);
    place.write("taken", "text");
    refused(&place, &["disktime.json:4:", "not a socket"]);
    let place = with(r#""nbd": {}, "fuse": { "mount": "../full" }"#);
    fs::create_dir(place.path("full")).expect("a directory");
    place.write("full/file", "text");
    refused(&place, &["disktime.json:4:", "full"]);
    let place = with(r#""nbd": {}, "control": { "socket": "../taken" }"#);
    let _listener = std::os::unix::net::UnixListener::bind(place.path("taken")).expect("a socket");
    refused(&place, &["another server answers", "taken"]);
}

#[test]
fn a_state_directory_that_cannot_be_made() {
    let place = place();
    place.write("state", "text");
    let elsewhere = text(&place.path("d0.disk")).to_owned();
    let disk = PLAIN_DISK.replace("d0.disk", &elsewhere);
    place.configure_as(&disk, &vdisk("a", "16MiB"), NBD);
    assert_says(
        &place.fails(&["check", "--disks"]),
        &["disktime.json:1:", "state", "Not a directory"],
    );
}

#[test]
fn more_vdisks_than_a_disk_holds() {
    let vdisks: Vec<String> = (0..=10_000)
        .map(|at| vdisk(&format!("v{at}"), "4KiB"))
        .collect();
    let place = TestDirectory::configured(
        r#""d0": { "path": "d0.disk", "size": "16GiB", "seeks": false }"#,
        &vdisks.join(", "),
        NBD,
    );
    for command in ["check", "serve"] {
        let words = ["disktime.json:2:", "10001 vdisks", "holds 10000"];
        assert_says(&place.fails(&[command]), &words);
    }
}

#[test]
fn paths_that_are_too_long_for_a_socket() {
    let long = "s".repeat(120);
    for (section, frontends) in [
        ("nbd", format!(r#""nbd": {{ "socket": "{long}" }}"#)),
        (
            "control",
            format!(r#""nbd": {{}}, "control": {{ "socket": "{long}" }}"#),
        ),
    ] {
        let place = TestDirectory::configured(PLAIN_DISK, &vdisk("a", "16MiB"), &frontends);
        let before = place.contents();
        for command in ["check", "serve"] {
            let place_of_it = ["disktime.json:4:", "107 bytes", &format!("\"{section}\"")];
            assert_says(&place.fails(&[command]), &place_of_it);
        }
        assert_eq!(place.contents(), before, "something was changed");
    }
}

#[test]
fn a_path_that_works_in_its_directory_only_is_given_out_as_it_is() {
    let place = place();
    let deep = place.path(&"d".repeat(100));
    fs::create_dir(&deep).expect("a directory");
    fs::rename(place.file(), deep.join("disktime.json")).expect("a rename");
    let run = |arguments: &[&str]| -> Command {
        let mut command = place.command(arguments);
        command.current_dir(&deep);
        command
    };
    let notice = ["state/nbd.sock", "from this directory only", "107"];
    assert_says(&exits_with(run(&["check"]), 0), &notice);
    let connects = "test -S \"$unixsocket\" && qemu-img info \"$uri\"";
    assert_says(&exits_with(run(&["serve", "--run", connects]), 0), &notice);
}
