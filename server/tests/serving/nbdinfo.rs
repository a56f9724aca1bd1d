//! What `nbdinfo` tells of the exports, word for word: a change of any flag, block size, context or
//! description is seen here.

use crate::programs::{tool, tool_output};
use crate::server::Server;
use crate::test_directory::{MIB, TestDirectory};
use disktime_nbd_protocol::NbdUri;
use disktime_test_tls::fill;
use serde_json::{Value, json};

const LIBNBD: &str = "libnbd-bin";

const DISKS: &str = r#"
    "d0": { "path": "d0.disk", "size": "256MiB", "seeks": false },
    "hdd0": { "path": "hdd0.disk", "size": "1GiB", "emulate": "desktop-7200-2008" }"#;
const VDISKS: &str = r#"
    "web": { "disk": "d0", "size": "32MiB", "reserve": "40%", "period": "500ms" },
    "db": { "disk": "d0", "size": "2048KB", "limit": "20%" },
    "iso": { "disk": "d0", "size": "64MiB", "read_only": true },
    "cold": { "disk": "hdd0", "size": "128MiB", "weight": 7 }"#;

fn start() -> (TestDirectory, Server) {
    let place = TestDirectory::configured(DISKS, VDISKS, r#""nbd": { "listen": ["127.0.0.1:0"] }"#);
    let server = place.start();
    (place, server)
}

/// A writable vdisk on a disk without seeks, but for its name, description and size.
fn expected(name: &str, description: &str, size_bytes: u64, size: &str) -> Value {
    json!({
        "export-name": name,
        "description": description,
        "uri": "a URI",
        "contexts": ["base:allocation"],
        "is_rotational": false,
        "is_read_only": false,
        "can_cache": true,
        "can_df": true,
        "can_fast_zero": true,
        "can_flush": true,
        "can_fua": true,
        "can_multi_conn": true,
        "can_trim": true,
        "can_zero": true,
        "block_size_minimum": 1,
        "block_size_preferred": 4096,
        "block_size_maximum": 33554432,
        "export-size": size_bytes,
        "export-size-str": size,
    })
}

fn with(mut export: Value, changes: &[(&str, bool)]) -> Value {
    for (key, value) in changes {
        export[*key] = (*value).into();
    }
    export
}

fn all_expected() -> Vec<Value> {
    let read_only = [
        ("is_read_only", true),
        ("can_fast_zero", false),
        ("can_trim", false),
        ("can_zero", false),
    ];
    let iso = expected("iso", "best effort on d0, weight 100", 64 * MIB, "64M");
    let cold = expected("cold", "best effort on hdd0, weight 7", 128 * MIB, "128M");
    vec![
        expected("web", "40 % of d0 in every 500ms", 32 * MIB, "32M"),
        expected(
            "db",
            "best effort on d0, weight 100, at most 20 %",
            2_048_000,
            "2000K",
        ),
        with(iso, &read_only),
        with(cold, &[("is_rotational", true)]),
    ]
}

fn document(exports: Vec<Value>) -> Value {
    json!({
        "protocol": "newstyle-fixed",
        "TLS": false,
        "structured": true,
        "exports": exports,
    })
}

/// Drops the abilities that a newer nbdinfo asks about and that we do not have.
fn drop_unknown_inabilities(told: &mut Value, expected: &Value) {
    let Some(told) = told.as_object_mut() else {
        return;
    };
    told.retain(|key, value| expected.get(key).is_some() || *value != Value::Bool(false));
}

/// What nbdinfo tells, with URIs replaced by `a URI` after a look that they lead there.
#[track_caller]
fn tells(options: &[&str], uri: &NbdUri, expected: &Value) {
    let uri = uri.to_string();
    let said = tool(
        LIBNBD,
        "nbdinfo",
        &[options, &["--json", "--no-content", &uri]].concat(),
    );
    let mut told: Value = serde_json::from_str(&said).expect("it prints JSON");
    drop_unknown_inabilities(&mut told, expected);
    let exports = told["exports"].as_array_mut().expect("a list of exports");
    for (number, export) in exports.iter_mut().enumerate() {
        let address: NbdUri = export["uri"]
            .as_str()
            .and_then(|address| address.parse().ok())
            .expect("a URI");
        assert_eq!(export["export-name"], address.export.as_str());
        export["uri"] = "a URI".into();
        drop_unknown_inabilities(export, &expected["exports"][number]);
    }
    assert!(
        told == *expected,
        "nbdinfo {options:?} {uri} says otherwise:\n{told:#}\ninstead of\n{expected:#}"
    );
}

#[test]
fn the_list_by_both_sockets_is_as_written_here() {
    let (_place, server) = start();
    for uri in &server.vdisks[0].uris {
        let all = NbdUri {
            export: String::new(),
            ..uri.clone()
        };
        tells(&["--list"], &all, &document(all_expected()));
    }
    server.stop();
}

#[test]
fn each_export_by_both_sockets_is_as_written_here() {
    let (_place, server) = start();
    for (vdisk, expected) in server.vdisks.iter().zip(all_expected()) {
        assert_eq!(vdisk.uris.len(), 2, "a unix socket and a port");
        for uri in &vdisk.uris {
            tells(&[], uri, &document(vec![expected.clone()]));
        }
    }
    server.stop();
}

#[test]
fn with_tls_it_is_the_same_but_for_tls() {
    let nbd = r#""nbd": { "listen": ["127.0.0.1:0"], "tls": { "dir": "../pki" } }"#;
    let place = TestDirectory::configured(DISKS, VDISKS, nbd);
    let pki = place.path("pki");
    fill(&pki);
    let server = place.start();
    let web = all_expected().remove(0);
    let mut expected = document(vec![web]);
    expected["TLS"] = true.into();
    for uri in &server.vdisks[0].uris {
        tells(&[], &uri.with_certificates(&pki), &expected);
    }
    server.stop();
}

#[test]
fn a_name_that_does_not_exist_is_an_error() {
    let (_place, server) = start();
    let unknown = NbdUri {
        export: "nope".into(),
        ..server.uri("db")
    };
    let output = tool_output(LIBNBD, "nbdinfo", &[&unknown.to_string()]);
    assert!(!output.status.success());
    server.stop();
}

#[test]
fn hundreds_of_vdisks_are_listed_by_one_connection() {
    let vdisk = |number| format!(r#""v{number}": {{ "disk": "m", "size": "1MiB" }}"#);
    let vdisks: Vec<String> = (0..300).map(vdisk).collect();
    let disk = r#""m": { "memory": true, "size": "1GiB" }"#;
    let place = TestDirectory::configured(disk, &vdisks.join(", "), r#""nbd": {}"#);
    let server = place.start();
    let all = NbdUri {
        export: String::new(),
        ..server.uri("v0")
    };
    let said = tool(LIBNBD, "nbdinfo", &["--list", "--json", &all.to_string()]);
    let found: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(found["exports"].as_array().map(Vec::len), Some(300));
    server.stop();
}
