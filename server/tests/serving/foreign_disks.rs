//! Disks that hold something else: refused and left as they are, byte for byte, until they are
//! formatted by force.

use crate::nbd::{assert_zeroes, pattern};
use crate::programs::{Loop, text, tool};
use crate::test_directory::{MIB, TestDirectory, assert_says, exits_with};
use std::fs;

const DISK: &str = r#""d0": { "path": "d0.disk", "seeks": false }"#;
const VDISK: &str = r#""a": { "disk": "d0", "size": "8MiB" }"#;

/// A place whose disk holds these bytes.
fn holding(content: &[u8]) -> TestDirectory {
    let place = TestDirectory::new();
    fs::create_dir(place.path("state")).expect("a directory");
    place.write("state/d0.disk", content);
    place.configure_as(DISK, VDISK, r#""nbd": {}"#);
    place
}

/// Refused by every command that would write, and then taken by force.
#[track_caller]
fn refused_then_forced(place: &TestDirectory, found: &str) {
    let before = place.contents();
    for arguments in [&["serve"][..], &["format"], &["remove", "b"]] {
        let sentence = place.fails(arguments);
        assert_says(&sentence, &[found, "`d0`", "--force", "disktime.json:2:"]);
        let after = place.contents();
        assert_eq!(
            after.get(&place.disk_file()),
            before.get(&place.disk_file()),
            "{arguments:?}"
        );
    }
    assert_says(
        &place.succeeds(&["format", "--disk", "d0", "--force", "--yes"]),
        &["d0: formatted"],
    );
    let server = place.start();
    assert_zeroes(
        &server.client("a").read_all(),
        "a vdisk on a disk that held something",
    );
    server.stop();
}

#[test]
fn a_file_system_is_left_alone() {
    let place = holding(&vec![0; 64 << 20]);
    tool("e2fsprogs", "mkfs.ext4", &["-q", text(&place.disk_file())]);
    refused_then_forced(&place, "ext4");
    // The file system is gone, not half gone.
    let output = crate::programs::tool_output(
        "e2fsprogs",
        "e2fsck",
        &["-f", "-n", text(&place.disk_file())],
    );
    assert!(!output.status.success());
}

#[test]
fn a_partition_table_is_left_alone() {
    let mut content = vec![0; 32 << 20];
    content[450] = 0x83;
    content[454..462].copy_from_slice(&[0, 8, 0, 0, 0, 0xE8, 0, 0]);
    content[510..512].copy_from_slice(&[0x55, 0xAA]);
    refused_then_forced(&holding(&content), "MBR partition table");
}

#[test]
fn bytes_that_nobody_knows_are_left_alone() {
    refused_then_forced(&holding(&pattern(32 << 20, 1)), "something else");
    // Even one byte in the last sector.
    let mut content = vec![0; 32 << 20];
    content[(32 << 20) - 3] = 1;
    refused_then_forced(&holding(&content), "something else");
}

#[test]
fn a_foreign_file_is_not_even_grown() {
    let place = holding(&pattern(32 << 20, 2));
    let disk = r#""d0": { "path": "d0.disk", "size": "64MiB", "seeks": false }"#;
    place.configure_as(disk, VDISK, r#""nbd": {}"#);
    refused_then_forced(&place, "something that is no label of ours");
    assert_eq!(
        fs::metadata(place.disk_file()).expect("it is there").len(),
        64 * MIB
    );
}

/// A file that lost its end is formatted only after what it held was named.
#[test]
fn a_truncated_disk_is_formatted_after_its_vdisks_were_listed() {
    let place = holding(&vec![0; 32 << 20]);
    let disk = r#""d0": { "path": "d0.disk", "size": "32MiB", "seeks": false }"#;
    place.configure_as(disk, VDISK, r#""nbd": {}"#);
    place.start().stop();
    let file = fs::OpenOptions::new().write(true).open(place.disk_file());
    file.and_then(|file| file.set_len(16 << 20))
        .expect("it is cut");
    assert_says(&place.fails(&["format"]), &["its end is lost"]);
    let before = place.contents();
    let sentence = place.fails(&["format", "--disk", "d0", "--force"]);
    assert_says(
        &sentence,
        &["`d0`", "vdisk `a`", "Nothing was changed", "--yes"],
    );
    assert_eq!(place.contents(), before);
    place.succeeds(&["format", "--disk", "d0", "--force", "--yes"]);
}

#[test]
fn one_foreign_disk_keeps_the_others_from_being_made() {
    let place = holding(&pattern(32 << 20, 3));
    let disks = format!(r#""new": {{ "path": "new.disk", "size": "64MiB" }}, {DISK}"#);
    let vdisks = format!(r#""b": {{ "disk": "new", "size": "8MiB" }}, {VDISK}"#);
    place.configure_as(&disks, &vdisks, r#""nbd": {}"#);
    let before = fs::read(place.disk_file()).expect("it is there");
    assert_says(&place.fails(&["serve"]), &["`d0`", "something else"]);
    assert_eq!(fs::read(place.disk_file()).expect("it is there"), before);
    assert!(
        !place.path("state/new.disk").exists(),
        "a disk was made for nothing"
    );
    // By force on the one that is named; the other is not touched by that either.
    place.succeeds(&["format", "--disk", "d0", "--force", "--yes"]);
    assert!(!place.path("state/new.disk").exists(), "it was not named");
    place.start().stop();
}

#[test]
fn a_label_is_not_overwritten_without_force() {
    let place = holding(&vec![0; 32 << 20]);
    let server = place.start();
    server.client("a").write(0, b"kept");
    server.stop();
    assert_says(&place.fails(&["format"]), &["`d0`", "1 vdisk", "--force"]);
    assert_says(&place.fails(&["format", "--disk", "d1"]), &["`d1`", "d0"]);
    // By force only a disk that is named, and only when what is lost was agreed to.
    let sentence = exits_with(place.command(&["format", "--force"]), 2);
    assert_says(&sentence, &["--disk"]);
    exits_with(place.command(&["format", "--force", "--yes"]), 2);
    let sentence = place.fails(&["format", "--disk", "d0", "--force"]);
    assert_says(
        &sentence,
        &["`d0`", "vdisk `a`", "MiB", "Nothing was changed", "--yes"],
    );
    let server = place.start();
    assert_eq!(server.client("a").read(0, 4), b"kept");
    server.stop();
    place.succeeds(&["format", "--disk", "d0", "--force", "--yes"]);
    let server = place.start();
    assert_zeroes(&server.client("a").read_all(), "after a format by force");
    server.stop();
}

#[test]
fn a_block_device_is_served_and_kept_from_others() {
    let place = TestDirectory::new();
    let backing = place.write("backing", vec![0; 64 << 20]);
    let device = Loop::attach(&backing);
    let disk = format!(
        r#""d0": {{ "path": "{}", "seeks": false }}"#,
        text(&device.device)
    );
    place.configure_as(
        &disk,
        r#""a": { "disk": "d0", "size": "40MiB" }"#,
        r#""nbd": {}"#,
    );
    let server = place.start();
    let data = server.client("a").fill(8);
    // mkfs asks the kernel whether the device is in use, as other programs do.
    let output =
        crate::programs::tool_output("e2fsprogs", "mkfs.ext4", &["-q", text(&device.device)]);
    assert!(
        !output.status.success(),
        "a file system was made on a disk that is served"
    );
    server.stop();
    let server = place.start();
    crate::nbd::assert_same(&server.client("a").read_all(), &data, "after a restart");
    server.stop();
}

#[test]
fn a_damaged_copy_of_the_label_is_healed_printed_and_shown() {
    use std::os::unix::fs::FileExt;
    let place = holding(&vec![0; 32 << 20]);
    let server = place.start();
    assert_eq!(place.status().disks["d0"].notices, [""; 0]);
    server.stop();
    let disk = fs::OpenOptions::new().write(true).open(place.disk_file());
    let disk = disk.expect("it is there");
    disk.write_all_at(&[0xFF], 40).expect("a byte of copy 0");
    let server = place.start();
    let status = place.status();
    let notices = status.disks["d0"].notices.join(" ");
    assert_says(&notices, &["copy 0 of the label", "written again"]);
    assert_says(&status.to_string(), &["d0: copy 0 of the label"]);
    assert_says(&server.stop(), &["copy 0 of the label"]);
}

/// A place with a disk at this path, which holds the vdisk `a`.
fn place_at(path: &std::path::Path) -> TestDirectory {
    let disk = format!(r#""d0": {{ "path": "{}", "seeks": false }}"#, text(path));
    TestDirectory::configured(&disk, VDISK, r#""nbd": {}"#)
}

#[test]
fn a_file_and_the_loop_devices_over_it_are_one_disk() {
    let home = TestDirectory::new();
    let backing = home.write("backing", vec![0; 64 << 20]);
    let device = Loop::attach(&backing);
    let above = Loop::attach(&device.device);
    let names = [&backing, &device.device, &above.device];
    let places = names.map(|name| place_at(name));
    for (at, place) in places.iter().enumerate() {
        let server = place.start();
        for (_, other) in places.iter().enumerate().filter(|(other, _)| *other != at) {
            assert_says(&other.fails(&["serve"]), &["in use", "`fuser"]);
        }
        server.client("a").write(0, b"mine");
        server.stop();
    }
    // A mounted loop device keeps the file, too.
    drop((places, above));
    tool(
        "e2fsprogs",
        "mkfs.ext4",
        &["-q", "-F", text(&device.device)],
    );
    let mount = home.path("mount");
    fs::create_dir(&mount).expect("a directory");
    // For reading: ext4 writes its superblock some time after another mount.
    let read_only = ["-o", "ro", text(&device.device), text(&mount)];
    tool("mount", "mount", &read_only);
    let before = fs::read(&backing).expect("it is there");
    let sentence = place_at(&backing).fails(&["serve"]);
    assert_says(&sentence, &["in use", "loop device over it", "mounted"]);
    assert_eq!(fs::read(&backing).expect("it is there"), before);
    tool("mount", "umount", &[text(&mount)]);
}
