//! Disks that hang: a file on a FUSE directory whose server is stopped, so that no request for it
//! ends. Clients of other disks go on, the status answers, and a stop ends.

use crate::history::{json, refused, run};
use crate::nbd::{assert_same, pattern};
use crate::programs::{die_with_parent, text, wait_until};
use crate::server::Server;
use crate::test_directory::{MIB, PLAIN_DISK, TestDirectory, assert_says};
use disktime_engine::RequestKind;
use disktime_nbd_client::{ClientRequest, NbdClient};
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::Duration;

/// A server whose disk `d0` lies on a vdisk's file of another server, and `d1` beside it.
/// Dropped from the bottom up: what hangs in the kernel ends with the server below.
struct Stacked {
    below: Server,
    server: Server,
    place: TestDirectory,
    _place_below: TestDirectory,
}

const VDISKS: &str = r#""hung": { "disk": "d0", "size": "32MiB" },
    "good": { "disk": "d1", "size": "32MiB" }"#;

impl Stacked {
    fn start() -> Stacked {
        Stacked::with(VDISKS)
    }

    fn with(vdisks: &str) -> Stacked {
        let place_below = TestDirectory::with(&[("v", r#""size": "128MiB""#)]);
        let below = place_below.start();
        let disks = format!(
            r#""d0": {{ "path": "{}", "seeks": false }}, {}"#,
            text(&below.file("v")),
            PLAIN_DISK.replace("d0", "d1")
        );
        let place = TestDirectory::configured(&disks, vdisks, r#""nbd": {}, "fuse": {}"#);
        Stacked {
            server: place.start(),
            place,
            below,
            _place_below: place_below,
        }
    }
}

#[test]
fn a_disk_that_hangs_holds_up_its_own_clients_only() {
    let stacked = Stacked::start();
    let (server, place) = (&stacked.server, &stacked.place);
    let mut hung = server.client("hung");
    let data = pattern(1 << 20, 3);
    hung.write(MIB, &data);
    hung.flush();
    stacked.below.freeze();
    // All kinds, by both frontends, and what asks for more than data: the space that is left.
    // The file by another process: each process that is started from here closes a copy of what is
    // open here, and closing a file waits for its flush.
    let mut by_file = Command::new("dd");
    let file = format!("if={}", text(&server.file("hung")));
    by_file.args([file.as_str(), "of=/dev/null", "bs=4k", "count=1"]);
    die_with_parent(&mut by_file);
    let mut by_file = by_file.spawn().expect("coreutils are installed");
    let mut clients = Vec::new();
    for kind in [
        RequestKind::Write,
        RequestKind::Read,
        RequestKind::Trim,
        RequestKind::ZeroKeepingSpace,
        RequestKind::Flush,
    ] {
        let mut client = NbdClient::connect(&server.uri("hung")).expect("it serves");
        let (len_bytes, data) = match kind {
            RequestKind::Write => (0, &data[..]),
            RequestKind::Flush => (0, &[][..]),
            _ => (8 << 20, &[][..]),
        };
        let request = match data {
            [] => ClientRequest::new(1, kind, 0, len_bytes),
            data => ClientRequest::write(1, MIB, data),
        };
        client.send_request(&request).expect("it is taken");
        clients.push(client);
    }
    // Meanwhile the others are served, and the status says so, by counters of the disk that hangs.
    let good = server.file("good");
    let good = OpenOptions::new().read(true).write(true).open(good);
    let good = good.expect("it is there");
    let mut by_nbd = server.client("good");
    for round in 0..20 {
        let data = pattern(100_000, round);
        good.write_all_at(&data, MIB).expect("its disk works");
        assert_same(&by_nbd.read(MIB, 100_000), &data, "another disk");
        by_nbd.flush();
        good.sync_all().expect("its disk works");
    }
    let status = place.status();
    assert!(status.vdisks["hung"].clients >= 6, "they are counted");
    assert_eq!(
        status.disks["d0"].silent_ms, None,
        "its thread does not hang"
    );
    // It comes back, and nothing was lost.
    stacked.below.signal(libc::SIGCONT);
    assert!(by_file.wait().expect("our child").success());
    for client in &mut clients {
        let reply = client.receive_reply(&mut Vec::new()).expect("it serves");
        assert_eq!(reply.expect("a reply").error, 0);
    }
    hung.flush();
    drop((good, by_nbd, hung, clients));
    stacked.server.stop();
    stacked.below.stop();
}

#[test]
fn a_second_signal_ends_a_server_whose_disk_hangs_and_closes_its_connections() {
    let mut stacked = Stacked::start();
    let mut hung = NbdClient::connect(&stacked.server.uri("hung")).expect("it serves");
    stacked.below.freeze();
    for tag in 0..20 {
        let read = ClientRequest::new(tag, RequestKind::Read, 0, 4096);
        hung.send_request(&read).expect("it is taken");
    }
    // Signals within a second are one.
    wait_until("the second signal is noticed", || {
        stacked.server.signal(libc::SIGTERM);
        std::thread::sleep(Duration::from_millis(100));
        stacked.server.said().contains("ends at once")
    });
    let end = hung.receive_reply(&mut Vec::new());
    assert!(matches!(end, Ok(None) | Err(_)), "no reply: {end:?}");
    // The kernel may keep the process until the requests that hang end.
    stacked.below.signal(libc::SIGCONT);
    let mut status = None;
    wait_until("the server ends", || {
        status = stacked.server.status_if_ended();
        status.is_some()
    });
    assert_eq!(status, Some(Some(1)), "{}", stacked.server.said());
    stacked.below.stop();
}

/// A mark of several vdisks that one of them sets when it was given up is dropped then.
#[test]
fn a_mark_that_a_disk_sets_too_late_does_not_stay() {
    let history = r#""size": "4MiB", "history": { "window": "1h", "max": "64MiB" }"#;
    let vdisks =
        format!(r#""hung": {{ "disk": "d0", {history} }}, "good": {{ "disk": "d1", {history} }}"#);
    let stacked = Stacked::with(&vdisks);
    let place = &stacked.place;
    for vdisk in ["hung", "good"] {
        stacked.server.client(vdisk).write(0, &[1; 4096]);
    }
    stacked.below.freeze();
    let said = refused(place, &["mark", "hung,good", "late"]);
    assert_says(&said, &["`hung` was not marked within 4 s"]);
    stacked.below.signal(libc::SIGCONT);
    // Behind the late one.
    run(place, &["mark", "hung", "next"]);
    for (vdisk, expected) in [("hung", &["next"][..]), ("good", &[])] {
        wait_until("the mark is dropped", || {
            let history = json(place, &["history", vdisk]);
            let marks = history["marks"].as_array().expect("a list").iter();
            let names: Vec<&str> = marks.filter_map(|mark| mark["name"].as_str()).collect();
            names == expected
        });
    }
    stacked.server.stop();
    stacked.below.stop();
}
