//! Moments as people name them, marks of several vdisks at one moment, and what is shown of a
//! history.

use crate::history::{DB, json, refused, run, until_unused};
use crate::nbd::Client;
use crate::server::Server;
use crate::test_directory::{MIB, TestDirectory, assert_says};
use disktime_nbd_protocol::NbdUri;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};

fn place() -> TestDirectory {
    let disk = |name: &str| {
        format!(r#""{name}": {{ "path": "{name}.disk", "size": "160MiB", "seeks": false }}"#)
    };
    let disks = [disk("d"), disk("e")].join(", ");
    let vdisks = format!(r#""db": {{ "disk": "d", {DB} }}, "web": {{ "disk": "e", {DB} }}"#);
    TestDirectory::configured(&disks, &vdisks, r#""nbd": {}"#)
}

fn at(server: &Server, export: &str) -> Client {
    Client::connect(&NbdUri {
        export: export.to_owned(),
        ..server.uri("db")
    })
}

fn byte_at(server: &Server, export: &str) -> u8 {
    at(server, export).read(0, 512)[0]
}

#[test]
fn times_name_moments_also_before_the_history_began() {
    let place = place();
    let server = place.start();
    server.client("db").write(0, &vec![1; MIB as usize]);
    for long_ago in ["db@-5h", "db@2001-02-03T04:05:06Z"] {
        assert_eq!(byte_at(&server, long_ago), 0, "{long_ago}");
    }
    assert_eq!(byte_at(&server, "db@-0ms"), 1);
    until_unused(&place);
    for to in [&["--to", "-5h"][..], &["--to=-5h"]] {
        run(&place, &[&["revert", "db"], to].concat());
        assert_eq!(byte_at(&server, "db"), 0, "{to:?}");
        until_unused(&place);
        run(&place, &["undo-revert", "db"]);
        assert_eq!(byte_at(&server, "db"), 1);
        until_unused(&place);
    }
    run(&place, &["mark", "db", "now"]);
    let said = run(&place, &["history", "db"]);
    assert_says(
        &said,
        &["window 1h", "for the window", "mark now", "written now"],
    );
    let tree = run(&place, &["branches", "db"]);
    assert_says(
        &tree,
        &["  branch 2: up to seq:", "    branch ", "marks: now"],
    );
    assert!(
        json(&place, &["branches", "db"])
            .as_array()
            .is_some_and(|all| all.len() == 5)
    );
    server.stop();
    for command in ["list", "info"] {
        let mut arguments = vec![command];
        let file = place.file();
        arguments.push(file.to_str().expect("a path of text"));
        arguments.extend((command == "info").then_some("db"));
        let output = place.bare(&arguments).output().expect("it runs");
        let said = String::from_utf8(output.stdout).expect("text");
        assert_says(&said, &["history", "64MiB"]);
    }
}

/// A client writes a number to `db`, waits for the answer, and then to `web`.
fn write_pairs(mut clients: [Client; 2], is_over: &AtomicBool) {
    let mut number = 0_u64;
    while !is_over.load(Ordering::Acquire) {
        number += 1;
        for client in &mut clients {
            let mut data = vec![0; 4096];
            data[..8].copy_from_slice(&number.to_le_bytes());
            client.write(0, &data);
        }
    }
}

fn number_at(server: &Server, export: &str) -> u64 {
    let data = at(server, export).read(0, 512);
    u64::from_le_bytes(data[..8].try_into().expect("8 bytes"))
}

#[test]
fn a_mark_of_several_vdisks_is_one_cut() {
    let place = place();
    let server = place.start();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let clients = ["db", "web"].map(|vdisk| server.client(vdisk));
        let is_over = &is_over;
        scope.spawn(move || write_pairs(clients, is_over));
        for cut in 0..12 {
            let mark = format!("cut{cut}");
            let marked = json(&place, &["mark", "db,web", &mark]);
            assert!(marked["vdisks"]["web"].as_u64() > Some(0), "{marked}");
        }
        is_over.store(true, Ordering::Release);
    });
    for cut in 0..12 {
        let [db, web] = ["db", "web"].map(|vdisk| number_at(&server, &format!("{vdisk}@cut{cut}")));
        assert!(db == web || db == web + 1, "cut {cut}: {db} and {web}");
    }
    let said = refused(&place, &["mark", "web,db", "cut3"]);
    assert_says(&said, &["a mark of that name exists"]);
    let said = run(&place, &["mark", "web,db", "last"]);
    assert_says(&said, &["mark last, one cut: db at seq:", "web at seq:"]);
    assert_says(
        &run(&place, &["history", "web"]),
        &["mark last", "a cut through db, web"],
    );

    // A cut that is not whole is told from then on.
    run(&place, &["drop", "web@last"]);
    let said = run(&place, &["history", "db"]);
    assert_says(&said, &["an incomplete cut: 1 of 2 vdisks have it (db)"]);
    server.kill();
    let server = place.start();
    server.says(&["the mark `last` of `db` is of a cut through 2 vdisks, of which 1 have it"]);
    assert_eq!(server.said().matches("is of a cut").count(), 1);
    server.stop();
}

/// The places of headers of batches with data, in the disk's file.
fn data_batches(place: &TestDirectory) -> Vec<u64> {
    let bytes = std::fs::read(place.path("state/d.disk")).expect("the disk");
    let is_data = |block: &&(usize, &[u8])| block.1.starts_with(b"DTHB") && block.1[10] == 1;
    let blocks: Vec<(usize, &[u8])> = bytes.chunks(4096).enumerate().collect();
    let found = blocks.iter().filter(is_data);
    found.map(|(at, _)| *at as u64 * 4096).collect()
}

#[test]
fn a_loss_is_accepted_only_when_that_is_confirmed() {
    let place = place();
    let server = place.start();
    let mut client = server.client("db");
    for byte in 1..=6 {
        client.write(0, &[byte; 4096]);
        client.flush();
    }
    drop(client);
    server.stop();
    let batches = data_batches(&place);
    assert!(batches.len() >= 6, "{batches:?}");
    let disk = std::fs::OpenOptions::new()
        .write(true)
        .open(place.path("state/d.disk"));
    let disk = disk.expect("the disk");
    disk.write_all_at(&[0xEB; 64], batches[3] + 40)
        .expect("damage");
    drop(disk);

    let server = place.start();
    server.says(&["has lost data that was durable", "disktime accept-loss db"]);
    assert_eq!(byte_at(&server, "db"), 3);
    let said = refused(&place, &["accept-loss", "db"]);
    assert_says(
        &said,
        &["`db` has lost what was written from seq:", "--yes"],
    );
    assert_says(
        &run(&place, &["history", "db"]),
        &["read-only", "accept-loss db"],
    );
    let said = refused(&place, &["mark", "db", "a"]);
    assert_says(&said, &["lost durable data", "disktime accept-loss"]);
    let said = run(&place, &["accept-loss", "db", "--yes"]);
    assert_says(&said, &["the loss is accepted"]);
    let mut client = server.client("db");
    client.write(0, &[9; 4096]);
    client.flush();
    drop(client);
    server.kill();
    let server = place.start();
    assert_eq!(byte_at(&server, "db"), 9);
    server.stop();
}

/// A backup of what has changed since a mark, put over the full one, is the vdisk at the later
/// mark.
#[test]
fn what_changed_between_marks_makes_the_backup_whole() {
    let place = place();
    let server = place.start();
    let mut client = server.client("db");
    client.write(0, &vec![1; MIB as usize]);
    run(&place, &["mark", "db", "full"]);
    let mut backup = at(&server, "db@full").read(0, 4 * MIB as u32);
    client.write(MIB / 2 + 100, &vec![2; 50_000]);
    client.write(3 * MIB, &[3; 4096]);
    run(&place, &["mark", "db", "later"]);
    client.write(2 * MIB, &[4; 4096]);
    client.flush();
    drop(client);
    server.kill();

    let server = place.start();
    let said = run(&place, &["changed", "db", "--since", "later"]);
    assert_says(&said, &["4KiB changed from seq:", "2097152           4096"]);
    let changed = json(
        &place,
        &["changed", "db", "--since", "full", "--until=later"],
    );
    let mut later = at(&server, "db@later");
    let ranges = changed["ranges"].as_array().expect("ranges");
    assert_eq!(ranges.len(), 2, "{changed}");
    for range in ranges {
        let [offset, length] =
            ["offset", "length"].map(|key| range[key].as_u64().expect("a number"));
        let data = later.read(offset, length as u32);
        backup[offset as usize..][..length as usize].copy_from_slice(&data);
    }
    assert!(
        backup == later.read(0, 4 * MIB as u32),
        "the backup is the later moment"
    );
    let said = refused(&place, &["changed", "db", "--since", "none"]);
    assert_says(&said, &["there is no mark of that name", "full, later"]);
    server.stop();
}
