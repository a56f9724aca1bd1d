//! Unit tests of `encrypted_session`: against a client of the same TLS library, with the encrypted
//! bytes cut anywhere.

use super::*;
use crate::export::{Export, ExportHandle};
use crate::session::{NbdSession, SessionLimits};
use disktime_engine::{BufferPool, Request, RequestKind, Session, SessionStatus, VdiskId};
use disktime_nbd_protocol::{ErrorNumber, RequestHeader, SimpleReply, command};
use disktime_sockets::{ServerCredentials, TlsSettings};
use disktime_test_tls::{TLS13, client, encrypted_output, fill, shake_hands};
use proptest::prelude::*;
use rustls::ClientConnection;
use std::io::{Read, Write};
use std::path::Path;
use tempfile::TempDir;

/// A client and the server's channel, both after the handshake.
fn connected(dir: &Path) -> (ClientConnection, TlsChannel) {
    fill(dir);
    let mut client = client(dir, false, &TLS13);
    let credentials = ServerCredentials::load(TlsSettings {
        dir: dir.to_owned(),
        client_certificates: false,
    });
    let credentials = credentials.expect("the files are valid");
    let mut channel = credentials.channel().expect("a channel");
    let shaken = shake_hands(&mut client, |bytes| {
        channel.space()[..bytes.len()].copy_from_slice(bytes);
        channel.filled(bytes.len());
        channel.advance_handshake()?;
        let answer = channel.outgoing().to_vec();
        channel.sent(answer.len());
        Ok::<_, ChannelError>((answer, !channel.is_handshaking()))
    });
    shaken.expect("they agree");
    (client, channel)
}

/// A session, its client, and the bytes between them.
struct World {
    _dir: TempDir,
    client: ClientConnection,
    session: EncryptedSession<NbdSession>,
    pool: BufferPool,
    /// Encrypted bytes on the way to the session.
    wire: Vec<u8>,
    /// Decrypted bytes that the client has received.
    received: Vec<u8>,
    /// The most encrypted bytes that waited to be sent at once.
    waiting_max: usize,
}

impl World {
    fn new(limits: SessionLimits) -> World {
        let dir = tempfile::tempdir().expect("a directory");
        let (client, channel) = connected(dir.path());
        let export = Export::new(ExportHandle(0), VdiskId(0), "disk", 64 << 20);
        World {
            _dir: dir,
            client,
            session: EncryptedSession::new(NbdSession::new(export, limits, &[]), channel),
            pool: BufferPool::new(64 << 20),
            wire: Vec::new(),
            received: Vec::new(),
            waiting_max: 0,
        }
    }

    /// The client encrypts `bytes`; the session does not receive them yet.
    fn send(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = self.client.writer().write(bytes).expect("a buffer");
            bytes = &bytes[count..];
            self.wire.extend(encrypted_output(&mut self.client));
        }
    }

    /// Drives the session like the reactor: requests, then at most `step` encrypted bytes, until
    /// there is no progress.
    fn receive(&mut self, step: usize) -> Vec<Request> {
        let mut requests = Vec::new();
        loop {
            while let Some(request) = self.session.next_request(&mut self.pool) {
                requests.push(request);
            }
            self.note_waiting();
            let space = self.session.space(&mut self.pool);
            let here = space.len().min(self.wire.len()).min(step);
            if here == 0 {
                return requests;
            }
            space[..here].copy_from_slice(&self.wire[..here]);
            self.session.filled(here);
            self.wire.drain(..here);
        }
    }

    fn note_waiting(&mut self) {
        let mut slices = [IoSlice::new(&[])];
        self.session.outgoing(&mut slices);
        self.waiting_max = self.waiting_max.max(slices[0].len());
    }

    fn answer(&mut self, mut request: Request) {
        if let (RequestKind::Read, Some(buffer)) = (request.kind, &mut request.buffer) {
            buffer.fill(request.offset_bytes as u8);
        }
        self.session.reply(request.reply(Ok(())), &mut self.pool);
        self.note_waiting();
    }

    /// Delivers the waiting bytes to the client, `step` at a time.
    fn deliver(&mut self, step: usize) {
        loop {
            let mut slices = [IoSlice::new(&[]); 2];
            if self.session.outgoing(&mut slices) == 0 {
                return;
            }
            let here = slices[0].len().min(step);
            let mut bytes = &slices[0][..here];
            while !bytes.is_empty() {
                self.client.read_tls(&mut bytes).expect("a slice");
                let state = self.client.process_new_packets().expect("proper TLS");
                let mut plain = vec![0; state.plaintext_bytes_to_read()];
                self.client.reader().read_exact(&mut plain).expect("there");
                self.received.extend(plain);
            }
            self.session.sent(here, &mut self.pool);
            self.note_waiting();
        }
    }

    /// Whether the client has received close_notify.
    fn is_closed(&mut self) -> bool {
        matches!(self.client.reader().read(&mut [0; 1]), Ok(0))
    }
}

fn header(command: u16, cookie: u64, offset_bytes: u64, len_bytes: u32) -> [u8; 28] {
    RequestHeader::new(command, cookie, offset_bytes, len_bytes).encode()
}

fn reply(cookie: u64) -> Vec<u8> {
    SimpleReply { error: 0, cookie }.encode().to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn replies_are_the_same_wherever_the_encrypted_bytes_are_cut(
        steps in (1..5000_usize, 1..5000_usize),
        sizes in prop::collection::vec((1..40_000_u32, any::<bool>()), 1..6),
    ) {
        let mut world = World::new(SessionLimits::default());
        let mut expected = Vec::new();
        let mut written = Vec::new();
        for (cookie, (len_bytes, is_read)) in sizes.iter().enumerate() {
            let cookie = cookie as u64;
            if *is_read {
                world.send(&header(command::READ, cookie, cookie, *len_bytes));
                expected.extend(reply(cookie));
                expected.extend(vec![cookie as u8; *len_bytes as usize]);
            } else {
                let data: Vec<u8> = (0..*len_bytes).map(|at| (at * 7) as u8).collect();
                world.send(&header(command::WRITE, cookie, 0, *len_bytes));
                world.send(&data);
                expected.extend(reply(cookie));
                written.push(data);
            }
        }
        world.send(&header(command::DISC, 99, 0, 0));
        let requests = world.receive(steps.0);
        prop_assert_eq!(requests.len(), sizes.len());
        let mut got = Vec::new();
        for request in requests {
            if let (RequestKind::Write, Some(buffer)) = (request.kind, &request.buffer) {
                got.push(buffer.to_vec());
            }
            world.answer(request);
        }
        prop_assert!(got == written, "the written data differ");
        world.deliver(steps.1);
        prop_assert!(world.received == expected, "the replies differ");
        prop_assert!(world.is_closed(), "the client gets close_notify");
        prop_assert_eq!(world.session.status(), SessionStatus::Finishing);
    }
}

#[test]
fn a_client_that_does_not_read_is_not_read_from_and_costs_bounded_memory() {
    let limits = SessionLimits {
        requests: 8,
        buffer_bytes: 4 << 20,
        input_bytes: 4096,
    };
    let mut world = World::new(limits);
    for cookie in 0..2000 {
        world.send(&header(command::READ, cookie, 0, 256 << 10));
    }
    let all = world.wire.len();
    let mut answered = 0;
    for _ in 0..100 {
        for request in world.receive(usize::MAX) {
            world.answer(request);
            answered += 1;
        }
    }
    // As many requests as may be held, and one or two whose replies are encrypted already.
    assert!((8..=16).contains(&answered), "{answered}");
    let taken = all - world.wire.len();
    assert!(taken <= TlsChannel::INPUT_BYTES, "{taken} encrypted bytes were taken");
    assert!(
        world.waiting_max <= TlsChannel::OUTPUT_BYTES + (80 << 10),
        "{}",
        world.waiting_max
    );
    // When the client reads, requests are taken again.
    while answered < 2000 {
        world.deliver(usize::MAX);
        let requests = world.receive(usize::MAX);
        assert!(!requests.is_empty(), "stuck after {answered}");
        answered += requests.len();
        requests
            .into_iter()
            .for_each(|request| world.answer(request));
    }
    world.deliver(usize::MAX);
    assert_eq!(world.received.len(), 2000 * (16 + (256 << 10)));
}

#[test]
fn a_drain_answers_requests_in_flight_and_ends_with_close_notify() {
    let mut world = World::new(SessionLimits::default());
    world.send(&header(command::READ, 5, 0, 4096));
    let mut requests = world.receive(usize::MAX);
    world.session.drain();
    world.deliver(usize::MAX);
    assert!(!world.is_closed(), "a request is in flight");
    world.answer(requests.pop().expect("a read"));
    world.deliver(usize::MAX);
    assert_eq!(world.received.len(), 16 + 4096);
    // Requests that arrive until the end are not taken.
    world.received.clear();
    world.send(&header(command::WRITE, 6, 0, 4096));
    world.send(&[1; 4096]);
    world.send(&header(command::READ, 7, 0, 4096));
    assert!(world.receive(7).is_empty(), "no new requests");
    world.deliver(usize::MAX);
    assert!(world.received.is_empty(), "no replies");
    assert!(!world.is_closed());
    world.session.finish();
    world.deliver(usize::MAX);
    assert!(world.is_closed());
    assert_eq!(world.session.status(), SessionStatus::Finishing);
    assert!(world.session.space(&mut world.pool).is_empty());
}

#[test]
fn the_end_of_the_stream_ends_the_session_with_and_without_close_notify() {
    for sends_close_notify in [true, false] {
        let mut world = World::new(SessionLimits::default());
        world.send(&header(command::READ, 5, 0, 4096));
        world.send(&header(command::WRITE, 6, 0, 4096));
        world.send(&[1; 100]);
        if sends_close_notify {
            world.client.send_close_notify();
            world.send(&[]);
            let closing = encrypted_output(&mut world.client);
            world.wire.extend(closing);
        }
        let requests = world.receive(usize::MAX);
        if !sends_close_notify {
            world.session.end_of_input();
        }
        assert_eq!(requests.len(), 1, "an incomplete write is not submitted");
        assert_eq!(world.session.status(), SessionStatus::Finishing);
        assert!(world.session.space(&mut world.pool).is_empty());
        requests
            .into_iter()
            .for_each(|request| world.answer(request));
        world.deliver(usize::MAX);
        assert_eq!(world.received.len(), 16 + 4096);
        assert!(world.is_closed());
        world.session.abandon(&mut world.pool);
    }
}

#[test]
fn a_changed_byte_ends_the_session() {
    let mut world = World::new(SessionLimits::default());
    world.send(&header(command::WRITE, 5, 0, 4096));
    world.send(&[7; 4096]);
    let last = world.wire.len() - 20;
    world.wire[last] ^= 1;
    assert!(
        world.receive(usize::MAX).is_empty(),
        "the write is not submitted"
    );
    let SessionStatus::Broken(reason) = world.session.status() else {
        panic!("{:?}", world.session.status());
    };
    assert!(reason.contains("TLS failed"), "{reason}");
    let mut alert = [IoSlice::new(&[])];
    assert_eq!(world.session.outgoing(&mut alert), 1, "the client gets an alert");
    assert!(world.session.space(&mut world.pool).is_empty());
}

/// Replies to key updates are the only bytes that a client can cause without requests.
#[test]
fn a_flood_of_key_updates_costs_bounded_memory() {
    let mut world = World::new(SessionLimits::default());
    for _ in 0..3000 {
        let asked = world.client.refresh_traffic_keys();
        asked.expect("a client of TLS 1.3 may");
        let request = encrypted_output(&mut world.client);
        world.wire.extend(request);
        world.receive(usize::MAX);
    }
    assert!(world.waiting_max < 4096, "{} bytes", world.waiting_max);
}

proptest! {
    #[test]
    fn garbage_ends_the_session(garbage in prop::collection::vec(any::<u8>(), 64..600)) {
        let mut world = World::new(SessionLimits::default());
        world.wire = garbage;
        prop_assert!(world.receive(usize::MAX).is_empty());
        // A record header that announces more bytes than arrived is waited for.
        if world.session.status() == SessionStatus::Open {
            world.session.end_of_input();
            prop_assert_eq!(world.session.status(), SessionStatus::Finishing);
        }
    }
}
