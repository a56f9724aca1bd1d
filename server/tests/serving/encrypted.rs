//! TLS by the whole server: certificates that are wrong, clients through the reactor, and the end.

use crate::nbd::{assert_same, pattern};
use crate::programs::{text, tool, tool_output};
use crate::server::Server;
use crate::test_directory::{MIB, PLAIN_DISK, TestDirectory, assert_says};
use disktime_engine::RequestKind;
use disktime_nbd_client::{ClientRequest, NbdClient};
use disktime_nbd_protocol::NbdUri;
use disktime_test_tls::{Valid, fill};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;

const LIBNBD: &str = "libnbd-bin";

fn place(tls: &str) -> (TestDirectory, PathBuf) {
    let nbd =
        format!(r#""nbd": {{ "listen": ["127.0.0.1:0"], "tls": {{ "dir": "../pki"{tls} }} }}"#);
    let place = TestDirectory::configured(
        PLAIN_DISK,
        r#""a": { "disk": "d0", "size": "64MiB" }"#,
        &nbd,
    );
    let pki = place.path("pki");
    (place, pki)
}

/// Both ways to the vdisk, with the client's certificates.
fn uris(server: &Server, pki: &std::path::Path) -> Vec<String> {
    let with = |uri: &NbdUri| uri.with_certificates(pki).to_string();
    server.vdisks[0].uris.iter().map(with).collect()
}

#[test]
fn what_is_wrong_with_certificates_is_said_by_check_and_serve() {
    let (place, pki) = place("");
    let says = |fragments: &[&str]| {
        for command in ["check", "serve"] {
            let said = place.fails(&[command]);
            assert_says(&said, &["disktime.json:4:"]);
            assert_says(&said, fragments);
        }
        assert!(!place.disk_file().exists(), "no disk was touched");
    };
    says(&["/pki cannot be used", "No such file"]);
    let authority = fill(&pki);
    fs::remove_file(pki.join("server-key.pem")).expect("it is there");
    says(&["server-key.pem cannot be read", "No such file"]);
    fs::copy(pki.join("client-key.pem"), pki.join("server-key.pem")).expect("a copy");
    says(&["server-key.pem does not belong", "server-cert.pem"]);
    authority.sign(&pki, "server", Valid::Past, 2);
    says(&["server-cert.pem has expired on 1999-12-31"]);
    let mut check = place.command(&["check"]);
    check.arg("--json");
    let output = crate::programs::finished(check);
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(found.to_string().contains("has expired"), "{found}");
    authority.sign(&pki, "server", Valid::Now, 2);
    place.succeeds(&["check"]);
}

#[test]
fn a_key_that_everybody_reads_is_worth_a_word() {
    let (place, pki) = place("");
    fill(&pki);
    let key = pki.join("server-key.pem");
    let mode = |mode| {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(&key, mode).expect("it is ours");
    };
    mode(0o644);
    assert_says(&place.start().stop(), &["server-key.pem", "every user"]);
    mode(0o640);
    assert!(!place.start().stop().contains("every user"));
}

#[test]
fn data_go_there_and_back_by_both_sockets() {
    let (place, pki) = place(r#", "client_certificates": true"#);
    fill(&pki);
    let server = place.start();
    let uris = uris(&server, &pki);
    assert!(uris[0].starts_with("nbds+unix:///a?"), "{uris:?}");
    assert!(uris[1].starts_with("nbds://127.0.0.1:"), "{uris:?}");
    let plain = uris[1].replace("nbds:", "nbd:");
    let output = tool_output(LIBNBD, "nbdinfo", &[&plain]);
    assert!(!output.status.success(), "it let a client in without TLS");
    for (seed, uri) in uris.iter().enumerate() {
        let data = pattern(64 * MIB as usize, seed as u64 + 1);
        let file = place.write("file", &data);
        tool(LIBNBD, "nbdcopy", &["--flush", text(&file), uri]);
        let back = place.path("back");
        tool(LIBNBD, "nbdcopy", &[uri, text(&back)]);
        assert_same(&fs::read(&back).expect("the copy"), &data, uri);
        fs::remove_file(&back).expect("it is there");
    }
    server.stop();
}

#[test]
fn a_stop_answers_and_says_goodbye() {
    let (place, pki) = place("");
    fill(&pki);
    let server = place.start();
    for uri in &server.vdisks[0].uris {
        let client = NbdClient::connect(&uri.with_certificates(&pki)).expect("it is let in");
        let (mut sender, mut receiver, _) = client.split();
        let data = pattern(MIB as usize, 5);
        let request = ClientRequest::write(1, 0, &data);
        sender.send_request(&request).expect("it takes requests");
        let reply = receiver.receive_reply(&mut Vec::new()).expect("proper TLS");
        assert_eq!(reply.expect("an answer").error, 0);
    }
    let connected = |uri: &NbdUri| {
        let client = NbdClient::connect(&uri.with_certificates(&pki));
        client.expect("it is let in").split()
    };
    let idle: Vec<_> = server.vdisks[0].uris.iter().map(connected).collect();
    server.stop();
    for (_sender, mut receiver, _) in idle {
        // An end without TLS's good-bye would be an error.
        let end = receiver.receive_reply(&mut Vec::new());
        assert_eq!(end.expect("an end in good order"), None);
    }
}

/// The replies are much more than sockets hold, so the server stops reading and goes on later.
#[test]
fn a_client_that_reads_late_gets_everything() {
    let (place, pki) = place("");
    fill(&pki);
    let server = place.start();
    let mut witness = NbdClient::connect(&server.vdisks[0].uris[0].with_certificates(&pki))
        .expect("it is let in");
    let read = |tag| ClientRequest::new(tag, RequestKind::Read, 0, MIB as u32);
    for uri in &server.vdisks[0].uris {
        let client = NbdClient::connect(&uri.with_certificates(&pki)).expect("it is let in");
        let (mut sender, mut receiver, _) = client.split();
        // On a thread of its own: what the server does not read has to wait in the socket, which
        // holds some hundred small records, so the client could wait for itself.
        let sending = std::thread::spawn(move || {
            for tag in 0..400 {
                sender
                    .send_request(&read(tag))
                    .expect("it reads in the end");
            }
            sender
        });
        // Meanwhile others are served, and memory stays what one connection may have.
        let mut got = Vec::new();
        for tag in 0..20 {
            let reply = witness.call(&read(tag), &mut got).expect("it is served");
            assert_eq!((reply.error, got.len() as u64), (0, MIB));
        }
        let resident = server.resident_bytes();
        assert!(resident < 320 * MIB, "{resident} bytes are in use");
        let mut tags: Vec<u32> = (0..400)
            .map(|_| {
                let reply = receiver.receive_reply(&mut got).expect("proper TLS");
                let reply = reply.expect("a reply");
                assert_eq!((reply.error, got.len() as u64), (0, MIB));
                reply.tag
            })
            .collect();
        tags.sort_unstable();
        assert!(tags.into_iter().eq(0..400), "each once");
        drop(sending.join().expect("no panic"));
    }
    server.stop();
}

#[test]
fn load_comes_by_tls_where_it_has_to() {
    let (place, pki) = place(r#", "client_certificates": true"#);
    fill(&pki);
    let server = place.start();
    let client = [
        "load",
        "--client",
        "random,vdisk=a,depth=4",
        "--duration",
        "300ms",
        "--json",
    ];
    let report: Value = serde_json::from_str(&place.succeeds(&client)).expect("JSON");
    let client = &report["clients"]["random"];
    assert_eq!(client["errors"], 0, "{report}");
    assert!(client["requests"].as_u64() > Some(0), "{report}");
    server.stop();
}

#[test]
fn a_command_gets_a_uri_with_certificates() {
    let (place, pki) = place("");
    fill(&pki);
    let mut serve = place.command(&["serve"]);
    serve.args([
        "--run",
        "nbdinfo --size \"$uri\" && nbdinfo \"$uri\" | head -1",
    ]);
    let output = crate::programs::finished(serve);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert_says(&said, &["67108864\n", "with TLS"]);
}
