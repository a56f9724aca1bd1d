//! `nbdcopy` over several connections, between vdisks, and with holes kept or filled.

use crate::nbd::{assert_same, pattern};
use crate::programs::{qemu_img, text, tool};
use crate::server::Server;
use crate::test_directory::{MIB, TestDirectory};
use disktime_nbd_protocol::NbdUri;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const LIBNBD: &str = "libnbd-bin";

const VDISKS: [(&str, &str); 2] = [("a", r#""size": "64MiB""#), ("b", r#""size": "64MiB""#)];

/// A server that says who uses what.
fn start() -> (TestDirectory, Server, [String; 2]) {
    let place = TestDirectory::with(&VDISKS);
    let mut serve = place.command(&["serve"]);
    serve.env("DISKTIME_LOG", "debug");
    let server = Server::start(serve);
    let uris = ["a", "b"].map(|name| server.uri(name).to_string());
    (place, server, uris)
}

/// A file of 64 MiB with data in these mebibytes.
fn sparse(place: &TestDirectory, data_in: &[u64]) -> PathBuf {
    let path = place.path("sparse");
    let file = File::create(&path).expect("a file");
    file.set_len(64 * MIB).expect("a length");
    for mebibyte in data_in {
        file.write_all_at(&pattern(MIB as usize, *mebibyte), mebibyte * MIB)
            .expect("room");
    }
    path
}

#[track_caller]
fn assert_same_files(one: &Path, other: &Path) {
    let read = |path| fs::read(path).expect("it is there");
    assert_same(&read(one), &read(other), "the copy");
}

fn stored_bytes(path: &Path) -> u64 {
    fs::metadata(path).expect("it is there").blocks() * 512
}

/// How many bytes of the vdisk are data, as `nbdinfo` sees it.
#[track_caller]
fn data_bytes(uri: &str) -> u64 {
    let totals = tool(LIBNBD, "nbdinfo", &["--map", "--totals", "--json", uri]);
    let totals: serde_json::Value = serde_json::from_str(&totals).expect("it prints JSON");
    let kinds = totals.as_array().expect("a list").iter();
    kinds
        .filter(|kind| kind["type"] == 0)
        .map(|kind| kind["size"].as_u64().expect("a number"))
        .sum()
}

const SEVERAL: [&str; 4] = ["--connections=4", "--threads=4", "--requests=16", "--flush"];

#[test]
fn a_copy_uses_several_connections_both_ways() {
    let (place, server, [a, b]) = start();
    let source = place.write("source", pattern(64 << 20, 21));
    let back = place.path("back");
    let copy = |from: &str, to: &str| {
        tool(LIBNBD, "nbdcopy", &[&SEVERAL[..], &[from, to]].concat());
    };
    copy(text(&source), &a);
    copy(&a, &b);
    copy(&b, text(&back));
    assert_same_files(&back, &source);
    let said = server.stop();
    for (vdisk, copies) in [("a", 2), ("b", 2)] {
        let connections = said.matches(&format!("uses vdisk {vdisk}")).count();
        assert_eq!(connections, 4 * copies, "connections to {vdisk}: {said}");
    }
}

#[test]
fn holes_are_kept_between_vdisks_and_into_files() {
    let (place, server, [a, b]) = start();
    let source = sparse(&place, &[2, 40, 63]);
    tool(LIBNBD, "nbdcopy", &[text(&source), &a]);
    tool(LIBNBD, "nbdcopy", &[&a, &b]);
    assert_eq!([&a, &b].map(|uri| data_bytes(uri)), [3 * MIB; 2]);
    let back = place.path("back");
    tool(LIBNBD, "nbdcopy", &[&b, text(&back)]);
    assert_same_files(&back, &source);
    assert!(stored_bytes(&back) < 5 * MIB, "{}", stored_bytes(&back));
    server.stop();
}

/// Passes bytes between a client and the server and counts those to the client.
fn counted(place: &TestDirectory, server: &NbdUri) -> (NbdUri, Arc<AtomicU64>) {
    let path = place.path("counted.sock");
    let listener = UnixListener::bind(&path).expect("a socket");
    let (to, count) = (server.clone(), Arc::new(AtomicU64::new(0)));
    let counter = Arc::clone(&count);
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let server = crate::nbd::raw(&to);
            let other = |stream: &UnixStream| stream.try_clone().expect("a descriptor");
            let (from, into) = (other(&client), other(&server));
            std::thread::spawn(move || pass(from, into, &AtomicU64::new(0)));
            let counter = Arc::clone(&counter);
            std::thread::spawn(move || pass(server, client, &counter));
        }
    });
    (NbdUri::unix(&path, &server.export), count)
}

/// Until one of them closes; then the other hears of it.
fn pass(mut from: UnixStream, mut into: UnixStream, count: &AtomicU64) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(got @ 1..) = from.read(&mut bytes) {
        count.fetch_add(got as u64, Ordering::Relaxed);
        if into.write_all(&bytes[..got]).is_err() {
            break;
        }
    }
    // It fails when the other side has closed already.
    let _ = into.shutdown(Shutdown::Write);
}

/// Even for a client that does not ask where the holes are.
#[test]
fn holes_inside_of_reads_are_not_sent() {
    let (place, server, [a, _]) = start();
    let source = place.path("source");
    let file = File::create(&source).expect("a file");
    file.set_len(64 * MIB).expect("a length");
    let mut client = server.client("a");
    for piece in 0..512 {
        let data = pattern(64 << 10, piece + 1);
        client.write(piece * 2 * (64 << 10), &data);
        file.write_all_at(&data, piece * 2 * (64 << 10))
            .expect("room");
    }
    let (uri, count) = counted(&place, &server.uri("a"));
    let back = place.path("back");
    let no_extents = ["--no-extents", "--request-size=1048576"];
    let uri = uri.to_string();
    let copy = [&no_extents[..], &[&uri, text(&back)]].concat();
    tool(LIBNBD, "nbdcopy", &copy);
    assert_same_files(&back, &source);
    let sent_bytes = count.load(Ordering::Relaxed);
    let data_bytes = 32 * MIB;
    assert!(
        (data_bytes..data_bytes + (128 << 10)).contains(&sent_bytes),
        "{sent_bytes} bytes came for {data_bytes} bytes of data"
    );
    // QEMU puts such replies together, too.
    qemu_img("compare -f raw -F raw", &[text(&source), &a]);
    server.stop();
}

/// `cp`, `tar` and `du` ask for the blocks first, and where the data is if there are fewer than the
/// size makes likely.
#[test]
fn programs_that_know_sparse_files_know_the_files() {
    let (place, server, [a, b]) = start();
    let source = sparse(&place, &[2, 40, 63]);
    tool(LIBNBD, "nbdcopy", &[text(&source), &a]);
    let file = server.file("a");
    assert_eq!(stored_bytes(&file), 3 * MIB);
    let back = place.path("back");
    tool("coreutils", "cp", &[text(&file), text(&back)]);
    assert_same_files(&back, &source);
    assert_eq!(stored_bytes(&back), 3 * MIB);
    let archive = place.path("archive.tar");
    let folder = file.parent().expect("the mount");
    let create = ["-S", "-cf", text(&archive), "-C", text(folder), "a"];
    tool("tar", "tar", &create);
    let archived = fs::metadata(&archive).expect("it was written").len();
    assert!(archived < 4 * MIB, "{archived} bytes");
    tool(
        "tar",
        "tar",
        &["-xf", text(&archive), "-C", text(place.root())],
    );
    assert_same_files(&place.path("a"), &source);
    // What is written, given back and written again by either frontend is seen at once.
    let mut client = server.client("b");
    client.write(10 * MIB, &[7; 1 << 20]);
    assert_eq!(stored_bytes(&server.file("b")), MIB);
    tool(
        "util-linux",
        "fallocate",
        &["-p", "-o", "10M", "-l", "512K", text(&server.file("b"))],
    );
    assert_eq!(stored_bytes(&server.file("b")), MIB / 2);
    assert_eq!(data_bytes(&b), MIB / 2);
    server.stop();
    let server = place.start();
    assert_eq!(stored_bytes(&server.file("b")), MIB / 2);
    server.stop();
}

#[test]
fn allocated_copies_have_no_holes_both_ways() {
    let (place, server, [a, b]) = start();
    let source = sparse(&place, &[1, 31]);
    tool(LIBNBD, "nbdcopy", &["--allocated", text(&source), &a]);
    assert_eq!(data_bytes(&a), 64 * MIB);
    tool(LIBNBD, "nbdcopy", &[text(&source), &b]);
    assert_eq!(data_bytes(&b), 2 * MIB);
    // Zeroes that are data stay data on the way back, if that is asked for.
    let back = place.path("back");
    tool(LIBNBD, "nbdcopy", &["--allocated", &a, text(&back)]);
    assert_same_files(&back, &source);
    assert!(stored_bytes(&back) >= 64 * MIB, "{}", stored_bytes(&back));
    tool(LIBNBD, "nbdcopy", &[&a, text(&back)]);
    assert_same_files(&back, &source);
    assert!(stored_bytes(&back) < 4 * MIB, "{}", stored_bytes(&back));
    // From vdisk to vdisk; what was data there is a hole afterwards, unless it has to be kept.
    tool(LIBNBD, "nbdcopy", &["--allocated", &b, &a]);
    assert_eq!(data_bytes(&a), 64 * MIB);
    tool(LIBNBD, "nbdcopy", &[&b, &a]);
    assert_eq!(data_bytes(&a), 2 * MIB);
    server.stop();
}
