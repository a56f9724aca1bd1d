//! The commands that talk to a server or read a workload, when there is something wrong.

use crate::programs::{finished, text};
use crate::test_directory::{TestDirectory, assert_says, exits_with};
use serde_json::Value;

const WEB: [(&str, &str); 1] = [("web", r#""size": "16MiB""#)];

const WORKLOAD: &str = r#"{ "duration": "1s", "clients": {
    "reader": { "vdisk": "wbe", "pattern": "random", "block": "4KiB" } } }"#;

#[test]
fn a_workload_that_names_an_unknown_vdisk() {
    let place = TestDirectory::with(&WEB);
    let workload = place.write("workload.json", WORKLOAD);
    let sentence = place.fails(&["simulate", text(&workload)]);
    assert_says(&sentence, &["wbe", "web"]);
    let server = place.start();
    let sentence = place.fails(&["load", text(&workload)]);
    assert_says(&sentence, &["wbe", "web"]);
    server.stop();
}

#[test]
fn a_workload_that_is_wrong() {
    let place = TestDirectory::with(&WEB);
    let workload = place.write("workload.json", "{ \"duration\": 60 ");
    assert_says(
        &place.fails(&["simulate", text(&workload)]),
        &["workload.json"],
    );
    let unknown = WORKLOAD.replace("wbe", "web").replace("pattern", "patern");
    let workload = place.write("workload.json", unknown);
    assert_says(
        &place.fails(&["simulate", text(&workload)]),
        &["workload.json", "patern"],
    );
    let absent = place.path("absent.json");
    assert_says(
        &place.fails(&["simulate", text(&absent)]),
        &["absent.json", "No such file"],
    );
}

#[test]
fn a_policy_that_nobody_knows() {
    let place = TestDirectory::with(&WEB);
    let workload = place.write("workload.json", WORKLOAD.replace("wbe", "web"));
    let sentence = place.fails(&["simulate", text(&workload), "--policy", "farhad"]);
    assert_says(&sentence, &["`farhad`", "fahrrad", "fifo"]);
}

#[test]
fn a_server_that_is_not_there() {
    let place = TestDirectory::with(&WEB);
    let workload = place.write("workload.json", WORKLOAD.replace("wbe", "web"));
    let remedy = ["no server answers", "disktime serve", "--control"];
    assert_says(&place.fails(&["status"]), &remedy);
    assert_says(&place.fails(&["load", text(&workload)]), &remedy);
    let nowhere = place.path("nowhere.sock");
    let command = place.bare(&["status", "--control", text(&nowhere)]);
    assert_says(
        &exits_with(command, 1),
        &["nowhere.sock", "no server answers"],
    );
    // One that was killed leaves its socket.
    let server = place.start();
    server.kill();
    assert_says(&place.fails(&["status"]), &remedy);
}

#[test]
fn a_load_without_the_nbd_frontend() {
    let vdisk = r#""web": { "disk": "d0", "size": "16MiB" }"#;
    let place =
        TestDirectory::configured(crate::test_directory::PLAIN_DISK, vdisk, r#""fuse": {}"#);
    let workload = place.write("workload.json", WORKLOAD.replace("wbe", "web"));
    let server = place.start();
    assert_says(
        &place.fails(&["load", text(&workload)]),
        &["nbd", "restart"],
    );
    server.stop();
}

#[test]
fn a_load_of_a_file_can_be_made_shorter() {
    let place = TestDirectory::with(&WEB);
    let workload = WORKLOAD.replace("wbe", "web").replace("1s", "600s");
    let workload = workload.replace("\"block\"", "\"read\": \"100%\", \"block\"");
    let workload = place.write("workload.json", workload);
    let server = place.start();
    let arguments = ["load", text(&workload), "--duration", "300ms", "--json"];
    let report = place.succeeds(&arguments);
    let report: Value = serde_json::from_str(&report).expect("it is JSON");
    let took = report["duration_s"].as_f64().expect("it is a number");
    assert!((0.3..60.0).contains(&took), "{took}");
    server.stop();
}

#[test]
fn a_load_that_writes_to_a_vdisk_in_use_wants_consent() {
    let place =
        TestDirectory::with(&[("web", r#""size": "16MiB""#), ("new", r#""size": "16MiB""#)]);
    let server = place.start();
    let data = server.client("web").fill(3);
    let load = |client: &str, more: &[&str]| {
        let arguments = ["load", "--duration", "200ms", "--client", client];
        finished(place.command(&[&arguments, more].concat()))
    };
    let refused = |client: &str, words: &[&str]| {
        let output = load(client, &[]);
        assert_eq!(output.status.code(), Some(1), "{client}");
        assert_says(&String::from_utf8_lossy(&output.stderr), words);
    };
    refused(
        "log-writer,vdisk=web",
        &[
            "`log-writer`",
            "`web`",
            "holds 16MiB",
            "nothing was written",
            "--overwrite",
        ],
    );
    refused("random,vdisk=web,read=99%", &["`web`"]);
    assert!(load("random,vdisk=web", &[]).status.success(), "it reads");
    crate::nbd::assert_same(
        &server.client("web").read_all(),
        &data,
        "nothing was written",
    );
    // An empty vdisk that others use.
    let connected = server.client("new");
    let clients = || place.status().vdisks["new"].clients;
    assert_eq!(clients(), 1);
    refused(
        "log-writer,vdisk=new",
        &["`new`", "has 1 client;", "--overwrite"],
    );
    drop(connected);
    // The server sees the end of a connection a little later.
    crate::programs::wait_until("the connection has ended", || clients() == 0);
    let open = std::fs::File::open(server.file("new")).expect("it is there");
    assert_eq!(clients(), 1);
    drop(open);
    crate::programs::wait_until("the file is closed", || clients() == 0);
    assert!(
        load("log-writer,vdisk=new", &[]).status.success(),
        "it is empty"
    );
    refused("log-writer,vdisk=new", &["`new`", "holds"]);
    let output = load("log-writer,vdisk=web", &["--overwrite"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(server.client("web").read_all() != data, "it was written");
    server.stop();
}

#[test]
fn a_load_whose_requests_all_fail_fails() {
    let place = TestDirectory::with(&[
        ("web", r#""size": "16MiB""#),
        ("kept", r#""size": "16MiB", "read_only": true"#),
    ]);
    let server = place.start();
    let load = |client: &str, more: &[&str]| {
        let arguments = ["load", "--duration", "1s", "--client", client];
        finished(place.command(&[&arguments, more].concat()))
    };
    // Whatever is agreed to: no client can write there.
    for more in [&[][..], &["--overwrite"]] {
        let output = load("log-writer,vdisk=kept", more);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert_says(&said, &["`kept`", "read-only", "read=100%"]);
        assert!(!said.contains("--overwrite"), "{said}");
    }
    // A disk whose requests fail: its file was cut short behind its label.
    server.client("web").fill(1);
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(place.disk_file());
    let file = file.expect("it is there");
    file.set_len(1 << 20).expect("it is cut");
    let output = load("random,vdisk=web,read=100%", &[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert_says(&said, &["requests of client `random`", "`web`", "failed"]);
    file.set_len(256 << 20).expect("it grows");
    server.stop();
}

#[test]
fn a_model_that_nobody_knows() {
    let place = TestDirectory::new();
    let sentence = exits_with(place.bare(&["model", "desktop-7200"]), 1);
    assert_says(&sentence, &["desktop-7200", "desktop-7200-2008"]);
    let file = place.write("drives.json", "{}");
    let drive = format!("{}#mine", text(&file));
    assert_says(
        &exits_with(place.bare(&["model", &drive]), 1),
        &["mine", "drives.json"],
    );
    let trace = ["model", "desktop-7200-2008", "--trace", "absent.gz"];
    assert_says(&exits_with(place.bare(&trace), 1), &["absent.gz"]);
}

#[test]
fn models_of_drives_that_overlap_requests() {
    let place = TestDirectory::new();
    let printed = |arguments: &[&str]| {
        let output = crate::programs::finished(place.bare(arguments));
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).expect("it is text")
    };
    let list = printed(&["model"]);
    assert_says(&list, &["desktop-7200-2008", "nvme-970pro", "cloud-16k"]);
    assert_says(&printed(&["model", "sata-870"]), &["32 requests in flight"]);
    let json = printed(&["model", "nvme-970pro", "--json"]);
    let report: Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(report["max_in_flight"], 1024);
    assert_eq!(report["requests"][0]["kind"], "random read");
    let alone = report["requests"][0]["alone_us"].as_f64();
    assert!(alone.is_some_and(|alone| (70.0..73.0).contains(&alone)));
    let trace = ["model", "nvme-970pro", "--trace", "absent.gz"];
    assert_says(&exits_with(place.bare(&trace), 1), &["--trace"]);
    let unknown = exits_with(place.bare(&["model", "nvme"]), 1);
    assert_says(&unknown, &["nvme-970pro"]);
}

#[test]
fn check_and_the_schema_are_for_machines_too() {
    let place = TestDirectory::with(&WEB);
    let told: Value =
        serde_json::from_str(&place.succeeds(&["check", "--json"])).expect("it is JSON");
    assert!(
        told["disks"].is_object() || told["disks"].is_array(),
        "{told}"
    );
    let schema = crate::programs::finished(place.bare(&["schema"]));
    let schema: Value = serde_json::from_slice(&schema.stdout).expect("it is JSON");
    assert!(schema["properties"]["vdisks"].is_object());
    place.write("disktime.json", "{");
    let output = crate::programs::finished(place.command(&["check", "--json"]));
    assert_eq!(output.status.code(), Some(1));
    let wrong: Value = serde_json::from_slice(&output.stdout).expect("errors are JSON, too");
    assert_eq!(keys(&wrong), keys(&told), "one shape");
    assert_eq!(wrong["admitted"], false);
    assert!(wrong["findings"][0]["line"].is_u64(), "{wrong}");
    // A disk that is not there: an error that only the machine knows.
    place.configure_as(
        r#""d0": { "path": "/dev/nothing-there" }"#,
        r#""web": { "disk": "d0", "size": "16MiB" }"#,
        r#""nbd": {}"#,
    );
    let output = crate::programs::finished(place.command(&["check", "--json"]));
    assert_eq!(output.status.code(), Some(1));
    let wrong: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(keys(&wrong), keys(&told), "one shape");
    let message = wrong["findings"][0]["message"].as_str();
    assert!(
        message.is_some_and(|text| text.contains("/dev/nothing-there")),
        "{wrong}"
    );
    // Whether a server could start is part of it.
    place.configure(&WEB);
    let told = json(&place.succeeds(&["check", "--json", "--disks"]));
    assert_eq!(told["start"]["possible"], true);
    assert!(
        told["start"]["changes"].to_string().contains("web"),
        "{told}"
    );
    let server = place.start();
    server.stop();
    place.configure(&[("web", r#""size": "8MiB""#)]);
    let output = crate::programs::finished(place.command(&["check", "--json", "--disks"]));
    assert_eq!(output.status.code(), Some(1));
    let told: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    assert_eq!(told["start"]["possible"], false);
    assert!(
        told["start"]["problems"].to_string().contains("shrink"),
        "{told}"
    );
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn keys(value: &Value) -> Vec<&String> {
    value.as_object().expect("an object").keys().collect()
}

/// A file that can be measured: without holes, and with content that is known.
fn measurable(place: &TestDirectory) -> std::path::PathBuf {
    place.write("measured.disk", vec![0x5a_u8; 64 << 20])
}

fn calibrate(place: &TestDirectory, arguments: &[&str]) -> std::process::Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_disktime"));
    let command = command.arg("calibrate").args(arguments);
    let command = command.current_dir(place.path("."));
    command
        .stdin(std::process::Stdio::null())
        .output()
        .expect("it runs")
}

/// What it says on standard error when it refuses.
fn calibration_refused(place: &TestDirectory, arguments: &[&str]) -> String {
    let output = calibrate(place, arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).expect("it is UTF-8")
}

#[test]
fn a_disk_that_cannot_be_measured() {
    let place = TestDirectory::with(&WEB);
    let disk = measurable(&place);
    let disk = text(&disk);
    assert_says(
        &calibration_refused(&place, &[disk]),
        &[
            "overwrites everything",
            "64MiB",
            "--yes-overwrite",
            "--read-only",
        ],
    );
    assert_says(
        &calibration_refused(&place, &[disk, "--yes-overwrite", "/dev/sdz"]),
        &["/dev/sdz", "nothing was written"],
    );
    let seconds = ["--read-only", "--seconds", "1"];
    assert_says(
        &calibration_refused(&place, &[&[disk][..], &seconds].concat()),
        &["too short"],
    );
    let nowhere = ["--read-only", "--profile-out", "no/such/p.json"];
    assert_says(
        &calibration_refused(&place, &[&[disk][..], &nowhere].concat()),
        &["mkdir -p"],
    );
    let itself = ["--read-only", "--profile-out", disk];
    assert_says(
        &calibration_refused(&place, &[&[disk][..], &itself].concat()),
        &["disk itself"],
    );
    let small = place.write("small.disk", vec![1_u8; 4096]);
    assert_says(
        &calibration_refused(&place, &[text(&small), "--read-only"]),
        &["4096 bytes", "64MiB at least"],
    );
    assert_says(
        &calibration_refused(&place, &["/dev/nothing"]),
        &["no such file", "lsblk"],
    );
    assert_says(
        &calibration_refused(&place, &["/dev/null"]),
        &["a character device"],
    );
    let content = std::fs::read(disk).expect("it is there");
    assert!(
        content.iter().all(|byte| *byte == 0x5a),
        "something was written"
    );
}

/// The disk of a server has a label, which measuring would destroy.
#[test]
fn a_labelled_disk_is_measured_by_reading_only() {
    let place = TestDirectory::with(&WEB);
    place.start().stop();
    let disk = place.disk_file();
    let disk = text(&disk);
    let sentence = calibration_refused(&place, &[disk, "--yes-overwrite", disk]);
    assert_says(&sentence, &["label of disktime", "--read-only"]);
}

#[test]
fn reading_measures_a_disk_and_changes_nothing() {
    let place = TestDirectory::with(&WEB);
    let disk = measurable(&place);
    let arguments = [
        text(&disk),
        "--read-only",
        "--seconds",
        "4",
        "--seeks",
        "false",
    ];
    let output = calibrate(&place, &arguments);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).expect("it is UTF-8");
    assert_says(
        &said,
        &["rrandiops", "Reservations that fit", "priced by guess"],
    );
    let profile = std::fs::read_to_string(place.path("measured.disk.profile.json"));
    let profile: Value = serde_json::from_str(&profile.expect("a profile")).expect("JSON");
    assert_eq!(profile["device"]["size_bytes"], 64 << 20);
    assert_eq!(profile["measured_writes"], false);
    let svg = std::fs::read_to_string(place.path("measured.disk.profile.svg"));
    roxmltree::Document::parse(&svg.expect("a picture")).expect("well-formed");
    let content = std::fs::read(&disk).expect("it is there");
    assert!(
        content.iter().all(|byte| *byte == 0x5a),
        "something was written"
    );
}

/// A disk with a profile is priced by it; the profile of another disk, or one that is wrong, is
/// refused with its place.
#[test]
fn a_profile_says_what_a_disk_can_keep() {
    let place = TestDirectory::new();
    let disk = measurable(&place);
    let profile = place.path("p.json");
    let arguments = [
        "--read-only",
        "--seconds",
        "4",
        "--seeks",
        "false",
        "--profile-out",
    ];
    let all = [&[text(&disk)][..], &arguments, &[text(&profile)]].concat();
    let output = calibrate(&place, &all);
    assert!(output.status.success(), "{output:?}");
    let configure = |disk: &str| {
        let vdisk = r#""db": { "disk": "d0", "size": "16MiB" }"#;
        place.configure_as(&format!(r#""d0": {{ {disk} }}"#), vdisk, r#""nbd": {}"#);
    };
    let mut written: Value =
        serde_json::from_slice(&std::fs::read(&profile).expect("a profile")).expect("JSON");
    let named = |disk: &str, profile: &str| {
        let (disk, profile) = (place.path(disk), place.path(profile));
        format!(
            r#""path": "{}", "profile": "{}""#,
            text(&disk),
            text(&profile)
        )
    };
    let own = named("measured.disk", "p.json");
    configure(&own);
    let json = place.succeeds(&["check", "--json"]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    let worst = written["worst_case_ns"].as_f64().expect("W") / 1e6;
    let found = json["disks"]["d0"]["worst_case_ms"].as_f64().expect("W");
    assert!(
        (found - worst).abs() <= worst / 100.0,
        "{found} is not {worst}"
    );

    configure(&format!(r#"{own}, "seeks": true"#));
    assert_says(
        &place.fails(&["check"]),
        &["`seeks` is true", "--seeks false"],
    );
    place.write("other.disk", vec![1_u8; 65 << 20]);
    configure(&named("other.disk", "p.json"));
    assert_says(
        &place.fails(&["check"]),
        &["another device", "67108864", "68157440"],
    );
    configure(&named("measured.disk", "none.json"));
    assert_says(
        &place.fails(&["check"]),
        &["disktime.json:2:", "none.json", "cannot be read"],
    );
    assert_says(&place.fails(&["check"]), &["none.json", "cannot be read"]);
    written["knee_depth"] = 0.into();
    place.write("p.json", written.to_string());
    configure(&own);
    assert_says(
        &place.fails(&["check"]),
        &["p.json", "`knee_depth` cannot be 0"],
    );
}
