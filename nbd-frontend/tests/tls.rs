//! TLS with libnbd's, QEMU's and our own client over both sockets, and clients that try to evade
//! it.

mod common;

use common::{MIB, TestServer, opening, usual_exports};
use disktime_engine::RequestKind;
use disktime_nbd::TlsConfig;
use disktime_nbd_client::{ClientRequest, NbdClient};
use disktime_nbd_protocol::{NbdUri, OptionHeader, OptionReplyHeader, option, option_reply};
use disktime_sockets::{ServerCredentials, TlsSettings};
use disktime_test_tls::{Valid, fill};
use disktime_testing::bytes::pattern;
use disktime_testing::programs::{tool, tool_output};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

const LIBNBD: &str = "libnbd-bin";
const QEMU: &str = "qemu-utils";

struct World {
    server: TestServer,
    dir: TempDir,
}

impl World {
    fn new(require: bool, client_certificates: bool) -> World {
        World::with(require, client_certificates, Duration::from_secs(5))
    }

    fn with(require: bool, client_certificates: bool, handshake_time: Duration) -> World {
        let dir = tempfile::tempdir().expect("a directory");
        fill(dir.path());
        let settings = TlsSettings {
            dir: dir.path().to_owned(),
            client_certificates,
        };
        let credentials = Arc::new(ServerCredentials::load(settings).expect("they are valid"));
        let server = TestServer::with(usual_exports(), |config| {
            config.tls = Some(TlsConfig {
                credentials,
                require,
            });
            config.handshake_time = handshake_time;
        });
        World { server, dir }
    }

    fn uris(&self, tls: bool) -> [NbdUri; 2] {
        let tcp = self.server.tcp_uri.clone();
        [self.server.uri("disk"), tcp].map(|uri| NbdUri { tls, ..uri })
    }

    /// A directory with the authority and no client certificate.
    fn without_certificate(&self) -> PathBuf {
        let dir = self.dir.path().join("none");
        fs::create_dir_all(&dir).expect("a directory");
        fs::copy(self.dir.path().join("ca-cert.pem"), dir.join("ca-cert.pem")).expect("a copy");
        dir
    }
}

fn with(uri: &NbdUri, dir: &Path) -> String {
    uri.with_certificates(dir).to_string()
}

/// The protocol that `nbdinfo` prints, or its errors if it cannot connect.
fn protocol(uri: &str) -> Result<String, String> {
    let output = tool_output(LIBNBD, "nbdinfo", &[uri]);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[test]
fn without_tls_no_client_is_admitted_where_it_is_required() {
    let world = World::new(true, false);
    for uri in world.uris(true) {
        let said = protocol(&with(&uri, world.dir.path())).expect("by TLS");
        assert!(said.contains("with TLS"), "{uri}: {said}");
    }
    for uri in world.uris(false) {
        protocol(&uri.to_string()).expect_err("without TLS");
    }
    // LIST names no export either.
    let list = ["--list", &world.server.uri("").to_string()];
    let output = tool_output(LIBNBD, "nbdinfo", &list);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(!said.contains("locked"), "{said}");
    let list = NbdUri {
        export: String::new(),
        ..world.uris(true)[1].clone()
    };
    let said = tool(
        LIBNBD,
        "nbdinfo",
        &["--list", &with(&list, world.dir.path())],
    );
    assert!(said.contains("locked"), "{said}");
}

#[test]
fn where_tls_is_optional_the_client_decides() {
    let world = World::new(false, false);
    for tls in [true, false] {
        for uri in world.uris(tls) {
            let text = if tls {
                with(&uri, world.dir.path())
            } else {
                uri.to_string()
            };
            let said = protocol(&text).expect("either way");
            assert_eq!(said.contains("with TLS"), tls, "{uri}: {said}");
        }
    }
}

#[test]
fn both_sides_verify_certificates() {
    let world = World::new(true, true);
    let [_, uri] = world.uris(true);
    protocol(&with(&uri, world.dir.path())).expect("a client with a certificate");
    protocol(&with(&uri, &world.without_certificate())).expect_err("a client without");
    // A client that trusts another authority does not trust this server.
    let other = tempfile::tempdir().expect("a directory");
    fill(other.path());
    let said = protocol(&with(&uri, other.path())).expect_err("another authority");
    assert!(said.contains("certificate"), "{said}");
}

#[test]
fn a_new_certificate_is_used_for_the_next_client() {
    let world = World::new(true, false);
    let [_, uri] = world.uris(true);
    let text = with(&uri, world.dir.path());
    protocol(&text).expect("the first certificate");
    let second = fill(world.dir.path());
    protocol(&text).expect("both sides use the new authority");
    // An invalid certificate does not replace the previous one.
    second.sign(world.dir.path(), "server", Valid::Past, 7);
    protocol(&text).expect("the previous certificate");
}

#[test]
fn nbdcopy_copies_a_disk_both_ways() {
    let world = World::new(true, true);
    let data = pattern(64 * MIB as usize, 1);
    let file = world.dir.path().join("file");
    fs::write(&file, &data).expect("a file");
    let file = file.to_str().expect("a plain path");
    let back = world.dir.path().join("back");
    for uri in world.uris(true) {
        let uri = with(&uri, world.dir.path());
        tool(LIBNBD, "nbdcopy", &["--flush", file, &uri]);
        assert!(world.server.bytes(0, 0, data.len()) == data, "{uri}");
        let target = back.to_str().expect("a plain path");
        tool(LIBNBD, "nbdcopy", &[&uri, target]);
        assert!(fs::read(&back).expect("the copy") == data, "{uri}");
        fs::remove_file(&back).expect("it is there");
    }
}

/// Many requests in flight, sent and received by two threads.
#[test]
fn our_own_client_supports_tls() {
    let world = World::new(true, true);
    for uri in world.uris(true) {
        let uri = uri.with_certificates(world.dir.path());
        let client = NbdClient::connect(&uri).expect("a client with a certificate");
        assert_eq!(client.info().size_bytes, 64 * MIB);
        let (mut sender, mut receiver, _) = client.split();
        let data = vec![0x3C; 300_000];
        for (kind, sent, expected) in [
            (RequestKind::Write, &data[..], &[][..]),
            (RequestKind::Read, &[], &data),
        ] {
            let (sender, receiver) = (&mut sender, &mut receiver);
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    for tag in 0..50 {
                        let offset_bytes = u64::from(tag) * 300_000;
                        let request = ClientRequest {
                            data: sent,
                            ..ClientRequest::new(tag, kind, offset_bytes, 300_000)
                        };
                        sender.send_request(&request).expect("it takes requests");
                    }
                });
                for _ in 0..50 {
                    let mut got = Vec::new();
                    let reply = receiver.receive_reply(&mut got).expect("proper TLS");
                    assert_eq!(reply.expect("a reply").error, 0);
                    assert!(got == expected, "{kind:?}: other data");
                }
            });
        }
        sender.disconnect().expect("DISC and close_notify");
        let end = receiver
            .receive_reply(&mut Vec::new())
            .expect("a clean end");
        assert_eq!(end, None);
    }
    let uri = world.uris(true)[1].clone();
    let refused = |uri: &NbdUri| match NbdClient::connect(uri) {
        Ok(_) => panic!("{uri} admits it"),
        Err(error) => error.to_string(),
    };
    assert!(refused(&uri).contains("tls-certificates=DIR"));
    let other = tempfile::tempdir().expect("a directory");
    let said = refused(&uri.with_certificates(other.path()));
    assert!(said.contains("ca-cert.pem"), "{said}");
    fill(other.path());
    let said = refused(&uri.with_certificates(other.path()));
    assert!(said.contains("invalid peer certificate"), "{said}");
}

#[test]
fn qemu_connects_with_its_own_objects() {
    let world = World::new(true, true);
    let dir = world.dir.path().to_str().expect("a plain path");
    let object = format!("tls-creds-x509,id=tls0,dir={dir},endpoint=client");
    let disktime_nbd_protocol::Transport::Tcp { host, port } = &world.server.tcp_uri.transport
    else {
        panic!("a TCP address");
    };
    let image = format!(
        "driver=nbd,host={host},port={port},export=disk,tls-creds=tls0,tls-hostname=localhost"
    );
    let mut arguments = vec!["--object", &object, "--image-opts"];
    for command in [
        "write -P 0x5a 4097 3M",
        "flush",
        "aio_write -P 0x44 8M 8M",
        "aio_write -P 0x55 16M 32M",
        "aio_flush",
        "read -P 0x5a 4097 3M",
        "read -P 0x55 16M 32M",
        "read -P 0x44 8M 8M",
    ] {
        arguments.extend(["-c", command]);
    }
    arguments.push(&image);
    let said = tool(QEMU, "qemu-io", &arguments);
    assert!(
        !said.contains("failed") && !said.contains("error"),
        "{said}"
    );
    assert_eq!(world.server.bytes(0, 4096, 3), [0, 0x5a, 0x5a]);
    let info = ["info", "--object", &object, "--image-opts", &image];
    let said = tool(QEMU, "qemu-img", &info);
    assert!(said.contains("64 MiB"), "{said}");
}

/// A connection that has sent STARTTLS, directly followed by `more`.
fn with_starttls(world: &World, more: &[u8]) -> UnixStream {
    let disktime_nbd_protocol::Transport::Unix { path } = world.server.uri("disk").transport else {
        panic!("a unix socket");
    };
    let mut stream = UnixStream::connect(path).expect("it listens");
    let limit = Some(Duration::from_secs(20));
    stream.set_read_timeout(limit).expect("a time limit");
    let starttls = OptionHeader::message(option::STARTTLS, &[]);
    let message = [&3_u32.to_be_bytes()[..], &starttls, more].concat();
    stream.write_all(&message).expect("the server reads");
    stream.read_exact(&mut [0; 18]).expect("a greeting");
    stream
}

fn acknowledged(stream: &mut UnixStream) {
    let mut bytes = [0; OptionReplyHeader::BYTES];
    stream.read_exact(&mut bytes).expect("an answer");
    let answer = OptionReplyHeader::decode(&bytes).expect("a reply's magic number");
    assert_eq!(answer.reply, option_reply::ACK);
}

/// All bytes up to the end of the connection.
fn rest(stream: &mut UnixStream) -> Vec<u8> {
    let mut all = Vec::new();
    // A server that closes with unread bytes resets the connection, which is an end as well.
    let _ = stream.read_to_end(&mut all);
    all
}

#[test]
fn plain_bytes_after_starttls_are_never_answered() {
    for require in [true, false] {
        let world = World::new(require, false);
        // Plain bytes are never parsed: neither together with STARTTLS nor after its reply.
        let plain = &opening("disk")[4..];
        let all = rest(&mut with_starttls(&world, plain));
        assert!(all.is_empty(), "{all:x?}");
        let mut stream = with_starttls(&world, &[]);
        acknowledged(&mut stream);
        stream.write_all(plain).expect("the server reads");
        let all = rest(&mut stream);
        let answers = option_reply::ACK.to_be_bytes();
        let answered = all.windows(4).any(|bytes| bytes == answers) && all.len() > 7;
        assert!(!answered, "{all:x?}");
        // At most a TLS alert: type 21, version, two bytes.
        assert!(
            all.is_empty() || (all[0] == 21 && all.len() == 7),
            "{all:x?}"
        );
    }
}

#[test]
fn an_incomplete_tls_handshake_ends_with_the_time_limit() {
    let world = World::with(true, false, Duration::from_millis(100));
    let mut stream = with_starttls(&world, &[]);
    acknowledged(&mut stream);
    // The header of a record of 16 KiB that is never sent.
    stream
        .write_all(&[22, 3, 1, 0x40, 0])
        .expect("the server reads");
    assert_eq!(rest(&mut stream), b"");
}
