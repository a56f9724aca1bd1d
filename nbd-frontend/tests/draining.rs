//! A server that stops: whoever asked, and whoever asks until its connection is over, gets an answer,
//! with TLS as without.

#[path = "common/certificates.rs"]
mod certificates;
mod common;

use certificates::fill;
use common::reactor::{Doors, Memory, with_config, with_server};
use common::{choose, header};
use disktime_engine::{ReactorHandle, RequestKind};
use disktime_nbd::protocol::{ErrorNumber, SimpleReply, command};
use disktime_nbd::{
    ClientRequest, Credentials, NbdClient, NbdReceiver, NbdSender, NbdUri, TlsConfig, TlsSettings,
};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

const SHUTDOWN: u32 = ErrorNumber::Shutdown as u32;

/// Runs `clients` with each way in: both sockets, without TLS and with it.
fn by_each_way(clients: impl Fn(&Doors, &NbdUri)) {
    for way in [0, 1] {
        with_server(|doors| clients(doors, &doors.uris[way]));
        let dir = tempfile::tempdir().expect("a directory");
        fill(dir.path());
        let settings = TlsSettings {
            dir: dir.path().to_owned(),
            client_certificates: false,
        };
        let credentials = Credentials::load(settings).expect("they are in order");
        let tls = TlsConfig {
            credentials: Arc::new(credentials),
            require: true,
        };
        let configure = |config: &mut disktime_nbd::ListenConfig| config.tls = Some(tls);
        with_config(configure, |doors| {
            clients(doors, &doors.uris[way].with_certificates(dir.path()));
        });
    }
}

fn connect(uri: &NbdUri) -> (NbdSender, NbdReceiver) {
    let client = NbdClient::connect(uri).expect("the server takes a client");
    let (sender, receiver, _) = client.split();
    (sender, receiver)
}

/// Asks for a read, or for a write with data.
fn ask(sender: &mut NbdSender, tag: u32, data: &[u8]) {
    let request = ClientRequest {
        tag,
        kind: if data.is_empty() {
            RequestKind::Read
        } else {
            RequestKind::Write
        },
        offset_bytes: 0,
        len_bytes: 512,
        fua: false,
        data,
    };
    sender.send_request(&request).expect("room for so little");
}

/// The next answer's tag and error; nothing at an end in good order, which with TLS needs its good-bye.
#[track_caller]
fn answer(receiver: &mut NbdReceiver) -> Option<(u32, u32)> {
    let reply = receiver.receive_reply(&mut Vec::new());
    let reply = reply.expect("answers, and an end in good order");
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

/// Runs `look` on the reactor's thread until it is true.
fn until(reactor: &ReactorHandle<Memory>, look: fn(&mut Memory) -> bool) {
    loop {
        let (sender, receiver) = channel();
        let visit = Box::new(move |memory: &mut Memory, _| {
            let _ = sender.send(look(memory));
        });
        reactor.visit(visit).expect("it runs");
        if receiver.recv().expect("it runs") {
            return;
        }
        std::thread::yield_now();
    }
}

#[test]
fn what_came_before_the_stop_was_seen_is_told_so() {
    by_each_way(|doors, uri| {
        let (mut sender, mut receiver) = connect(uri);
        ask(&mut sender, 9, &[]);
        assert_eq!(answer(&mut receiver), Some((9, 0)));
        let busy = busy(&doors.reactor);
        doors.reactor.stop().expect("it runs");
        for tag in 0..50 {
            ask(&mut sender, 2 * tag, &[]);
            ask(&mut sender, 2 * tag + 1, &[7; 512]);
        }
        drop(busy);
        let mut tags = BTreeSet::new();
        while let Some((tag, error)) = answer(&mut receiver) {
            assert_eq!(error, SHUTDOWN);
            assert!(tags.insert(tag), "{tag} is answered twice");
        }
        assert!(tags.into_iter().eq(0..100), "each is answered");
    });
}

#[test]
fn what_comes_while_others_are_under_way_is_told_so() {
    by_each_way(|doors, uri| {
        let (mut sender, mut receiver) = connect(uri);
        until(&doors.reactor, |memory| {
            memory.holds = true;
            true
        });
        ask(&mut sender, 1, &[]);
        until(&doors.reactor, |memory| memory.queue.len() == 1);
        doors.reactor.stop().expect("it runs");
        for tag in 2..5 {
            ask(&mut sender, tag, &[7; 512]);
            assert_eq!(answer(&mut receiver), Some((tag, SHUTDOWN)));
        }
        until(&doors.reactor, |memory| {
            memory.holds = false;
            true
        });
        assert_eq!(answer(&mut receiver), Some((1, 0)));
        assert_eq!(answer(&mut receiver), None);
    });
}

/// More than a session takes at a time, so most of them wait inside it for room.
#[test]
fn what_waits_for_room_is_told_so_too() {
    with_server(|doors| {
        let mut stream = doors.by_unix();
        choose(&mut stream, "disk");
        // An answer, so the reactor has the connection.
        let read = header(command::READ, 0, 0, 512);
        stream.write_all(&read).expect("the server reads");
        stream.read_exact(&mut [0; 16 + 512]).expect("an answer");
        let busy = busy(&doors.reactor);
        doors.reactor.stop().expect("it runs");
        let requests: Vec<u8> = (0..2000)
            .flat_map(|cookie| header(command::READ, cookie, 0, 512))
            .collect();
        stream.write_all(&requests).expect("room for so little");
        drop(busy);
        let mut replies = Vec::new();
        stream.read_to_end(&mut replies).expect("a clean end");
        let (replies, rest) = replies.as_chunks::<{ SimpleReply::BYTES }>();
        assert!(rest.is_empty(), "half a reply");
        let cookies = replies.iter().map(|reply| {
            let reply = SimpleReply::decode(reply).expect("a reply");
            assert_eq!(reply.error, SHUTDOWN);
            reply.cookie
        });
        let cookies: BTreeSet<u64> = cookies.collect();
        assert!(cookies.into_iter().eq(0..2000), "each is answered");
    });
}
