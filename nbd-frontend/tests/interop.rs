//! Widely used clients against the reference server: libnbd's, QEMU's and fio's.

mod common;

use common::{MIB, TestServer, usual_exports};
use disktime_testing::bytes::pattern;
use disktime_testing::programs::{QEMU, qemu_img, qemu_io, tool, tool_output};
use std::fs;

const LIBNBD: &str = "libnbd-bin";

#[test]
fn nbdinfo_shows_the_export() {
    let server = TestServer::start();
    let text = tool(
        LIBNBD,
        "nbdinfo",
        &["--json", &server.uri("disk").to_string()],
    );
    for expected in [
        "\"protocol\": \"newstyle-fixed\"",
        "\"export-name\": \"disk\"",
        "\"description\": \"a disk of the tests\"",
        "\"export-size\": 67108864",
        "\"is_read_only\": false",
        "\"can_multi_conn\": true",
        "\"can_flush\": true",
        "\"can_fua\": true",
        "\"can_trim\": true",
        "\"can_zero\": true",
        "\"block_size_minimum\": 1",
        "\"block_size_preferred\": 4096",
        "\"block_size_maximum\": 33554432",
    ] {
        assert!(text.contains(expected), "{expected} is not in {text}");
    }
    let locked = tool(
        LIBNBD,
        "nbdinfo",
        &["--json", &server.uri("locked").to_string()],
    );
    assert!(locked.contains("\"is_read_only\": true"), "{locked}");
}

#[test]
fn nbdinfo_lists_the_exports_over_both_sockets() {
    let server = TestServer::start();
    for uri in [
        server.uri(""),
        disktime_nbd_protocol::NbdUri {
            export: String::new(),
            ..server.tcp_uri.clone()
        },
    ] {
        let text = tool(LIBNBD, "nbdinfo", &["--list", "--json", &uri.to_string()]);
        for name in ["disk", "locked", "broken"] {
            assert!(
                text.contains(&format!("\"export-name\": \"{name}\"")),
                "{text}"
            );
        }
    }
}

#[test]
fn an_unknown_name_is_an_error_and_the_empty_one_means_the_only_export() {
    let server = TestServer::start();
    for name in ["nope", ""] {
        let output = tool_output(LIBNBD, "nbdinfo", &[&server.uri(name).to_string()]);
        assert!(!output.status.success(), "the export {name:?} was given");
    }
    let one = TestServer::with(usual_exports()[..1].to_vec(), |_| {});
    tool(LIBNBD, "nbdinfo", &[&one.uri("").to_string()]);
}

#[test]
fn nbdcopy_copies_a_file_both_ways() {
    let server = TestServer::start();
    let data = pattern(64 * MIB as usize, 1);
    let (there, back) = (
        server.folder.path().join("there"),
        server.folder.path().join("back"),
    );
    fs::write(&there, &data).expect("a file");
    let uri = server.uri("disk").to_string();
    let there = there.to_str().expect("a plain path");
    let back_name = back.to_str().expect("a plain path");
    tool(LIBNBD, "nbdcopy", &["--flush", there, &uri]);
    assert!(
        server.bytes(0, 0, data.len()) == data,
        "the disk differs from the file"
    );
    tool(LIBNBD, "nbdcopy", &[&server.tcp_uri.to_string(), back_name]);
    assert!(
        fs::read(&back).expect("the copy") == data,
        "the copy differs from the disk"
    );
}

#[test]
fn qemu_img_copies_and_compares() {
    let server = TestServer::start();
    let file = server.folder.path().join("file");
    fs::write(&file, pattern(64 * MIB as usize, 1)).expect("a file");
    let file = file.to_str().expect("a plain path");
    let uri = server.uri("disk").to_string();
    qemu_img("convert -n -f raw -O raw", &[file, &uri]);
    let text = qemu_img("compare -f raw -F raw", &[file, &uri]);
    assert!(text.contains("identical"), "{text}");
    let text = qemu_img("info -f raw", &[&server.tcp_uri.to_string()]);
    assert!(text.contains("64 MiB"), "{text}");
}

#[test]
fn qemu_io_finds_its_patterns_aligned_and_unaligned() {
    let server = TestServer::start();
    let uri = server.uri("disk").to_string();
    let commands = [
        "write -P 0x11 0 1M",
        "write -P 0x22 -f 4097 513",
        "read -P 0x11 0 4097",
        "read -P 0x22 4097 513",
        "read -P 0x11 4610 1043966",
        "write -z 64k 64k",
        "read -P 0 64k 64k",
        "write -P 0x33 67108863 1",
        "read -P 0x33 67108863 1",
        "discard 512k 64k",
        "read -P 0 512k 64k",
        "flush",
        "aio_write -P 0x44 2M 4M",
        "aio_write -P 0x55 6M 32M",
        "aio_flush",
        "read -P 0x44 2M 4M",
        "read -P 0x55 6M 32M",
    ];
    qemu_io(&uri, &commands.join("; "));
    assert_eq!(server.bytes(0, 4096, 3), [0x11, 0x22, 0x22]);
    assert_eq!(server.bytes(0, 64 * MIB as usize - 1, 1), [0x33]);
}

#[test]
fn a_failing_disk_is_an_error_in_the_client() {
    let server = TestServer::start();
    for (export, command) in [("broken", "read 0 4k"), ("broken", "write 0 4k")] {
        let uri = server.uri(export).to_string();
        let output = tool_output(QEMU, "qemu-io", &["-f", "raw", "-c", command, &uri]);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(text.contains("Input/output error"), "{command}: {text}");
    }
}

#[test]
fn fio_verifies_what_it_wrote() {
    let server = TestServer::start();
    let uri = format!("--uri={}", server.uri("disk"));
    // Blocks of one size do not overlap; with overlapping ones fio itself depends on the order.
    for (size, pattern, jobs) in [
        ("4k", "randwrite", "1"),
        ("1536", "randwrite", "1"),
        ("64k", "write", "4"),
    ] {
        let (size, pattern) = (format!("--bs={size}"), format!("--rw={pattern}"));
        let jobs = format!("--numjobs={jobs}");
        let arguments = [
            "--name=verify",
            "--ioengine=nbd",
            &uri,
            &pattern,
            &size,
            &jobs,
            "--iodepth=32",
            "--size=12M",
            "--offset_increment=16M",
            "--verify=crc32c",
            "--verify_fatal=1",
            "--fsync=64",
            "--verify_state_save=0",
            "--group_reporting",
        ];
        let text = tool("fio", "fio", &arguments);
        assert!(text.contains("err= 0"), "{text}");
    }
}
