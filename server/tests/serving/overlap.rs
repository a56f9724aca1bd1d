//! Disks that overlap requests: what is admitted there, what a reservation brings beside a deep
//! neighbour, and what is reported.

use crate::figures::number;
use crate::test_directory::{TestDirectory, assert_says};
use serde_json::Value;

/// A file that takes many requests at once, without a profile.
const FILE: &str =
    r#""d0": { "path": "d0.disk", "size": "1GiB", "seeks": false, "max_in_flight": 32 }"#;

/// A disk with a vdisk that has reserved, and one of best effort.
fn place(disk: &str, reservation: &str) -> TestDirectory {
    let place = TestDirectory::new();
    let vdisks = format!(
        r#""db": {{ "disk": "d0", "size": "16MiB", {reservation} }},
        "bg": {{ "disk": "d0", "size": "16MiB" }}"#
    );
    place.configure_as(disk, &vdisks, r#""nbd": {}"#);
    place
}

/// One random read after the other beside thirty-two of 64 KiB.
fn simulated(place: &TestDirectory, more: &[&str]) -> String {
    let clients = [
        "simulate",
        "--client",
        "random,vdisk=db,block=4KiB,depth=1",
        "--client",
        "random,vdisk=bg,block=64KiB,depth=32",
        "--duration",
        "2s",
    ];
    place.succeeds(&[&clients[..], more].concat())
}

fn report(place: &TestDirectory, more: &[&str]) -> Value {
    let json = simulated(place, &[&["--json"][..], more].concat());
    serde_json::from_str(&json).expect("it is JSON")
}

#[test]
fn a_reservation_brings_its_part_of_what_it_does_alone() {
    let place = place(FILE, r#""reserve": "40%", "period": "100ms""#);
    let kept = report(&place, &["--solo"]);
    let db = &kept["vdisks"]["db"];
    let isolation = number(db, "isolation");
    assert!(isolation >= 0.98, "isolation {isolation}: {db:#}");
    assert_eq!(db["deadlines_missed"], 0, "{db:#}");
    assert!(number(db, "deadlines_met") >= 19.0, "{db:#}");
    // The books of the scheduler agree with the comparison from outside.
    let ratio = number(&db["solo"], "solo_ratio");
    assert!((ratio - isolation).abs() < 0.05, "{ratio} and {isolation}");
    assert_eq!(kept["vdisks"]["bg"]["solo"]["solo_ratio"], Value::Null);
    let overlap = &kept["disks"]["d0"]["overlap"];
    let bound = number(overlap, "occupancy_bound_ms");
    let most = number(overlap, "occupancy_most_ms");
    assert!(most > bound / 2.0 && most <= 2.5 * bound, "{overlap:#}");
    let focus = number(&overlap["focus_share"], "total");
    assert!(focus > 0.05 && focus < 0.6, "{overlap:#}");
    // Without a reservation the deep neighbour has nearly all of it.
    let fifo = report(&place, &["--solo", "--policy", "fifo"]);
    let isolation = number(&fifo["vdisks"]["db"], "isolation");
    assert!(isolation < 0.2, "isolation {isolation} under fifo");
    let tables = simulated(&place, &[]);
    assert_says(&tables, &["d0 overlaps requests: H 0.44 ms", "solo ratio"]);
}

#[test]
fn what_is_assumed_of_a_disk_decides_what_it_can_keep() {
    let memory = r#""d0": { "memory": true, "size": "64MiB" }"#;
    let null = r#""d0": { "null": true, "size": "64MiB" }"#;
    let forty = r#""reserve": "40%", "period": "100ms""#;
    let five = r#""reserve": "5%", "period": "100ms""#;
    let emulated =
        |name| format!(r#""d0": {{ "path": "p", "size": "64MiB", "emulate": "{name}" }}"#);
    let (nvme, sata) = (emulated("nvme-970pro"), emulated("sata-870"));
    let disks = [
        (FILE, forty),
        (memory, five),
        (null, five),
        (&*nvme, five),
        (&*sata, five),
    ];
    for (disk, reservation) in disks {
        let json = place(disk, reservation).succeeds(&["check", "--json"]);
        let json: Value = serde_json::from_str(&json).expect("it is JSON");
        let disk = &json["disks"]["d0"];
        assert_eq!(disk["findings"], Value::Array(Vec::new()), "{disk:#}");
        let least = number(&disk["overlap"], "least_budget_ms");
        assert!(least >= 2.0 * number(disk, "worst_case_ms"), "{disk:#}");
    }
    // Twice W is 20 ms.
    let sentence = place(FILE, five).fails(&["check"]);
    assert_says(&sentence, &["`db` gets 5ms", "20ms", "at least 400ms"]);
    let too_much = r#""reserve": "97%", "period": "1s""#;
    let sentence = place(FILE, too_much).fails(&["check"]);
    assert_says(
        &sentence,
        &["98 %", "at most 97 %", "at most 96 % for `db`"],
    );
    // One request at a time: no such rule, and a warning as ever.
    let one = FILE.replace("32", "1");
    let table = place(&one, five).succeeds(&["check"]);
    assert!(!table.contains("L/p"), "{table}");
}

#[test]
fn a_server_says_what_it_assumes_and_how_full_the_disk_is() {
    let place = place(FILE, r#""reserve": "40%", "period": "100ms""#);
    let server = place.start();
    let mut client = server.client("db");
    client.fill(1);
    client.read_all();
    let status = place.status();
    let overlap = status.disks["d0"].overlap.expect("it overlaps requests");
    // Less than assumed while the machine is slower than that.
    assert!(overlap.occupancy_bound_ms > 0.0, "{overlap:?}");
    assert!(overlap.occupancy_most_ms > 0.0, "{overlap:?}");
    assert_eq!(status.disks["d0"].unspent_bound_ms, 10.0);
    let solo = status.vdisks["db"].stream.account.solo;
    let solo = solo.expect("its disk overlaps requests");
    assert!(
        solo.received_ms > 0.0 && solo.solo_ratio.is_some(),
        "{solo:?}"
    );
    assert_says(&place.succeeds(&["status"]), &["empty in", "solo ratio"]);
    let said = server.stop();
    assert_says(&said, &["a SATA SSD", "worst case 10ms", "full with 440us"]);
}
