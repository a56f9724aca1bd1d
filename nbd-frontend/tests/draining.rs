//! A server that stops: what it has taken is answered, the rest is not, and the stream ends
//! cleanly, with TLS as without. So a client that can reconnect does, and sends the rest to the
//! next server.

mod common;

use common::reactor::{Memory, RunningServer, with_config, with_server};
use common::{choose, header};
use disktime_engine::{Reactor, ReactorHandle, RequestKind, Service, StopTimes, VdiskId};
use disktime_nbd::{Export, ExportHandle, NbdSession, SessionLimits, TlsConfig};
use disktime_nbd_client::{ClientRequest, NbdClient, NbdReceiver, NbdSender};
use disktime_nbd_protocol::{NbdUri, command};
use disktime_sockets::{ServerCredentials, TlsSettings};
use disktime_test_tls::fill;
use disktime_testing::programs::{PATIENCE, wait_until};
use disktime_units::Nanos;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

/// Runs `clients` with each transport: both sockets, without TLS and with it.
fn with_each_transport(clients: impl Fn(&RunningServer, &NbdUri)) {
    for transport in [0, 1] {
        with_server(|server| clients(server, &server.uris[transport]));
        let dir = tempfile::tempdir().expect("a directory");
        fill(dir.path());
        let settings = TlsSettings {
            dir: dir.path().to_owned(),
            client_certificates: false,
        };
        let credentials = ServerCredentials::load(settings).expect("they are valid");
        let tls = TlsConfig {
            credentials: Arc::new(credentials),
            require: true,
        };
        let configure = |config: &mut disktime_nbd::ListenConfig| config.tls = Some(tls);
        with_config(configure, |server| {
            clients(
                server,
                &server.uris[transport].with_certificates(dir.path()),
            );
        });
    }
}

fn connect(uri: &NbdUri) -> (NbdSender, NbdReceiver) {
    let client = NbdClient::connect(uri).expect("the server takes a client");
    let (sender, receiver, _) = client.split();
    (sender, receiver)
}

/// Sends a read, or a write with data.
fn ask(sender: &mut NbdSender, tag: u32, data: &[u8]) {
    let request = match data {
        [] => ClientRequest::new(tag, RequestKind::Read, 0, 512),
        data => ClientRequest::write(tag, 0, data),
    };
    sender.send_request(&request).expect("room for so little");
}

/// The next reply's tag and error; `None` at a clean end, which with TLS needs close_notify.
#[track_caller]
fn answer(receiver: &mut NbdReceiver) -> Option<(u32, u32)> {
    let reply = receiver.receive_reply(&mut Vec::new());
    let reply = reply.expect("replies, and a clean end");
    reply.map(|reply| (reply.tag, reply.error))
}

/// Keeps the reactor's thread busy until the sender is dropped.
fn busy(reactor: &ReactorHandle<Memory>) -> Sender<()> {
    let (sender, receiver) = channel::<()>();
    let (began, begun) = channel();
    let visit = Box::new(move |_: &mut Memory, _| {
        let _ = began.send(());
        let _ = receiver.recv();
    });
    reactor.visit(visit).expect("it runs");
    begun.recv().expect("it runs");
    sender
}

/// Runs `condition` on the reactor's thread until it is true.
fn until(reactor: &ReactorHandle<Memory>, condition: fn(&mut Memory) -> bool) {
    wait_until("the condition holds", || {
        let (sender, receiver) = channel();
        let visit = Box::new(move |memory: &mut Memory, _| {
            let _ = sender.send(condition(memory));
        });
        reactor.visit(visit).expect("it runs");
        receiver.recv_timeout(PATIENCE).expect("it runs")
    });
}

#[test]
fn requests_that_arrive_before_the_stop_takes_effect_are_not_answered() {
    with_each_transport(|server, uri| {
        let (mut sender, mut receiver) = connect(uri);
        ask(&mut sender, 9, &[]);
        assert_eq!(answer(&mut receiver), Some((9, 0)));
        let busy = busy(&server.reactor);
        server.reactor.stop().expect("it runs");
        for tag in 0..50 {
            ask(&mut sender, 2 * tag, &[]);
            ask(&mut sender, 2 * tag + 1, &[7; 512]);
        }
        drop(busy);
        assert_eq!(answer(&mut receiver), None, "a clean end");
    });
}

#[test]
fn requests_in_flight_are_answered_and_those_that_arrive_meanwhile_are_not() {
    with_each_transport(|server, uri| {
        let (mut sender, mut receiver) = connect(uri);
        until(&server.reactor, |memory| {
            memory.holds = true;
            true
        });
        ask(&mut sender, 1, &[]);
        until(&server.reactor, |memory| memory.queue.len() == 1);
        server.reactor.stop().expect("it runs");
        for tag in 2..5 {
            ask(&mut sender, tag, &[7; 512]);
        }
        until(&server.reactor, |memory| {
            memory.holds = false;
            true
        });
        assert_eq!(answer(&mut receiver), Some((1, 0)));
        assert_eq!(answer(&mut receiver), None);
    });
}

/// The requests are more than a session holds, so most of them wait for space.
#[test]
fn requests_that_wait_for_room_are_not_answered() {
    with_server(|server| {
        let mut stream = server.by_unix();
        choose(&mut stream, "disk");
        // A reply shows that the reactor has the connection.
        let read = header(command::READ, 0, 0, 512);
        stream.write_all(&read).expect("the server reads");
        stream.read_exact(&mut [0; 16 + 512]).expect("an answer");
        let busy = busy(&server.reactor);
        server.reactor.stop().expect("it runs");
        let requests: Vec<u8> = (0..2000)
            .flat_map(|cookie| header(command::READ, cookie, 0, 512))
            .collect();
        stream.write_all(&requests).expect("room for so little");
        drop(busy);
        let mut replies = Vec::new();
        stream.read_to_end(&mut replies).expect("a clean end");
        assert!(replies.is_empty(), "{} bytes of replies", replies.len());
    });
}

#[test]
fn what_a_disk_does_not_finish_is_given_up() {
    let memory = Memory {
        bytes: vec![0; 4096],
        queue: Vec::new(),
        holds: true,
        abandoned: Vec::new(),
    };
    let (reactor, handle) = Reactor::new(memory, Instant::now()).expect("a reactor");
    let reactor = reactor.with_stop_times(StopTimes {
        drain: Nanos::from_millis(50),
        give_up: Nanos::from_millis(200),
    });
    let (mut client, server) = UnixStream::pair().expect("two sockets");
    let export = Export::new(ExportHandle(0), VdiskId(0), "disk", 4096);
    let session = NbdSession::new(export, SessionLimits::default(), &[]);
    let ran = std::thread::spawn(move || reactor.run());
    handle
        .connect(server.into(), Box::new(session))
        .expect("it runs");
    let request = header(command::READ, 1, 0, 512);
    client.write_all(&request).expect("room for a header");
    until(&handle, |memory| !memory.queue.is_empty());
    handle.stop().expect("it runs");
    let mut replies = Vec::new();
    client.read_to_end(&mut replies).expect("a clean end");
    assert!(replies.is_empty(), "it was not answered");
    let memory = ran.join().expect("no panic").expect("it ran");
    assert!(!memory.is_idle(), "the disk still has it");
}
