//! Clones of moments, by the commands that a person uses: served at once by both frontends, over
//! restarts and kill -9 too, until they are dropped; what is refused, and by which sentence.

use crate::check_disks::passes;
use crate::history::{DB, json, refused, run};
use crate::nbd::Client;
use crate::programs::wait_until;
use crate::server::Server;
use crate::test_directory::{MIB, TestDirectory, assert_says};
use disktime_nbd_client::NbdClient;
use disktime_nbd_protocol::NbdUri;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

pub(crate) const DISK: &str = r#""d": { "path": "d.disk", "size": "480MiB", "seeks": false }"#;

pub(crate) fn place_with(frontends: &str) -> TestDirectory {
    let db = format!(r#""db": {{ "disk": "d", "reserve": "40%", "period": "250ms", {DB} }}"#);
    let vdisks = format!(r#"{db}, "plain": {{ "disk": "d", "size": "4MiB" }}"#);
    TestDirectory::configured(DISK, &vdisks, frontends)
}

pub(crate) fn place() -> TestDirectory {
    place_with(r#""nbd": {}"#)
}

fn uri(server: &Server, export: &str) -> NbdUri {
    NbdUri {
        export: export.to_owned(),
        ..server.uri("db")
    }
}

pub(crate) fn client(server: &Server, export: &str) -> Client {
    Client::connect(&uri(server, export))
}

pub(crate) fn refuses(server: &Server, export: &str) -> bool {
    NbdClient::connect(&uri(server, export)).is_err()
}

pub(crate) fn until_unused(place: &TestDirectory, vdisk: &str) {
    wait_until("no client uses it", || {
        place.status().vdisks[vdisk].clients == 0
    });
}

/// The bytes of the first blocks of 4 KiB; each has to be of one byte.
pub(crate) fn blocks(read: &[u8]) -> Vec<u8> {
    let blocks = read.chunks(4096);
    let of_one = |block: &[u8]| {
        assert!(block.iter().all(|byte| *byte == block[0]));
        block[0]
    };
    blocks.map(of_one).collect()
}

#[test]
fn a_clone_is_a_vdisk_until_it_is_dropped() {
    let place = place();
    let server = place.start();
    let mut db = server.client("db");
    db.write(0, &[1; 16 << 10]);
    run(&place, &["mark", "db", "golden"]);
    db.write(0, &[2; 16 << 10]);
    let arguments = ["clone", "db@golden", "test", "--reserve", "10%"];
    let said = run(
        &place,
        &[&arguments[..], &["--period", "250ms", "--max", "64MiB"]].concat(),
    );
    assert_says(
        &said,
        &[
            "test: clone of db at seq:",
            "10 % of d in every 250ms",
            "64MiB",
            "nbd+unix:///test?",
        ],
    );
    let mut test = client(&server, "test");
    assert_eq!(blocks(&test.read(0, 16 << 10)), [1; 4]);
    assert_eq!(test.size_bytes(), 4 * MIB);
    test.write(4096, &[3; 4096]);
    test.flush();
    db.write(8192, &[4; 4096]);
    assert_eq!(blocks(&test.read(0, 16 << 10)), [1, 3, 1, 1]);
    assert_eq!(blocks(&db.read(0, 16 << 10)), [2, 2, 4, 2]);

    let status = place.status();
    let vdisk = &status.vdisks["test"];
    assert_eq!(vdisk.clients, 1);
    let moment = vdisk.clone_of.clone().expect("it is marked so");
    assert!(moment.starts_with("db@seq:"), "{moment}");
    assert!((vdisk.stream.account.entitlement.reserved_share - 0.1).abs() < 1e-9);
    assert_eq!(status.vdisks["db"].clone_of, None);
    let said = place.succeeds(&["status"]);
    assert_says(&said, &[&format!("test is a clone of {moment}")]);
    let holders = json(&place, &["history", "db"])["holders"].to_string();
    assert_says(&holders, &["the clone test"]);

    // It has a history of its own, and clones.
    run(&place, &["mark", "test", "mine"]);
    test.write(0, &[5; 4096]);
    run(&place, &["clone", "test@mine", "grand"]);
    let mut grand = client(&server, "grand");
    assert_eq!(blocks(&grand.read(0, 16 << 10)), [1, 3, 1, 1]);
    let mut mine = client(&server, "test@mine");
    assert_eq!(blocks(&mine.read(0, 16 << 10)), [1, 3, 1, 1]);
    drop((db, test, grand, mine));
    server.stop();

    let server = place.start();
    let test = server.vdisks.iter().find(|vdisk| vdisk.name == "test");
    let description = &test.expect("it is announced").description;
    assert_says(
        description,
        &["10 % of d in every 250ms", "clone of db@seq:"],
    );
    let mut test = server.client("test");
    assert_eq!(blocks(&test.read(0, 16 << 10)), [5, 3, 1, 1]);
    let mut grand = server.client("grand");
    assert_eq!(blocks(&grand.read(0, 16 << 10)), [1, 3, 1, 1]);

    let said = refused(&place, &["drop", "test"]);
    assert_says(&said, &["the clone `grand` begins with a moment of it"]);
    let said = refused(&place, &["drop", "grand"]);
    assert_says(
        &said,
        &[
            "`grand` is in use",
            "NBD client of the unix socket",
            "--disconnect",
        ],
    );
    let said = run(&place, &["drop", "grand", "--disconnect"]);
    assert_says(&said, &["grand: the clone is dropped", "1 client"]);
    assert!(refuses(&server, "grand"));
    drop((test, grand));
    until_unused(&place, "test");
    let mine = client(&server, "test@mine");
    let said = refused(&place, &["drop", "test"]);
    assert_says(&said, &["1 of its moments are being read", "--disconnect"]);
    run(&place, &["drop", "test", "--disconnect"]);
    drop(mine);
    assert!(!place.status().vdisks.contains_key("test"));
    server.stop();
    let server = place.start();
    assert!(refuses(&server, "test"));
    run(&place, &["drop", "db@golden"]);
    server.stop();
}

/// What was answered outlives a kill -9 at once, and so does what was flushed.
#[test]
fn clones_and_drops_outlive_kill_9() {
    let place = place();
    let mut server = place.start();
    server.client("db").write(0, &[1; 4096]);
    run(&place, &["mark", "db", "golden"]);
    for round in 0..3 {
        run(&place, &["clone", "db@golden", "test", "--max", "64MiB"]);
        server.kill();
        server = place.start();
        let mut test = server.client("test");
        assert_eq!(blocks(&test.read(0, 8192)), [1, 0], "round {round}");
        test.write(4096, &[7; 4096]);
        test.flush();
        server.kill();
        server = place.start();
        let mut test = server.client("test");
        assert_eq!(blocks(&test.read(0, 8192)), [1, 7], "round {round}");
        drop(test);
        until_unused(&place, "test");
        run(&place, &["drop", "test"]);
        server.kill();
        server = place.start();
        assert!(refuses(&server, "test"), "round {round}");
    }
    server.stop();
}

#[test]
fn a_clone_is_a_file_as_long_as_it_is_there() {
    let place = place_with(r#""nbd": {}, "fuse": {}"#);
    let server = place.start();
    let db = server.file("db");
    let directory = db.parent().expect("a directory").to_owned();
    let names = || {
        let entries = std::fs::read_dir(&directory).expect("it can be listed");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<PathBuf> = names.map(PathBuf::from).collect();
        names.sort();
        names
    };
    let db = OpenOptions::new().read(true).write(true).open(db);
    let db = db.expect("it is there");
    db.write_all_at(&[1; 8192], 0).expect("written");
    run(&place, &["mark", "db", "golden"]);
    let path = directory.join("test");
    for round in 0..3 {
        let error = File::open(&path).expect_err("it is not there");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let made = json(&place, &["clone", "db@golden", "test", "--max", "64MiB"]);
        assert_eq!(made["file"].as_str().map(PathBuf::from), Some(path.clone()));
        let open = OpenOptions::new().read(true).write(true).open(&path);
        let test = open.expect("it is there");
        assert_eq!(names().len(), 3, "round {round}");
        assert_eq!(test.metadata().expect("it has some").len(), 4 * MIB);
        test.write_all_at(&[2; 4096], 4096).expect("written");
        let mut read = [0; 8192];
        test.read_exact_at(&mut read, 0).expect("readable");
        assert_eq!(blocks(&read), [1, 2]);
        assert_eq!(blocks(&client(&server, "test").read(0, 8192)), [1, 2]);
        until_unused_but_files(&place, "test");
        let said = refused(&place, &["drop", "test"]);
        assert_says(&said, &["`test` is in use: 1 open file (FUSE)"]);
        run(&place, &["drop", "test", "--disconnect"]);
        // Its name is gone for the kernel, too, and who still has it open gets errors.
        assert_eq!(names().len(), 2);
        let failed = test.read_at(&mut read, 0).expect_err("it is gone");
        let errors = [Some(libc::ESTALE), Some(libc::EIO)];
        assert!(errors.contains(&failed.raw_os_error()), "{failed}");
    }
    drop(db);
    server.stop();
}

fn until_unused_but_files(place: &TestDirectory, vdisk: &str) {
    wait_until("no NBD client uses it", || {
        place.status().vdisks[vdisk].clients <= 1
    });
}

#[test]
fn what_is_refused_is_refused_by_a_sentence_and_changes_nothing() {
    let place = place();
    let server = place.start();
    server.client("db").write(0, &[1; 4096]);
    run(&place, &["mark", "db", "golden"]);
    let before = json(&place, &["history", "db"]);
    let reserved = ["--reserve", "60%", "--period", "250ms"];
    for (arguments, words) in [
        (
            vec!["clone", "db@golden", "db"],
            "there is a vdisk `db`; give",
        ),
        (
            vec!["clone", "db@golden", "plain"],
            "there is a vdisk `plain`",
        ),
        (
            vec!["clone", "db@golden", "a/b"],
            "the name `a/b` contains `/`",
        ),
        (vec!["clone", "db@golden", ".."], "`..` cannot be a name"),
        (vec!["clone", "db", "x"], "Give `db@MOMENT`"),
        (vec!["clone", "db@-0x", "x"], "is not a moment"),
        (vec!["clone", "db@silver", "x"], "the marks are golden"),
        (
            vec!["clone", "db@seq:99", "x"],
            "the window goes from seq:0",
        ),
        (vec!["clone", "plain@golden", "x"], "`plain` has no history"),
        (
            vec!["clone", "none@golden", "x"],
            "there is no vdisk `none`",
        ),
        (
            [&["clone", "db@golden", "x"][..], &reserved].concat(),
            "`x` is not admitted: the reservations on `d` sum to 11",
        ),
        (
            vec!["clone", "db@golden", "x", "--max", "4GiB"],
            "needs 4GiB more on the disk, and",
        ),
        (
            vec!["clone", "db@golden", "x", "--max", "1KiB"],
            "`max` is accepted from 64MiB",
        ),
        (vec!["clone", "db@golden", "x", "--max", "many"], "--max"),
        (vec!["drop", "db"], "`db` is no clone"),
        (vec!["drop", "none"], "there is no vdisk `none`"),
        (
            vec!["drop", "db@golden", "--disconnect"],
            "a mark has no clients",
        ),
    ] {
        let said = refused(&place, &arguments);
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
    assert_eq!(json(&place, &["history", "db"]), before);
    assert_eq!(place.status().vdisks.len(), 2);
    // A clone's reservation counts, too.
    let some = ["--reserve", "30%", "--period", "250ms", "--max", "64MiB"];
    run(&place, &[&["clone", "db@golden", "x"][..], &some].concat());
    let said = refused(&place, &[&["clone", "db@golden", "y"][..], &some].concat());
    assert_says(&said, &["`y` is not admitted", "what would fit"]);
    run(&place, &["drop", "x"]);
    run(&place, &[&["clone", "db@golden", "y"][..], &some].concat());
    server.stop();
}

/// The file has another vdisk of its name, on another disk, that was there before: it is kept, and
/// can be given up.
#[test]
fn a_clone_that_is_not_served_is_told_and_can_be_dropped() {
    let place = place();
    let disks = format!(r#"{DISK}, "e": {{ "path": "e.disk", "size": "64MiB", "seeks": false }}"#);
    let db = format!(r#""db": {{ "disk": "d", {DB} }}"#);
    let with_test = format!(r#"{db}, "test": {{ "disk": "e", "size": "8MiB" }}"#);
    place.configure_as(&disks, &with_test, r#""nbd": {}"#);
    place.start().stop();
    place.configure_as(DISK, &db, r#""nbd": {}"#);
    let server = place.start();
    run(&place, &["mark", "db", "golden"]);
    run(&place, &["clone", "db@golden", "test"]);
    server.stop();
    place.configure_as(&disks, &with_test, r#""nbd": {}"#);
    let of_clone = ["d: `test`, a clone of db@seq:", "is not served"];
    assert_says(&passes(&place), &of_clone);
    let server = place.start();
    server.says(&["the clone `test` is not served", "`disktime drop test`"]);
    assert_eq!(server.client("test").size_bytes(), 8 * MIB);
    let said = refused(&place, &["drop", "db@golden"]);
    assert_says(&said, &["drop the clone first"]);
    run(&place, &["drop", "test"]);
    run(&place, &["drop", "db@golden"]);
    let said = refused(&place, &["drop", "test"]);
    assert_says(&said, &["`test` is no clone"]);
    assert_eq!(server.client("test").size_bytes(), 8 * MIB);
    server.stop();
    assert!(!place.start().stop().contains("clone"));
}

/// An entry of its name in the file says what it gets, and makes no vdisk.
#[test]
fn an_entry_of_the_file_overrides_what_a_clone_gets() {
    let place = place();
    let server = place.start();
    server.client("db").write(0, &[1; 4096]);
    run(&place, &["mark", "db", "golden"]);
    run(&place, &["clone", "db@golden", "test"]);
    // At once: what was answered is remembered.
    server.kill();
    let vdisks = format!(
        r#""db": {{ "disk": "d", {DB} }}, "test": {{ "disk": "d", "size": "8MiB",
           "reserve": "20%", "period": "500ms", "limit": "50%", "connections": 1 }}"#
    );
    place.configure_as(DISK, &vdisks, r#""nbd": {}"#);
    for round in 0..2 {
        let server = place.start();
        server.says(&["the clone `test` has 4MiB", "the file says 8MiB"]);
        let mut test = server.client("test");
        assert_eq!(blocks(&test.read(0, 8192)), [1, round]);
        test.write(4096, &[1; 4096]);
        let entitlement = place.status().vdisks["test"]
            .stream
            .account
            .entitlement
            .clone();
        assert!((entitlement.reserved_share - 0.2).abs() < 1e-9);
        assert_eq!(entitlement.period_ms, Some(500.0));
        assert_eq!(entitlement.limit_share, Some(0.5));
        assert!(refuses(&server, "test"), "one connection is its limit");
        drop(test);
        until_unused(&place, "test");
        if round == 1 {
            run(&place, &["drop", "test"]);
        }
        server.stop();
    }
    // The clone is gone: now the entry means a vdisk.
    let server = place.start();
    server.says(&["new, and empty: vdisk `test`"]);
    assert_eq!(server.client("test").size_bytes(), 8 * MIB);
    server.stop();
}
