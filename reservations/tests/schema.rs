//! The JSON Schema: the checked-in file is the generated one, the examples are valid by it, and it
//! refuses what the parser refuses for the same reasons.

use disktime_reservations::{Configuration, reference, schema};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&schema()).expect("the schema is a schema")
}

fn parses(text: &str) -> Result<Configuration, String> {
    let checker = |_: &Value| Ok(());
    Configuration::parse(text, Path::new("test.json"), &checker)
        .map_err(|errors| errors.to_string())
}

/// Compares a checked-in file with what it is generated from, or writes it anew when asked to.
fn assert_up_to_date(file: &str, text: &str) {
    let path = here(file);
    if std::env::var_os("DISKTIME_UPDATE").is_some() {
        std::fs::write(&path, text).expect("the file can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == text,
        "{file} is out of date; write it anew with\n    DISKTIME_UPDATE=1 cargo test -p disktime-reservations --test schema"
    );
}

#[test]
fn the_schema_file_is_up_to_date() {
    let text = serde_json::to_string_pretty(&schema()).expect("values print") + "\n";
    assert_up_to_date("disktime.schema.json", &text);
}

#[test]
fn the_reference_is_up_to_date() {
    assert_up_to_date("../docs/configuration.md", &reference());
}

#[test]
fn the_examples_are_valid() {
    let validator = validator();
    let mut seen = 0;
    for entry in std::fs::read_dir(here("../examples")).expect("there are examples") {
        let path = entry.expect("a directory can be listed").path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("an example can be read");
        let value: Value = serde_json::from_str(&text).expect("an example is JSON");
        // Workloads lie beside configurations; they have no state directory.
        if value.get("state_dir").is_none() {
            continue;
        }
        seen += 1;
        let wrong: Vec<_> = validator
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}", path.display());
        parses(&text).unwrap_or_else(|errors| panic!("{}: {errors}", path.display()));
    }
    assert!(seen > 0, "examples/quickstart.json is missing");
}

/// A configuration with every key, right.
fn full() -> Value {
    json!({
        "$schema": "disktime.schema.json",
        "state_dir": "state",
        "disks": {
            "hdd0": {
                "path": "hdd0.disk", "size": "64GiB", "policy": "fahrrad", "switching": "account",
                "background": { "metadata": { "reserve": "2%", "period": "4s" } }, "seeks": true,
                "worst_case": "40ms", "switch_cost": "13ms", "max_in_flight": 1, "trim": "hold",
            },
            "hdd1": { "path": "hdd1.disk", "size": "10 MiB", "emulate": { "rpm": 7200 } },
        },
        "vdisks": {
            "web": {
                "disk": "hdd0", "size": "1.5GiB", "reserve": "12.5%", "period": "1.5s",
                "limit": "100%", "weight": 10_000, "read_only": true, "trim": "ignore",
                "allow": ["10.0.0.0/8", "::1"], "connections": 4,
            },
        },
        "nbd": {
            "socket": "n", "socket_mode": "0660", "socket_owner": "root", "socket_group": "0",
            "listen": ["127.0.0.1:10809", "[::1]:0"], "allow": ["127.0.0.0/8", "fd00::/8"],
            "tls": { "dir": "pki", "require": true, "client_certificates": true },
            "connections": 64, "handshake_time": "5s", "handshake_options": 32,
        },
        "fuse": { "mount": "m" },
        "control": { "socket": "c" },
    })
}

#[test]
fn what_is_wrong_with_one_key_is_wrong_for_the_schema_too() {
    let validator = validator();
    assert!(
        validator.is_valid(&full()),
        "{:?}",
        validator.validate(&full())
    );
    parses(&full().to_string()).unwrap_or_else(|errors| panic!("{errors}"));
    let wrong = [
        ("/state_dir", json!("")),
        ("/state_dir", json!(1)),
        ("/colour", json!("red")),
        ("/disks", json!({})),
        ("/disks/hdd0/path", Value::Null),
        ("/disks/hdd0/policy", json!("lifo")),
        ("/disks/hdd0/switching", json!(true)),
        ("/disks/hdd0/seeks", json!("yes")),
        ("/disks/hdd0/worst_case", json!(40)),
        ("/disks/hdd0/max_in_flight", json!(0)),
        (
            "/disks/hdd0/background/metadata",
            json!({ "reserve": "1%" }),
        ),
        ("/disks/hdd0/emulate", json!(["x"])),
        ("/vdisks/web/size", json!("8Gib")),
        ("/vdisks/web/size", json!(8)),
        ("/vdisks/web/reserve", json!("40")),
        ("/vdisks/web/period", json!("500")),
        ("/vdisks/web/weight", json!(10_001)),
        ("/vdisks/web/weight", json!(1.5)),
        ("/vdisks/web/read_only", json!("yes")),
        ("/vdisks/web/readonly", json!(true)),
        ("/vdisks/web/allow", json!([])),
        ("/vdisks/web/connections", json!(0)),
        ("/vdisks/a b", json!({ "disk": "hdd0", "size": "1GiB" })),
        ("/vdisks/..", json!({ "disk": "hdd0", "size": "1GiB" })),
        (
            "/vdisks/v",
            json!({ "disk": "hdd0", "size": "1GiB", "reserve": "1%" }),
        ),
        ("/vdisks/v", json!({ "disk": "hdd0" })),
        ("/nbd/listen", json!("127.0.0.1:1")),
        ("/nbd/listen", json!(["localhost"])),
        ("/nbd/listen", json!(["127.0.0.1:1", "127.0.0.1:1"])),
        ("/nbd/allow", json!(["localhost"])),
        ("/nbd/allow", json!("10.0.0.0/8")),
        ("/nbd/socket_mode", json!("rw")),
        ("/nbd/socket_mode", json!("4770")),
        ("/nbd/socket_owner", json!(0)),
        ("/nbd/socket_group", json!("a b")),
        ("/nbd/connections", json!("many")),
        ("/nbd/handshake_time", json!(10)),
        ("/nbd/tls", json!({ "require": true })),
        ("/nbd/tls/require", json!("yes")),
        ("/nbd/tls/psk", json!("keys")),
        ("/fuse/mount", json!([])),
        ("/control", json!("c")),
    ];
    for (place, value) in wrong {
        let mut changed = full();
        let (parent, key) = place.rsplit_once('/').expect("a path");
        changed.pointer_mut(parent).expect("it is there")[key] = value.clone();
        assert!(
            !validator.is_valid(&changed),
            "the schema accepts {place} = {value}"
        );
        assert!(
            parses(&changed.to_string()).is_err(),
            "the parser accepts {place} = {value}"
        );
    }
}

/// A text with a few pieces cut out, doubled or replaced.
fn mutated() -> impl Strategy<Value = String> {
    let change = (
        any::<prop::sample::Index>(),
        0..12usize,
        prop_oneof![
            Just(String::new()),
            r#"["{}\[\],:0-9a-z%\\]{1,3}"#,
            any::<String>(),
            Just("null".to_owned()),
        ],
    );
    prop::collection::vec(change, 1..5).prop_map(|changes| {
        let mut text = serde_json::to_string_pretty(&full()).expect("values print");
        for (at, cut, put) in changes {
            let mut start = at.index(text.len() + 1);
            while !text.is_char_boundary(start) {
                start -= 1;
            }
            let mut end = (start + cut).min(text.len());
            while !text.is_char_boundary(end) {
                end += 1;
            }
            text.replace_range(start..end, &put);
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_text_makes_the_parser_panic(text in prop_oneof![any::<String>(), mutated()]) {
        let checker = |_: &Value| Ok(());
        let parsed = Configuration::parse(&text, Path::new("f"), &checker);
        match parsed {
            // What the parser accepts, the schema accepts too.
            Ok(_) => {
                let value: Value = serde_json::from_str(&text).expect("the parser is strict");
                prop_assert!(validator().is_valid(&value), "{}", text);
            }
            Err(errors) => {
                prop_assert!(!errors.findings().is_empty());
                prop_assert!(!errors.to_string().is_empty() && errors.to_json().is_array());
                let places: Vec<_> = errors.findings().iter().map(|finding| finding.span()).collect();
                prop_assert!(places.is_sorted());
            }
        }
    }
}

#[test]
fn a_history_is_an_object_or_off() {
    let text = |history: &str| {
        format!(
            r#"{{ "state_dir": "s", "disks": {{ "a": {{ "path": "a", "size": "1GiB" }} }},
              "vdisks": {{ "db": {{ "disk": "a", "size": "64MiB", "history": {history} }} }},
              "nbd": {{}} }}"#
        )
    };
    let validator = validator();
    let both = |history: &str| {
        let parsed = parses(&text(history));
        let value: Value = serde_json::from_str(&text(history)).expect("JSON");
        assert_eq!(validator.is_valid(&value), parsed.is_ok(), "{history}");
        parsed
    };
    let off = both(r#""off""#).expect("it is accepted");
    assert!(off.vdisks[0].history.is_none() && off.vdisks[0].history_off);
    let on = both(r#"{ "window": "1h", "max": "64MiB" }"#).expect("it is accepted");
    assert!(on.vdisks[0].history.is_some() && !on.vdisks[0].history_off);
    for wrong in [r#""on""#, "false", "[]"] {
        let refused = both(wrong).expect_err("it is refused");
        assert!(refused.contains("`history` cannot be"), "{refused}");
        assert!(refused.contains("or \"off\""), "{refused}");
    }
}
