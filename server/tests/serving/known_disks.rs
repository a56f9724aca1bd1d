//! The wrong disk is not served: swapped paths, a missing mount, a copy, a vdisk that the file has
//! on another disk, a file that is deleted while it is served. Every way to start says the same,
//! and nothing is written until the user accepts it.

use crate::programs::{Loop, text};
use crate::server::Server;
use crate::test_directory::{MIB, TestDirectory, assert_says};
use disktime_engine::RequestKind;
use std::fs;
use std::time::{Duration, Instant};

const TWO_DISKS: &str = r#""d0": { "path": "../d0.disk", "size": "64MiB", "seeks": false },
    "d1": { "path": "../d1.disk", "size": "64MiB", "seeks": false }"#;
const TWO_VDISKS: &str =
    r#""a": { "disk": "d0", "size": "8MiB" }, "b": { "disk": "d1", "size": "8MiB" }"#;
const NBD: &str = r#""nbd": {}"#;

/// A place that was served, with `a` on `d0` full of data.
fn served() -> (TestDirectory, Vec<u8>) {
    let place = TestDirectory::configured(TWO_DISKS, TWO_VDISKS, NBD);
    let server = place.start();
    server.says(&[
        "d0.disk",
        "new label",
        "`a` (8MiB)",
        "d1.disk",
        "`b` (8MiB)",
    ]);
    let data = server.client("a").fill(7);
    server.stop();
    (place, data)
}

/// Every way to start refuses with these words and changes nothing.
#[track_caller]
fn refused(place: &TestDirectory, fragments: &[&str]) {
    let before = place.contents();
    assert_says(&place.fails(&["serve"]), fragments);
    assert_says(&place.fails(&["serve", "--run", "true"]), fragments);
    assert_says(&place.fails(&["serve", "--policy", "fifo"]), fragments);
    assert_eq!(place.contents(), before, "something was changed");
}

#[track_caller]
fn serves(place: &TestDirectory, data: &[u8]) -> String {
    let server = place.start();
    crate::nbd::assert_same(&server.client("a").read_all(), data, "the right disk");
    server.stop()
}

#[test]
fn what_is_created_is_said_once() {
    let (place, data) = served();
    let said = serves(&place, &data);
    assert!(!said.contains("new"), "{said}");
}

#[test]
fn disks_that_changed_places_are_refused() {
    let (place, data) = served();
    let (one, other) = (place.path("d0.disk"), place.path("d1.disk"));
    let swap = || {
        fs::rename(&one, place.path("t")).expect("a rename");
        fs::rename(&other, &one).expect("a rename");
        fs::rename(place.path("t"), &other).expect("a rename");
    };
    swap();
    refused(
        &place,
        &[
            "`d0`",
            "d0.disk",
            "`d1`",
            "exchange the paths of `d0` and `d1`",
            "by-id",
            "--accept-new-disk d0",
            "disktime.json:2:",
        ],
    );
    // Also where opening would grow the files: a refused start leaves their lengths as they are.
    let right = fs::read_to_string(place.file()).expect("it is there");
    place.write("disktime.json", right.replace(r#""64MiB""#, r#""96MiB""#));
    refused(&place, &["exchange the paths"]);
    assert_eq!(fs::metadata(&one).expect("it is there").len(), 64 * MIB);
    place.write("disktime.json", right);
    swap();
    serves(&place, &data);
}

#[test]
fn a_missing_disk_is_not_made_anew_in_silence() {
    let (place, data) = served();
    let (file, aside) = (place.path("d0.disk"), place.path("aside"));
    fs::rename(&file, &aside).expect("a rename");
    refused(
        &place,
        &[
            "`d0`",
            "blank or missing",
            "mount",
            "`a`",
            "--accept-new-disk d0",
        ],
    );
    assert!(!file.exists(), "a file was made");
    for command in [&["format"][..], &["serve", "--accept-new-disk", "d1"]] {
        assert_says(&place.fails(command), &["`d0`", "blank or missing"]);
    }
    fs::rename(&aside, &file).expect("a rename");
    serves(&place, &data);
    // Given up, the disk is a new one, which is said, and then remembered.
    fs::remove_file(&file).expect("it is there");
    let server = Server::start(place.command(&["serve", "--accept-new-disk", "d0"]));
    server.says(&["`d0` was the disk", "new label", "`a`"]);
    crate::nbd::assert_zeroes(&server.client("a").read_all(), "a new disk");
    server.stop();
    serves(&place, &vec![0; 8 << 20]);
    assert_says(
        &place.fails(&["serve", "--accept-new-disk", "d7"]),
        &["`d7`", "d0, d1"],
    );
}

#[test]
fn another_disk_is_adopted_on_request() {
    let (place, data) = served();
    let other = TestDirectory::configured(TWO_DISKS, TWO_VDISKS, NBD);
    let server = other.start();
    let others = server.client("a").fill(9);
    server.stop();
    fs::copy(place.path("d0.disk"), place.path("aside")).expect("a copy");
    fs::copy(other.path("d0.disk"), place.path("d0.disk")).expect("a copy");
    refused(&place, &["`d0`", "remembered"]);
    assert_says(
        &place.succeeds(&["adopt", "--disk", "d0"]),
        &["d0: remembered", "`a`"],
    );
    serves(&place, &others);
    fs::copy(place.path("aside"), place.path("d0.disk")).expect("a copy");
    refused(&place, &["`d0`", "remembered"]);
    assert_says(
        &place.succeeds(&["adopt"]),
        &["d0: remembered", "d1: remembered"],
    );
    serves(&place, &data);
}

#[test]
fn a_copy_beside_its_original_is_refused() {
    let (place, data) = served();
    fs::copy(place.path("d0.disk"), place.path("d1.disk")).expect("a copy");
    refused(&place, &["`d0`", "`d1`", "same uuid"]);
    assert_says(&place.fails(&["adopt"]), &["same uuid"]);
    place.configure_as(
        r#""d0": { "path": "../d0.disk", "seeks": false }"#,
        r#""a": { "disk": "d0", "size": "8MiB" }"#,
        NBD,
    );
    serves(&place, &data);
}

#[test]
fn a_disk_keeps_its_vdisks_under_another_name() {
    let (place, data) = served();
    let disks = TWO_DISKS.replace(r#""d0""#, r#""fast""#);
    let vdisks = TWO_VDISKS.replace(r#""d0""#, r#""fast""#);
    place.configure_as(&disks, &vdisks, NBD);
    let server = place.start();
    server.says(&["`fast`", "`d0`"]);
    crate::nbd::assert_same(&server.client("a").read_all(), &data, "the same disk");
    server.stop();
}

#[test]
fn a_vdisk_is_not_made_again_on_another_disk() {
    let (place, data) = served();
    let moved = TWO_VDISKS.replace(r#""a": { "disk": "d0""#, r#""a": { "disk": "d1""#);
    place.configure_as(TWO_DISKS, &moved, NBD);
    refused(
        &place,
        &[
            "`a`",
            "`d0`",
            "`d1`",
            "remove disktime.json a --disk d0",
            "disktime.json:4:",
        ],
    );
    // Neither when its disk is not in the file any more.
    place.configure_as(
        r#""d1": { "path": "../d1.disk", "seeks": false }"#,
        &moved,
        NBD,
    );
    refused(&place, &["`a`", "`d0`", "`d1`", "adopt"]);
    place.configure_as(TWO_DISKS, TWO_VDISKS, NBD);
    serves(&place, &data);
    // Freed where it was, it may be made elsewhere; by its own name alone it may not be freed.
    place.configure_as(TWO_DISKS, &moved, NBD);
    assert_says(&place.fails(&["remove", "a"]), &["`a`", "disktime.json"]);
    assert_says(&place.fails(&["remove", "a", "--disk", "d1"]), &["`a`"]);
    place.succeeds(&["remove", "a", "--disk", "d0", "--yes"]);
    let server = place.start();
    server.says(&["d1: new", "`a`"]);
    server.stop();
}

#[test]
fn what_is_remembered_is_not_guessed() {
    let (place, data) = served();
    let file = place.path("state/disks.json");
    let remembered = fs::read(&file).expect("it is there");
    for damage in [&b""[..], &remembered[..remembered.len() / 2], b"{}"] {
        fs::write(&file, damage).expect("a write");
        refused(
            &place,
            &["disks.json", "damaged", "disktime adopt disktime.json"],
        );
    }
    let later = String::from_utf8_lossy(&remembered).replace(r#""version": 1"#, r#""version": 9"#);
    fs::write(&file, later).expect("a write");
    refused(&place, &["disks.json", "version 9"]);
    fs::remove_file(&file).expect("it is there");
    refused(
        &place,
        &["disks.json", "is gone", "disktime adopt disktime.json"],
    );
    place.succeeds(&["adopt"]);
    serves(&place, &data);
    // A crash between the memory and the note that there is one: the next start makes up for it.
    let lock = place.path("state/lock");
    fs::write(&lock, "1\n").expect("a write");
    serves(&place, &data);
    fs::remove_file(&file).expect("it is there");
    refused(&place, &["disks.json", "is gone"]);
    place.succeeds(&["adopt"]);
    // A state directory of a program that remembered nothing.
    fs::remove_dir_all(place.path("state")).expect("it is there");
    assert_says(
        &serves(&place, &data),
        &["`d0`", "holds `a`", "remembered from now on"],
    );
    assert!(!serves(&place, &data).contains("remembered"));
}

#[test]
fn a_start_that_failed_does_not_make_vdisks_in_silence() {
    let place = TestDirectory::configured(TWO_DISKS, TWO_VDISKS, NBD);
    // The second disk is refused after the first was opened; then it is in order.
    fs::write(place.path("d1.disk"), vec![7; 64 << 20]).expect("a write");
    let said = place.fails(&["serve"]);
    assert!(!said.contains("new"), "{said}");
    fs::remove_file(place.path("d1.disk")).expect("it is there");
    let server = place.start();
    server.says(&["`a` (8MiB)", "`b` (8MiB)"]);
    server.stop();
}

#[test]
fn devices_that_changed_names_are_refused() {
    let place = TestDirectory::new();
    let backings = ["one", "other"].map(|name| place.write(name, vec![0; 64 << 20]));
    let configure = |first: &Loop, second: &Loop| {
        let disk = |device: &Loop| {
            let path = text(&device.device).to_owned();
            format!(r#"{{ "path": "{path}", "seeks": false }}"#)
        };
        let disks = format!(r#""d0": {}, "d1": {}"#, disk(first), disk(second));
        place.configure_as(&disks, TWO_VDISKS, NBD);
    };
    let (first, second) = (Loop::attach(&backings[0]), Loop::attach(&backings[1]));
    configure(&first, &second);
    let server = place.start();
    let data = server.client("a").fill(3);
    server.stop();
    configure(&second, &first);
    refused(&place, &["`d0`", "`d1`", "by-id"]);
    configure(&first, &second);
    serves(&place, &data);
}

/// The status says this of a disk, sooner or later.
#[track_caller]
pub(crate) fn until_status_says(place: &TestDirectory, disk: &str, words: &str) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let status = place.status();
        let of_disk = &status.disks[disk];
        let said: Vec<&String> = of_disk
            .file_problem
            .iter()
            .chain(&of_disk.notices)
            .collect();
        if said.iter().any(|sentence| sentence.contains(words)) {
            return;
        }
        assert!(
            Instant::now() < until,
            "the status says {said:?}, not {words:?}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_file_that_is_deleted_while_it_is_served_is_noticed() {
    let (place, data) = served();
    let (file, aside) = (place.path("d0.disk"), place.path("aside"));
    let server = place.start();
    assert_eq!(place.status().disks["d0"].file_problem, None);
    fs::rename(&file, &aside).expect("a rename");
    until_status_says(&place, "d0", "moved");
    fs::write(&file, b"another").expect("a write");
    until_status_says(&place, "d0", "replaced");
    fs::remove_file(&aside).expect("it is there");
    fs::remove_file(&file).expect("it is there");
    until_status_says(&place, "d0", "deleted");
    assert_says(&place.succeeds(&["status"]), &["d0:", "deleted"]);
    // What was served still is, to be copied.
    crate::nbd::assert_same(&server.client("a").read_all(), &data, "a deleted file");
    assert_says(
        &server.stop(),
        &["`d0`", "deleted while it is served", "copy it now"],
    );
    refused(&place, &["`d0`", "blank or missing"]);
}

#[test]
fn a_file_that_is_cut_while_it_is_served_is_noticed() {
    const EIO: u32 = 5;
    let vdisks = r#""front": { "disk": "d0", "size": "8MiB" },
        "a": { "disk": "d0", "size": "40MiB" }, "b": { "disk": "d1", "size": "8MiB" }"#;
    let place = TestDirectory::configured(TWO_DISKS, vdisks, NBD);
    let server = place.start();
    let (mut front, mut a) = (server.client("front"), server.client("a"));
    let data = a.fill(7);
    let disk = place.path("d0.disk");
    let cut = |size_bytes: u64| {
        let file = fs::OpenOptions::new().write(true).open(&disk);
        file.expect("it is there")
            .set_len(size_bytes)
            .expect("a length");
    };
    cut(32 * MIB);
    // At once, and whatever becomes of the file: a write would make it long again.
    for mebibyte in [39, 30] {
        let at = mebibyte * MIB;
        for kind in [
            RequestKind::Write,
            RequestKind::WriteZeroes,
            RequestKind::Read,
        ] {
            let data: &[u8] = if kind == RequestKind::Write {
                &[1; 4096]
            } else {
                &[]
            };
            assert_eq!(a.ask(kind, at, 4096, data).0, EIO, "{kind:?} at {at}");
        }
    }
    assert_eq!(fs::metadata(&disk).expect("it is there").len(), 32 * MIB);
    // Writes that were answered are lost, so this vdisk's flush fails; another's does not.
    assert_eq!(a.ask(RequestKind::Flush, 0, 0, &[]).0, EIO);
    crate::nbd::assert_same(&a.read(MIB, 4096), &data[1 << 20..][..4096], "the rest");
    front.write(0, &[9; 4096]);
    front.flush();
    until_status_says(&place, "d0", "was cut from 64MiB to 32MiB");
    cut(64 * MIB);
    assert_eq!(a.ask(RequestKind::Read, 39 * MIB, 4096, &[]).0, EIO);
    drop((front, a));
    assert_says(&server.stop(), &["`d0`", "was cut", "restore it"]);
    // The file is whole by its size, with zeroes where data were.
    refused(
        &place,
        &[
            "`d0`",
            "was cut from 64MiB to 32MiB",
            "adopt disktime.json --disk d0",
        ],
    );
    assert_says(&place.fails(&["check", "--disks"]), &["`d0`", "was cut"]);
    place.succeeds(&["adopt", "--disk", "d0"]);
    let server = place.start();
    assert_eq!(server.client("front").read(0, 4096), [9; 4096]);
    server.stop();
}

#[test]
fn an_image_that_lost_its_end_is_not_grown_again() {
    let (place, data) = served();
    let path = place.path("d0.disk");
    let cut = |size_bytes: u64| {
        let file = fs::OpenOptions::new().write(true).open(&path);
        file.expect("it is there")
            .set_len(size_bytes)
            .expect("a cut");
    };
    for size_bytes in [32 * MIB, 64 * MIB - 4096] {
        cut(size_bytes);
        refused(
            &place,
            &["`d0`", "d0.disk", "its end is lost", "truncate -s 67108864"],
        );
        assert_eq!(fs::metadata(&path).expect("it is there").len(), size_bytes);
    }
    assert_says(
        &place.fails(&["serve"]),
        &["has 65532KiB, and had 65536KiB"],
    );
    // As large as it was, it is served; and it may grow from there.
    cut(64 * MIB);
    serves(&place, &data);
    let larger = TWO_DISKS.replace(
        r#""d0": { "path": "../d0.disk", "size": "64MiB""#,
        r#""d0": { "path": "../d0.disk", "size": "96MiB""#,
    );
    place.configure_as(&larger, TWO_VDISKS, NBD);
    serves(&place, &data);
    assert_eq!(fs::metadata(&path).expect("it is there").len(), 96 * MIB);
    // Cut into its label, it is not taken for a new file either.
    cut(MIB / 4);
    refused(&place, &["`d0`", "d0.disk"]);
}
