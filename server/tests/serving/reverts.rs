//! Reverts of a vdisk that clients use: their connections and open files are ended, and clients
//! that can reconnect come back to the reverted content.

use crate::history::{DB, json, refused, run, until_unused};
use crate::nbd::Client;
use crate::reconnect::QemuIo;
use crate::test_directory::{MIB, TestDirectory, assert_says};
use disktime_nbd_protocol::NbdUri;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

const DISK: &str = r#""d": { "path": "d.disk", "size": "160MiB", "seeks": false }"#;

fn place(frontends: &str) -> TestDirectory {
    let vdisks =
        format!(r#""db": {{ "disk": "d", {DB} }}, "web": {{ "disk": "d", "size": "4MiB" }}"#);
    TestDirectory::configured(DISK, &vdisks, frontends)
}

#[test]
fn qemu_comes_back_to_the_reverted_content() {
    let place = place(r#""nbd": {}"#);
    let server = place.start();
    let socket = place.path("state/nbd.sock");
    let mut client = QemuIo::open(&socket, "db", None);
    client.run("write -P 1 0 1M", "wrote 1048576/1048576");
    run(&place, &["mark", "db", "first"]);
    client.run("write -P 2 0 1M", "wrote 1048576/1048576");
    let mut neighbour = QemuIo::open(&socket, "web", None);
    neighbour.run("write -P 5 0 64k", "wrote 65536/65536");
    let mut past = Client::connect(&NbdUri {
        export: "db@first".to_owned(),
        ..server.uri("db")
    });
    for round in 1..=3 {
        assert_says(
            &refused(&place, &["revert", "db", "--to", "first"]),
            &["`db` is in use", "--disconnect"],
        );
        let answer = json(&place, &["revert", "db", "--to", "first", "--disconnect"]);
        assert_eq!(answer["disconnected"], 1, "round {round}");
        client.run("read -P 1 0 1M", "read 1048576/1048576");
        client.run("write -P 3 64k 64k", "wrote 65536/65536");
        let said = run(&place, &["undo-revert", "db", "--disconnect"]);
        assert_says(
            &said,
            &["the revert is undone", "1 client was disconnected"],
        );
        client.run("read -P 2 0 1M", "read 1048576/1048576");
    }
    // Clients of other vdisks, and of moments, are not ended.
    assert_eq!(place.status().vdisks["web"].clients, 1);
    neighbour.run("read -P 5 0 64k", "read 65536/65536");
    assert!(past.read(0, 4096).iter().all(|byte| *byte == 1));
    drop((client, neighbour, past));
    until_unused(&place);
    let answer = json(&place, &["revert", "db", "--to", "first", "--disconnect"]);
    assert_eq!(answer["disconnected"], 0);
    server.stop();
}

#[test]
fn open_files_get_errors_and_new_ones_the_reverted_content() {
    let place = place(r#""nbd": {}, "fuse": {}"#);
    let server = place.start();
    let path = server.file("db");
    let open = || OpenOptions::new().read(true).write(true).open(&path);
    let file = open().expect("it is there");
    file.write_all_at(&vec![1; MIB as usize], 0)
        .expect("written");
    run(&place, &["mark", "db", "first"]);
    file.write_all_at(&vec![2; MIB as usize], 0)
        .expect("written");
    let said = refused(&place, &["revert", "db", "--to", "first"]);
    assert_says(&said, &["`db` is in use", "1 open file (FUSE)"]);
    let mut client = QemuIo::open(&place.path("state/nbd.sock"), "db", None);
    let answer = json(&place, &["revert", "db", "--to", "first", "--disconnect"]);
    assert_eq!(answer["disconnected"], 2);
    let failed = |result: std::io::Result<usize>| result.expect_err("it fails").raw_os_error();
    assert_eq!(failed(file.read_at(&mut [0; 4096], 0)), Some(libc::EIO));
    assert_eq!(failed(file.write_at(&[9; 4096], 0)), Some(libc::EIO));
    let new = open().expect("it is there");
    let mut content = vec![0; MIB as usize];
    new.read_exact_at(&mut content, 0).expect("it can be read");
    assert!(content.iter().all(|byte| *byte == 1));
    client.run("read -P 1 0 1M", "read 1048576/1048576");
    drop((client, new));
    // The file that was ended counts no more, though it is open.
    until_unused(&place);
    run(&place, &["undo-revert", "db"]);
    open()
        .expect("it is there")
        .read_exact_at(&mut content, 0)
        .expect("it can be read");
    assert!(content.iter().all(|byte| *byte == 2));
    drop(file);
    server.stop();
}
