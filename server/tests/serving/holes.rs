//! Extended NBD as real clients use it: block status and holes, structured reads, fast zeroing, and
//! each command and flag with its errors.

use crate::nbd::{assert_same, pattern};
use crate::programs::{qemu_img, qemu_io, text, tool};
use crate::test_directory::{MIB, TestDirectory, serve_one};
use serde_json::Value;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};

const LIBNBD: &str = "libnbd-bin";
const PYTHON: &str = "python3-libnbd";

/// The extents that `nbdinfo --map` shows: start, length, kind.
#[track_caller]
fn map(uri: &str) -> Vec<(u64, u64, String)> {
    let said = tool(LIBNBD, "nbdinfo", &["--map", "--json", uri]);
    let map: Value = serde_json::from_str(&said).expect("it prints JSON");
    let extents = map.as_array().expect("a list of extents");
    extents
        .iter()
        .map(|extent| {
            let number = |key: &str| extent[key].as_u64().expect("a number");
            let kind = extent["description"].as_str().expect("a kind");
            (number("offset"), number("length"), kind.to_owned())
        })
        .collect()
}

/// The extents that `qemu-img map` shows, of a vdisk or of a file.
#[track_caller]
fn qemu_map(image: &str) -> Vec<(u64, u64, String)> {
    let said = qemu_img("map --output=json -f raw", &[image]);
    let map: Value = serde_json::from_str(&said).expect("it prints JSON");
    let extents = map.as_array().expect("a list of extents").iter();
    extents
        .map(|extent| {
            let number = |key: &str| extent[key].as_u64().expect("a number");
            let data = extent["data"].as_bool().expect("a flag");
            assert_eq!(extent["zero"].as_bool(), Some(!data));
            let kind = if data { "data" } else { "hole,zero" };
            (number("start"), number("length"), kind.to_owned())
        })
        .collect()
}

/// Data in these mebibytes and holes elsewhere, as `map` shows it.
fn data_in(mebibytes: &[(u64, u64)]) -> Vec<(u64, u64, String)> {
    let (mut at, mut all) = (0, Vec::new());
    let mut push = |at: &mut u64, end: u64, kind: &str| {
        if *at < end {
            all.push((*at * MIB, (end - *at) * MIB, kind.to_owned()));
        }
        *at = end;
    };
    for (start, end) in mebibytes {
        push(&mut at, *start, "hole,zero");
        push(&mut at, *end, "data");
    }
    push(&mut at, 64, "hole,zero");
    all
}

/// Runs a script of nbdsh; `h` is the connection. Debian's bindings are for Debian's Python.
#[track_caller]
pub(crate) fn nbdsh(uri: &str, script: &str) -> String {
    let arguments = ["-m", "nbd", "--base-allocation", "-u", uri, "-c", script];
    tool(PYTHON, "/usr/bin/python3", &arguments)
}

#[test]
fn holes_are_seen_made_and_found_again_after_a_restart() {
    let (place, server, uri) = serve_one();
    assert_eq!(map(&uri), data_in(&[]));
    qemu_io(&uri, "write 8M 4M; write 20M 1M; write 40M 8M");
    assert_eq!(map(&uri), data_in(&[(8, 12), (20, 21), (40, 48)]));
    qemu_io(
        &uri,
        "discard 9M 1M; write -z -u 41M 1M; write -z 43M 1M; flush",
    );
    // A zeroing without -u keeps its space.
    let after = data_in(&[(8, 9), (10, 12), (20, 21), (40, 41), (42, 48)]);
    assert_eq!(map(&uri), after);
    assert_eq!(qemu_map(&uri), after);
    // And so does a program that opens the file; cp and tar look for holes in the same way.
    assert_eq!(qemu_map(text(&server.file("db"))), after);
    server.stop();
    let server = place.start();
    let again = map(&server.uri("db").to_string());
    // What was zeroed and kept is zeroes that are no hole, where the file system below tells them
    // apart (FIEMAP), and else a hole.
    let mut data = data_in(&[(8, 9), (10, 12), (20, 21), (40, 41), (42, 43), (44, 48)]);
    if again.iter().any(|extent| extent.2 == "zero") {
        let kept = data.iter_mut().find(|extent| extent.0 == 43 * MIB);
        kept.expect("it lies between data").2 = "zero".to_owned();
    }
    assert_eq!(again, data);
    server.stop();
}

#[test]
fn nbdcopy_copies_data_and_leaves_holes() {
    let (place, server, uri) = serve_one();
    let data = pattern(2 << 20, 5);
    let source = place.path("source");
    let file = File::create(&source).expect("a file");
    file.set_len(64 * MIB).expect("a length");
    for mebibyte in [3, 33] {
        file.write_all_at(&data, mebibyte * MIB).expect("room");
    }
    tool(LIBNBD, "nbdcopy", &[text(&source), &uri]);
    assert_eq!(map(&uri), data_in(&[(3, 5), (33, 35)]));
    let back = place.path("back");
    tool(LIBNBD, "nbdcopy", &[&uri, text(&back)]);
    let all = fs::read(&back).expect("it was written");
    assert_same(
        &all,
        &fs::read(&source).expect("it is there"),
        "there and back",
    );
    let stored = fs::metadata(&back).expect("it is there").blocks() * 512;
    assert!(
        stored < 8 * MIB,
        "{stored} bytes were stored of 4 MiB of data"
    );
    tool(LIBNBD, "nbdcopy", &["--allocated", text(&source), &uri]);
    assert_eq!(map(&uri), data_in(&[(0, 64)]), "all of it is kept");
    server.stop();
}

#[test]
fn fast_zeroing_is_fast_or_refused() {
    let (_place, server, uri) = serve_one();
    let script = r#"
h.pwrite(b"x" * 1048576, 0)
h.zero(67108864, 0, nbd.CMD_FLAG_FAST_ZERO)
assert h.pread(1048576, 0) == bytearray(1048576)
try:
    h.zero(65536, 0, nbd.CMD_FLAG_FAST_ZERO | nbd.CMD_FLAG_NO_HOLE)
    assert False
except nbd.Error as error:
    assert error.errno == "ENOTSUP", error
"#;
    nbdsh(&uri, script);
    assert_eq!(map(&uri), data_in(&[]));
    server.stop();
    // A hard disk writes zeroes as slowly as anything else.
    let disk = r#""d0": { "path": "d0.disk", "size": "1GiB", "emulate": "desktop-7200-2008" }"#;
    let vdisk = r#""db": { "disk": "d0", "size": "64MiB" }"#;
    let place = TestDirectory::configured(disk, vdisk, r#""nbd": {}"#);
    let server = place.start();
    let script = r#"
h.zero(67108864, 0, nbd.CMD_FLAG_FAST_ZERO)
h.pwrite(b"x" * 131072, 0)
try:
    h.zero(131072, 0, nbd.CMD_FLAG_FAST_ZERO)
    assert False
except nbd.Error as error:
    assert error.errno == "ENOTSUP", error
assert h.pread(131072, 0) == b"x" * 131072
h.zero(131072, 0)
assert h.pread(131072, 0) == bytearray(131072)
"#;
    nbdsh(&server.uri("db").to_string(), script);
    server.stop();
}

/// Every command with every flag that it takes, and the error for each mistake.
#[test]
fn nbdsh_uses_each_command_and_flag() {
    let (_place, server, uri) = serve_one();
    nbdsh(&uri, include_str!("each_command.py"));
    server.stop();
}

/// A client of the time before all this: no structured replies, no options but the name.
#[test]
fn old_clients_are_served_as_ever() {
    let (_place, server, uri) = serve_one();
    let plain = format!(
        "h = nbd.NBD()\nh.set_request_structured_replies(False)\n\
         h.set_handshake_flags(0)\nh.connect_uri({uri:?})\n\
         assert not h.get_structured_replies_negotiated() and not h.can_df()\n\
         h.pwrite(b'old' * 1000, 77)\nassert h.pread(3000, 77) == b'old' * 1000\n\
         assert h.pread(1000, 5000) == bytearray(1000)\n"
    );
    tool(PYTHON, "/usr/bin/python3", &["-m", "nbd", "-c", &plain]);
    server.stop();
}

/// `"trim"`: what clients are told by both frontends, what becomes of a trim, and what is reported.
#[test]
fn trims_are_sent_on_held_or_ignored() {
    let disk = r#""d0": { "path": "d0.disk", "size": "1GiB", "seeks": false, "trim": "hold" }"#;
    let vdisks = r#""held": { "disk": "d0", "size": "64MiB" },
        "ignored": { "disk": "d0", "size": "64MiB", "trim": "ignore" },
        "passed": { "disk": "d0", "size": "64MiB", "trim": "pass" }"#;
    let place = TestDirectory::configured(disk, vdisks, r#""nbd": {}, "fuse": {}"#);
    let checked = place.succeeds(&["check"]);
    assert!(
        checked.contains("  trims of held are recorded as holes"),
        "{checked}"
    );
    assert!(
        checked.contains("  trims of ignored are ignored"),
        "{checked}"
    );
    let server = place.start();
    let trimmed = r#"
assert h.can_trim()
h.pwrite(b"x" * 2097152, 0)
h.trim(1048576, 0)
h.flush()
assert h.pread(1048576, 0) == bytearray(1048576)
assert h.pread(1048576, 1048576) == b"x" * 1048576
"#;
    for vdisk in ["held", "passed"] {
        nbdsh(&server.uri(vdisk).to_string(), trimmed);
    }
    let ignored = r#"
assert not h.can_trim()
h.set_strict_mode(0)
h.pwrite(b"x" * 1048576, 0)
h.trim(1048576, 0)
assert h.pread(1048576, 0) == b"x" * 1048576
"#;
    nbdsh(&server.uri("ignored").to_string(), ignored);
    let punch = |vdisk: &str| {
        let mut fallocate = std::process::Command::new("fallocate");
        fallocate.args(["--punch-hole", "--offset", "1MiB", "--length", "1MiB"]);
        let output = fallocate.arg(server.file(vdisk)).output();
        output.expect("util-linux is there").status.success()
    };
    assert!(punch("held") && punch("passed") && !punch("ignored"));
    let held = fs::read(server.file("held")).expect("it reads");
    assert!(held.iter().all(|byte| *byte == 0));
    let status = place.status();
    let trim = |name: &str| {
        (
            status.vdisks[name].trim.as_str(),
            status.vdisks[name].trim_held_bytes.is_some(),
        )
    };
    assert_eq!(trim("held"), ("hold", true));
    assert_eq!(trim("ignored"), ("ignore", false));
    assert_eq!(trim("passed"), ("pass", false));
    server.stop();
}
