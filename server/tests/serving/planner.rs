//! What would these reservations give me: the figures of `disktime simulate` add up, its
//! percentiles are those of a workload that can be worked out by hand, it compares policies and
//! shows each vdisk alone, and its picture is one.

use crate::figures::{HARD_DISK, is_near, number, simulated};
use crate::programs::text;
use crate::test_directory::{TestDirectory, assert_says, exits_with};
use serde_json::Value;
use std::path::PathBuf;

const VDISKS: &str = r#""web": { "disk": "hdd0", "size": "8GiB", "reserve": "40%", "period": "500ms" },
    "db": { "disk": "hdd0", "size": "8GiB", "reserve": "30%", "period": "250ms", "limit": "60%" },
    "backup": { "disk": "hdd0", "size": "8GiB" }"#;
const CLIENTS: &str = r#"
    "reader": { "vdisk": "web", "pattern": "sequential", "block": "64KiB", "depth": 2 },
    "lookup": { "vdisk": "db", "pattern": "random", "block": "8KiB", "depth": 8 },
    "player": { "vdisk": "db", "kind": "media-player", "rate": "5/s" },
    "writer": { "vdisk": "backup", "pattern": "sequential", "block": "1MiB", "read": "0%", "depth": 8 }"#;

fn place(duration: &str) -> (TestDirectory, PathBuf) {
    let place = TestDirectory::configured(HARD_DISK, VDISKS, r#""nbd": {}"#);
    let workload = format!(r#"{{ "duration": "{duration}", "clients": {{ {CLIENTS} }} }}"#);
    let workload = place.write("workload.json", workload);
    (place, workload)
}

#[test]
fn all_shares_of_a_disk_add_up_to_the_whole() {
    let (place, workload) = place("10s");
    for policy in ["fahrrad", "fifo", "mclock"] {
        let report = simulated(&place, &workload, &["--policy", policy]);
        let disk = &report["disks"]["hdd0"];
        assert_eq!(disk["policy"], policy);
        let mut whole = number(&disk["background"]["metadata"], "received_share");
        for key in ["switching_share", "idle_share", "in_flight_share"] {
            whole += number(disk, key);
        }
        for vdisk in ["web", "db", "backup"] {
            let vdisk = &report["vdisks"][vdisk];
            let received = number(vdisk, "received_share");
            whole += received;
            let parts = number(vdisk, "reserved_used_share") + number(vdisk, "spare_share");
            is_near(received, parts, 2e-6);
            let unused = number(vdisk, "reserved_share") - number(vdisk, "reserved_used_share");
            is_near(number(vdisk, "unused_share"), unused.max(0.0), 2e-6);
            let others = number(vdisk, "others_share");
            let idle = number(disk, "idle_share") + number(disk, "switching_share");
            is_near(
                received + others + idle + number(disk, "in_flight_share"),
                1.0,
                1e-5,
            );
        }
        is_near(whole, 1.0, 1e-5);
    }
}

/// Background work has names of its own, in a place of its own.
#[test]
fn vdisks_may_be_called_like_background_work() {
    let place = TestDirectory::new();
    let vdisks = r#""system": { "disk": "hdd0", "size": "8GiB", "reserve": "40%", "period": "500ms" },
        "metadata": { "disk": "hdd0", "size": "8GiB" }"#;
    place.configure_as(HARD_DISK, vdisks, r#""nbd": {}"#);
    let clients = r#""one": { "vdisk": "system", "pattern": "random", "block": "8KiB", "depth": 4 },
        "two": { "vdisk": "metadata", "pattern": "random", "block": "8KiB", "depth": 4 }"#;
    let workload = format!(r#"{{ "duration": "5s", "clients": {{ {clients} }} }}"#);
    let workload = place.write("workload.json", workload);
    let report = simulated(&place, &workload, &[]);
    for vdisk in ["system", "metadata"] {
        let received = number(&report["vdisks"][vdisk], "received_share");
        assert!(received > 0.3, "{vdisk} received {received}");
    }
    let work = &report["disks"]["hdd0"]["background"]["metadata"];
    assert!(number(work, "received_share") < 0.1, "{work}");
}

/// A device that does one request at a time, each 4 KiB in 1/90,000 s (its default rate); every
/// 10 ms two requests at once. So half of them take the time of one, and half, which have to wait
/// for that long, twice as much.
#[test]
fn percentiles_are_those_worked_out_by_hand() {
    let disk = r#""d0": { "path": "d0.disk", "size": "256MiB", "seeks": false, "max_in_flight": 1,
        "policy": "fifo" }"#;
    let vdisks =
        r#""web": { "disk": "d0", "size": "16MiB" }, "idle": { "disk": "d0", "size": "16MiB" }"#;
    let place = TestDirectory::configured(disk, vdisks, r#""nbd": {}"#);
    let workload = r#"{ "duration": "1s", "clients": {
        "one": { "vdisk": "web", "rate": "100/s", "span": "4MiB" },
        "other": { "vdisk": "web", "rate": "100/s", "offset": "8MiB", "span": "4MiB" } } }"#;
    let workload = place.write("workload.json", workload);
    let report = simulated(&place, &workload, &["--solo"]);
    let web = &report["vdisks"]["web"];
    assert_eq!(number(web, "iops"), 200.0);
    assert_eq!(number(web, "bytes_per_second"), 200.0 * 4096.0);
    let service = 1e6 / 90_000.0;
    let near = |times: &Value, key: &str, times_service: f64| {
        let expected = times_service * service;
        is_near(number(times, key), expected, expected * 0.02);
    };
    for (key, expected) in [
        ("p50", 1.0),
        ("p90", 2.0),
        ("p99", 2.0),
        ("p99_9", 2.0),
        ("max", 2.0),
    ] {
        near(&web["latency_us"], key, expected);
    }
    for key in ["p50", "p90", "p99", "p99_9", "max"] {
        near(&web["service_time_us"], key, 1.0);
    }
    assert!(
        number(&web["queue_time_us"], "p50") <= 1.0,
        "half do not wait: {web:#}"
    );
    for key in ["p90", "p99", "p99_9", "max"] {
        near(&web["queue_time_us"], key, 1.0);
    }
    is_near(number(web, "received_share"), 200.0 * service / 1e6, 2e-6);
    // No other client ran: alone it gets the same.
    assert_eq!(number(web, "of_alone"), 1.0);
    assert_eq!(web["isolation"], Value::Null, "nothing is reserved");
    let idle = &report["vdisks"]["idle"];
    assert_eq!((number(idle, "iops"), &idle["alone"]), (0.0, &Value::Null));
    assert_eq!(idle["latency_us"], Value::Null);
    let table = place.succeeds(&["simulate", text(&workload)]);
    assert!(!table.contains("NaN") && !table.contains("inf"), "{table}");
}

#[test]
fn isolation_is_what_it_gets_here_over_its_share_of_what_it_gets_alone() {
    let (place, workload) = place("20s");
    let report = simulated(&place, &workload, &["--solo", "--compare", "fifo"]);
    let mut efficiency = 0.0;
    for name in ["web", "db", "backup"] {
        let vdisk = &report["vdisks"][name];
        let of_alone = number(vdisk, "iops") / number(&vdisk["alone"], "iops");
        is_near(number(vdisk, "of_alone"), of_alone, 1e-3);
        efficiency += of_alone;
    }
    is_near(
        number(&report["disks"]["hdd0"], "efficiency"),
        efficiency,
        1e-3,
    );
    for name in ["web", "db"] {
        let vdisk = &report["vdisks"][name];
        let isolation = number(vdisk, "isolation");
        let expected = number(vdisk, "of_alone") / number(vdisk, "reserved_share");
        is_near(isolation, expected, 1e-3);
        assert!(isolation > 0.95, "{name} has a reservation: {isolation}");
        let under_fifo = &report["compared"]["fifo"]["vdisks"][name];
        assert_eq!(under_fifo["alone"], vdisk["alone"], "the same yardstick");
    }
    // Two sequential requests behind eight of a megabyte: nothing else shows that so well.
    let under_fifo = &report["compared"]["fifo"]["vdisks"]["web"];
    assert!(number(under_fifo, "isolation") < 0.5, "{under_fifo:#}");
}

#[test]
fn policies_stand_side_by_side_and_the_first_report_stays_what_it_is() {
    let (place, workload) = place("3s");
    let mut compared = simulated(&place, &workload, &["--compare", "fifo,sfq-d"]);
    let others = compared
        .as_object_mut()
        .and_then(|all| all.remove("compared"));
    let others = others.expect("there is a comparison");
    assert_eq!(compared, simulated(&place, &workload, &[]));
    for policy in ["fifo", "sfq-d"] {
        let alone = simulated(&place, &workload, &["--policy", policy]);
        assert_eq!(others[policy], alone, "{policy}");
    }
    let table = place.succeeds(&["simulate", text(&workload), "--compare", "fifo,sfq-d"]);
    for policy in ["fahrrad", "fifo", "sfq-d"] {
        let lines = table
            .lines()
            .filter(|line| line.contains(&format!(" {policy} ")));
        assert!(
            lines.count() >= 4,
            "three vdisks and a disk under {policy}:\n{table}"
        );
    }
    let widest = table.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(100), "{widest:?} columns:\n{table}");
}

#[test]
fn the_widest_table_fits_100_columns() {
    let (place, workload) = place("3s");
    let table = place.succeeds(&[
        "simulate",
        text(&workload),
        "--solo",
        "--compare",
        "zygaria-iops",
    ]);
    let widest = table.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(100), "{widest:?} columns:\n{table}");
}

#[test]
fn the_picture_is_xml_names_everything_and_is_the_same_every_time() {
    let (place, workload) = place("5s");
    let draw = |name: &str, more: &[&str]| {
        let file = place.path(name);
        let arguments = [
            &["simulate", text(&workload), "--svg", text(&file)][..],
            more,
        ]
        .concat();
        let said = place.succeeds(&arguments);
        (said, std::fs::read_to_string(&file).expect("it was drawn"))
    };
    let (said, svg) = draw("one.svg", &[]);
    assert_eq!(
        said,
        place.succeeds(&["simulate", text(&workload)]),
        "looking changes nothing"
    );
    assert!(
        draw("two.svg", &[]).1 == svg,
        "two pictures of one run differ"
    );
    let document = roxmltree::Document::parse(&svg).expect("it is XML");
    let texts: Vec<&str> = document
        .descendants()
        .filter(|node| node.has_tag_name("text"))
        .filter_map(|node| node.text())
        .collect();
    let wanted = [
        "web",
        "db",
        "backup",
        "hdd0",
        "time (s)",
        "share of its time",
        "40 % per 500ms",
        "30 % per 250ms",
        "at most 60 %",
        "best effort",
        "100 %",
        "deadline missed",
        "reserved time",
        "reservation",
    ];
    for wanted in wanted {
        assert!(texts.contains(&wanted), "`{wanted}` is not among {texts:?}");
    }
    // Under fifo deadlines are missed, which has a shape of its own.
    let marks = |svg: &str| svg.matches("stroke-width=\"0.8\"").count();
    let (_, fifo) = draw("fifo.svg", &["--policy", "fifo"]);
    assert_eq!(marks(&svg), 1, "the legend's");
    assert!(marks(&fifo) > 10, "{} marks", marks(&fifo));
}

#[test]
fn any_number_of_vdisks_and_any_duration_can_be_drawn() {
    let vdisks: Vec<String> = (0..30)
        .map(|index| {
            format!(
                r#""v{index}": {{ "disk": "d0", "size": "4MiB", "reserve": "2%", "period": "2s" }}"#
            )
        })
        .collect();
    let disk = r#""d0": { "path": "d0.disk", "size": "256MiB", "seeks": false }"#;
    let place = TestDirectory::configured(disk, &vdisks.join(", "), r#""nbd": {}"#);
    for duration in ["1ms", "1s", "10800s"] {
        let file = place.path("picture.svg");
        let client = "random,vdisk=v3,rate=2/min";
        place.succeeds(&[
            "simulate",
            "--client",
            client,
            "--duration",
            duration,
            "--svg",
            text(&file),
        ]);
        let svg = std::fs::read_to_string(&file).expect("it was drawn");
        roxmltree::Document::parse(&svg).expect("it is XML");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{duration}");
        assert_says(&svg, &["6 more virtual disks of d0", ">v3<", ">v23<"]);
        assert!(svg.len() < 300_000, "{duration}: {} bytes", svg.len());
    }
}

#[test]
fn what_cannot_be_done_is_said() {
    let (place, workload) = place("1s");
    let workload = text(&workload);
    let simulate = |more: &[&'static str]| [&["simulate", workload][..], more].concat();
    let nowhere = place.path("nowhere/picture.svg");
    let sentence = place.fails(&["simulate", workload, "--svg", text(&nowhere)]);
    assert_says(
        &sentence,
        &["nowhere/picture.svg", "cannot be written", "No such file"],
    );
    let sentence = place.fails(&simulate(&["--compare", "fifo,farhad"]));
    assert_says(&sentence, &["`farhad`", "`fahrrad`", "`mclock`"]);
    let sentence = place.fails(&simulate(&["--compare", "fifo,fifo"]));
    assert_says(&sentence, &["`fifo`", "twice"]);
    exits_with(place.command(&simulate(&["--svg"])), 2);
    exits_with(place.command(&simulate(&["--solo=maybe"])), 2);
}

/// The writer's history is on an SSD, so its writes are answered there, and folds pay for the hard
/// disk.
#[test]
fn histories_are_simulated_with_their_logs_and_folds() {
    let disks = r#""hdd0": { "path": "hdd0.disk", "size": "64GiB", "emulate": "desktop-7200-2008" },
        "ssd0": { "path": "ssd0.disk", "size": "4GiB", "emulate": "sata-870" }"#;
    let clients = r#"{ "duration": "20s", "clients": {
        "writer": { "vdisk": "db", "pattern": "random", "block": "4KiB", "read": "0%", "depth": 16, "span": "64MiB" },
        "reader": { "vdisk": "web", "pattern": "sequential", "block": "64KiB", "depth": 2 } } }"#;
    let place = |history: &str| {
        let vdisks = format!(
            r#""web": {{ "disk": "hdd0", "size": "8GiB", "reserve": "40%", "period": "500ms" }},
            "db": {{ "disk": "hdd0", "size": "1GiB", "reserve": "20%", "period": "500ms"{history} }}"#
        );
        TestDirectory::configured(disks, &vdisks, r#""nbd": {}"#)
    };
    let with = place(r#", "history": { "window": "24h", "max": "64MiB", "disk": "ssd0" }"#);
    let workload = with.write("workload.json", clients);
    let report = simulated(&with, &workload, &[]);
    assert_eq!(
        report,
        simulated(&with, &workload, &[]),
        "runs are the same"
    );
    let plain = simulated(&place(""), &workload, &[]);

    let iops = |report: &Value| number(&report["vdisks"]["db"], "iops");
    assert!(iops(&report) > 3.0 * iops(&plain), "{report:#} {plain:#}");
    let history = &report["vdisks"]["db"]["history"];
    assert_eq!(history["folded"], true, "{report:#}");
    let kept = number(history, "kept_ms");
    assert!(kept > 0.0 && kept < 20_000.0, "{history:#}");
    assert!(number(history, "used_bytes") > 0.0);
    assert_eq!(plain["vdisks"]["db"].get("history"), None);
    for (disk, streams) in [("hdd0", &["db/fold"][..]), ("ssd0", &["db/fold", "db/log"])] {
        let disk = &report["disks"][disk];
        let histories = disk["histories"].as_object().expect("an object");
        assert_eq!(histories.keys().collect::<Vec<_>>(), streams);
        let of_histories = histories.values();
        let received = of_histories.map(|stream| number(stream, "received_share"));
        assert!(received.clone().all(|share| share > 0.0), "{disk:#}");
        let mut whole: f64 = received.sum();
        for background in disk["background"].as_object().expect("an object").values() {
            whole += number(background, "received_share");
        }
        for key in ["switching_share", "idle_share", "in_flight_share"] {
            whole += number(disk, key);
        }
        // One request at a time: all shares add up to the whole.
        if disk.get("overlap").is_none() {
            for vdisk in ["web", "db"] {
                whole += number(&report["vdisks"][vdisk], "received_share");
            }
            is_near(whole, 1.0, 1e-5);
        }
    }
    let reader = &report["vdisks"]["web"];
    assert_eq!(number(reader, "deadlines_missed"), 0.0, "{reader:#}");
    let text = with.succeeds(&["simulate", text(&workload)]);
    let shown = [
        "(db/log)",
        "(db/fold)",
        "history of db: log ",
        "can be gone back to",
    ];
    assert_says(&text, &shown);
}
