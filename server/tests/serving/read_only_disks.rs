//! Disks that cannot be written to: served for reading, and said so; and ones that become so while
//! they are served.

use crate::nbd::{assert_same, pattern};
use crate::programs::{Loop, Mounted, finished, text, tool};
use crate::server::Server;
use crate::test_directory::{PLAIN_DISK, TestDirectory, assert_says};
use disktime_engine::RequestKind;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

const EPERM: u32 = 1;

fn vdisk(path: &str, size: &str) -> TestDirectory {
    let disks = format!(r#"{PLAIN_DISK}, "old": {{ "path": "{path}", {size} "seeks": false }}"#);
    let vdisks = r#""kept": { "disk": "old", "size": "8MiB" }"#;
    TestDirectory::configured(&disks, vdisks, r#""nbd": {}, "fuse": {}"#)
}

/// Serves the disk, which holds `data`, for reading.
#[track_caller]
fn is_served_for_reading(place: &TestDirectory, server: Server, data: &[u8]) {
    let mut client = server.client("kept");
    assert_same(&client.read(5, data.len() as u32), data, "what was written");
    let (error, _) = client.ask(RequestKind::Write, 0, 4096, &[1; 4096]);
    assert_eq!(error, EPERM);
    let file = server.file("kept");
    let refused = OpenOptions::new().write(true).open(&file).err();
    let number = refused.and_then(|error| error.raw_os_error());
    assert_eq!(number, Some(libc::EROFS));
    let info = tool("libnbd-bin", "nbdinfo", &[&server.uri("kept").to_string()]);
    assert!(info.contains("is_read_only: true"), "{info}");
    let notices = place.status().disks["old"].notices.join("\n");
    assert!(notices.contains("served for reading only"), "{notices}");
    drop(client);
    let writes = [
        "load",
        "--duration",
        "1s",
        "--client",
        "log-writer,vdisk=kept",
    ];
    assert_says(&place.fails(&writes), &["`kept`", "served read-only"]);
    assert_says(&server.stop(), &["served for reading only"]);
}

#[test]
fn a_file_on_a_read_only_file_system_is_served_for_reading() {
    let place = vdisk("small/old.disk", r#""size": "16MiB","#);
    let small = Mounted::new(
        &["-t", "tmpfs", "-o", "size=32m", "disktime-test"],
        &place.path("state/small"),
    );
    let data = pattern(100_000, 3);
    let server = place.start();
    server.client("kept").write(5, &data);
    server.stop();
    let remount = ["-o", "remount,ro", text(&small.directory)];
    tool("mount", "mount", &remount);
    is_served_for_reading(&place, place.start(), &data);
    let config = std::fs::read_to_string(place.file()).expect("it is there");
    place.write("disktime.json", config.replace(r#""8MiB""#, r#""9MiB""#));
    for command in [&["serve"][..], &["check", "--disks"]] {
        assert_says(
            &place.fails(command),
            &["cannot be written to", "new or larger"],
        );
    }
    let format = ["format", "--disk", "old", "--force", "--yes"];
    assert_says(
        &place.fails(&format),
        &["`old`", "cannot be written to", "nothing was changed"],
    );
    // As it is, a start is possible, and the check says how.
    place.write("disktime.json", &config);
    let checked = finished(place.command(&["check", "--disks"]));
    assert!(checked.status.success(), "{checked:?}");
    let said = String::from_utf8_lossy(&checked.stderr);
    assert_says(&said, &["old: it cannot be written to", "for reading only"]);
    // It cannot grow to a larger size.
    place.write("disktime.json", config.replace(r#""16MiB""#, r#""24MiB""#));
    for command in [&["serve"][..], &["check", "--disks"]] {
        let says = [
            "has 16MiB and cannot be written to",
            "24MiB",
            "make it writable",
        ];
        assert_says(&place.fails(command), &says);
    }
    assert_says(
        &place.fails(&["remove", "other"]),
        &["cannot be written to"],
    );
}

/// The zero map of a vdisk has a damaged block, and cannot be written again.
#[test]
fn a_damaged_zero_map_of_a_read_only_disk_fails_no_flush() {
    let place = vdisk("small/old.disk", r#""size": "16MiB","#);
    let options = ["-t", "tmpfs", "-o", "size=32m", "disktime-test"];
    let small = Mounted::new(&options, &place.path("state/small"));
    let remount = |mode: &str| {
        let mode = format!("remount,{mode}");
        tool("mount", "mount", &["-o", &mode, text(&small.directory)])
    };
    let path = place.write("state/small/old.disk", vec![0xA5; 16 << 20]);
    place.succeeds(&["format", "--disk", "old", "--force", "--yes"]);
    let data = pattern(100_000, 3);
    let server = place.start();
    server.client("kept").write(5, &data);
    server.stop();
    // The vdisk lies behind the label of 1 MiB, and its map behind its 8 MiB.
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = file.expect("it is there");
    let mut block = [0; 4096];
    file.read_exact_at(&mut block, 9 << 20)
        .expect("a block of the map");
    block[2000] ^= 1;
    file.write_all_at(&block, 9 << 20).expect("it is damaged");
    drop(file);
    remount("ro");
    let server = place.start();
    let mut client = server.client("kept");
    assert_same(
        &client.read(5, data.len() as u32),
        &data,
        "what was written",
    );
    client.flush();
    drop(client);
    let said = server.stop();
    assert_says(
        &said,
        &["zero map of vdisk `kept`", "a start that can write"],
    );
    remount("rw");
    assert_says(
        &place.start().stop(),
        &["zero map of vdisk `kept`", "written again from"],
    );
    assert!(
        !place.start().stop().contains("zero map"),
        "it was repaired"
    );
}

#[test]
fn a_device_that_becomes_read_only_fails_writes_and_no_flush() {
    let backing_place = TestDirectory::new();
    let backing = backing_place.write("backing", vec![0; 64 << 20]);
    let device = Loop::attach(&backing);
    let place = vdisk(text(&device.device), "");
    let set = |mode| tool("util-linux", "blockdev", &[mode, text(&device.device)]);
    let data = pattern(100_000, 3);
    let server = place.start();
    let mut client = server.client("kept");
    client.write(5, &data);
    client.flush();
    set("--setro");
    let (error, _) = client.ask(RequestKind::Write, 1 << 20, 4096, &[1; 4096]);
    assert_eq!(error, EPERM);
    client.flush();
    set("--setrw");
    client.write(1 << 20, &[2; 4096]);
    client.flush();
    drop(client);
    server.stop();
    set("--setro");
    is_served_for_reading(&place, place.start(), &data);
    set("--setrw");
    let server = place.start();
    server.client("kept").write(0, &[1; 5]);
    server.stop();
}
