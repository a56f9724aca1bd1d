//! A vdisk with a history and its log grow, and the history is switched off and on again, by what
//! the file says at a start.

use crate::history::{json, refused, run};
use crate::nbd::Client;
use crate::server::Server;
use crate::test_directory::{MIB, TestDirectory, assert_says, exits_with};
use disktime_nbd_protocol::NbdUri;

const NBD: &str = r#""nbd": {}"#;
const DISK: &str = r#""d": { "path": "d.disk", "size": "200MiB", "seeks": false }"#;

fn db(size: &str, history: &str) -> String {
    format!(r#""db": {{ "disk": "d", "size": "{size}"{history} }}"#)
}

fn kept(max: &str) -> String {
    format!(r#", "history": {{ "window": "1h", "max": "{max}" }}"#)
}

fn check(place: &TestDirectory) -> String {
    exits_with(place.command(&["check", "--disks"]), 0)
}

fn size_of_moment(server: &Server, export: &str) -> u64 {
    let uri = NbdUri {
        export: export.to_owned(),
        ..server.uri("db")
    };
    Client::connect(&uri).size_bytes()
}

fn assert_holds(server: &Server, byte: u8) {
    let read = server.client("db").read(0, MIB as u32);
    assert!(read.iter().all(|found| *found == byte), "{byte}");
}

#[test]
fn a_history_grows_and_is_switched_off_and_on_again() {
    let place = TestDirectory::configured(DISK, &db("4MiB", &kept("64MiB")), NBD);
    let server = place.start();
    let mut client = server.client("db");
    client.write(0, &vec![1; MIB as usize]);
    run(&place, &["mark", "db", "small"]);
    client.write(0, &vec![2; MIB as usize]);
    client.flush();
    drop(client);
    server.stop();

    place.configure_as(DISK, &db("6MiB", &kept("80MiB")), NBD);
    let server = place.start();
    server.says(&["vdisk `db` grows from 4MiB to 6MiB"]);
    server.says(&["the log of vdisk `db` grows from 64MiB to 80MiB"]);
    assert_holds(&server, 2);
    assert_eq!(server.client("db").size_bytes(), 6 * MIB);
    assert_eq!(size_of_moment(&server, "db@small"), 4 * MIB);
    let mut client = server.client("db");
    client.write(5 * MIB, &vec![3; MIB as usize]);
    client.flush();
    drop(client);
    let changed = json(&place, &["changed", "db", "--since", "small"]);
    let last = changed["ranges"].as_array().expect("a list").last();
    assert_eq!(last.expect("a range")["offset"], 5 * MIB);
    server.kill();

    // Left out it is refused, with what to write; `off` is explicit.
    place.configure_as(DISK, &db("6MiB", ""), NBD);
    assert_says(
        &place.fails(&["check", "--disks"]),
        &[r#""history": "off""#],
    );
    place.configure_as(DISK, &db("6MiB", r#", "history": "off""#), NBD);
    let said = check(&place);
    assert_says(
        &said,
        &["`db` will be switched off", "will be lost", "80MiB"],
    );
    let server = place.start();
    server.says(&["its history is switched off, and the space of its log is free"]);
    assert_holds(&server, 2);
    assert_eq!(
        server.client("db").read(5 * MIB, MIB as u32),
        vec![3; MIB as usize]
    );
    let gone = refused(&place, &["mark", "db", "again"]);
    assert_says(&gone, &["has no history"]);
    server.kill();
    assert!(!check(&place).contains("switched off"));

    place.configure_as(DISK, &db("6MiB", &kept("64MiB")), NBD);
    let server = place.start();
    server.says(&["`db` gets a history"]);
    assert_holds(&server, 2);
    let report = json(&place, &["history", "db"]);
    assert_eq!(report["marks"].as_array().map(Vec::len), Some(0));
    server.stop();
}
