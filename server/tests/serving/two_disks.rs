//! A history whose log lies on another disk than the vdisk: one thread serves both disks; the wrong
//! disk of a log is refused by `check --disks` and by a start with the same words, and nothing is
//! changed; one that fails while it is served costs that vdisk alone.

use crate::clones::{blocks, until_unused};
use crate::history::{refused as refused_command, run};
use crate::known_disks::until_status_says;
use crate::server::Server;
use crate::test_directory::{MIB, TestDirectory, assert_says};
use disktime_engine::RequestKind;
use serde_json::Value;
use std::fs;

const EIO: u32 = 5;
const DISKS: &str = r#""hdd0": { "path": "../hdd0.disk", "size": "160MiB", "seeks": false },
    "ssd0": { "path": "../ssd0.disk", "size": "160MiB", "seeks": false },
    "ssd1": { "path": "../ssd1.disk", "size": "160MiB", "seeks": false }"#;
const NBD: &str = r#""nbd": {}, "fuse": {}"#;

/// `log`: where the log of `db` lies, as a key of its history.
fn vdisks(log: &str) -> String {
    format!(
        r#""db": {{ "disk": "hdd0", "size": "4MiB",
            "history": {{ "window": "1h", "max": "64MiB" {log} }} }},
        "web": {{ "disk": "hdd0", "size": "4MiB" }}, "mail": {{ "disk": "ssd0", "size": "4MiB" }},
        "far": {{ "disk": "ssd1", "size": "4MiB" }}"#
    )
}

const ON_SSD0: &str = r#", "disk": "ssd0""#;

fn place() -> TestDirectory {
    TestDirectory::configured(DISKS, &vdisks(ON_SSD0), NBD)
}

/// A place that was served, with the newest data of `db` in its log.
fn served() -> TestDirectory {
    let place = place();
    let server = place.start();
    server.says(&["ssd0: vdisk `db` gets a history, with 64MiB for its log"]);
    server.client("db").write(0, &[7; 8192]);
    server.stop();
    place
}

#[track_caller]
fn refused(place: &TestDirectory, fragments: &[&str]) {
    place.succeeds(&["check"]);
    let before = place.contents();
    assert_says(&place.fails(&["check", "--disks"]), fragments);
    assert_says(&place.fails(&["serve"]), fragments);
    assert_eq!(place.contents(), before, "something was changed");
}

/// The names of the threads that serve disks.
fn disk_threads(server: &Server) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", server.process())).expect("its threads");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    let mut names: Vec<String> = names
        .map(|name| name.trim().to_owned())
        .filter(|name| name.starts_with("disk "))
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn one_thread_serves_both_disks() {
    let place = place();
    let said = place.succeeds(&["check"]);
    assert_says(
        &said,
        &["One thread serves hdd0 and ssd0: the history of db joins them."],
    );
    let checked: Value = serde_json::from_str(&place.succeeds(&["check", "--json"])).expect("JSON");
    let threads = serde_json::json!([["hdd0", "ssd0"], ["ssd1"]]);
    assert_eq!(checked["threads"], threads);
    let works = |disk: &str| {
        let works = checked["disks"][disk]["background"].as_object();
        let names = works.expect("its background work").keys();
        names.filter(|name| name.contains('/')).cloned().collect()
    };
    let (image, log): (Vec<String>, Vec<String>) = (works("hdd0"), works("ssd0"));
    assert_eq!(
        (image, log),
        (
            vec!["db/fold".into()],
            vec!["db/fold".into(), "db/log".into()]
        )
    );

    let server = place.start();
    assert_eq!(disk_threads(&server), ["disk hdd0+ssd0", "disk ssd1"]);
    for (vdisk, byte) in [("db", 1), ("web", 2), ("mail", 3), ("far", 4)] {
        server.client(vdisk).write(MIB, &[byte; 4096]);
        // The directory of files is a port of one of the threads, whatever disk a file is on.
        let file = fs::read(server.file(vdisk)).expect("a file");
        assert_eq!(file[MIB as usize..][..4096], [byte; 4096], "{vdisk}");
    }
    let status = place.status();
    let requests = |disk: &str, work: &str| {
        let of_disk = &status.background[disk];
        of_disk.get(work).map(|stream| stream.service_time_us.count)
    };
    assert_eq!(requests("hdd0", "db/log"), None);
    assert!(requests("ssd0", "db/log").is_some_and(|count| count > 0));
    server.stop();
    let server = place.start();
    for (vdisk, byte) in [("db", 1), ("web", 2), ("mail", 3), ("far", 4)] {
        assert_eq!(
            server.client(vdisk).read(MIB, 4096),
            [byte; 4096],
            "{vdisk}"
        );
    }
    server.stop();
}

#[test]
fn the_wrong_disk_of_a_log() {
    let place = served();
    let (log, aside) = (place.path("ssd0.disk"), place.path("aside"));
    // Gone, and blank.
    fs::rename(&log, &aside).expect("a rename");
    let is_gone = [
        "`ssd0`",
        "blank or missing",
        "`mail` and with the log of `db`",
    ];
    refused(&place, &is_gone);
    fs::write(&log, vec![0; 160 << 20]).expect("a write");
    refused(&place, &is_gone);
    // A user who accepts a new disk does not get the vdisk without its newest data.
    let accepted = place.fails(&["serve", "--accept-new-disk", "ssd0"]);
    assert_says(
        &accepted,
        &[
            "the log of vdisk `db`",
            "was on disk `ssd0`, which does not hold it",
            "bring the disk back",
        ],
    );
    // Another one of ours.
    fs::copy(place.path("ssd1.disk"), &log).expect("a copy");
    refused(&place, &["`ssd0`", "the same uuid"]);
    fs::rename(&aside, &log).expect("a rename");

    // The file has it elsewhere.
    for elsewhere in ["", r#", "disk": "ssd1""#] {
        place.configure_as(DISKS, &vdisks(elsewhere), NBD);
        refused(
            &place,
            &[
                "the log of vdisk `db`",
                "lies on disk `ssd0`",
                r#""disk": "ssd0""#,
            ],
        );
    }
    place.configure_as(DISKS, &vdisks(ON_SSD0), NBD);
    let server = place.start();
    assert_eq!(server.client("db").read(0, 8192), [7; 8192]);
    server.stop();
    // Without the memory of the state directory the labels say it.
    fs::remove_dir_all(place.path("state")).expect("it is there");
    fs::create_dir(place.path("state")).expect("a directory");
    fs::rename(&log, &aside).expect("a rename");
    let told = [
        "vdisk `db`",
        "which is blank",
        "bring the disk of its log back",
    ];
    assert_says(&place.fails(&["check", "--disks"]), &told);
    assert_says(&place.fails(&["serve"]), &told);
    assert!(!log.exists(), "what was made is removed again");
}

#[test]
fn a_log_disk_that_fails_costs_its_vdisk_alone() {
    let place = served();
    let server = place.start();
    let mut db = server.client("db");
    db.write(0, &[8; 4096]);
    // All of it but the label.
    let file = fs::OpenOptions::new()
        .write(true)
        .open(place.path("ssd0.disk"));
    file.expect("it is there").set_len(MIB).expect("a cut");
    assert_eq!(db.ask(RequestKind::Write, 0, 4096, &[9; 4096]).0, EIO);
    assert_eq!(db.ask(RequestKind::Flush, 0, 0, &[]).0, EIO);
    for vdisk in ["web", "far"] {
        let mut client = server.client(vdisk);
        client.write(0, &[5; 4096]);
        client.flush();
        assert_eq!(client.read(0, 4096), [5; 4096]);
    }
    server.says(&["a write or a flush of its history failed"]);
    until_status_says(
        &place,
        "hdd0",
        "history of vdisk `db`, which lies on another disk, failed",
    );
    until_status_says(&place, "ssd0", "was cut from 160MiB to 1MiB");
    drop(db);
    server.kill();
}

#[test]
fn a_vdisk_is_freed_with_its_log() {
    let place = served();
    let without = r#""web": { "disk": "hdd0", "size": "4MiB" }"#;
    place.configure_as(DISKS, without, NBD);
    let said = place.succeeds(&["remove", "db", "--yes"]);
    assert_says(
        &said,
        &[
            "ssd0: the log of vdisk `db` is freed",
            "hdd0: vdisk `db` is freed",
        ],
    );
    // Only where the first one was freed a larger one has space.
    let larger = vdisks(ON_SSD0).replace("64MiB", "96MiB");
    place.configure_as(DISKS, &larger, NBD);
    let server = place.start();
    server.says(&[
        "hdd0: new, and empty: vdisk `db`",
        "vdisk `db` gets a history",
    ]);
    assert_eq!(server.client("db").read(0, 4096), [0; 4096]);
    server.stop();
    let kept = place.fails(&["format", "--disk", "ssd0", "--force"]);
    assert_says(
        &kept,
        &["the log of a vdisk on another disk, with its newest data (96MiB)"],
    );
}

/// A crash between the log and the vdisk can leave a log that the vdisk's disk does not know.
#[test]
fn a_log_that_no_vdisk_knows_is_freed_and_a_broken_disk_is_in_the_way_of_none() {
    let place = place();
    let (web, db) = (
        r#""web": { "disk": "hdd0", "size": "4MiB" }"#,
        r#""db": { "disk": "hdd0", "size": "4MiB" }"#,
    );
    place.configure_as(DISKS, &format!("{web}, {db}"), NBD);
    place.start().stop();
    let image = fs::read(place.path("hdd0.disk")).expect("the disk");
    place.configure_as(DISKS, &vdisks(ON_SSD0), NBD);
    place.start().stop();
    fs::write(place.path("hdd0.disk"), &image).expect("a write");
    place.configure_as(DISKS, web, NBD);
    let said = place.succeeds(&["remove", "db", "--yes"]);
    let both = ["ssd0: the log of vdisk `db` is freed", "`db` is freed"];
    assert_says(&said, &both);

    // A vdisk without a log needs no other disk; one with a log does.
    let remove = ["remove", "db", "--disk", "hdd0", "--yes"];
    let log = place.path("ssd0.disk");
    fs::write(place.path("hdd0.disk"), &image).expect("a write");
    let freed = fs::read(&log).expect("the disk");
    fs::write(&log, b"no disk").expect("a write");
    assert_says(&place.succeeds(&remove), &["`db` is freed"]);
    fs::write(&log, freed).expect("a write");
    place.configure_as(DISKS, &vdisks(ON_SSD0), NBD);
    place.start().stop();
    fs::write(&log, b"no disk").expect("a write");
    place.configure_as(DISKS, web, NBD);
    assert_says(&place.fails(&remove), &["`ssd0`"]);
}

/// A clone lies on both disks, and gets its share of both.
#[test]
fn a_clone_of_a_vdisk_whose_log_lies_on_another_disk() {
    let place = place();
    let mut server = place.start();
    let mut db = server.client("db");
    db.write(0, &[1; 16 << 10]);
    run(&place, &["mark", "db", "golden"]);
    db.write(0, &[2; 4096]);
    let clone = |name: &'static str, share: &'static str| {
        let terms = ["--reserve", share, "--period", "250ms", "--max", "64MiB"];
        [&["clone", "db@golden", name][..], &terms].concat()
    };
    let said = run(&place, &clone("test", "10%"));
    let entitlement = "10 % of hdd0 and of ssd0 in every 250ms";
    assert_says(&said, &["test: clone of db at seq:", entitlement, "64MiB"]);
    assert_says(&run(&place, &["history", "test"]), &["test: keeps all"]);
    // The log and the folds of `db` take more of the one disk than of the other.
    let said = refused_command(&place, &clone("more", "75%"));
    assert_says(&said, &["`more` is not admitted", "ssd0"]);
    server.kill();

    server = place.start();
    let test = server.vdisks.iter().find(|vdisk| vdisk.name == "test");
    let description = &test.expect("it is announced").description;
    assert_says(description, &[entitlement, "clone of db@seq:"]);
    let mut test = server.client("test");
    assert_eq!(blocks(&test.read(0, 16 << 10)), [1; 4]);
    test.write(4096, &[3; 4096]);
    test.flush();
    let status = place.status();
    let of_log = &status.background["ssd0"]["test/log"];
    assert!(of_log.service_time_us.count > 0);
    for account in [&of_log.account, &status.vdisks["test"].stream.account] {
        assert!((account.entitlement.reserved_share - 0.1).abs() < 1e-9);
    }
    drop((db, test));
    server.stop();

    let listed = place.succeeds(&["list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).expect("it is JSON");
    let db = &listed["disks"]["hdd0"]["vdisks"]["db"];
    assert_eq!(db["history_disk"], "ssd0", "{listed:#}");
    assert_eq!(db["history_bytes"], 64 << 20, "{listed:#}");
    assert_says(&place.succeeds(&["list"]), &["64MiB on ssd0"]);

    // What the clone begins with is not freed, neither on the one disk nor on the other.
    let without = r#""web": { "disk": "hdd0", "size": "4MiB" }"#;
    place.configure_as(DISKS, without, NBD);
    let before = place.contents();
    let said = place.fails(&["remove", "db", "--yes"]);
    assert_says(&said, &["ssd0", "1 clones begin with moments of it"]);
    assert_eq!(place.contents(), before, "something was changed");
    // Nor is the history switched off.
    let off = r#""db": { "disk": "hdd0", "size": "4MiB", "history": "off" }"#;
    place.configure_as(DISKS, off, NBD);
    let words = [
        "vdisk `db`",
        "cannot be switched off",
        "the clones test begin",
    ];
    refused(&place, &words);
    place.configure_as(DISKS, &vdisks(ON_SSD0), NBD);

    let server = place.start();
    let mut test = server.client("test");
    assert_eq!(blocks(&test.read(0, 16 << 10)), [1, 3, 1, 1]);
    drop(test);
    until_unused(&place, "test");
    run(&place, &["drop", "test"]);
    let status = place.status();
    assert!(!status.vdisks.contains_key("test"));
    assert!(!status.background["ssd0"].contains_key("test/log"));
    server.stop();
}

/// The file does not say where its log lies: the state directory does.
#[test]
fn a_history_that_is_switched_off_leaves_the_other_disk() {
    let place = served();
    let on = r#"{ "window": "1h", "max": "64MiB" , "disk": "ssd0" }"#;
    let with = |history: &str| {
        let vdisks = vdisks(ON_SSD0);
        assert!(vdisks.contains(on), "{vdisks}");
        place.configure_as(DISKS, &vdisks.replace(on, history), NBD);
    };
    with("\"off\"");
    let said = place.succeeds(&["check", "--disks", "--json"]);
    assert_says(
        &said,
        &["hdd0: the history of vdisk `db` will be switched off"],
    );
    let server = place.start();
    server.says(&["vdisk `db`", "its history is switched off"]);
    assert_eq!(disk_threads(&server), ["disk hdd0+ssd0", "disk ssd1"]);
    let mut db = server.client("db");
    assert_eq!(db.read(0, 8192), [7; 8192]);
    db.write(0, &[8; 4096]);
    db.flush();
    let status = place.status();
    assert!(!status.background["ssd0"].contains_key("db/log"));
    drop(db);
    server.stop();

    // Nothing joins the disks any more.
    let server = place.start();
    assert_eq!(
        disk_threads(&server),
        ["disk hdd0", "disk ssd0", "disk ssd1"]
    );
    let read = server.client("db").read(0, 8192);
    assert!(read[..4096] == [8; 4096] && read[4096..] == [7; 4096]);
    server.stop();
    // All of it is free: a larger one has space on a disk of 160 MiB.
    with(&on.replace("64MiB", "128MiB"));
    let server = place.start();
    server.says(&["ssd0: vdisk `db` gets a history, with 128MiB for its log"]);
    server.stop();

    // Another state directory does not know where the log lies.
    fs::remove_dir_all(place.path("state")).expect("it is there");
    fs::create_dir(place.path("state")).expect("a directory");
    with("\"off\"");
    let told = [
        "no disk of the file is known to be that one",
        "`history` back",
    ];
    assert_says(&place.fails(&["check", "--disks"]), &told);
    assert_says(&place.fails(&["serve"]), &told);
}
