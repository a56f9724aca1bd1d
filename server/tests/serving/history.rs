//! A vdisk with a history, by the commands that a person uses: marks, reverts, what is refused.

use crate::nbd::Client;
use crate::programs::{tool_output, wait_until};
use crate::server::Server;
use crate::test_directory::{MIB, TestDirectory, assert_says};
use disktime_engine::RequestKind;
use disktime_nbd_client::NbdClient;
use disktime_nbd_protocol::NbdUri;
use serde_json::Value;

pub(crate) const DB: &str = r#""size": "4MiB", "history": { "window": "1h", "max": "64MiB" }"#;

fn place() -> TestDirectory {
    let disks = r#""d": { "path": "d.disk", "size": "160MiB", "seeks": false }"#;
    let vdisks =
        format!(r#""db": {{ "disk": "d", {DB} }}, "plain": {{ "disk": "d", "size": "4MiB" }}"#);
    TestDirectory::configured(disks, &vdisks, r#""nbd": {}"#)
}

pub(crate) fn run(place: &TestDirectory, arguments: &[&str]) -> String {
    let file = place.file();
    let file = file.to_str().expect("a path of text");
    let mut all = arguments.to_vec();
    all.extend(["--config", file]);
    let output = place.bare(&all).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    String::from_utf8(output.stdout).expect("text")
}

pub(crate) fn refused(place: &TestDirectory, arguments: &[&str]) -> String {
    let control = place.control();
    let control = control.to_str().expect("a path of text");
    let mut all = arguments.to_vec();
    all.extend(["--control", control]);
    let output = place.bare(&all).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn json(place: &TestDirectory, arguments: &[&str]) -> Value {
    let mut all = arguments.to_vec();
    all.push("--json");
    serde_json::from_str(&run(place, &all)).expect("JSON")
}

/// The first MiB is all of this byte.
fn assert_holds(server: &Server, byte: u8) {
    let read = server.client("db").read(0, MIB as u32);
    assert!(read.iter().all(|found| *found == byte), "{byte}");
}

#[test]
fn a_vdisk_goes_back_and_forth_and_remembers_it_over_kill_9() {
    let place = place();
    let server = place.start();
    server.says(&["vdisk `db` gets a history, with 64MiB for its log"]);
    let mut client = server.client("db");
    client.write(0, &vec![1; MIB as usize]);
    let marked = json(&place, &["mark", "db", "first"]);
    client.write(0, &vec![2; MIB as usize]);
    client.flush();
    let used = refused(&place, &["revert", "db", "--to", "first"]);
    assert_says(
        &used,
        &[
            "`db` is in use",
            "NBD client of the unix socket",
            "--disconnect",
        ],
    );
    drop(client);
    until_unused(&place);
    assert_says(
        &run(&place, &["revert", "db", "--to", "first"]),
        &["undo-revert db"],
    );
    assert_holds(&server, 1);
    until_unused(&place);
    run(&place, &["undo-revert", "db"]);
    assert_holds(&server, 2);
    until_unused(&place);
    let seq = format!("--to=seq:{}", marked["seq"]);
    json(&place, &["revert", "db", &seq]);
    server.kill();

    let server = place.start();
    assert_holds(&server, 1);
    let history = json(&place, &["history", "db"]);
    assert_eq!(history["marks"][0]["name"], "first");
    assert_eq!(history["marks"][0]["seq"], marked["seq"]);
    assert_eq!(history["branches"].as_array().map(Vec::len), Some(4));
    until_unused(&place);
    run(&place, &["undo-revert", "db"]);
    assert_holds(&server, 2);
    server.stop();
    let server = place.start();
    assert_holds(&server, 2);
    server.stop();
}

pub(crate) fn until_unused(place: &TestDirectory) {
    let in_use = || place.status().vdisks["db"].clients > 0;
    while in_use() {
        std::thread::yield_now();
    }
}

/// A mark keeps its moment, whatever `when_full` says: a log that it fills takes writes again once
/// it is dropped.
#[test]
fn a_mark_and_a_branch_are_given_up() {
    let place = place();
    let server = place.start();
    let mut client = server.client("db");
    client.write(0, &vec![1; MIB as usize]);
    run(&place, &["mark", "db", "first"]);
    client.write(0, &vec![2; MIB as usize]);
    drop(client);
    until_unused(&place);
    run(&place, &["revert", "db", "--to", "first"]);
    let branches = json(&place, &["history", "db"])["branches"].clone();
    let left = branches[0]["id"].to_string();
    assert_says(
        &refused(&place, &["drop", "db", "--branch", "77"]),
        &["no such branch"],
    );
    assert_says(
        &run(&place, &["drop", "db", "--branch", &left]),
        &[&format!("the branch {left} is dropped")],
    );
    assert_says(&refused(&place, &["undo-revert", "db"]), &["`db`"]);
    assert_says(
        &refused(&place, &["drop", "db@other"]),
        &["no mark of that name", "first"],
    );
    assert_says(&refused(&place, &["drop", "db"]), &["db@MARK", "--branch"]);
    run(&place, &["drop", "db@first"]);
    let history = json(&place, &["history", "db"]);
    assert_eq!(history["marks"].as_array().map(Vec::len), Some(0));
    assert_holds(&server, 1);
    server.stop();
}

#[test]
fn what_is_not_there_is_refused_by_a_sentence() {
    let place = place();
    let server = place.start();
    let said = refused(&place, &["mark", "plain", "a"]);
    assert_says(
        &said,
        &["the vdisk has no history", "`history` in the file"],
    );
    let said = refused(&place, &["history", "none"]);
    assert_says(&said, &["no vdisk `none`; there are `db`, `plain`"]);
    let said = refused(&place, &["revert", "db", "--to", "-0x"]);
    assert_says(&said, &["is not a moment", "-5m"]);
    let said = refused(&place, &["revert", "db", "--to", "seq:77"]);
    assert_says(&said, &["outside the window", "from seq:0 (20", "to seq:"]);
    let said = refused(&place, &["mark", "db,plain", "a"]);
    assert_says(&said, &["the vdisk has no history"]);
    let said = refused(&place, &["mark", "db,db", "a"]);
    assert_says(&said, &["named twice"]);
    let said = refused(&place, &["mark", "db", "-5m"]);
    assert_says(&said, &["`-5m` cannot name a mark", "any other form"]);
    let said = refused(&place, &["accept-loss", "db"]);
    assert_says(&said, &["nothing", "no loss to accept"]);
    let said = refused(&place, &["undo-revert", "db"]);
    assert_says(&said, &["no revert to undo"]);
    server.stop();
    // A server without the history would serve old data.
    let disks = r#""d": { "path": "d.disk", "size": "160MiB", "seeks": false }"#;
    let vdisks = r#""db": { "disk": "d", "size": "4MiB" }"#;
    place.configure_as(disks, vdisks, r#""nbd": {}"#);
    let said = place.fails(&["serve"]);
    assert_says(
        &said,
        &["the history of vdisk `db`", "give it its `history` back"],
    );
}

fn at(server: &Server, export: &str) -> NbdUri {
    NbdUri {
        export: export.to_owned(),
        ..server.uri("db")
    }
}

#[test]
fn past_moments_are_exports_that_can_only_be_read() {
    let place = place();
    let server = place.start();
    let mut client = server.client("db");
    client.write(0, &vec![1; MIB as usize]);
    let marked = json(&place, &["mark", "db", "first"]);
    client.write(0, &vec![2; MIB as usize]);
    client.flush();
    let seq = &marked["seq"];
    let names = [
        "db@first".to_owned(),
        format!("db@seq:{seq}"),
        format!("db@#{seq}"),
    ];
    let mut open = Vec::new();
    for (name, byte) in names.iter().map(|name| (name, 1)) {
        let mut past = Client::connect(&at(&server, name));
        assert!(
            past.read(0, MIB as u32).iter().all(|found| *found == byte),
            "{name}"
        );
        assert_eq!(past.size_bytes(), 4 * MIB);
        open.push(past);
    }
    let mut now = Client::connect(&at(&server, "db@-0s"));
    assert!(now.read(0, MIB as u32).iter().all(|found| *found == 2));
    // A moment stays what it is, and no client can write it.
    client.write(0, &vec![3; MIB as usize]);
    assert!(open[0].read(0, 4096).iter().all(|found| *found == 1));
    assert!(now.read(0, 4096).iter().all(|found| *found == 2));
    let (error, _) = open[0].ask(RequestKind::Write, 0, 4096, &[9; 4096]);
    assert_eq!(error, libc::EPERM as u32);

    // Open moments hold the floor, and do not keep the vdisk from being reverted.
    let history = json(&place, &["history", "db"]);
    assert_says(&history["holders"].to_string(), &["which is open"]);
    drop(client);
    until_unused(&place);
    run(&place, &["revert", "db", "--to", "first"]);
    drop((open, now));
    let is_held = || {
        let history = json(&place, &["history", "db"]);
        history["holders"].to_string().contains("is open")
    };
    while is_held() {
        std::thread::yield_now();
    }

    for (name, words) in [
        ("db@second", "the marks are first"),
        ("db@seq:999999", "outside the window"),
        ("db@-0x", "is not a moment"),
        ("plain@first", "the vdisk has no history"),
        ("none@first", "no export"),
    ] {
        let error = NbdClient::connect(&at(&server, name)).map(drop);
        let error = error.expect_err("it is refused").to_string();
        assert!(error.contains(words), "{name}: {error}");
    }
    let uri = at(&server, "").to_string();
    let listed = tool_output("libnbd-bin", "nbdinfo", &["--list", &uri]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert_says(&listed, &["export=\"db@first\"", "export=\"plain\""]);
    server.stop();
}

/// What is older than the window is kept by two marks: the first one frees what only it keeps.
#[test]
fn history_says_what_each_mark_keeps_of_the_log() {
    let disks = r#""d": { "path": "d.disk", "size": "160MiB", "seeks": false }"#;
    let db =
        r#""db": { "disk": "d", "size": "4MiB", "history": { "window": "1s", "max": "64MiB" } }"#;
    let place = TestDirectory::configured(disks, db, r#""nbd": {}"#);
    let server = place.start();
    let mut client = server.client("db");
    for (byte, mark) in [(1, "first"), (2, "second"), (3, "third")] {
        run(&place, &["mark", "db", mark]);
        for _ in 0..4 {
            client.write(0, &vec![byte; MIB as usize]);
        }
    }
    run(&place, &["drop", "db@third"]);
    let held = |history: &Value| history["held_bytes"].as_u64().expect("bytes");
    let mut history = Value::Null;
    wait_until("the window has passed", || {
        history = json(&place, &["history", "db"]);
        held(&history) > 8 * MIB
    });
    let bytes = |at: usize, key: &str| history["holders"][at][key].as_u64().expect("bytes");
    let all = held(&history);
    let [first, second] = [0, 1].map(|at| bytes(at, "alone_bytes"));
    // Segments that are sealed early are counted as a whole.
    assert!((3 * MIB..all).contains(&first), "{history}");
    assert_eq!(second, 0);
    assert_eq!(history["held_together_bytes"], all - first);
    assert_eq!(
        [bytes(0, "held_bytes"), bytes(1, "held_bytes")],
        [all, all - first]
    );
    assert_eq!(
        [bytes(0, "with_older_bytes"), bytes(1, "with_older_bytes")],
        [first, all]
    );
    let said = run(&place, &["history", "db"]);
    assert_says(
        &said,
        &[
            "by several together",
            "by the mark first",
            "dropping it frees",
        ],
    );
    server.stop();
}
