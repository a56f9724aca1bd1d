//! A gallery of bad files, each with what a person gets to read. The pictures are snapshots; look
//! at one before accepting it: would you know what to do?

use disktime_reservations::{AdmissionReport, Configuration, Disk, DiskFacts, OverlapFacts, admit};
use disktime_units::Nanos;
use std::path::Path;

/// A small world of presets, so that the test needs no disk model.
fn presets(value: &serde_json::Value) -> Result<(), String> {
    match value {
        serde_json::Value::String(name) if name == "desktop-7200-2008" || name.contains('#') => {
            Ok(())
        }
        serde_json::Value::String(name) => Err(format!(
            "there is no preset `{name}`; there is `desktop-7200-2008`"
        )),
        _ => Ok(()),
    }
}

/// A disk that overlaps requests: L is 2 ms.
const SSD: OverlapFacts = OverlapFacts {
    occupancy_bound: Nanos::from_micros(500),
    longest_alone: Nanos::from_micros(400),
    settle: Nanos::from_micros(1100),
};

/// What `disktime check` would print for the file: its mistakes, or the table and the verdict.
fn check(text: &str) -> String {
    let configuration = match Configuration::parse(text, Path::new("bad.json"), &presets) {
        Ok(configuration) => configuration,
        Err(errors) => {
            let json = serde_json::to_string_pretty(&errors.to_json()).expect("values print");
            assert_eq!(json.matches("\"line\"").count(), errors.findings().len());
            return errors.to_string();
        }
    };
    let facts = |disk: &Disk| {
        let has_seeks = disk.seeks.is_none_or(|seeks| seeks.value);
        DiskFacts {
            has_seeks,
            worst_case: Nanos::from_millis(if has_seeks { 35 } else { 10 }),
            switch_cost: Nanos::from_micros(if has_seeks { 12_700 } else { 0 }),
            size_bytes: None,
            overhead_bytes: 1 << 20,
            overlap: disk.max_in_flight.filter(|_| !has_seeks).map(|_| SSD),
        }
    };
    let disks = configuration
        .disks
        .iter()
        .map(|disk| admit(&configuration, disk, &facts(disk)))
        .collect();
    let report = AdmissionReport::new(&configuration, disks);
    let mut shown = report.to_string();
    for warning in report.warnings() {
        shown.push_str(&format!("\n{warning}\n"));
    }
    match report.errors() {
        Some(errors) => format!("{shown}\n{errors}"),
        None => shown,
    }
}

/// A file around the given vdisks, one per line.
fn with_vdisks(vdisks: &str) -> String {
    format!(
        r#"{{
  "state_dir": "state",
  "disks": {{ "hdd0": {{ "path": "hdd0.disk", "size": "64GiB", "emulate": "desktop-7200-2008" }} }},
  "vdisks": {{
{vdisks}
  }}
}}
"#
    )
}

/// A file around the given vdisks, on a disk that overlaps requests.
fn with_vdisks_on_ssd(vdisks: &str) -> String {
    let disk =
        r#""ssd0": { "path": "ssd0.disk", "size": "64GiB", "seeks": false, "max_in_flight": 32 }"#;
    format!(
        "{{ \"state_dir\": \"state\",\n  \"disks\": {{ {disk} }},\n  \"vdisks\": {{\n{vdisks}\n  }}\n}}\n"
    )
}

/// A file around the given groups and vdisks.
fn with_groups(groups: &str, vdisks: &str) -> String {
    let section = format!("  \"groups\": {{ {groups} }},\n  \"vdisks\"");
    with_vdisks(vdisks).replace("  \"vdisks\"", &section)
}

/// A file around the given keys of a disk.
fn with_disk(keys: &str) -> String {
    format!(
        "{{ \"state_dir\": \"state\",\n  \"disks\": {{\n    \"hdd0\": {{ \"path\": \"hdd0.disk\", {keys} }}\n  }}\n}}\n"
    )
}

macro_rules! gallery {
    ($($name:ident: $text:expr;)*) => {
        $(
            #[test]
            fn $name() {
                let text: String = $text.into();
                insta::with_settings!({ description => text.clone(), omit_expression => true, prepend_module_to_snapshot => false }, {
                    insta::assert_snapshot!(stringify!($name), check(&text));
                });
            }
        )*
    };
}

gallery! {
    history_with_its_streams: with_vdisks(r#"    "db": { "disk": "hdd0", "size": "20GiB", "reserve": "30%", "period": "500ms",
      "history": { "window": "24h", "max": "10GiB", "fold": { "reserve": "8%" } } }"#);
    history_that_does_not_fit: with_vdisks(r#"    "db": { "disk": "hdd0", "size": "40GiB", "reserve": "80%", "period": "500ms",
      "history": { "window": "24h", "max": "40GiB", "reserve": "20%", "period": "250ms" } }"#);
    history_with_mistakes: with_vdisks(r#"    "db": { "disk": "hdd0", "size": "20GiB",
      "history": { "window": 24, "max": "1MiB", "disk": "ssd0", "when_full": "wait", "batch": "50%" } },
    "web": { "disk": "hdd0", "size": "1GiB", "trim": "hold", "history": { "max": "64MiB" } }"#);
    history_whose_trims_are_held: with_vdisks(r#"    "web": { "disk": "hdd0", "size": "1GiB", "trim": "hold", "history": { "window": "1h", "max": "64MiB" } }"#);
    history_of_too_large_a_vdisk: r#"{ "state_dir": "state",
  "disks": { "a": { "path": "a", "size": "200TiB" } },
  "vdisks": { "db": { "disk": "a", "size": "100TiB", "history": { "window": "1h", "max": "64MiB" } } } }
"#;
    history_on_another_disk: r#"{ "state_dir": "state",
  "disks": { "a": { "path": "a", "size": "1GiB" }, "b": { "path": "b", "size": "1GiB" } },
  "vdisks": { "db": { "disk": "a", "size": "64MiB", "history": { "window": "1h", "max": "64MiB", "disk": "b" } } } }
"#;
    files_of_the_past_with_mistakes: r#"{ "state_dir": "state",
  "disks": { "a": { "path": "a", "size": "1GiB" } }, "fuse": { "mount": "files", "history": "files" },
  "vdisks": { "db": { "disk": "a", "size": "64MiB", "history": { "window": "1h", "max": "64MiB", "allow_gid": 7 } } } }
"#;
    history_whose_log_does_not_fit: r#"{ "state_dir": "state",
  "disks": { "a": { "path": "a", "size": "1GiB" }, "b": { "path": "b", "size": "100MiB" } },
  "vdisks": { "db": { "disk": "a", "size": "64MiB", "history": { "window": "1h", "max": "128MiB", "disk": "b" } } } }
"#;
    history_whose_log_is_in_memory: r#"{ "state_dir": "state",
  "disks": { "a": { "path": "a", "size": "1GiB" }, "b": { "memory": true, "size": "1GiB" } },
  "vdisks": { "db": { "disk": "a", "size": "64MiB", "history": { "window": "1h", "max": "128MiB", "disk": "b" } } } }
"#;
    empty_file: "";
    not_an_object: "[1, 2]\n";
    nothing_but_braces: "{}\n";
    brace_missing: "{ \"state_dir\": \"state\",\n  \"disks\": { \"hdd0\": { \"path\": \"a\" }\n";
    brace_too_many: "{ \"state_dir\": \"state\", \"disks\": { \"hdd0\": { \"path\": \"a\" } } } }\n";
    text_not_closed: "{ \"state_dir\": \"state,\n  \"disks\": {} }\n";
    single_quotes: "{ 'state_dir': 'state' }\n";
    bare_word: "{ \"state_dir\": state }\n";
    comments_and_commas: "{\n  // where\n  \"state_dir\": \"state\"\n  \"disks\": { \"hdd0\": { \"path\": \"a\", }, } /* done */\n}\n";
    unit_without_quotes: with_vdisks(r#"    "web": { "disk": "hdd0", "size": 8GiB, "weight": 05 }"#);
    bad_escape: with_disk(r#""size": "1GiB", "emulate": "C:\models#x""#);
    unknown_keys: with_vdisks(r#"    "web": { "disk": "hdd0", "size": "8GiB", "reserved": "40%", "perid": "500ms", "colour": "red" }"#);
    unknown_section: "{ \"state_dir\": \"state\", \"disk\": {}, \"disks\": { \"hdd0\": { \"path\": \"a\" } } }\n";
    duplicate_keys: with_vdisks("    \"web\": { \"disk\": \"hdd0\", \"size\": \"8GiB\", \"size\": \"9GiB\" },\n    \"web\": { \"disk\": \"hdd0\", \"size\": \"8GiB\" }");
    wrong_types: with_vdisks(r#"    "web": { "disk": 1, "size": 8, "reserve": 0.4, "period": true, "weight": "50" },
    "db": [],
    "log": null"#);
    wrong_units: with_vdisks(r#"    "web": { "disk": "hdd0", "size": "8Gib", "reserve": "40", "period": "500" },
    "db": { "disk": "hdd0", "size": "8000B", "reserve": "140%", "period": "1ms", "weight": 0 },
    "log": { "disk": "hdd0", "size": "0GiB", "reserve": "0%", "period": "2h", "limit": "0%" }"#);
    bad_names: with_vdisks(r#"    "my disk": { "disk": "hdd0", "size": "8GiB" },
    "..": { "disk": "hdd0", "size": "8GiB" },
    "a/b": { "disk": "hdd0", "size": "8GiB" },
    "": { "disk": "hdd0", "size": "8GiB" },
    "system": { "disk": "hdd0", "size": "8GiB" },
    "grün": { "disk": "hdd0", "size": "8GiB" },
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa": { "disk": "hdd0", "size": "8GiB" }"#);
    terminal_escapes: with_vdisks(r#"    "\u001b[31mred": { "disk": "\u202egpj", "size": "8GiB" }"#);
    unknown_disk: with_vdisks(r#"    "web": { "disk": "hdd1", "size": "8GiB" }"#);
    missing_keys: "{\n  \"disks\": { \"hdd0\": { \"size\": \"1GiB\" } },\n  \"vdisks\": { \"web\": {} }\n}\n";
    reserve_without_period: with_vdisks(r#"    "web": { "disk": "hdd0", "size": "8GiB", "reserve": "40%" }"#);
    period_without_reserve: with_vdisks(r#"    "web": { "disk": "hdd0", "size": "8GiB", "period": "500ms" }"#);
    limit_below_reserve: with_vdisks(r#"    "web": { "disk": "hdd0", "size": "8GiB", "reserve": "40%", "period": "500ms", "limit": "30%" }"#);
    no_disks: "{ \"state_dir\": \"state\", \"disks\": {} }\n";
    same_path: "{ \"state_dir\": \"state\", \"disks\": {\n  \"a\": { \"path\": \"x\" },\n  \"b\": { \"path\": \"x\" } } }\n";
    memory_and_path: with_disk(r#""memory": true, "size": "1GiB""#);
    memory_without_size: "{ \"state_dir\": \"state\", \"disks\": {\n  \"a\": { \"memory\": true },\n  \"b\": { \"null\": false, \"size\": \"1GiB\" } } }\n";
    system_instead_of_background: with_disk(r#""size": "1GiB", "system": { "reserve": "2%", "period": "4s" }"#);
    unknown_background_work: with_disk(r#""size": "1GiB", "background": { "metdata": { "reserve": "2%", "period": "4s" } }"#);
    unknown_preset: with_disk(r#""size": "1GiB", "emulate": "desktop-7200""#);
    modelled_without_size: with_disk(r#""emulate": "desktop-7200-2008""#);
    modelled_with_own_figures: with_disk(r#""size": "1GiB", "emulate": "desktop-7200-2008", "seeks": true, "worst_case": "20ms""#);
    unknown_policy: with_disk(r#""policy": "farhad", "switching": "none", "max_in_flight": 1.5"#);
    many_in_flight_on_seeks: with_disk(r#""size": "1GiB", "max_in_flight": 8"#);
    bad_addresses: r#"{ "state_dir": "state", "disks": { "hdd0": { "path": "a" } },
  "nbd": { "listen": ["localhost:10809", "127.0.0.1:1", "127.0.0.1:1", 10809, "127.0.0.1"] },
  "fuse": { "mount": "" } }
"#;
    bad_access: r#"{ "state_dir": "state", "disks": { "hdd0": { "path": "a" } },
  "vdisks": { "web": { "disk": "hdd0", "size": "8GiB", "read_only": "yes", "allow": [], "connections": 0 } },
  "nbd": { "socket_mode": "rw-rw----", "socket_owner": "a b", "socket_group": 7, "handshake_time": "1ms",
           "allow": ["10.0.0.1/8", "localhost", "::1", "::1", "10.0.0.0/40"], "connections": 1e9 } }
"#;
    bad_tls: r#"{ "state_dir": "state", "disks": { "hdd0": { "path": "a" } },
  "nbd": { "tls": { "directory": "pki", "require": false, "client_certificates": true } } }
"#;
    too_big: with_vdisks(r#"    "web": { "disk": "hdd0", "size": "40GiB" },
    "db": { "disk": "hdd0", "size": "40GiB" }"#);
    impossible_sum: with_vdisks(r#"    "web": { "disk": "hdd0", "size": "8GiB", "reserve": "60%", "period": "500ms" },
    "db": { "disk": "hdd0", "size": "8GiB", "reserve": "60%", "period": "500ms" }"#);
    periods_too_short: with_vdisks(r#"    "web": { "disk": "hdd0", "size": "8GiB", "reserve": "40%", "period": "500ms" },
    "db": { "disk": "hdd0", "size": "8GiB", "reserve": "40%", "period": "100ms", "limit": "50%" },
    "backup": { "disk": "hdd0", "size": "8GiB", "limit": "20%" }"#);
    nothing_but_switching: with_vdisks(r#"    "web": { "disk": "hdd0", "size": "8GiB", "reserve": "90%", "period": "10ms" },
    "db": { "disk": "hdd0", "size": "8GiB", "reserve": "90%", "period": "10ms" }"#);
    overlapping_without_fault: with_vdisks_on_ssd(r#"    "web": { "disk": "ssd0", "size": "8GiB", "reserve": "40%", "period": "100ms" },
    "db": { "disk": "ssd0", "size": "8GiB" }"#);
    overlapping_period_too_short: with_vdisks_on_ssd(r#"    "web": { "disk": "ssd0", "size": "8GiB", "reserve": "40%", "period": "49ms" },
    "db": { "disk": "ssd0", "size": "8GiB", "reserve": "5%", "period": "300ms" },
    "tiny": { "disk": "ssd0", "size": "8GiB", "reserve": "0.001%", "period": "1s" }"#);
    overlapping_sum_too_large: with_vdisks_on_ssd(r#"    "web": { "disk": "ssd0", "size": "8GiB", "reserve": "60%", "period": "100ms" },
    "db": { "disk": "ssd0", "size": "8GiB", "reserve": "37%", "period": "100ms" }"#);
    overlapping_sum_and_period: with_vdisks_on_ssd(r#"    "web": { "disk": "ssd0", "size": "8GiB", "reserve": "90%", "period": "30ms" },
    "db": { "disk": "ssd0", "size": "8GiB", "reserve": "50%", "period": "45ms" }"#);
    overlapping_beyond_the_argument: with_vdisks_on_ssd(r#"    "web": { "disk": "ssd0", "size": "8GiB", "reserve": "60%", "period": "50ms" },
    "db": { "disk": "ssd0", "size": "8GiB", "reserve": "34%", "period": "80ms" }"#);
    fifo_keeps_nothing: "{ \"state_dir\": \"s\",\n  \"disks\": { \"a\": { \"path\": \"x\", \"policy\": \"fifo\" } },\n  \"vdisks\": { \"v\": { \"disk\": \"a\", \"size\": \"4KiB\", \"reserve\": \"1%\", \"period\": \"1s\" } } }\n";
    unknown_group: with_groups(r#""tenant-a": { "reserve": "40%", "period": "250ms" }, "tenant-b": {}"#, r#"    "web": { "disk": "hdd0", "size": "8GiB", "group": "tenat-a" },
    "db": { "disk": "hdd0", "size": "8GiB", "group": "tenant-b" }"#);
    member_with_its_own: with_groups(r#""tenant-a": { "reserve": "40%", "period": "250ms" }"#, r#"    "web": { "disk": "hdd0", "size": "8GiB", "group": "tenant-a", "reserve": "10%", "period": "500ms", "limit": "50%" }"#);
    group_in_a_group: with_groups(r#""tenant-a": { "reserve": "40%", "period": "250ms", "group": "tenant-b" }, "tenant-b": { "reserve": "40%" }"#, r#"    "web": { "disk": "hdd0", "size": "8GiB", "group": "tenant-a" }"#);
    group_without_members: with_groups(r#""tenant-a": { "reserve": "40%", "period": "250ms" }"#, r#"    "web": { "disk": "hdd0", "size": "8GiB" }"#);
    group_with_the_name_of_a_vdisk: with_groups(r#""web": { "reserve": "40%", "period": "250ms" }"#, r#"    "web": { "disk": "hdd0", "size": "8GiB", "group": "web" }"#);
    group_on_two_disks: "{ \"state_dir\": \"state\",\n  \"disks\": { \"hdd0\": { \"path\": \"a\" }, \"hdd1\": { \"path\": \"b\" } },\n  \"groups\": { \"tenant-a\": { \"reserve\": \"40%\", \"period\": \"250ms\" } },\n  \"vdisks\": {\n    \"web\": { \"disk\": \"hdd0\", \"size\": \"1GiB\", \"group\": \"tenant-a\" },\n    \"db\": { \"disk\": \"hdd1\", \"size\": \"1GiB\", \"group\": \"tenant-a\" }\n  } }\n";
    group_under_a_policy_that_knows_none: with_groups(r#""tenant-a": { "reserve": "40%", "period": "250ms" }"#, r#"    "web": { "disk": "hdd0", "size": "8GiB", "group": "tenant-a" }"#).replace("\"emulate\"", "\"policy\": \"mclock\", \"emulate\"");
    groups_that_want_too_much: with_groups(r#""tenant-a": { "reserve": "60%", "period": "250ms" }, "tenant-b": { "reserve": "40%", "period": "250ms", "limit": "80%" }"#, r#"    "web": { "disk": "hdd0", "size": "8GiB", "group": "tenant-a", "weight": 200 },
    "db": { "disk": "hdd0", "size": "8GiB", "group": "tenant-b" },
    "mail": { "disk": "hdd0", "size": "8GiB", "group": "tenant-a" },
    "own": { "disk": "hdd0", "size": "8GiB", "reserve": "10%", "period": "250ms" }"#);
}

#[test]
fn the_place_in_json_is_the_place_in_the_text() {
    let text = "{ \"état\": 1,\n\t\"state_dir\": \"s\", \"bogus\": 1,\n  \"disks\": { \"a\": { \"path\": \"x\" } } }";
    let errors = Configuration::parse(text, Path::new("f.json"), &presets).expect_err("bad keys");
    let places: Vec<_> = errors
        .findings()
        .iter()
        .filter_map(|finding| errors.location(finding))
        .map(|place| (place.line, place.column))
        .collect();
    assert_eq!(places, [(1, 3), (2, 20)]);
    let shown = errors.to_string();
    assert!(
        shown.contains("f.json:1:3") && shown.contains("f.json:2:20"),
        "{shown}"
    );
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let missing = Configuration::load(Path::new("no/such/file.json"), &presets);
    let shown = missing.expect_err("it does not exist").to_string();
    assert!(
        shown.contains("no/such/file.json") && shown.contains("No such file"),
        "{shown}"
    );
}

#[test]
fn a_line_too_long_to_show_is_pointed_at_without_it() {
    let text = format!("{{{} \"bogus\": 1 }}", " ".repeat(20_000));
    let errors = Configuration::parse(&text, Path::new("f.json"), &presets).expect_err("a bad key");
    let shown = errors.to_string();
    assert!(
        shown.contains("f.json:1:20003") && shown.len() < 2_000,
        "{shown}"
    );
}
