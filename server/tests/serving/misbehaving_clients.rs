//! Clients that misbehave: each suffers alone, the others go on, and memory stays bounded.

use crate::nbd::{Client, chosen, header, pattern, raw};
use crate::programs::wait_until;
use crate::server::Server;
use crate::test_directory::{MIB, TestDirectory};
use disktime_engine::RequestKind;
use disktime_nbd_protocol::command;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The numbers of Linux, which are those of NBD.
const EINVAL: u32 = 22;
const ENOSPC: u32 = 28;

fn start() -> (TestDirectory, Server) {
    let place = TestDirectory::with(&[("web", r#""size": "64MiB""#), ("db", r#""size": "64MiB""#)]);
    let server = place.start();
    (place, server)
}

/// A good client of each vdisk, connected before the others come.
struct Witnesses {
    clients: Vec<Client>,
    round: u64,
}

impl Witnesses {
    fn of(server: &Server) -> Witnesses {
        Witnesses {
            clients: vec![server.client("web"), server.client("db")],
            round: 0,
        }
    }

    #[track_caller]
    fn check(&mut self) {
        self.round += 1;
        for client in &mut self.clients {
            let data = pattern(5000, self.round);
            client.write(50 * MIB + 77, &data);
            assert_eq!(client.read(50 * MIB + 77, 5000), data);
            client.flush();
        }
    }
}

/// Reads until the server closes.
#[track_caller]
fn closed(mut stream: UnixStream) {
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => {}
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
            ) => {}
        Err(error) => panic!("the server neither answers nor closes: {error}"),
    }
}

#[test]
fn garbage_ends_its_own_connection() {
    let (_place, server) = start();
    let mut witnesses = Witnesses::of(&server);
    for seed in 0..100 {
        for mut stream in [raw(&server.uri("web")), chosen(&server.uri("web"))] {
            // The server may have closed before it was all sent.
            let _ = stream.write_all(&pattern(4096, seed));
            let _ = stream.shutdown(Shutdown::Write);
            closed(stream);
        }
        witnesses.check();
    }
    let mut http = raw(&server.uri("db"));
    let _ = http.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let _ = http.shutdown(Shutdown::Write);
    closed(http);
    witnesses.check();
    server.stop();
}

#[test]
fn a_flood_of_garbage_is_a_few_lines_in_the_log() {
    let place = TestDirectory::with(&[("web", r#""size": "16MiB""#)]);
    let mut serve = place.command(&["serve"]);
    serve.env("DISKTIME_LOG", "info");
    let server = Server::start(serve);
    let garbage = || {
        for mut stream in [raw(&server.uri("web")), chosen(&server.uri("web"))] {
            let _ = stream.write_all(&pattern(4096, 1));
            closed(stream);
        }
    };
    (0..200).for_each(|_| garbage());
    let lines = |text: &str| server.said().matches(text).count();
    // Two kinds: a handshake that is none, and a request that is none.
    assert!(lines("connection") >= 64, "{}", server.said());
    assert!(lines("\n") < 200, "{}", server.said());
    // A second later the last one of each kind is written, though no other comes.
    let told = |text: &str| lines(text) >= 2;
    wait_until("both kinds say it", || {
        std::thread::sleep(Duration::from_millis(100));
        told("lines like the next one were left out")
    });
    server.stop();
}

/// A server that stops within the second writes the last line all the same.
#[test]
fn the_last_line_of_a_flood_is_in_the_log_after_a_stop() {
    let place = TestDirectory::with(&[("web", r#""size": "16MiB""#)]);
    let mut serve = place.command(&["serve"]);
    serve.env("DISKTIME_LOG", "info");
    let server = Server::start(serve);
    for _ in 0..40 {
        let mut stream = chosen(&server.uri("web"));
        let _ = stream.write_all(&pattern(4096, 1));
        closed(stream);
    }
    let said = server.stop();
    let ended = said.lines().filter(|line| line.contains("connection"));
    assert!(ended.count() > 32, "{said}");
    assert!(
        said.contains("lines like the next one were left out"),
        "{said}"
    );
}

#[test]
fn a_disconnect_in_mid_request_ends_its_own_connection() {
    let (_place, server) = start();
    let mut witnesses = Witnesses::of(&server);
    let mut bytes = header(command::READ, 1, 0, 1 << 20);
    bytes.extend(header(command::WRITE, 2, 4096, 8192));
    bytes.extend([9; 8192]);
    for sent in (0..bytes.len()).step_by(61) {
        let mut stream = chosen(&server.uri("db"));
        stream.write_all(&bytes[..sent]).expect("the server reads");
        drop(stream);
    }
    witnesses.check();
    // A write that did not come as a whole was not done, or whole.
    let mut client = server.client("db");
    let got = client.read(4096, 8192);
    assert!(
        got.iter().all(|byte| *byte == got[0]) && matches!(got[0], 0 | 9),
        "{}",
        got[0]
    );
    server.stop();
}

#[test]
fn beyond_the_end_is_refused_and_the_connection_lives() {
    let (_place, server) = start();
    let mut client = server.client("web");
    let end = client.size_bytes();
    for (offset_bytes, len_bytes) in [(end, 1), (end - 1, 2), (u64::MAX - 1, 4096), (1 << 63, 1)] {
        let (error, _) = client.ask(RequestKind::Read, offset_bytes, len_bytes, &[]);
        assert_eq!(error, EINVAL, "read at {offset_bytes}");
        let data = vec![1; len_bytes as usize];
        let (error, _) = client.ask(RequestKind::Write, offset_bytes, len_bytes, &data);
        assert_eq!(error, ENOSPC, "write at {offset_bytes}");
        let (error, _) = client.ask(RequestKind::WriteZeroes, offset_bytes, len_bytes, &[]);
        assert_eq!(error, ENOSPC, "zeroes at {offset_bytes}");
        let (error, _) = client.ask(RequestKind::Trim, offset_bytes, len_bytes, &[]);
        assert_ne!(error, 0, "trim at {offset_bytes}");
    }
    client.write(end - 1, b"z");
    assert_eq!(client.read(end - 1, 1), b"z");
    server.stop();
}

/// Sends requests and reads nothing until the server stops taking them.
fn stuff(stream: &mut UnixStream, request: &[u8]) {
    // Long enough for a server that still takes requests; whatever it is, the test is right.
    stream
        .set_write_timeout(Some(Duration::from_secs(1)))
        .expect("a time limit");
    for _ in 0..100_000 {
        if stream.write_all(request).is_err() {
            return;
        }
    }
    panic!("the server takes requests without end");
}

#[test]
fn clients_that_never_read_hold_up_nobody_and_little_memory() {
    const CLIENTS: usize = 4;
    // Per connection and per vdisk; the rest is pools, code and stacks.
    const BOUND: u64 = CLIENTS as u64 * 64 * MIB + 2 * 64 * MIB + 256 * MIB;
    let (_place, server) = start();
    let mut witnesses = Witnesses::of(&server);
    witnesses.clients.iter_mut().for_each(|client| {
        client.fill(1);
    });
    let mut held = Vec::new();
    for len_bytes in [32 * MIB as u32, 4096, 1 << 20, 512] {
        let mut stream = chosen(&server.uri("web"));
        stuff(&mut stream, &header(command::READ, 1, 0, len_bytes));
        held.push(stream);
        witnesses.check();
    }
    assert_eq!(held.len(), CLIENTS);
    let resident = server.resident_bytes();
    assert!(resident < BOUND, "{} MiB resident", resident / MIB);
    // One in mid-write that never goes on, as well.
    let mut stalled = chosen(&server.uri("web"));
    stalled
        .write_all(&header(command::WRITE, 1, 0, 32 << 20))
        .expect("the server reads");
    witnesses.check();
    // And they do not hold up the end.
    server.stop();
    drop((held, stalled));
}

#[test]
fn three_hundred_connections_are_too_many_but_no_harm() {
    let (_place, server) = start();
    let mut witnesses = Witnesses::of(&server);
    let uri = server.uri("web");
    let mut streams = Vec::new();
    for _ in 0..300 {
        streams.push(raw(&uri));
    }
    // Each gets its greeting, or is closed at once.
    let mut greeted = 0;
    for stream in &mut streams {
        match stream.read_exact(&mut [0; 18]) {
            Ok(()) => greeted += 1,
            Err(error) => assert_ne!(error.kind(), ErrorKind::WouldBlock, "neither nor"),
        }
    }
    assert!((200..300).contains(&greeted), "{greeted} were let in");
    witnesses.check();
    let resident = server.resident_bytes();
    assert!(resident < 256 * MIB, "{} MiB resident", resident / MIB);
    // When they leave, there is space again: the server notices it soon, and until then it closes.
    drop(streams);
    let room_again = (0..10_000).any(|_| {
        let mut stream = raw(&uri);
        stream.read_exact(&mut [0; 18]).is_ok()
    });
    assert!(room_again, "the places of clients that left stay taken");
    witnesses.check();
    server.stop();
}

#[test]
fn a_control_client_may_say_anything() {
    let (place, server) = start();
    let connect = || UnixStream::connect(place.control()).expect("it listens");
    let mut stream = BufReader::new(connect());
    for (line, expected) in [
        ("nonsense", "not JSON"),
        ("{}", "command"),
        ("[1, 2]", "command"),
        (r#"{"command": "explode"}"#, "`explode`"),
        (r#"{"command": "status"}"#, "vdisks"),
    ] {
        stream
            .get_mut()
            .write_all(format!("{line}\n").as_bytes())
            .expect("it reads");
        let mut answer = String::new();
        stream.read_line(&mut answer).expect("it answers");
        assert!(answer.contains(expected), "{line}: {answer}");
    }
    // A line without end, bytes that are no text, and one who asks and leaves.
    let mut long = connect();
    let _ = long.write_all(&vec![b'x'; 1 << 20]);
    let mut binary = connect();
    let _ = binary.write_all(b"\xFF\xFE\x00\n");
    let mut hasty = connect();
    hasty
        .write_all(b"{\"command\": \"status\"}\n")
        .expect("it reads");
    drop((long, binary, hasty));
    // Many that say nothing, and one that asks without end and reads nothing.
    let silent: Vec<UnixStream> = (0..200).map(|_| connect()).collect();
    let mut deaf = connect();
    stuff(&mut deaf, b"{\"command\": \"status\"}\n");
    place.succeeds(&["status"]);
    drop((silent, deaf));
    Witnesses::of(&server).check();
    server.stop();
}
