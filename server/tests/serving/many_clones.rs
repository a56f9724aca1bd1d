//! Several clones of one moment by one command: all of them are made or none, each is as one that
//! is made alone, and they are dropped by one command, up to the first that is refused.

use crate::clones::{blocks, client, place, place_with, refuses, until_unused};
use crate::history::{json, refused, run};
use crate::test_directory::assert_says;
use std::path::PathBuf;

#[test]
fn clones_that_are_made_together_are_as_those_that_are_made_alone() {
    let place = place_with(r#""nbd": {}, "fuse": {}"#);
    let server = place.start();
    let mut db = client(&server, "db");
    db.write(0, &[1; 8192]);
    run(&place, &["mark", "db", "golden"]);
    let terms = ["--reserve", "10%", "--period", "250ms", "--max", "64MiB"];
    let made = [&["clone", "db@golden", "a", "b", "c"][..], &terms].concat();
    let answer = json(&place, &made);
    assert_eq!(answer["vdisk"], "db");
    assert_eq!(answer["max_bytes"], 64 << 20);
    let directory = server.file("db").with_file_name("");
    let clones = answer["clones"].as_array().expect("a list");
    for (clone, name) in clones.iter().zip(["a", "b", "c"]) {
        assert_eq!(clone["clone"], name);
        let uri = clone["uris"][0].as_str().expect("it is an export");
        assert!(uri.starts_with(&format!("nbd+unix:///{name}?")), "{uri}");
        let file = clone["file"].as_str().map(PathBuf::from);
        assert_eq!(file, Some(directory.join(name)));
        let read = std::fs::read(directory.join(name)).expect("readable");
        assert_eq!(blocks(&read[..12288]), [1, 1, 0]);
    }
    assert_eq!(clones.len(), 3);
    // Each of them has its share: beside 40 % of the file and these 30 % no 40 % are left.
    let more = ["clone", "db@golden", "x", "y", "z", "u", "--max", "64MiB"];
    let said = refused(
        &place,
        &[&more[..], &["--reserve", "10%", "--period", "250ms"]].concat(),
    );
    assert_says(&said, &["4 clones are not admitted", "110 % for vdisks"]);
    let said = run(&place, &more);
    let lines: Vec<&str> = said.lines().collect();
    assert_says(lines[0], &["4 clones of db at seq:", "64MiB", "each"]);
    assert_eq!(lines.len(), 5);
    assert_says(lines[4], &["  u  nbd+unix:///u?"]);
    let mut a = client(&server, "a");
    a.write(4096, &[2; 4096]);
    a.flush();
    server.kill();
    let server = place.start();
    assert_eq!(blocks(&client(&server, "a").read(0, 12288)), [1, 2, 0]);
    assert_eq!(blocks(&client(&server, "u").read(0, 12288)), [1, 1, 0]);
    let share = |name: &str| {
        let entitlement = &place.status().vdisks[name].stream.account.entitlement;
        entitlement.reserved_share
    };
    assert!(
        ["a", "b", "c"]
            .iter()
            .all(|name| (share(name) - 0.1).abs() < 1e-9)
    );
    until_unused(&place, "u");

    let used = client(&server, "c");
    let said = refused(&place, &["drop", "a", "b", "c", "x"]);
    assert_says(&said, &["`c` is in use", "2 of 4 were dropped before it"]);
    assert!(refuses(&server, "a") && refuses(&server, "b"));
    assert!(!refuses(&server, "x"));
    drop(used);
    until_unused(&place, "c");
    until_unused(&place, "x");
    let said = refused(&place, &["drop", "db", "z"]);
    assert_says(&said, &["`db` is no clone", "none is dropped"]);
    assert!(json(&place, &["drop", "z", "u"]).is_array());
    let said = run(&place, &["drop", "c", "x", "y", "db@golden"]);
    assert_eq!(said.lines().count(), 4);
    assert_eq!(place.status().vdisks.len(), 2);
    server.stop();
}

#[test]
fn of_several_clones_none_is_made_if_one_cannot_be() {
    let place = place();
    let server = place.start();
    run(&place, &["mark", "db", "golden"]);
    run(&place, &["clone", "db@golden", "there"]);
    let before = json(&place, &["history", "db"]);
    let many: Vec<String> = (0..1025).map(|number| format!("n{number}")).collect();
    let many = many.iter().map(String::as_str);
    let long = ["x".repeat(200), "y".repeat(200)];
    let long = (0..400).map(|number| &*long[number % 2]);
    for (names, words) in [
        (vec!["a", "b", "a"], "`a` is named twice"),
        (vec!["a", "plain", "b"], "there is a vdisk `plain`"),
        (vec!["a", "there"], "there is a vdisk `there`"),
        (vec!["a", "b/c"], "the name `b/c` contains `/`"),
        (many.collect(), "at most 1024 are made at once"),
        (long.collect(), "a server takes 64 KiB at once: name fewer"),
    ] {
        let said = refused(&place, &[&["clone", "db@golden"][..], &names].concat());
        assert!(said.contains(words), "{said}");
    }
    assert_eq!(json(&place, &["history", "db"]), before);
    assert_eq!(place.status().vdisks.len(), 3);
    server.stop();
    let server = place.start();
    assert!(refuses(&server, "n0") && refuses(&server, "a"));
    server.stop();
}
