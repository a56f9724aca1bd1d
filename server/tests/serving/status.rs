//! What `status` and `load` tell: the names that programs rely on, and sums that come out (I2).

use crate::figures::number;
use crate::programs::{text, wait_until};
use crate::server::Server;
use crate::test_directory::{TestDirectory, assert_says};
use disktime_observe::{ServerStatus, StreamWindow};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

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
    let (reserved, spare) = (
        share(window, "reserved_used_share"),
        share(window, "spare_share"),
    );
    let received = share(window, "received_share");
    assert!(
        (received - reserved - spare).abs() < 1e-5,
        "{received} = {reserved} + {spare}"
    );
    for name in ["deadlines_met", "deadlines_missed"] {
        assert!(window[name].is_u64(), "{name} in {window}");
    }
}

fn paced() -> (TestDirectory, Server) {
    let disk = r#""hdd0": { "path": "hdd0.disk", "size": "4GiB", "emulate": "desktop-7200-2008" }"#;
    let vdisks = r#""web": { "disk": "hdd0", "size": "1GiB", "reserve": "40%", "period": "500ms" },
        "db": { "disk": "hdd0", "size": "1GiB", "reserve": "30%", "period": "250ms", "limit": "60%" },
        "idle": { "disk": "hdd0", "size": "64MiB" }"#;
    let place = TestDirectory::configured(disk, vdisks, r#""nbd": {}"#);
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
    let status = place.status();

    let json = serde_json::to_value(&status).expect("it is JSON");
    for window in WINDOWS {
        check_disk(&json["disks"]["hdd0"][window]);
        for vdisk in ["web", "db", "idle"] {
            check_vdisk(&json["vdisks"][vdisk][window]);
        }
    }
    let stream = |vdisk: &str| &status.vdisks[vdisk].stream;
    for (vdisk, reserved) in [("web", 0.4), ("db", 0.3), ("idle", 0.0)] {
        let stream = stream(vdisk);
        assert_eq!(stream.account.entitlement.reserved_share, reserved);
        for times in [stream.queue_time_us, stream.service_time_us] {
            let ordered = [times.p50, times.p90, times.p99, times.p99_9, times.max];
            assert!(ordered.is_sorted(), "{vdisk}: {ordered:?}");
        }
    }
    let disk = &status.disks["hdd0"];
    assert!(disk.worst_case_ms > 0.0);
    let total = |vdisk: &str| stream(vdisk).account.windows.total;
    let db = total("db");
    assert!(db.received_share <= 0.62, "its limit is 60 %: {db:?}");
    assert_eq!(total("idle").received_share, 0.0);

    // What each received is what was charged in all; that and the switching account are the time
    // that the disk was busy or waited on purpose.
    let of_vdisks = status.vdisks.values().map(|vdisk| &vdisk.stream);
    let streams = of_vdisks.chain(status.background["hdd0"].values());
    let received = streams.map(|stream| stream.account.windows.total.received_ns());
    let streams = received.sum::<u64>() as f64;
    let counted = disk.windows.total;
    let charged = counted.charged_ns as f64;
    let used = (counted.busy_ns + counted.waiting_ns) as f64;
    assert!(used > 1e9, "the load kept it busy for {used} ns");
    let apart = |a: f64, b: f64| (a - b).abs() / b;
    assert!(
        apart(streams, charged) < 0.01,
        "{streams} received, {charged} charged"
    );
    let paid_in_all = charged + counted.switching_ns as f64;
    assert!(
        apart(paid_in_all, used) < 0.01,
        "{paid_in_all} paid, {used} used"
    );

    check_load(&load, "real");
    server.stop();
}

/// The promised names of `load` and `simulate`.
#[track_caller]
pub(crate) fn check_load(load: &Value, clock: &str) {
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
    let elsewhere = TestDirectory::new();
    let output = crate::programs::finished(elsewhere.bare(&[
        "status",
        "--json",
        "--control",
        text(&control),
    ]));
    assert!(output.status.success());
    let status: ServerStatus =
        serde_json::from_slice(&output.stdout).expect("it is the JSON of a status");
    assert!(status.disks.contains_key("hdd0"));
    // As a table: a line per vdisk, and what the server's own work used.
    let table = place.succeeds(&["status"]);
    for name in ["hdd0", "web", "db", "idle", "(metadata)"] {
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
fn a_status_that_is_watched_comes_again_until_it_is_interrupted() {
    let (place, server) = paced();
    let mut command = place.command(&["status", "--watch=100ms", "--json"]);
    let watch = command.stdout(Stdio::piped()).stderr(Stdio::piped());
    crate::programs::die_with_parent(watch);
    let mut watching = watch.spawn().expect("it starts");
    let mut lines = BufReader::new(watching.stdout.take().expect("a pipe")).lines();
    let mut said = BufReader::new(watching.stderr.take().expect("a pipe")).lines();
    let mut next = || {
        let line = lines.next().expect("another reading").expect("it is text");
        let status: ServerStatus = serde_json::from_str(&line).expect("a status on one line");
        let disk = &status.disks["hdd0"];
        (disk.windows.total.elapsed_ns, disk.policy.clone())
    };
    let ((first, _), (second, _)) = (next(), next());
    assert!(first < second, "{first} and {second}");
    server.stop();
    let mut told = || said.next().expect("a sentence").expect("it is text");
    let mut sentence = told();
    // While it stops it may close a connection without an answer.
    while !sentence.contains("no server answers") {
        sentence = told();
    }
    assert_says(&sentence, &["asking again every 100ms"]);
    let server = Server::start(place.command(&["serve", "--policy", "fifo"]));
    // What was read before the end may still be in the pipe.
    while next().1 != "fifo" {}
    watching.kill().expect("it runs");
    watching.wait().expect("it ends");
    server.stop();
    assert_says(
        &place.fails(&["status", "--watch=1ms"]),
        &["too often", "100ms"],
    );
}

#[test]
fn the_policy_of_the_command_line_is_the_one_that_is_shown() {
    let place = TestDirectory::with(&[("web", r#""size": "8MiB""#)]);
    let server = Server::start(place.command(&["serve", "--policy", "mclock"]));
    assert_eq!(place.status().disks["d0"].policy, "mclock");
    drop(server);
    let sentence = place.fails(&["serve", "--policy", "mclok"]);
    assert_says(&sentence, &["`mclok`", "`mclock`", "`sfq-d`", "`fahrrad`"]);
}

#[test]
fn reservations_are_told_before_anybody_uses_them() {
    let place = TestDirectory::with(&[
        (
            "web",
            r#""size": "64MiB", "reserve": "40%", "period": "500ms", "limit": "60%""#,
        ),
        ("backup", r#""size": "64MiB""#),
    ]);
    let server = place.start();
    let status = place.status();
    let entitled = |vdisk: &str| &status.vdisks[vdisk].stream.account.entitlement;
    let web = entitled("web");
    assert_eq!(web.reserved_share, 0.4);
    assert_eq!(web.period_ms, Some(500.0));
    assert_eq!(web.limit_share, Some(0.6));
    assert_eq!(entitled("backup").reserved_share, 0.0);
    // The server's own work has a reservation without being named in the file.
    let metadata = &status.background["d0"]["metadata"].account.entitlement;
    assert_eq!(
        (metadata.reserved_share, metadata.period_ms),
        (0.01, Some(2000.0))
    );
    server.stop();
}

#[test]
fn a_pause_of_the_server_is_counted_and_charged_to_no_stream() {
    let (place, server) = paced();
    let mut load = place
        .command(&[
            "load",
            "--client",
            "random,vdisk=web,depth=8",
            "--duration",
            "4s",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let requests = || {
        let web = &place.status().vdisks["web"].stream.account;
        web.windows.total.requests
    };
    wait_until("the load has begun", || requests() > 20);
    let before = place.status();
    server.freeze();
    std::thread::sleep(Duration::from_millis(1500));
    server.signal(libc::SIGCONT);
    wait_until("it goes on", || place.status().disks["hdd0"].pauses > 0);
    let after = place.status();
    let paused_ms = after.disks["hdd0"].paused_ms;
    assert!((1000.0..10_000.0).contains(&paused_ms), "{paused_ms} ms");
    let total = |status: &ServerStatus| status.vdisks["web"].stream.account.windows.total;
    let (before, then) = (total(&before), total(&after));
    assert!(then.deadlines_missed > before.deadlines_missed);
    let received = |window: StreamWindow| window.reserved_used_ns + window.spare_ns;
    let real_ns = then.elapsed_ns - before.elapsed_ns;
    let charged = received(then) - received(before);
    let most_ns = real_ns - (paused_ms * 1e6) as u64 + 100_000_000;
    assert!(charged <= most_ns, "{charged} ns charged in {real_ns} ns");
    assert_says(&after.to_string(), &["hdd0: pauses of the server"]);
    // Nor does any window charge more than the disk did in it, beside what was in flight when it
    // began.
    for (window, counted) in after.disks["hdd0"].windows.by_name() {
        let paid_ns = counted.charged_ns + counted.switching_ns;
        let used_ns = counted.busy_ns + counted.waiting_ns + 100_000_000;
        assert!(
            paid_ns <= used_ns,
            "{window}: {paid_ns} ns paid, {used_ns} ns used"
        );
    }
    load.wait().expect("it ends");
    server.stop();
}
