//! `disktime simulate`: the same bytes every time, the policy that is asked for, and a report of
//! the same form as a load's (I6).

use crate::programs::text;
use crate::status::check_load;
use crate::test_directory::{TestDirectory, assert_says};
use disktime_reservations::Policy;
use serde_json::Value;
use std::path::PathBuf;

fn prepared() -> (TestDirectory, PathBuf) {
    let disk =
        r#""hdd0": { "path": "hdd0.disk", "size": "64GiB", "emulate": "desktop-7200-2008" }"#;
    let vdisks = r#""web": { "disk": "hdd0", "size": "8GiB", "reserve": "60%", "period": "500ms" },
        "db": { "disk": "hdd0", "size": "8GiB", "reserve": "20%", "period": "500ms" },
        "idle": { "disk": "hdd0", "size": "8GiB" }"#;
    let place = TestDirectory::configured(disk, vdisks, r#""nbd": {}"#);
    let workload = place.write(
        "workload.json",
        r#"{ "duration": "20s", "seed": 7, "clients": {
            "sequential": { "vdisk": "web", "pattern": "sequential", "block": "64KiB", "depth": 2 },
            "random": { "vdisk": "db", "pattern": "random", "block": "4KiB", "depth": 32, "read": "70%" }
        } }"#,
    );
    (place, workload)
}

#[test]
fn runs_are_byte_identical_and_touch_nothing() {
    let (place, workload) = prepared();
    let before = place.contents();
    let first = place.succeeds(&["simulate", text(&workload), "--json"]);
    for _ in 0..2 {
        let again = place.succeeds(&["simulate", text(&workload), "--json"]);
        assert!(again == first, "two runs differ");
    }
    assert_eq!(place.contents(), before, "a simulation needs no disk");
    let tables = place.succeeds(&["simulate", text(&workload)]);
    assert_eq!(tables, place.succeeds(&["simulate", text(&workload)]));
    let report: Value = serde_json::from_str(&first).expect("it is JSON");
    check_load(&report, "virtual");

    let other_seed = std::fs::read_to_string(&workload)
        .expect("it is there")
        .replace(": 7,", ": 8,");
    let other_seed = place.write("other.json", other_seed);
    let other = place.succeeds(&["simulate", text(&other_seed), "--json"]);
    assert!(other != first, "the seed changes nothing");
    // Both can be given beside the file.
    let given = ["simulate", text(&workload), "--json", "--seed", "8"];
    assert_eq!(place.succeeds(&given), other);
    let shorter = place.succeeds(&[&given[..], &["--duration", "5s"]].concat());
    let report: Value = serde_json::from_str(&shorter).expect("it is JSON");
    assert_eq!(report["duration_s"].as_f64(), Some(5.0), "{report}");
    for wrong in ["0s", "soon"] {
        let refused = place.fails(&["simulate", text(&workload), "--duration", wrong]);
        assert_says(&refused, &[wrong, "expected: a duration above 0s"]);
    }
}

#[test]
fn the_policy_can_be_chosen() {
    let (place, workload) = prepared();
    let run = |policy: &[&str]| -> Value {
        let arguments = [&["simulate", text(&workload), "--json"][..], policy].concat();
        serde_json::from_str(&place.succeeds(&arguments)).expect("it is JSON")
    };
    let received = |report: &Value| report["vdisks"]["web"]["received_share"].as_f64();
    let (fahrrad, fifo) = (run(&[]), run(&["--policy", "fifo"]));
    assert_eq!(fahrrad, run(&["--policy", "fahrrad"]));
    // Two sequential requests against thirty-two random ones: only a reservation helps.
    assert!(
        received(&fahrrad).is_some_and(|share| share >= 0.59),
        "{fahrrad:#}"
    );
    assert!(received(&fifo).is_some_and(|share| share < 0.3), "{fifo:#}");
    for name in Policy::NAMES {
        let report = run(&["--policy", name]);
        check_load(&report, "virtual");
        let same = report == fahrrad;
        assert_eq!(same, *name == "fahrrad", "{name} decides like fahrrad");
        let requests = received(&report).is_some_and(|share| share > 0.0);
        assert!(requests, "{name} served nothing: {report:#}");
    }
}

#[test]
fn the_file_and_the_command_line_choose_the_same() {
    let (place, workload) = prepared();
    let arguments = ["simulate", text(&workload), "--json"];
    let by_command = place.succeeds(&[&arguments[..], &["--policy", "zygaria-util"]].concat());
    let file = std::fs::read_to_string(place.file()).expect("it is there");
    let file = file.replace(r#""emulate":"#, r#""policy": "zygaria-util", "emulate":"#);
    place.write("disktime.json", file);
    assert!(place.succeeds(&arguments) == by_command);
}
