//! Clients of everyday use, and both frontends side by side.

use crate::nbd::{assert_same, assert_zeroes, pattern};
use crate::programs::{Loop, Mounted, QEMU, qemu_img, qemu_io, text, tool, tool_output};
use crate::server::Server;
use crate::test_directory::{MIB, TestDirectory};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

const LIBNBD: &str = "libnbd-bin";
const E2FS: &str = "e2fsprogs";

const DISKS: [(&str, &str); 2] = [
    (
        "web",
        r#""size": "32MiB", "reserve": "40%", "period": "500ms""#,
    ),
    ("db", r#""size": "64MiB""#),
];

fn start() -> (TestDirectory, Server, String) {
    let place = TestDirectory::with(&DISKS);
    let server = place.start();
    let uri = server.uri("db").to_string();
    (place, server, uri)
}

#[test]
fn nbdcopy_brings_a_file_there_and_back() {
    let (place, server, uri) = start();
    let data = pattern(64 << 20, 11);
    let (source, back) = (place.write("source", &data), place.path("back"));
    tool(LIBNBD, "nbdcopy", &["--flush", text(&source), &uri]);
    tool(LIBNBD, "nbdcopy", &[&uri, text(&back)]);
    assert_same(
        &fs::read(&back).expect("it was written"),
        &data,
        "there and back",
    );
    assert_same(
        &fs::read(server.file("db")).expect("it is served"),
        &data,
        "by the other frontend",
    );
    server.stop();
}

#[test]
fn qemu_img_compares_and_converts() {
    let (place, server, uri) = start();
    let mut data = pattern(64 << 20, 12);
    data[20 << 20..40 << 20].fill(0);
    let source = place.write("source", &data);
    qemu_img("convert -n -f raw -O raw", &[text(&source), &uri]);
    qemu_img("compare -f raw -F raw", &[text(&source), &uri]);
    let image = place.path("image.qcow2");
    qemu_img("convert -f raw -O qcow2", &[&uri, text(&image)]);
    qemu_img("compare -f qcow2 -F raw", &[text(&image), text(&source)]);
    // Compare is able to find a difference.
    server.client("db").write(30 * MIB, b"x");
    let compare = ["compare", "-f", "raw", "-F", "raw", text(&source), &uri];
    assert_eq!(
        tool_output(QEMU, "qemu-img", &compare).status.code(),
        Some(1)
    );
    server.stop();
}

#[test]
fn qemu_io_patterns_come_back() {
    let (_place, server, uri) = start();
    qemu_io(&uri, "write -P 0xab 0 1M; write -P 0xcd 1M 64k; flush");
    qemu_io(
        &uri,
        "read -P 0xab 0 1M; read -P 0xcd 1M 64k; read -P 0 1088k 1M",
    );
    // Bytes that no block is aligned to.
    qemu_io(
        &uri,
        "write -P 0x11 1 511; write -P 0x22 4095 2; write -P 0x33 262143 70001",
    );
    qemu_io(
        &uri,
        "read -P 0xab 0 1; read -P 0x11 1 511; read -P 0xab 512 3583; read -P 0x22 4095 2; \
         read -P 0xab 4097 258046; read -P 0x33 262143 70001; read -P 0xab 332144 716432",
    );
    // Zeroes and discards, aligned and not; what was discarded may read as anything of its own.
    qemu_io(
        &uri,
        "write -z 100 5000; write -z -u 64k 64k; discard 512k 256k; flush",
    );
    qemu_io(
        &uri,
        "read -P 0x11 1 99; read -P 0 100 5000; read -P 0xab 5100 60436; \
         read -P 0 64k 64k; read -P 0xab 768k 256k; read -P 0xcd 1M 64k",
    );
    // Vectors, several at once, and a write that asks to be durable.
    qemu_io(
        &uri,
        "writev -P 0x44 4M 4096 8192 512; aio_write -P 0x55 5M 128k; \
         aio_write -P 0x66 6M 128k; aio_flush; write -f -P 0x77 7M 4k; \
         read -P 0x44 4M 12800; read -P 0x55 5M 128k; read -P 0x66 6M 128k; \
         read -P 0x77 7M 4k",
    );
    server.stop();
}

#[test]
fn fio_verifies_what_it_wrote() {
    let (_place, server, uri) = start();
    let uri = format!("--uri={uri}");
    let job = "--name=verify --ioengine=nbd --rw=randwrite --bsrange=512-64k --blockalign=512 \
               --iodepth=16 --size=32m --verify=crc32c --do_verify=1 --verify_fatal=1 \
               --randseed=5 --fsync=64 --verify_state_save=0";
    let mut arguments: Vec<&str> = job.split_whitespace().collect();
    arguments.push(&uri);
    tool("fio", "fio", &arguments);
    server.stop();
}

fn check_file_system(image: &Path) {
    tool(E2FS, "e2fsck", &["-f", "-n", text(image)]);
}

#[test]
fn a_file_system_on_a_loop_device_over_the_fuse_file() {
    let (place, server, uri) = start();
    let big = pattern(9 << 20, 13);
    {
        let device = Loop::attach(&server.file("db"));
        tool(E2FS, "mkfs.ext4", &["-q", text(&device.device)]);
        let mounted = Mounted::new(&[text(&device.device)], &place.path("mnt"));
        fs::write(mounted.directory.join("big"), &big).expect("room for it");
        for number in 0..200 {
            let name = format!("small-{number}");
            fs::write(mounted.directory.join(&name), &name).expect("room for it");
        }
        for number in (0..200).step_by(2) {
            fs::remove_file(mounted.directory.join(format!("small-{number}")))
                .expect("it is there");
        }
        drop(mounted);
        check_file_system(&device.device);
    }
    // The same file system by the other frontend, and after a restart.
    let copy = place.path("copy");
    tool(LIBNBD, "nbdcopy", &[&uri, text(&copy)]);
    check_file_system(&copy);
    server.stop();
    let server = place.start();
    let device = Loop::attach(&server.file("db"));
    check_file_system(&device.device);
    let mounted = Mounted::new(&["-o", "ro", text(&device.device)], &place.path("mnt"));
    let got = fs::read(mounted.directory.join("big")).expect("it is there");
    assert_same(&got, &big, "the big file");
    for number in 0..200 {
        let name = format!("small-{number}");
        let content = fs::read_to_string(mounted.directory.join(&name)).ok();
        assert_eq!(content, (number % 2 == 1).then_some(name));
    }
    drop((mounted, device));
    server.stop();
}

#[test]
fn the_frontends_see_each_others_writes_at_once() {
    let (_place, server, _uri) = start();
    let mut client = server.client("db");
    let open = |flags| {
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(flags);
        options.open(server.file("db")).expect("the file is there")
    };
    for (flags, seed) in [(0, 1_u64), (libc::O_DIRECT, 2), (libc::O_SYNC, 3)] {
        let file = open(flags);
        // O_DIRECT wants aligned memory of the user's.
        let mut memory = vec![0; (1 << 20) + 4096];
        let start = memory.as_ptr().align_offset(4096);
        let buffer = &mut memory[start..start + (1 << 20)];
        for step in 0..8_u64 {
            let offset_bytes = (seed * 8 + step) * MIB;
            let data = pattern(1 << 20, seed * 100 + step);
            client.write(offset_bytes, &data);
            file.read_exact_at(buffer, offset_bytes)
                .expect("it is read");
            assert_same(buffer, &data, "written by NBD, read by FUSE");
            buffer.copy_from_slice(&pattern(1 << 20, seed * 200 + step));
            file.write_all_at(buffer, offset_bytes)
                .expect("it is written");
            let got = client.read(offset_bytes, 1 << 20);
            assert_same(&got, buffer, "written by FUSE, read by NBD");
            client.write_zeroes(offset_bytes, 4096);
            file.read_exact_at(buffer, offset_bytes)
                .expect("it is read");
            assert_zeroes(&buffer[..4096], "zeroed by NBD, read by FUSE");
        }
        file.sync_all().expect("a flush");
    }
    // Two connections of one export are one vdisk, too.
    let mut other = server.client("db");
    other.write(17, b"one");
    assert_eq!(client.read(17, 3), b"one");
    server.stop();
}

#[test]
fn qemu_keeps_off_a_disk_that_is_served() {
    let (place, server, _uri) = start();
    let file = place.disk_file();
    let refused = |program: &str, arguments: &[&str]| {
        let output = tool_output(QEMU, program, arguments);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && complaint.contains("lock"),
            "{complaint}"
        );
    };
    refused("qemu-io", &["-f", "raw", text(&file), "-c", "write 0 4k"]);
    refused("qemu-img", &["resize", "-f", "raw", text(&file), "512M"]);
    let other = place.write("other", [1; 4096]);
    let convert = ["convert", "-n", "-f", "raw", "-O", "raw"];
    refused(
        "qemu-img",
        &[&convert[..], &[text(&other), text(&file)]].concat(),
    );
    // Looking at it is no harm.
    qemu_img("info -f raw --force-share", &[text(&file)]);
    server.stop();
    qemu_io(text(&file), "write -P 0 200M 4k");
}
