//! `disktime verify`: what is damaged in the log of a vdisk that is served, and nothing else.

use crate::history::{DB, json, run};
use crate::programs::{text, wait_until};
use crate::test_directory::{MIB, TestDirectory, assert_says};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;

fn place() -> TestDirectory {
    let disks = r#""d": { "path": "d.disk", "size": "160MiB", "seeks": false }"#;
    let vdisks =
        format!(r#""db": {{ "disk": "d", {DB} }}, "plain": {{ "disk": "d", "size": "4MiB" }}"#);
    TestDirectory::configured(disks, &vdisks, r#""nbd": {}"#)
}

/// Runs it with other arguments than the file; status and what it prints.
fn verify(place: &TestDirectory, arguments: &[&str]) -> (Option<i32>, String, String) {
    let file = place.file();
    let all = [&["verify", "db", "--config", text(&file)], arguments].concat();
    let output = place.bare(&all).output().expect("it runs");
    let said = |bytes| String::from_utf8(bytes).expect("text");
    (
        output.status.code(),
        said(output.stdout),
        said(output.stderr),
    )
}

/// The places in the disk's file of units that begin so.
fn units(place: &TestDirectory, is_wanted: impl Fn(&[u8]) -> bool) -> Vec<u64> {
    let bytes = std::fs::read(place.path("state/d.disk")).expect("the disk");
    let blocks = bytes.chunks(4096).enumerate();
    let wanted = blocks.filter(|(_, block)| is_wanted(block));
    wanted.map(|(at, _)| at as u64 * 4096).collect()
}

fn flip(place: &TestDirectory, at: u64) {
    let mut options = std::fs::OpenOptions::new();
    let disk = options.read(true).write(true);
    let disk = disk.open(place.path("state/d.disk")).expect("the disk");
    let mut byte = [0];
    disk.read_exact_at(&mut byte, at).expect("it is read");
    disk.write_all_at(&[byte[0] ^ 4], at)
        .expect("it is written");
}

#[test]
fn what_is_flipped_on_the_disk_is_named_and_nothing_else() {
    let place = place();
    let server = place.start();
    let mut client = server.client("db");
    // Fewer than bring a fold about, which retires what is oldest.
    for round in 0..20 {
        client.write(round % 4 * MIB, &vec![round as u8 + 1; MIB as usize]);
        client.flush();
    }
    let (status, said, complained) = verify(&place, &[]);
    assert_eq!(status, Some(0), "{said}{complained}");
    assert_says(&said, &["db: ", " of its log, ", "nothing is damaged"]);

    let data = units(&place, |block| block.starts_with(b"DTHB") && block[10] == 1);
    let footers = units(&place, |block| block.starts_with(b"DTHF"));
    let flipped = [
        ("data", data[2] + 4096, 900),
        ("header", data[5], 2000),
        ("data", data[5] + 3 * 4096, 7),
        ("footer", footers[0], 100),
        ("header", *data.last().expect("some"), 100),
    ];
    flipped
        .iter()
        .for_each(|(_, at, byte)| flip(&place, at + byte));
    let (status, said, _) = verify(&place, &["--json"]);
    assert_eq!(status, Some(1));
    let told: Value = serde_json::from_str(&said).expect("JSON");
    let found = told["damages"].as_array().expect("a list").iter();
    let mut found: Vec<(u64, &str)> = found
        .map(|damage| {
            let at = damage["log_offset"].as_u64().expect("a place");
            (at, damage["part"].as_str().expect("a part"))
        })
        .collect();
    found.sort_unstable();
    let mut expected: Vec<(u64, &str)> = flipped.iter().map(|(part, at, _)| (*at, *part)).collect();
    expected.sort_unstable();
    // The log does not begin where the disk does.
    let begins = expected[0].0 - found[0].0;
    found.iter_mut().for_each(|(at, _)| *at += begins);
    assert_eq!(found, expected, "{told:#}");

    let (status, said, _) = verify(&place, &[]);
    assert_eq!(status, Some(1));
    let words = [
        "5 places are damaged:",
        "4KiB at ",
        "reads of it fail in moments from seq:",
    ];
    assert_says(&said, &words);
    assert_says(
        &said,
        &[
            "no moment is lost, the footer is made anew",
            "take a backup now",
        ],
    );

    // It is served all the same, and what is written again is whole.
    client.write(0, &vec![9; 4 * MIB as usize]);
    assert!(client.read(0, 4 * MIB as u32).iter().all(|byte| *byte == 9));
    server.stop();
}

#[test]
fn who_goes_away_ends_it_and_what_cannot_be_verified_says_so() {
    let place = place();
    let server = place.start();
    server.client("db").write(0, &vec![1; MIB as usize]);
    let refused = |arguments: &[&str]| {
        let file = place.file();
        let all = [&["verify"], arguments, &["--config", text(&file)]].concat();
        let output = place.bare(&all).output().expect("it runs");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).expect("text")
    };
    assert_says(&refused(&["plain"]), &["has no history"]);
    assert_says(&refused(&["web"]), &["there is no vdisk `web`"]);
    for _ in 0..20 {
        let mut asked = UnixStream::connect(place.control()).expect("it listens");
        let line = b"{\"command\": \"verify\", \"vdisk\": \"db\"}\n";
        asked.write_all(line).expect("it is read");
        drop(asked);
    }
    // Those that went away keep no client out for long.
    wait_until("the log can be verified", || {
        verify(&place, &[]).0 == Some(0)
    });
    let history = json(&place, &["history", "db"]);
    assert_eq!(history["broken"], false);
    assert_says(&run(&place, &["verify", "db"]), &["nothing is damaged"]);
    server.stop();
}

/// A client that sends nothing more, such as `nc -N`, gets its answer.
#[test]
fn who_has_closed_its_own_direction_is_answered() {
    let place = place();
    let server = place.start();
    server.client("db").write(0, &vec![1; MIB as usize]);
    let mut asked = UnixStream::connect(place.control()).expect("it listens");
    let line = b"{\"command\": \"verify\", \"vdisk\": \"db\"}\n";
    asked.write_all(line).expect("it is read");
    asked.shutdown(Shutdown::Write).expect("it is open");
    let mut said = String::new();
    asked.read_to_string(&mut said).expect("text");
    let answer = said.lines().last().expect("an answer");
    let answer: Value = serde_json::from_str(answer).expect("JSON");
    assert_eq!(answer["damages"], serde_json::json!([]), "{said}");
    server.stop();
}
