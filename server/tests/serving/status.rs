//! What `status` and `load` tell: the names that programs rely on, and sums that come out (I2).

use crate::figures::number;
use crate::place::{Place, assert_says};
use crate::programs::text;
use crate::server::Server;
use serde_json::Value;

const WINDOWS: [&str; 3] = ["last_1s", "last_10s", "total"];

#[track_caller]
fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[track_caller]
fn share(value: &Value, name: &str) -> f64 {
    let share = number(value, name);
    assert!((0.0..=1.0).contains(&share), "{name} is {share}");
    share
}

#[track_caller]
fn check_disk(disk: &Value) {
    for name in [
        "busy_share",
        "charged_share",
        "waiting_share",
        "switching_share",
        "idle_share",
    ] {
        share(disk, name);
    }
}

#[track_caller]
fn check_vdisk(window: &Value) {
    let (own, spare) = (share(window, "own_share"), share(window, "spare_share"));
    let received = share(window, "received_share");
    assert!(
        (received - own - spare).abs() < 1e-5,
        "{received} = {own} + {spare}"
    );
    for name in ["deadlines_met", "deadlines_missed"] {
        assert!(window[name].is_u64(), "{name} in {window}");
    }
}

fn paced() -> (Place, Server) {
    let place = Place::new();
    let disk = r#""hdd0": { "path": "hdd0.disk", "size": "4GiB", "emulate": "desktop-7200-2008" }"#;
    let vdisks = r#""web": { "disk": "hdd0", "size": "1GiB", "reserve": "40%", "period": "500ms" },
        "db": { "disk": "hdd0", "size": "1GiB", "reserve": "30%", "period": "250ms", "limit": "60%" },
        "idle": { "disk": "hdd0", "size": "64MiB" }"#;
    place.configure_as(disk, vdisks, r#""nbd": {}"#);
    let server = place.start();
    (place, server)
}

const WORKLOAD: &str = r#"{ "duration": "4s", "seed": 1, "clients": {
    "sequential": { "vdisk": "web", "pattern": "sequential", "block": "64KiB", "depth": 4 },
    "random": { "vdisk": "db", "pattern": "random", "block": "4KiB", "depth": 8, "read": "50%" } } }"#;

#[test]
fn the_json_has_the_promised_names_and_the_sums_come_out() {
    let (place, server) = paced();
    let workload = place.write("workload.json", WORKLOAD);
    let load = json(&place.succeeds(&["load", text(&workload), "--json"]));
    let status = json(&place.succeeds(&["status", "--json"]));

    let disk = &status["disks"]["hdd0"];
    for window in WINDOWS {
        check_disk(&disk[window]);
        for vdisk in ["web", "db", "idle"] {
            check_vdisk(&status["vdisks"][vdisk][window]);
        }
    }
    for (vdisk, reserved) in [("web", 0.4), ("db", 0.3), ("idle", 0.0)] {
        let vdisk = &status["vdisks"][vdisk];
        assert_eq!(number(vdisk, "reserved_share"), reserved);
        for times in ["queue_time_us", "service_time_us"] {
            let ordered = ["p50", "p99", "p99_9", "max"].map(|name| number(&vdisk[times], name));
            assert!(ordered.is_sorted(), "{times}: {ordered:?}");
        }
    }
    assert!(number(disk, "worst_case_ms") > 0.0 && disk["overruns"].is_u64());
    let db = &status["vdisks"]["db"]["total"];
    assert!(
        share(db, "received_share") <= 0.62,
        "its limit is 60 %: {db}"
    );
    assert_eq!(
        number(&status["vdisks"]["idle"]["total"], "received_share"),
        0.0
    );

    // What each received is what was charged in all; that and the switching account are the time
    // that the disk was busy or waited on purpose.
    let total = &disk["total"];
    let paid = |stream: &Value| number(stream, "own_ns") + number(stream, "spare_ns");
    let streams: f64 = ["web", "db", "idle"]
        .iter()
        .map(|vdisk| paid(&status["vdisks"][vdisk]["total"]))
        .sum::<f64>()
        + paid(&status["system"]["hdd0"]["total"]);
    let charged = number(total, "charged_ns");
    let used = number(total, "busy_ns") + number(total, "waiting_ns");
    assert!(used > 1e9, "the load kept it busy for {used} ns");
    let apart = |a: f64, b: f64| (a - b).abs() / b;
    assert!(
        apart(streams, charged) < 0.01,
        "{streams} received, {charged} charged"
    );
    let paid_in_all = charged + number(total, "switching_ns");
    assert!(
        apart(paid_in_all, used) < 0.01,
        "{paid_in_all} paid, {used} used"
    );

    check_load(&load, "real");
    server.stop();
}

/// The promised names of `load` and `simulate`.
#[track_caller]
pub fn check_load(load: &Value, clock: &str) {
    assert_eq!(load["clock"], clock);
    for client in ["sequential", "random"] {
        let client = &load["clients"][client];
        assert!(number(client, "iops") > 0.0 && number(client, "bytes_per_second") > 0.0);
        assert_eq!(number(client, "errors"), 0.0);
        let latencies =
            ["p50", "p99", "p99_9", "max"].map(|name| number(&client["latency_us"], name));
        assert!(latencies.is_sorted() && latencies[0] > 0.0, "{latencies:?}");
    }
    for vdisk in ["web", "db", "idle"] {
        check_vdisk(&load["vdisks"][vdisk]);
        share(&load["vdisks"][vdisk], "reserved_share");
    }
    check_disk(&load["disks"]["hdd0"]);
}

#[test]
fn the_server_is_found_by_its_control_socket() {
    let (place, server) = paced();
    let control = place.control();
    let elsewhere = Place::new();
    let output = crate::programs::finished(elsewhere.bare(&[
        "status",
        "--json",
        "--control",
        text(&control),
    ]));
    assert!(output.status.success());
    let status = json(&String::from_utf8_lossy(&output.stdout));
    assert!(status["disks"]["hdd0"].is_object());
    // For people: a line per vdisk, and what the system itself used.
    let table = place.succeeds(&["status"]);
    for name in ["hdd0", "web", "db", "idle", "system"] {
        assert!(table.contains(name), "{name} is not in\n{table}");
    }
    // A load that looks for the server elsewhere than its file says.
    let workload = place.write("workload.json", WORKLOAD.replace("4s", "1s"));
    let nowhere = place.path("nowhere.sock");
    place.fails(&["load", text(&workload), "--control", text(&nowhere)]);
    let told = place.succeeds(&[
        "load",
        text(&workload),
        "--control",
        text(&control),
        "--json",
    ]);
    check_load(&json(&told), "real");
    server.stop();
}

#[test]
fn the_policy_of_the_command_line_is_the_one_that_is_shown() {
    let place = Place::with(&[("web", r#""size": "8MiB""#)]);
    let server = Server::start(place.command(&["serve", "--policy", "mclock"]));
    let status = json(&place.succeeds(&["status", "--json"]));
    assert_eq!(status["disks"]["d0"]["policy"], "mclock", "{status:#}");
    drop(server);
    let sentence = place.fails(&["serve", "--policy", "mclok"]);
    assert_says(&sentence, &["`mclok`", "`mclock`", "`sfq-d`", "`fahrrad`"]);
}

#[test]
fn reservations_are_told_before_anybody_uses_them() {
    let place = Place::with(&[
        (
            "web",
            r#""size": "64MiB", "reserve": "40%", "period": "500ms", "limit": "60%""#,
        ),
        ("backup", r#""size": "64MiB""#),
    ]);
    let server = place.start();
    let status = json(&place.succeeds(&["status", "--json"]));
    let web = &status["vdisks"]["web"];
    assert_eq!(number(web, "reserved_share"), 0.4);
    assert_eq!(number(web, "period_ms"), 500.0);
    assert_eq!(number(web, "limit_share"), 0.6);
    assert_eq!(number(&status["vdisks"]["backup"], "reserved_share"), 0.0);
    server.stop();
}
