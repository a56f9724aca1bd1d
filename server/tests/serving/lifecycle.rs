//! Starting and stopping: what is announced, what is left behind, who is kept out.

use crate::nbd::{Client, assert_same, pattern};
use crate::programs::is_mounted;
use crate::server::{Server, names, sizes};
use crate::test_directory::{MIB, TestDirectory, assert_says, exits_with, set_hang_up};
use disktime_nbd_protocol::Transport;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;

const TWO: [(&str, &str); 2] = [
    (
        "zebra",
        r#""size": "16MiB", "reserve": "40%", "period": "500ms""#,
    ),
    ("ape", r#""size": "32MiB""#),
];

fn place_with_tcp() -> TestDirectory {
    let vdisks: Vec<String> = TWO
        .iter()
        .map(|(name, rest)| format!(r#""{name}": {{ "disk": "d0", {rest} }}"#))
        .collect();
    let frontends = r#""nbd": { "listen": ["127.0.0.1:0"] }, "fuse": {}"#;

    TestDirectory::configured(
        crate::test_directory::PLAIN_DISK,
        &vdisks.join(", "),
        frontends,
    )
}

#[test]
fn one_line_per_vdisk_tells_how_to_reach_it() {
    let place = place_with_tcp();
    let server = place.start();
    assert_eq!(names(&server), ["zebra", "ape"], "in the order of the file");
    assert_eq!(server.vdisks[0].description, "40 % of d0 in every 500ms");
    for (vdisk, size_bytes) in server.vdisks.iter().zip([16 * MIB, 32 * MIB]) {
        assert_eq!(
            vdisk.uris.len(),
            2,
            "the unix socket and the TCP port: {vdisk:?}"
        );
        for uri in &vdisk.uris {
            assert_eq!(Client::connect(uri).size_bytes(), size_bytes, "{uri}");
        }
        let file = server.file(&vdisk.name);
        assert_eq!(
            fs::metadata(&file).expect("it is there").len(),
            size_bytes,
            "{file:?}"
        );
    }
    server.stop();
}

#[test]
fn each_signal_stops_the_server_and_nothing_is_left() {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        let place = place_with_tcp();
        let server = place.start();
        let Transport::Tcp { port, .. } = server.vdisks[0].uris[1].transport else {
            panic!("the second URI is TCP's: {:?}", server.vdisks[0]);
        };
        assert!(is_mounted(&place.mount()));
        // One who is connected and asks for nothing does not hold it up.
        let idle = server.client("ape");
        let said = server.stop_by(signal);
        assert!(
            !said.contains("error") && !said.contains("still open"),
            "{said}"
        );
        drop(idle);
        assert!(!is_mounted(&place.mount()));
        assert!(!place.path("state/nbd.sock").exists() && !place.control().exists());
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    }
}

/// `nohup disktime serve` outlives its terminal.
#[test]
fn a_hang_up_that_was_ignored_at_the_start_stays_ignored() {
    let place = TestDirectory::with(&TWO);
    let mut command = place.command(&["serve"]);
    set_hang_up(&mut command, libc::SIG_IGN);
    let server = Server::start(command);
    server.signal(libc::SIGHUP);
    assert_eq!(server.client("ape").size_bytes(), 32 * MIB);
    server.stop();
}

#[test]
fn writes_under_way_at_a_stop_are_answered_and_kept() {
    let place = TestDirectory::with(&TWO);
    let server = place.start();
    let mut client = server.client("ape");
    let data = pattern(MIB as usize, 3);
    client.write(5 * MIB + 77, &data);
    // Not flushed: the server does that when it stops.
    server.stop();
    let server = place.start();
    let got = server.client("ape").read(5 * MIB + 77, MIB as u32);
    assert_same(&got, &data, "after a stop in good order");
    server.stop();
}

#[test]
fn a_second_server_is_kept_out() {
    let place = TestDirectory::with(&TWO);
    let server = place.start();
    let sentence = place.fails(&["serve"]);
    let process = format!("process {}", server.process());
    assert_says(&sentence, &["already", &process, "stop it", "state_dir"]);

    // Another state directory, but the same disk: the lock on the file keeps it out.
    let disk = format!(
        r#""d0": {{ "path": {:?}, "size": "256MiB", "seeks": false }}"#,
        place.disk_file()
    );
    let other = TestDirectory::configured(
        &disk,
        r#""ape": { "disk": "d0", "size": "32MiB" }"#,
        r#""nbd": {}"#,
    );
    let sentence = other.fails(&["serve"]);
    assert_says(&sentence, &["in use", "d0.disk"]);
    assert!(!other.path("state/nbd.sock").exists() && !other.control().exists());

    // Neither do the commands that change a disk get in, and the first server goes on.
    assert_says(
        &place.fails(&["format", "--disk", "d0", "--force", "--yes"]),
        &["already", "stop it"],
    );
    assert_says(&place.fails(&["remove", "gone"]), &["already", "stop it"]);
    let mut client = server.client("ape");
    client.write(0, b"still here");
    assert_eq!(client.read(0, 10), b"still here");
    assert!(is_mounted(&place.mount()));
    server.stop();
}

#[test]
fn what_a_killed_server_left_is_cleaned_up() {
    let place = TestDirectory::with(&TWO);
    for round in 1..=3_u8 {
        let server = place.start();
        let mut client = server.client("ape");
        if round > 1 {
            assert_eq!(
                client.read(0, 3),
                [round - 1; 3],
                "what was flushed before the kill"
            );
        }
        client.write(0, &[round; 3]);
        client.flush();
        assert_eq!(
            fs::read(server.file("zebra"))
                .expect("the mount serves")
                .len() as u64,
            16 * MIB
        );
        server.kill();
        assert!(place.path("state/nbd.sock").exists() && place.control().exists());
        assert!(is_mounted(&place.mount()), "a dead mount is left");
        UnixStream::connect(place.path("state/nbd.sock")).expect_err("it listens no more");
    }
    let server = place.start();
    assert_eq!(server.client("ape").read(0, 3), [3; 3]);
    server.stop();
    assert!(!is_mounted(&place.mount()));
}

#[test]
fn a_restart_finds_the_vdisks_whatever_their_order() {
    let rest = [
        r#""size": "16MiB""#,
        r#""size": "24MiB""#,
        r#""size": "8MiB""#,
    ];
    let place = TestDirectory::with(&[("a", rest[0]), ("b", rest[1]), ("c", rest[2])]);
    let server = place.start();
    let contents: Vec<Vec<u8>> = ["a", "b", "c"]
        .iter()
        .zip(1..)
        .map(|(name, seed)| server.client(name).fill(seed))
        .collect();
    server.stop();
    for order in [["c", "a", "b"], ["b", "c", "a"]] {
        let place_of = |name: &str| (name.as_bytes()[0] - b'a') as usize;
        let vdisks: Vec<(&str, &str)> = order
            .iter()
            .map(|name| (*name, rest[place_of(name)]))
            .collect();
        place.configure(&vdisks);
        let server = place.start();
        assert_eq!(names(&server), order);
        for name in order {
            let got = server.client(name).read_all();
            assert_same(&got, &contents[place_of(name)], name);
        }
        server.stop();
    }
}

#[test]
fn several_disks_are_served_by_one_server() {
    let disks = r#""first": { "path": "one.disk", "size": "64MiB", "seeks": false },
        "second": { "path": "two.disk", "size": "64MiB", "emulate": "desktop-7200-2008" }"#;
    let vdisks = r#""x": { "disk": "second", "size": "8MiB" },
        "y": { "disk": "first", "size": "16MiB" }"#;
    let place = TestDirectory::configured(disks, vdisks, r#""nbd": {}, "fuse": {}"#);
    let server = place.start();
    assert_eq!(names(&server), ["x", "y"]);
    assert_eq!(
        sizes(&server).into_values().collect::<Vec<_>>(),
        [8 * MIB, 16 * MIB]
    );
    let (mut x, mut y) = (server.client("x"), server.client("y"));
    x.write(4096, b"on the modelled one");
    y.write(4096, b"on the plain one");
    drop((x, y));
    server.stop();
    let server = place.start();
    assert_eq!(server.client("x").read(4096, 19), b"on the modelled one");
    assert_eq!(server.client("y").read(4096, 16), b"on the plain one");
    server.stop();
}

#[test]
fn a_frontend_that_the_file_does_not_name_is_not_served() {
    let vdisks = r#""a": { "disk": "d0", "size": "8MiB" }"#;
    let place =
        TestDirectory::configured(crate::test_directory::PLAIN_DISK, vdisks, r#""fuse": {}"#);
    let server = place.start();
    assert!(server.vdisks[0].uris.is_empty() && server.vdisks[0].file.is_some());
    assert!(!place.path("state/nbd.sock").exists());
    let file = fs::OpenOptions::new()
        .write(true)
        .open(server.file("a"))
        .expect("it is there");
    file.write_all_at(b"by the only file", 0)
        .expect("it takes writes");
    drop(file);
    server.stop();

    place.configure_as(crate::test_directory::PLAIN_DISK, vdisks, r#""nbd": {}"#);
    let server = place.start();
    assert!(server.vdisks[0].file.is_none() && !is_mounted(&place.mount()));
    assert_eq!(server.client("a").read(0, 16), b"by the only file");
    server.stop();
}

#[test]
fn a_server_runs_from_any_directory() {
    let place = TestDirectory::with(&TWO);
    let elsewhere = TestDirectory::new();
    let mut command = elsewhere.bare(&["serve"]);
    command.arg(place.file());
    let server = Server::start(command);
    assert_eq!(server.client("zebra").size_bytes(), 16 * MIB);
    assert!(place.disk_file().exists(), "paths are relative to the file");
    let mut status = elsewhere.bare(&["status"]);
    status.arg(place.file());
    assert!(crate::programs::finished(status).status.success());
    server.stop();
    let mut status = elsewhere.bare(&["status"]);
    status.arg(place.file());
    assert_says(
        &exits_with(status, 1),
        &["no server answers", "disktime serve"],
    );
}
