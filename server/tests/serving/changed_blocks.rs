//! What has changed since a mark, over NBD, as stock tools ask for it: a full and incremental
//! backups that nothing but `nbdinfo`, `qemu-img` and `qemu-io` make, restored bit for bit, also
//! right after kill -9.

use crate::history::{json, run};
use crate::holes::nbdsh;
use crate::programs::{QEMU, qemu_img, text, tool, tool_output};
use crate::server::Server;
use crate::test_directory::{MIB, TestDirectory, assert_says};
use disktime_nbd_protocol::{NbdUri, Transport};
use serde_json::Value;
use std::path::PathBuf;

const LIBNBD: &str = "libnbd-bin";
const BLOCK: u64 = 4096;

fn place() -> TestDirectory {
    let disks = r#""d": { "path": "d.disk", "size": "320MiB", "seeks": false }"#;
    let history = r#""history": { "window": "1h", "max": "128MiB" }"#;
    let vdisks = format!(
        r#""db": {{ "disk": "d", "size": "8MiB", {history} }},
           "plain": {{ "disk": "d", "size": "4MiB" }}"#
    );
    TestDirectory::configured(disks, &vdisks, r#""nbd": {}"#)
}

fn uri(server: &Server, export: &str) -> NbdUri {
    NbdUri {
        export: export.to_owned(),
        ..server.uri("db")
    }
}

fn context(moment: &str) -> String {
    format!("qemu:dirty-bitmap:since-{moment}")
}

/// Joins ranges that touch.
fn joined(ranges: impl Iterator<Item = (u64, u64)>) -> Vec<(u64, u64)> {
    let mut all: Vec<(u64, u64)> = Vec::new();
    for (offset, length) in ranges {
        match all.last_mut() {
            Some(last) if last.0 + last.1 == offset => last.1 += length,
            _ => all.push((offset, length)),
        }
    }
    all
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

/// Offset and length of those extents of a map that are wanted.
fn extents(map: &str, names: [&str; 2], is_wanted: impl Fn(&Value) -> bool) -> Vec<(u64, u64)> {
    let map: Value = serde_json::from_str(map).expect("JSON");
    let all = map.as_array().expect("a list").iter();
    let wanted = all.filter(|extent| is_wanted(extent));
    joined(wanted.map(|extent| (number(&extent[names[0]]), number(&extent[names[1]]))))
}

/// What has changed, as nbdinfo says it.
#[track_caller]
fn changed(server: &Server, export: &str, since: &str) -> Vec<(u64, u64)> {
    let map = format!("--map={}", context(since));
    let uri = uri(server, export).to_string();
    let said = tool(LIBNBD, "nbdinfo", &["--json", &map, &uri]);
    extents(&said, ["offset", "length"], |extent| extent["type"] == 1)
}

/// The same, as QEMU's programs are asked for it: what they call no data has changed.
#[track_caller]
fn changed_by_qemu(server: &Server, export: &str, since: &str) -> Vec<(u64, u64)> {
    let Transport::Unix { path } = uri(server, export).transport else {
        panic!("the first socket is a path");
    };
    let image = format!(
        "driver=nbd,server.type=unix,server.path={},export={export},x-dirty-bitmap={}",
        path.display(),
        context(since)
    );
    let said = qemu_img("map --output=json --image-opts", &[&image]);
    extents(&said, ["start", "length"], |extent| extent["data"] == false)
}

/// The same, as `disktime changed` says it.
fn changed_by_command(place: &TestDirectory, since: &str, until: &str) -> Vec<(u64, u64)> {
    let answer = json(
        place,
        &["changed", "db", "--since", since, "--until", until],
    );
    let ranges = answer["ranges"].as_array().expect("a list").iter();
    joined(ranges.map(|range| (number(&range["offset"]), number(&range["length"]))))
}

/// Writes, zeroes and trims of one round, and where they are.
fn change(server: &Server, round: u64) -> Vec<(u64, u64)> {
    let mut client = server.client("db");
    let mut blocks = Vec::new();
    for at in 0..40 {
        let block = (at * 37 + round * 211) % 1900;
        client.write(block * BLOCK, &vec![(at + round * 40) as u8 | 1; 4096]);
        blocks.push(block);
    }
    client.write_zeroes((1900 + round) * BLOCK, 2 * 4096);
    blocks.extend([1900 + round, 1901 + round]);
    // A part of a block.
    client.write((2000 + round) * BLOCK + 100, &[7; 200]);
    blocks.push(2000 + round);
    client.flush();
    blocks.sort_unstable();
    blocks.dedup();
    joined(blocks.into_iter().map(|block| (block * BLOCK, BLOCK)))
}

/// The increment since a mark, as an image over its base: the blocks that have changed are read
/// from the moment, into the image.
fn increment(server: &Server, place: &TestDirectory, since: &str, at: &str, base: &str) -> PathBuf {
    let file = place.path(&format!("{at}.qcow2"));
    let (image, moment) = (text(&file), format!("db@{at}"));
    let source = uri(server, &moment).to_string();
    let create = "create -q -f qcow2 -o cluster_size=4k -F raw -b";
    qemu_img(create, &[&source, image]);
    let ranges = changed_by_qemu(server, &moment, since);
    let reads = ranges
        .iter()
        .map(|(offset, length)| format!("r {offset} {length}"));
    let reads: Vec<String> = reads.collect();
    let mut arguments = vec!["-C", "-f", "qcow2", image];
    arguments.extend(reads.iter().flat_map(|read| ["-c", read]));
    let said = tool(QEMU, "qemu-io", &arguments);
    assert!(!said.contains("failed"), "{said}");
    let format = if base.ends_with("raw") {
        "raw"
    } else {
        "qcow2"
    };
    let rebase = format!("rebase -u -f qcow2 -F {format} -b");
    qemu_img(&rebase, &[base, image]);
    let map = qemu_img("map --output=json", &[image]);
    let stored = extents(&map, ["start", "length"], |extent| extent["depth"] == 0);
    assert_eq!(stored, ranges, "nothing but what has changed is stored");
    file
}

fn assert_restores(server: &Server, place: &TestDirectory, image: &str, moment: &str) {
    let restored = place.path("restored.raw");
    qemu_img("convert -O raw", &[image, text(&restored)]);
    let held = std::fs::read(&restored).expect("the image");
    let mut client = crate::nbd::Client::connect(&uri(server, moment));
    assert!(held == client.read_all(), "{moment} is restored otherwise");
}

#[test]
fn stock_tools_make_incremental_backups_also_after_kill_9() {
    let place = place();
    let server = place.start();
    server.client("db").fill(5);
    run(&place, &["mark", "db", "full"]);
    let full = place.path("full.raw");
    let full = text(&full);
    qemu_img(
        "convert -O raw",
        &[&uri(&server, "db@full").to_string(), full],
    );

    let first = change(&server, 1);
    run(&place, &["mark", "db", "monday"]);
    let after = change(&server, 2);
    assert_eq!(changed(&server, "db@monday", "full"), first);
    assert_eq!(changed_by_qemu(&server, "db@monday", "full"), first);
    assert_eq!(changed_by_command(&place, "full", "monday"), first);
    assert_eq!(changed(&server, "db", "monday"), after, "up to now");
    assert_eq!(changed(&server, "db@monday", "monday"), []);
    assert_eq!(changed(&server, "db@full", "monday"), first, "backwards");
    let seq = number(&json(&place, &["history", "db"])["marks"][0]["seq"]);
    assert_eq!(changed(&server, "db@monday", &format!("seq:{seq}")), first);
    let monday = increment(&server, &place, "full", "monday", full);
    assert_restores(&server, &place, text(&monday), "db@monday");
    server.kill();

    // What was flushed is there, and what has changed is known at once.
    let server = place.start();
    assert_eq!(changed(&server, "db", "monday"), after);
    assert_eq!(changed(&server, "db@monday", "full"), first);
    run(&place, &["mark", "db", "tuesday"]);
    let tuesday = increment(&server, &place, "monday", "tuesday", text(&monday));
    assert_restores(&server, &place, text(&tuesday), "db@tuesday");
    server.stop();
}

#[test]
fn contexts_are_listed_and_chosen_beside_the_holes() {
    let place = place();
    let server = place.start();
    server.client("db").write(0, &vec![1; MIB as usize]);
    run(&place, &["mark", "db", "a"]);
    server.client("db").write(MIB, &vec![2; MIB as usize]);
    run(&place, &["mark", "db", "b"]);
    for export in ["db", "db@a", "db@b"] {
        let uri = uri(&server, export).to_string();
        let said = tool(LIBNBD, "nbdinfo", &["--json", "--no-content", &uri]);
        let told: Value = serde_json::from_str(&said).expect("JSON");
        let contexts = &told["exports"][0]["contexts"];
        let expected = ["base:allocation".to_owned(), context("a"), context("b")];
        assert_eq!(*contexts, Value::from(expected.to_vec()), "{export}");
    }
    let list = r#"
h2 = nbd.NBD()
h2.set_opt_mode(True)
h2.connect_uri(h.get_uri())
def listed(*queries):
    h2.clear_meta_contexts()
    for query in queries:
        h2.add_meta_context(query)
    found = []
    h2.opt_list_meta_context(lambda name: found.append(name))
    return found
a, b = ["qemu:dirty-bitmap:since-" + mark for mark in "ab"]
assert listed("qemu:dirty-bitmap:") == [a, b], listed("qemu:dirty-bitmap:")
assert listed("qemu:") == [a, b]
assert listed(b, "base:") == ["base:allocation", b]
assert listed("qemu:dirty-bitmap:since-c", "qemu:dirty-bitmap:a", "x:y") == []

# Several contexts in one reply.
h2.clear_meta_contexts()
h2.add_meta_context(a)
h2.add_meta_context("base:allocation")
h2.add_meta_context(b)
h2.opt_go()
found = {}
h2.block_status(8 << 20, 0, lambda name, at, entries, error: found.update({name: entries}))
M = 1 << 20
assert found == {
    a: [M, 0, M, 1, 6 * M, 0], b: [8 * M, 0], "base:allocation": [2 * M, 0, 6 * M, 3]
}, found
def one(name, at, entries, error):
    assert len(entries) == 2, entries
h2.block_status(4 * M, 2 * M - 4096, one, nbd.CMD_FLAG_REQ_ONE)
"#;
    nbdsh(&uri(&server, "db@b").to_string(), list);
    let unknown = format!("--map={}", context("nothing"));
    for export in ["db", "plain"] {
        let uri = uri(&server, export).to_string();
        let output = tool_output(LIBNBD, "nbdinfo", &[&unknown, &uri]);
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_says(&said, &["since-nothing"]);
    }
    server.stop();
}

/// What a client is told stays what it was when it chose the export, also when the mark is dropped
/// and when others write.
#[test]
fn a_client_keeps_its_context_when_the_mark_is_dropped() {
    let place = place();
    let server = place.start();
    server.client("db").write(0, &vec![1; MIB as usize]);
    run(&place, &["mark", "db", "a"]);
    server.client("db").write(MIB, &vec![2; MIB as usize]);
    let program = place.bare(&[]);
    let program = program.get_program().to_str().expect("text").to_owned();
    let control = place.control();
    let script = format!(
        r#"
import subprocess
M = 1 << 20
h2 = nbd.NBD()
name = "qemu:dirty-bitmap:since-a"
h2.add_meta_context(name)
h2.connect_uri(h.get_uri())
def changed():
    found = []
    h2.block_status(8 * M, 0, lambda name, at, entries, error: found.append((name, entries)))
    return found
before = [(name, [M, 0, M, 1, 6 * M, 0])]
assert changed() == before, changed()
subprocess.run([{program:?}, "drop", "db@a", "--control", {control:?}], check=True)
assert changed() == before, changed()
h.pwrite(b"3" * M, 4 * M)
assert changed() == before, changed()

# It is not there for the next one.
h3 = nbd.NBD()
h3.add_meta_context(name)
h3.connect_uri(h.get_uri())
assert not h3.can_meta_context(name)
"#
    );
    nbdsh(&uri(&server, "db").to_string(), &script);
    assert_eq!(
        json(&place, &["history", "db"])["holders"],
        Value::from(Vec::<Value>::new())
    );
    server.stop();
}

/// All contexts of a client are about one moment, whatever others write while it chooses them.
#[test]
fn the_contexts_of_a_client_are_about_one_moment() {
    let place = place();
    let server = place.start();
    server.client("db").write(0, &vec![1; MIB as usize]);
    let marks = ["a", "b", "c", "d", "e", "f", "g", "h"];
    for mark in marks {
        run(&place, &["mark", "db", mark]);
    }
    // Nothing was written between the marks, so all lists are the same.
    let script = r#"
import threading
names = ["qemu:dirty-bitmap:since-" + mark for mark in "abcdefgh"]
places = iter(range(0, 8 << 20, 8192))
lengths = set()
for attempt in range(20):
    h2 = nbd.NBD()
    h2.set_opt_mode(True)
    for name in names:
        h2.add_meta_context(name)
    h2.connect_uri(h.get_uri())
    writes, ended = threading.Event(), threading.Event()
    def write():
        for place in places:
            h.pwrite(b"2" * 4096, place)
            writes.set()
            if ended.is_set():
                break
    writer = threading.Thread(target=write)
    writer.start()
    writes.wait(10)
    h2.opt_go()
    ended.set()
    writer.join()
    found = {}
    h2.block_status(8 << 20, 0, lambda name, at, entries, error: found.update({name: entries}))
    lists = list(found.values())
    assert len(lists) == 8 and all(one == lists[0] for one in lists), found
    lengths.add(len(lists[0]))
assert len(lengths) > 1, lengths
"#;
    nbdsh(&uri(&server, "db").to_string(), script);
    server.stop();
}
