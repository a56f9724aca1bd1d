//! The first probe of a disk of which nothing is known: taken once, announced, and used by every
//! command alike.

use crate::test_directory::{TestDirectory, assert_says};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt;

/// Large enough to be probed; a file with holes.
const DISK: &str = r#""d0": { "path": "d0.disk", "size": "2GiB" }"#;
const VDISK: &str =
    r#""db": { "disk": "d0", "size": "16MiB", "reserve": "40%", "period": "200ms" }"#;

#[test]
fn a_disk_of_which_nothing_is_known_is_probed_once() {
    let place = TestDirectory::configured(DISK, VDISK, r#""nbd": {}"#);
    let before = place.command(&["check"]).output().expect("it runs");
    let warned = String::from_utf8_lossy(&before.stderr);
    assert_says(&warned, &["d0: it is judged as", "the first `serve`"]);
    let server = place.start();
    let status = place.status();
    let said = server.stop();
    assert_says(&said, &["d0: the first probe found", "reads a second"]);

    let record = fs::read(place.path("state/d0.probe.json")).expect("it is kept");
    let found: Value = serde_json::from_slice(&record).expect("it is JSON");
    let overlaps = status.disks["d0"].overlap.is_some();
    if found["may_rotate"] == false {
        assert!(overlaps, "{found:#}");
    }
    let stored = fs::metadata(place.disk_file()).expect("a file").blocks() * 512;
    assert!(stored < 64 << 20, "{stored} bytes were written to the disk");

    // The same figures everywhere from now on.
    let json = place.succeeds(&["check", "--json"]);
    let checked: Value = serde_json::from_str(&json).expect("it is JSON");
    let disk = &checked["disks"]["d0"];
    assert_eq!(disk["worst_case_ms"], status.disks["d0"].unspent_bound_ms);
    assert_eq!(disk["overlap"].is_object(), overlaps, "{disk:#}");
    let clients = [
        "simulate",
        "--client",
        "random,vdisk=db",
        "--duration",
        "1s",
    ];
    let simulated = place.succeeds(&clients);
    assert_eq!(simulated.contains("d0 overlaps requests"), overlaps);

    let said = place.start().stop();
    assert_says(&said, &["d0: the first probe found"]);
    let again = fs::read(place.path("state/d0.probe.json")).expect("it is kept");
    assert_eq!(again, record, "it was probed again");
    // One that is damaged does not count, and that is told.
    let path = place.write("state/d0.probe.json", b"{ \"version\": 1");
    let checked = place.command(&["check"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&checked.stderr);
    assert_says(
        &said,
        &["d0.probe.json", "cannot be read", "probes the disk again"],
    );
    assert_says(&place.start().stop(), &["d0.probe.json", "cannot be read"]);
    let mended: Value = serde_json::from_slice(&fs::read(path).expect("it is kept")).expect("JSON");
    assert_eq!(mended["path"], found["path"]);
}
