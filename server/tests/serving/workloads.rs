//! Workloads as people give them: kinds by name, clients on the command line, traces in every
//! format, and what is wrong with each.

use crate::programs::text;
use crate::test_directory::{TestDirectory, assert_says, exits_with};
use disktime_workloads::GeneratorKind;
use serde_json::Value;

fn place() -> TestDirectory {
    let disk =
        r#""hdd0": { "path": "hdd0.disk", "size": "64GiB", "emulate": "desktop-7200-2008" }"#;
    let vdisks = r#""web": { "disk": "hdd0", "size": "8GiB" }"#;

    TestDirectory::configured(disk, vdisks, r#""nbd": {}"#)
}

fn report(place: &TestDirectory, arguments: &[&str]) -> Value {
    let all = [&["simulate"][..], arguments, &["--json"]].concat();
    serde_json::from_str(&place.succeeds(&all)).expect("it is JSON")
}

#[test]
fn a_command_line_gives_what_a_file_does() {
    let place = place();
    let workload = place.write(
        "w.json",
        r#"{ "duration": "3s", "seed": 5, "clients": {
            "oltp": { "vdisk": "web", "kind": "oltp", "depth": 4 },
            "p": { "vdisk": "web", "kind": "media-player", "rate": "poisson 20/s" } } }"#,
    );
    let from_file = report(&place, &[text(&workload)]);
    let clients = [
        "--client",
        "oltp,vdisk=web,depth=4",
        "--client",
        "media-player,name=p,vdisk=web,rate=poisson 20/s",
    ];
    let line = [&clients[..], &["--duration", "3s", "--seed", "5"]].concat();
    assert_eq!(report(&place, &line), from_file);
    let other = [&clients[..], &["--duration", "3s"]].concat();
    assert_ne!(report(&place, &other), from_file, "another seed");
}

#[test]
fn every_listed_kind_runs() {
    let place = place();
    for kind in GeneratorKind::ALL.map(GeneratorKind::name) {
        let client = format!("{kind},vdisk=web");
        let report = report(&place, &["--client", &client, "--duration", "2s"]);
        let client = &report["clients"][kind];
        assert!(client["requests"].as_u64() > Some(10), "{kind}: {client}");
        assert_eq!(client["errors"], 0, "{kind}");
    }
}

/// The same four requests in every format.
const TRACES: [(&str, &str); 6] = [
    (
        "csv",
        "0,0,R,4096,8192\n1000,0,W,1048576,4096\n1000,0,R,8192,512\n250000,0,R,0,512\n",
    ),
    (
        "msr",
        "128166372003061629,usr,0,Read,4096,8192,9\n128166372003071629,usr,0,Write,1048576,4096,9\n\
         128166372003071629,usr,0,Read,8192,512,9\n128166372005561629,usr,0,Read,0,512,9\n",
    ),
    (
        "spc",
        "0,8,8192,r,7.0\n0,2048,4096,w,7.001\n0,16,512,r,7.001\n0,0,512,r,7.25\n",
    ),
    (
        "blkparse",
        "8,0 0 1 3.000000000 9 Q R 8 + 16 [a]\n8,0 0 1 3.001000000 9 Q W 2048 + 8 [a]\n\
         8,0 0 1 3.001000000 9 Q R 16 + 1 [a]\n8,0 0 1 3.250000000 9 Q R 0 + 1 [a]\n",
    ),
    (
        "fio v2",
        "fio version 2 iolog\nf add\nf open\nf read 4096 8192\nf wait 1000 0\nf write 1048576 4096\n\
         f read 8192 512\nf wait 249000 0\nf read 0 512\nf close\n",
    ),
    (
        "fio v3",
        "fio version 3 iolog\n1 f add\n2 f open\n50 f read 4096 8192\n1050 f write 1048576 4096\n\
         1050 f read 8192 512\n250050 f read 0 512\n250060 f close\n",
    ),
];

#[test]
fn a_trace_replays_the_same_in_every_format() {
    let place = place();
    let mut first: Option<Value> = None;
    for (format, lines) in TRACES {
        let trace = place.write("trace", lines);
        let client = format!("trace={},vdisk=web", text(&trace));
        let report = report(&place, &["--client", &client, "--duration", "1s"]);
        assert_eq!(report["clients"]["client"]["requests"], 4, "{format}");
        let expected = first.get_or_insert_with(|| report.clone());
        assert_eq!(report, *expected, "{format}");
    }
}

#[test]
fn what_is_wrong_with_a_trace_is_said_with_file_and_line() {
    let place = place();
    for (second_line, fragments) in [
        ("hello", "is missing"),
        ("2000,0,R,9000000000,4096", "beyond the 8GiB"),
        ("500,0,R,0,512", "the time goes back"),
        ("2000,0,R,0,0", "not 0 bytes"),
        ("2000,0,R,0,x", "not a whole number"),
    ] {
        place.write("t.csv", format!("1000,0,R,0,512\n{second_line}\n"));
        let workload = place.write(
            "w.json",
            r#"{ "duration": "1s", "clients": { "c": { "vdisk": "web", "trace": "t.csv" } } }"#,
        );
        let sentence = place.fails(&["simulate", text(&workload)]);
        assert_says(&sentence, &["t.csv:2:", fragments, second_line]);
    }
    let workload = place.write(
        "w.json",
        r#"{ "duration": "1s", "clients": { "c": { "vdisk": "web", "trace": "none.csv" } } }"#,
    );
    let sentence = place.fails(&["simulate", text(&workload)]);
    assert_says(&sentence, &["none.csv", "No such file", "w.json:1:"]);
}

#[test]
fn what_is_wrong_with_a_client_of_the_command_line_is_said() {
    let place = place();
    for (client, fragments) in [
        ("tape,vdisk=web", &["`tape`", "log-writer"][..]),
        ("random,vdisk=wbe", &["`wbe`", "`web`"]),
        ("random,vdisk=web,span=9GiB", &["beyond the end", "8GiB"]),
        ("random,vdisk=web,rate=fast", &["not a rate", "poisson"]),
        ("web-server,vdisk=web,span=1MiB", &["directories", "1MiB"]),
    ] {
        assert_says(&place.fails(&["simulate", "--client", client]), fragments);
    }
    let both = ["simulate", "w.json", "--client", "random,vdisk=web"];
    exits_with(place.command(&both), 2);
    exits_with(place.command(&["simulate"]), 2);
}
