//! Structured replies and block status between our own client and the reference server, and clients
//! that misuse them.

mod common;

use common::{MIB, TestServer, header, usual_exports};
use disktime_engine::RequestKind;
use disktime_nbd::SessionLimits;
use disktime_nbd_client::{ClientRequest, StructuredClient};
use disktime_nbd_protocol::{OptionHeader, allocation, command, command_flag, option};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

const KIB: u64 = 1 << 10;

fn client(server: &TestServer, export: &str) -> StructuredClient {
    StructuredClient::connect(&server.uri(export)).expect("the server takes a client")
}

fn write(client: &mut StructuredClient, offset_bytes: u64, data: &[u8]) {
    let write = ClientRequest::write(0, offset_bytes, data);
    assert_eq!(client.call(&write, 0).expect("it is served").error, 0);
}

#[test]
fn zeroes_at_the_ends_of_a_read_and_in_a_block_status_are_holes() {
    let server = TestServer::start();
    let mut client = client(&server, "disk");
    write(&mut client, 64 * KIB, &[7; 64 << 10]);
    let read = ClientRequest::new(0, RequestKind::Read, 0, 256 << 10);
    let ends = vec![(0, 64 * KIB), (128 * KIB, 128 * KIB)];
    for (flags, holes) in [(0, ends), (command_flag::DF, vec![])] {
        let reply = client.call(&read, flags).expect("it is served");
        assert_eq!((reply.error, reply.data_chunks), (0, 1));
        assert_eq!(reply.holes, holes);
        assert!(reply.data == server.bytes(0, 0, 256 << 10));
    }
    let status = ClientRequest::new(0, RequestKind::Status, 10, 256 << 10);
    let all = client.call(&status, 0).expect("it is served").extents;
    let first: Vec<(u32, u32)> = all[..3].to_vec();
    let hole = allocation::HOLE | allocation::ZERO;
    assert_eq!(first, [(65_526, hole), (65_536, 0), (131_082, hole)]);
    let one = client.call(&status, command_flag::REQ_ONE);
    assert_eq!(one.expect("it is served").extents, [(65_526, hole)]);
}

#[test]
fn holes_in_the_middle_of_a_read_come_as_holes() {
    let server = TestServer::start();
    let mut client = client(&server, "disk");
    for piece in [0, 2, 3, 7, 15] {
        write(&mut client, piece * 64 * KIB, &[7; 64 << 10]);
    }
    let read = ClientRequest::new(0, RequestKind::Read, 1, MIB as u32 - 2);
    let reply = client.call(&read, 0).expect("it is served");
    assert!(reply.data == server.bytes(0, 1, MIB as usize - 2));
    let piece = 64 * KIB;
    let holes = [
        (piece, piece),
        (4 * piece, 3 * piece),
        (8 * piece, 7 * piece),
    ];
    assert_eq!(reply.holes, holes);
    assert_eq!(reply.data_chunks, 4);
    let whole = client.call(&read, command_flag::DF).expect("it is served");
    assert!((whole.data, whole.data_chunks) == (reply.data, 1));
}

#[test]
fn errors_have_a_text() {
    let server = TestServer::start();
    let mut broken = client(&server, "broken");
    let mut locked = client(&server, "locked");
    let read = ClientRequest::new(0, RequestKind::Read, 0, 4096);
    let reply = broken.call(&read, 0).expect("it is served");
    assert_eq!(
        (reply.error, reply.text.as_str()),
        (5, "the disk failed the request")
    );
    let write = ClientRequest::write(0, 0, b"abc");
    let reply = locked.call(&write, 0).expect("it is served");
    assert_eq!(
        (reply.error, reply.text.as_str()),
        (1, "the export is read-only")
    );
    let long = ClientRequest::new(0, RequestKind::Read, 0, (32 << 20) + 1);
    let overflow = locked.call(&long, command_flag::DF).expect("it is served");
    assert_eq!(overflow.error, 75);
    assert_eq!(locked.call(&long, 0).expect("it is served").error, 22);
    let status = ClientRequest::new(0, RequestKind::Status, MIB, 1);
    assert_eq!(locked.call(&status, 0).expect("it is served").error, 22);
}

/// The client's messages of a handshake with all extensions.
fn opening() -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u32).to_be_bytes()[..], text.as_bytes()].concat();
    let query = [text("disk"), vec![0, 0, 0, 1], text(allocation::NAME)].concat();
    [
        3u32.to_be_bytes().to_vec(),
        OptionHeader::message(option::STRUCTURED_REPLY, b""),
        OptionHeader::message(option::SET_META_CONTEXT, &query),
        OptionHeader::message(option::GO, &[text("disk"), vec![0, 0]].concat()),
    ]
    .concat()
}

/// Bytes that the server sends after the greeting, up to the last ACK.
const OPENING_ANSWER: usize = 18 + 20 + (20 + 4 + allocation::NAME.len() + 20) + (20 + 12 + 20);

/// The opening, some requests of every kind, and DISC.
fn conversation() -> Vec<u8> {
    let mut bytes = opening();
    let flagged = |command, flags: u16, len_bytes: u32| {
        let mut header = header(command, 1, 0, len_bytes);
        header[4..6].copy_from_slice(&flags.to_be_bytes());
        header
    };
    bytes.extend(flagged(command::WRITE, 0, 5));
    bytes.extend(b"hello");
    bytes.extend(flagged(command::READ, command_flag::DF, 5));
    bytes.extend(flagged(command::READ, command_flag::REQ_ONE, 5));
    bytes.extend(flagged(
        command::BLOCK_STATUS,
        command_flag::REQ_ONE,
        70_000,
    ));
    bytes.extend(flagged(command::CACHE, 0, 70_000));
    bytes.extend(flagged(command::DISC, 0, 0));
    bytes
}

fn raw(server: &TestServer) -> UnixStream {
    let stream = UnixStream::connect(server.folder.path().join("nbd.sock")).expect("it listens");
    // A server that hangs makes the test fail, not hang.
    let patience = Some(Duration::from_secs(30));
    stream.set_read_timeout(patience).expect("a time limit");
    stream
}

fn to_the_end(stream: &mut UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("{error}"),
        _ => bytes,
    }
}

#[test]
fn a_disconnect_at_any_byte_affects_no_other_client() {
    let server = TestServer::start();
    let mut witness = client(&server, "disk");
    let bytes = conversation();
    let mut whole = Vec::new();
    for end in 0..=bytes.len() {
        let mut stream = raw(&server);
        stream.write_all(&bytes[..end]).expect("the server reads");
        stream.shutdown(Shutdown::Write).expect("half of it closes");
        whole = to_the_end(&mut stream);
        if end % 50 == 0 {
            write(&mut witness, 9 * MIB, &[end as u8; 100]);
        }
    }
    let data = 28 + 5;
    let error = 20 + 6 + "the request is not valid: see its range and flags".len();
    let answers = 16 + data + error + (24 + 8) + 16;
    assert_eq!(whole.len(), OPENING_ANSWER + answers);
    write(&mut witness, 9 * MIB, b"still served");
}

#[test]
fn thousands_of_context_options_end_the_handshake() {
    let server = TestServer::start();
    let mut stream = raw(&server);
    let all = opening();
    let (hello, set) = (
        &all[..20],
        &all[20..20 + 16 + 4 + 4 + 4 + 4 + allocation::NAME.len()],
    );
    stream.write_all(hello).expect("the server reads");
    let mut refused = false;
    for _ in 0..2000 {
        // Once the server has enough it closes, and a write fails.
        refused |= stream.write_all(set).is_err();
    }
    let answered = to_the_end(&mut stream).len();
    assert!(
        refused || answered < 2000 * 40,
        "{answered} bytes were answered"
    );
    write(&mut client(&server, "disk"), 0, b"others are served");
}

#[test]
fn a_client_that_reads_no_status_replies_is_not_read_from() {
    let server = TestServer::with(usual_exports(), |config| {
        config.session = SessionLimits {
            requests: 64,
            buffer_bytes: 1 << 20,
            ..SessionLimits::default()
        };
    });
    // Data in every other piece, so that a status has as many extents as fit into a reply.
    let mut disk = server.disks[0].lock().expect("no test panics in it");
    disk.chunks_mut(128 << 10).for_each(|two| two[0] = 7);
    drop(disk);
    let mut stream = raw(&server);
    stream.write_all(&opening()).expect("the server reads");
    stream
        .read_exact(&mut [0; OPENING_ANSWER])
        .expect("it agrees");
    stream
        .set_write_timeout(Some(Duration::from_secs(1)))
        .expect("a time limit");
    let status = header(command::BLOCK_STATUS, 9, 0, 64 << 20).repeat(64);
    let mut sent = 0;
    while sent < 64 << 20 {
        match stream.write(&status) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("the server closed instead of waiting: {error}"),
        }
    }
    assert!(sent < 8 << 20, "the server took {sent} bytes of requests");
    write(&mut client(&server, "disk"), 0, b"others are served");
    let mut reply = vec![0; 24 + 512 * 8];
    for _ in 0..200 {
        stream.read_exact(&mut reply).expect("the replies come");
        assert_eq!(reply[..4], [0x66, 0x8e, 0x33, 0xef]);
    }
}
