//! Clients that misbehave: only their own connection ends, memory stays bounded, and a well-behaved
//! client that is connected all the time is served.

mod common;

use common::{MIB, OPENING_ANSWER, TestServer, choose, header, opening, usual_exports};
use disktime_engine::RequestKind;
use disktime_nbd::SessionLimits;
use disktime_nbd_client::{ClientError, ClientRequest, NbdClient};
use disktime_nbd_protocol::{OptionHeader, command, option};
use disktime_testing::sentences::assert_says;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// A well-behaved client that writes, reads, and checks what it gets.
struct Witness {
    client: NbdClient,
    round: u8,
}

impl Witness {
    fn of(server: &TestServer) -> Witness {
        Witness {
            client: server.client("disk"),
            round: 0,
        }
    }

    fn check(&mut self) {
        self.round = self.round.wrapping_add(1);
        let data = [self.round; 5000];
        let offset_bytes = 60 * MIB + 77;
        let mut got = Vec::new();
        let write = ClientRequest::write(1, offset_bytes, &data);
        let read = ClientRequest::new(1, RequestKind::Read, offset_bytes, 5000);
        for request in [write, read] {
            let reply = self.client.call(&request, &mut got).expect("it is served");
            assert_eq!(reply.error, 0);
        }
        assert_eq!(got, data);
    }
}

fn raw(server: &TestServer) -> UnixStream {
    let stream = UnixStream::connect(server.folder.path().join("nbd.sock")).expect("it listens");
    // Not a wait that a test relies on: a server that hangs makes the test fail, not hang.
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a time limit");
    stream
}

fn chosen(server: &TestServer) -> UnixStream {
    let mut stream = raw(server);
    choose(&mut stream, "disk");
    stream
}

/// Reads until the server closes.
fn to_the_end(stream: &mut UnixStream) -> Vec<u8> {
    let mut all = Vec::new();
    match stream.read_to_end(&mut all) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the server neither answers nor closes: {error}"),
    }
    all
}

/// Two writes, a read and DISC.
fn conversation() -> Vec<u8> {
    let mut bytes = opening("disk");
    bytes.extend_from_slice(&header(command::WRITE, 1, 0, 40));
    bytes.extend_from_slice(&[7; 40]);
    bytes.extend_from_slice(&header(command::READ, 2, 0, 40));
    bytes.extend_from_slice(&header(command::WRITE, 3, 64 * MIB, 10));
    bytes.extend_from_slice(&[8; 10]);
    bytes.extend_from_slice(&header(command::DISC, 4, 0, 0));
    bytes
}

#[test]
fn a_disconnect_at_any_byte_affects_no_other_client() {
    let server = TestServer::start();
    let mut witness = Witness::of(&server);
    let bytes = conversation();
    for at in 0..bytes.len() {
        let mut stream = raw(&server);
        stream.write_all(&bytes[..at]).expect("the server reads");
        drop(stream);
        let mut stream = raw(&server);
        stream.write_all(&bytes[..at]).expect("the server reads");
        stream
            .shutdown(Shutdown::Write)
            .expect("half of it is closed");
        to_the_end(&mut stream);
    }
    witness.check();
}

#[test]
fn a_conversation_cut_at_every_byte_is_the_same_conversation() {
    let server = TestServer::start();
    let bytes = conversation();
    // 16 + 16 + 40 + 16 bytes of replies to the three requests.
    let expected = OPENING_ANSWER + 88;
    for at in 0..bytes.len() {
        let mut stream = raw(&server);
        stream.write_all(&bytes[..at]).expect("the server reads");
        if at >= 4 {
            // The greeting shows that the server has read the first piece.
            stream.read_exact(&mut [0; 18]).expect("the greeting");
        }
        stream.write_all(&bytes[at..]).expect("the server reads");
        let got = to_the_end(&mut stream).len() + if at >= 4 { 18 } else { 0 };
        assert_eq!(got, expected, "cut at {at}");
    }
}

#[test]
fn garbage_ends_the_connection() {
    let server = TestServer::start();
    let mut witness = Witness::of(&server);
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    for round in 0..200 {
        let garbage: Vec<u8> = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .take(300)
        .collect();
        let mut stream = if round % 2 == 0 {
            raw(&server)
        } else {
            chosen(&server)
        };
        // The server may close before it has read all of it.
        let _ = stream.write_all(&garbage);
        to_the_end(&mut stream);
    }
    witness.check();
}

#[test]
fn a_thousand_unknown_options_end_the_handshake() {
    let server = TestServer::start();
    let mut stream = raw(&server);
    let mut bytes = 3u32.to_be_bytes().to_vec();
    for number in 0..1000 {
        bytes.extend(OptionHeader::message(5000 + number, &[]));
    }
    let _ = stream.write_all(&bytes);
    let answers = to_the_end(&mut stream);
    assert!(
        answers.len() < 100 * 257,
        "{} bytes of answers",
        answers.len()
    );
    Witness::of(&server).check();
}

#[test]
fn lengths_of_4_gib_are_refused_and_cost_no_memory() {
    let server = TestServer::start();
    let mut stream = chosen(&server);
    stream
        .write_all(&header(command::READ, 1, 0, u32::MAX))
        .expect("the server reads");
    let mut reply = [0; 16];
    stream.read_exact(&mut reply).expect("an answer");
    assert_eq!(reply[4..8], 22u32.to_be_bytes());
    for command in [command::TRIM, command::WRITE_ZEROES] {
        stream
            .write_all(&header(command, 1, 0, u32::MAX))
            .expect("the server reads");
        stream.read_exact(&mut reply).expect("an answer");
        assert_ne!(reply[4..8], [0; 4]);
    }
    // The data of this write are skipped.
    stream
        .write_all(&header(command::WRITE, 1, 0, u32::MAX))
        .expect("the server reads");
    for _ in 0..64 {
        stream
            .write_all(&vec![0xEE; 1 << 20])
            .expect("the server reads on");
    }
    drop(stream);
    let mut stream = raw(&server);
    let mut bytes = 3u32.to_be_bytes().to_vec();
    let go = OptionHeader {
        option: option::GO,
        len_bytes: u32::MAX,
    };
    bytes.extend_from_slice(&go.encode());
    stream.write_all(&bytes).expect("the server reads");
    stream
        .shutdown(Shutdown::Write)
        .expect("half of it is closed");
    to_the_end(&mut stream);
    Witness::of(&server).check();
}

#[test]
fn a_client_that_reads_no_replies_is_not_read_from() {
    let limit = 4 * MIB;
    let server = TestServer::with(usual_exports(), |config| {
        config.session = SessionLimits {
            requests: 64,
            buffer_bytes: limit as usize,
            ..SessionLimits::default()
        };
    });
    let mut witness = Witness::of(&server);
    let mut stream = chosen(&server);
    stream
        .set_write_timeout(Some(Duration::from_secs(1)))
        .expect("a time limit");
    let read = header(command::READ, 9, 0, 1 << 20).repeat(64);
    let mut sent = 0;
    // Far more than all buffers hold; a server without a limit would take all of it.
    while sent < 64 * MIB as usize {
        match stream.write(&read) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("the server closed instead of waiting: {error}"),
        }
    }
    assert!(
        sent < 8 * MIB as usize,
        "the server took {sent} bytes of requests"
    );
    witness.check();
    // When it reads, it gets every reply.
    let mut reply = vec![0; 16 + (1 << 20)];
    for _ in 0..200 {
        stream.read_exact(&mut reply).expect("the replies come");
        assert_eq!(
            reply[..16],
            [0x67, 0x44, 0x66, 0x98, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]
        );
    }
    witness.check();
}

#[test]
fn unaligned_requests_are_served() {
    let server = TestServer::start();
    let mut client = server.client("disk");
    let mut got = Vec::new();
    let mut model = vec![0u8; 40_000];
    for round in 0..200usize {
        let (at, len) = (round * 7919 % 30_000, 1 + round * 104_729 % 9000);
        let data = vec![round as u8; len];
        let write = ClientRequest::write(1, at as u64, &data);
        assert_eq!(client.call(&write, &mut got).expect("served").error, 0);
        model[at..at + len].copy_from_slice(&data);
        let (at, len) = (round * 6007 % 30_000, 1 + round * 15_013 % 9000);
        let read = ClientRequest::new(1, RequestKind::Read, at as u64, len as u32);
        assert_eq!(client.call(&read, &mut got).expect("served").error, 0);
        assert!(got == model[at..at + len], "round {round}");
    }
    let nothing = ClientRequest::new(1, RequestKind::Read, 5, 0);
    assert_eq!(
        client.call(&nothing, &mut got).expect("served").data_bytes,
        0
    );
}

#[test]
fn errors_have_their_numbers() {
    let server = TestServer::start();
    let mut got = Vec::new();
    let mut error = |export: &str, kind, offset, len: u32| {
        let data = if kind == RequestKind::Write {
            vec![1; len as usize]
        } else {
            Vec::new()
        };
        let request = ClientRequest {
            data: &data,
            ..ClientRequest::new(1, kind, offset, len)
        };
        server
            .client(export)
            .call(&request, &mut got)
            .expect("an answer")
            .error
    };
    assert_eq!(error("disk", RequestKind::Read, 64 * MIB - 1, 2), 22);
    assert_eq!(error("disk", RequestKind::Write, 64 * MIB - 1, 2), 28);
    assert_eq!(error("locked", RequestKind::Write, 0, 1), 1);
    assert_eq!(error("locked", RequestKind::Trim, 0, 1), 1);
    assert_eq!(error("broken", RequestKind::Read, 0, 1), 5);
    assert_eq!(error("disk", RequestKind::Flush, 0, 0), 0);
}

#[test]
fn a_slow_handshake_is_closed() {
    let server = TestServer::with(usual_exports(), |config| {
        config.handshake_time = Duration::from_millis(50);
    });
    let mut stream = raw(&server);
    assert_eq!(
        to_the_end(&mut stream).len(),
        18,
        "the greeting, then the end"
    );
}

#[test]
fn connections_above_the_limit_get_an_error_until_others_end() {
    let server = TestServer::with(usual_exports(), |config| config.connections = 2);
    let first = chosen(&server);
    let second = chosen(&server);
    let refused = NbdClient::connect(&server.uri("disk"))
        .err()
        .expect("it is full")
        .to_string();
    assert_says(&refused, &["2 connections, which is its limit"]);
    // Some get an error; above that number, the next is closed without one.
    let is_greeted = |stream: &mut UnixStream| stream.read_exact(&mut [0; 18]).is_ok();
    let opened = (0..32).map(|_| raw(&server));
    let greeted: Vec<_> = opened
        .map_while(|mut stream| is_greeted(&mut stream).then_some(stream))
        .collect();
    assert!(
        (15..=16).contains(&greeted.len()),
        "{} were greeted",
        greeted.len()
    );
    drop((first, second, greeted));
    // The permits are free when the server has noticed the ends.
    drop(connect_eventually(&server));
}

/// Tries until the server admits it.
fn connect_eventually(server: &TestServer) -> NbdClient {
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        match NbdClient::connect(&server.uri("disk")) {
            Ok(client) => return client,
            Err(ClientError::Io(_) | ClientError::Refused { .. })
                if std::time::Instant::now() < deadline =>
            {
                std::thread::yield_now();
            }
            Err(error) => panic!("the server admits no client: {error}"),
        }
    }
}

#[test]
fn idle_handshakes_do_not_block_the_server() {
    let server = TestServer::with(usual_exports(), |config| config.connections = 2);
    let mut idle = [raw(&server), raw(&server)];
    let clients = [connect_eventually(&server), connect_eventually(&server)];
    for stream in &mut idle {
        assert_eq!(to_the_end(stream).len(), 18, "the greeting, then the end");
    }
    // A connection that has chosen an export is not closed.
    NbdClient::connect(&server.uri("disk")).err().expect("full");
    drop(clients);
}

#[test]
fn the_client_explains_why_it_cannot_connect() {
    let mut server = TestServer::start();
    let refused = NbdClient::connect(&server.uri("nope"))
        .err()
        .expect("no such export");
    assert!(
        refused.to_string().contains("there is no export \"nope\""),
        "{refused}"
    );
    let uri = server.uri("disk");
    server.stop();
    let gone = NbdClient::connect(&uri).err().expect("no server");
    assert!(matches!(gone, ClientError::Connect { .. }), "{gone}");
}

#[test]
fn many_requests_in_flight_are_identified_by_their_tags() {
    let server = TestServer::start();
    let client = server.client("disk");
    assert_eq!(client.info().size_bytes, 64 * MIB);
    assert_eq!(
        client.info().description.as_deref(),
        Some("a disk of the tests")
    );
    let (mut sender, mut receiver, _) = client.split();
    let writing = std::thread::spawn(move || {
        for tag in 0..500u32 {
            let data = tag.to_be_bytes();
            let write = ClientRequest {
                fua: true,
                ..ClientRequest::write(tag, u64::from(tag) * 4, &data)
            };
            sender.send_request(&write).expect("sent");
        }
        sender.disconnect().expect("sent");
    });
    let (mut got, mut tags) = (Vec::new(), Vec::new());
    while let Some(reply) = receiver
        .receive_reply(&mut got)
        .expect("the connection holds")
    {
        assert_eq!(reply.error, 0);
        tags.push(reply.tag);
    }
    writing.join().expect("all were sent");
    tags.sort_unstable();
    assert_eq!(tags, (0..500).collect::<Vec<u32>>());
    let expected: Vec<u8> = (0..500u32).flat_map(u32::to_be_bytes).collect();
    assert_eq!(server.bytes(0, 0, 2000), expected);
}
