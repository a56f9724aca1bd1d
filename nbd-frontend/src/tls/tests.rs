//! A session inside TLS against a client of the same library, over a wire that cuts bytes anywhere.

mod credentials;

use super::*;
use crate::export::{Export, ExportHandle};
use crate::protocol::{ErrorNumber, RequestHeader, SimpleReply, command};
use crate::session::{NbdSession, SessionLimits};
use disktime_engine::{BufferPool, Reply, ReplyDetail, Request, RequestKind, Session};
use disktime_engine::{SessionStatus, VdiskId};
use proptest::prelude::*;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::path::Path;
use tempfile::TempDir;

#[path = "../../tests/common/certificates.rs"]
pub(super) mod certificates;
use certificates::fill;

pub(super) fn settings(dir: &Path) -> TlsSettings {
    TlsSettings {
        dir: dir.to_owned(),
        client_certificates: false,
    }
}

pub(super) fn loaded(dir: &Path) -> Credentials {
    Credentials::load(settings(dir)).expect("the files are in order")
}

pub(super) fn client(
    dir: &Path,
    certificate: bool,
    version: &'static rustls::SupportedProtocolVersion,
) -> ClientConnection {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(dir.join("ca-cert.pem")).expect("its file");
    roots.add(authority).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .expect("this version")
        .with_root_certificates(roots);
    let config = if certificate {
        let chain = CertificateDer::from_pem_file(dir.join("client-cert.pem")).expect("its file");
        let key = PrivateKeyDer::from_pem_file(dir.join("client-key.pem")).expect("its file");
        builder
            .with_client_auth_cert(vec![chain], key)
            .expect("they belong together")
    } else {
        builder.with_no_client_auth()
    };
    let name = ServerName::try_from("localhost").expect("a name");
    ClientConnection::new(Arc::new(config), name).expect("a client")
}

/// Both handshakes to their end; the server's error is the first that comes.
pub(super) fn shake_hands(
    client: &mut ClientConnection,
    credentials: &Credentials,
) -> Result<Channel, rustls::Error> {
    let mut channel = Channel::new(credentials.config())?;
    while client.is_handshaking() || channel.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).expect("a vector");
        }
        let space = channel.space();
        space[..wire.len()].copy_from_slice(&wire);
        channel.filled(wire.len());
        channel.shake_hands()?;
        let mut answer = channel.outgoing();
        let count = answer.len();
        while !answer.is_empty() {
            client.read_tls(&mut answer).expect("a slice");
            client.process_new_packets()?;
        }
        channel.sent(count);
    }
    Ok(channel)
}

/// A session of 64 KiB of vdisk, its client, and what is between them.
struct World {
    _dir: TempDir,
    client: ClientConnection,
    session: TlsSession<NbdSession>,
    pool: BufferPool,
    /// Encrypted, on the way to the session.
    wire: Vec<u8>,
    /// Plain, as the client got it.
    received: Vec<u8>,
    /// The most encrypted bytes that the session had waiting.
    waiting_max: usize,
}

impl World {
    fn new(limits: SessionLimits) -> World {
        let dir = tempfile::tempdir().expect("a directory");
        fill(dir.path());
        let mut client = client(dir.path(), false, &rustls::version::TLS13);
        let channel = shake_hands(&mut client, &loaded(dir.path())).expect("they agree");
        let export = Export::new(ExportHandle(0), VdiskId(0), "disk", 64 << 20);
        World {
            _dir: dir,
            client,
            session: TlsSession::new(NbdSession::new(export, limits, &[]), channel),
            pool: BufferPool::new(64 << 20),
            wire: Vec::new(),
            received: Vec::new(),
            waiting_max: 0,
        }
    }

    /// The client says this; nothing moves yet.
    fn say(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let count = self.client.writer().write(bytes).expect("a buffer");
            bytes = &bytes[count..];
            while self.client.wants_write() {
                self.client.write_tls(&mut self.wire).expect("a vector");
            }
        }
    }

    /// As the reactor does: requests, then at most `step` bytes of the wire, until neither moves.
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

    fn answer(&mut self, request: Request) {
        let Request {
            origin,
            handle,
            kind,
            mut buffer,
            offset_bytes,
            ..
        } = request;
        if let (RequestKind::Read, Some(buffer)) = (kind, &mut buffer) {
            buffer.fill(offset_bytes as u8);
        }
        let reply = Reply {
            origin,
            handle,
            kind,
            result: Ok(()),
            buffer,
            detail: ReplyDetail::Nothing,
        };
        self.session.reply(reply, &mut self.pool);
        self.note_waiting();
    }

    /// Brings what waits to the client, `step` bytes at a time.
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

    /// Whether the client was told that nothing more comes.
    fn is_closed(&mut self) -> bool {
        matches!(self.client.reader().read(&mut [0; 1]), Ok(0))
    }
}

fn header(command: u16, cookie: u64, offset_bytes: u64, len_bytes: u32) -> [u8; 28] {
    RequestHeader {
        flags: 0,
        command,
        cookie,
        offset_bytes,
        len_bytes,
    }
    .encode()
}

fn reply(cookie: u64) -> Vec<u8> {
    SimpleReply { error: 0, cookie }.encode().to_vec()
}

fn refusal(cookie: u64) -> Vec<u8> {
    let error = ErrorNumber::Shutdown as u32;
    SimpleReply { error, cookie }.encode().to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn bytes_cut_anywhere_are_the_same_conversation(
        steps in (1..5000_usize, 1..5000_usize),
        sizes in prop::collection::vec((1..40_000_u32, any::<bool>()), 1..6),
    ) {
        let mut world = World::new(SessionLimits::default());
        let mut expected = Vec::new();
        let mut written = Vec::new();
        for (cookie, (len_bytes, is_read)) in sizes.iter().enumerate() {
            let cookie = cookie as u64;
            if *is_read {
                world.say(&header(command::READ, cookie, cookie, *len_bytes));
                expected.extend(reply(cookie));
                expected.extend(vec![cookie as u8; *len_bytes as usize]);
            } else {
                let data: Vec<u8> = (0..*len_bytes).map(|at| (at * 7) as u8).collect();
                world.say(&header(command::WRITE, cookie, 0, *len_bytes));
                world.say(&data);
                expected.extend(reply(cookie));
                written.push(data);
            }
        }
        world.say(&header(command::DISC, 99, 0, 0));
        let requests = world.receive(steps.0);
        prop_assert_eq!(requests.len(), sizes.len());
        let mut got = Vec::new();
        for request in requests {
            if let (RequestKind::Write, Some(buffer)) = (request.kind, &request.buffer) {
                got.push(buffer.to_vec());
            }
            world.answer(request);
        }
        prop_assert!(got == written, "what was written differs");
        world.deliver(steps.1);
        prop_assert!(world.received == expected, "the replies differ");
        prop_assert!(world.is_closed(), "the client is told the end");
        prop_assert_eq!(world.session.status(), SessionStatus::Finishing);
    }
}

#[test]
fn a_client_that_reads_nothing_is_not_read_and_costs_a_bounded_memory() {
    let limits = SessionLimits {
        requests: 8,
        buffer_bytes: 4 << 20,
        input_bytes: 4096,
    };
    let mut world = World::new(limits);
    for cookie in 0..2000 {
        world.say(&header(command::READ, cookie, 0, 256 << 10));
    }
    let all = world.wire.len();
    let mut answered = 0;
    for _ in 0..100 {
        for request in world.receive(usize::MAX) {
            world.answer(request);
            answered += 1;
        }
    }
    // As many as have their places, and one or two that fit into what is encrypted ahead.
    assert!((8..=16).contains(&answered), "{answered}");
    let taken = all - world.wire.len();
    assert!(taken <= INPUT_BYTES, "{taken} bytes of the wire were taken");
    assert!(
        world.waiting_max <= OUTPUT_BYTES + (80 << 10),
        "{}",
        world.waiting_max
    );
    // As soon as it reads, all goes on.
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
fn a_drain_answers_what_is_under_way_and_says_goodbye() {
    let mut world = World::new(SessionLimits::default());
    world.say(&header(command::READ, 5, 0, 4096));
    let mut requests = world.receive(usize::MAX);
    world.session.drain();
    world.deliver(usize::MAX);
    assert!(!world.is_closed(), "a request is under way");
    world.answer(requests.pop().expect("a read"));
    world.deliver(usize::MAX);
    assert_eq!(world.received.len(), 16 + 4096);
    // What comes until the end is answered, cut anywhere.
    world.received.clear();
    world.say(&header(command::WRITE, 6, 0, 4096));
    world.say(&[1; 4096]);
    world.say(&header(command::READ, 7, 0, 4096));
    assert!(world.receive(7).is_empty(), "no new requests");
    world.deliver(usize::MAX);
    assert_eq!(world.received, [refusal(6), refusal(7)].concat());
    assert!(!world.is_closed());
    world.session.finish();
    world.deliver(usize::MAX);
    assert!(world.is_closed());
    assert_eq!(world.session.status(), SessionStatus::Finishing);
    assert!(world.session.space(&mut world.pool).is_empty());
}

#[test]
fn the_end_of_the_wire_is_an_end_with_and_without_goodbye() {
    for says_goodbye in [true, false] {
        let mut world = World::new(SessionLimits::default());
        world.say(&header(command::READ, 5, 0, 4096));
        world.say(&header(command::WRITE, 6, 0, 4096));
        world.say(&[1; 100]);
        if says_goodbye {
            world.client.send_close_notify();
            world.say(&[]);
            while world.client.wants_write() {
                world.client.write_tls(&mut world.wire).expect("a vector");
            }
        }
        let requests = world.receive(usize::MAX);
        if !says_goodbye {
            world.session.end_of_input();
        }
        assert_eq!(requests.len(), 1, "half a write is none");
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
fn a_byte_changed_on_the_way_ends_the_session() {
    let mut world = World::new(SessionLimits::default());
    world.say(&header(command::WRITE, 5, 0, 4096));
    world.say(&[7; 4096]);
    let last = world.wire.len() - 20;
    world.wire[last] ^= 1;
    assert!(
        world.receive(usize::MAX).is_empty(),
        "the write is not done"
    );
    let SessionStatus::Broken(reason) = world.session.status() else {
        panic!("{:?}", world.session.status());
    };
    assert!(reason.contains("TLS failed"), "{reason}");
    let mut alert = [IoSlice::new(&[])];
    assert_eq!(world.session.outgoing(&mut alert), 1, "the client is told");
    assert!(world.session.space(&mut world.pool).is_empty());
}

/// What an attacker can make the server say by itself, without reading it.
#[test]
fn a_flood_of_new_keys_costs_a_bounded_memory() {
    let mut world = World::new(SessionLimits::default());
    for _ in 0..3000 {
        let asked = world.client.refresh_traffic_keys();
        asked.expect("a client of TLS 1.3 may");
        while world.client.wants_write() {
            world.client.write_tls(&mut world.wire).expect("a vector");
        }
        world.receive(usize::MAX);
    }
    assert!(world.waiting_max < 4096, "{} bytes", world.waiting_max);
}

proptest! {
    #[test]
    fn garbage_ends_the_handshake_and_nothing_else(garbage in prop::collection::vec(any::<u8>(), 1..600)) {
        let dir = tempfile::tempdir().expect("a directory");
        fill(dir.path());
        let mut channel = Channel::new(loaded(dir.path()).config()).expect("a channel");
        channel.space()[..garbage.len()].copy_from_slice(&garbage);
        channel.filled(garbage.len());
        // Either it is no TLS, or it could still become some; it never is.
        if channel.shake_hands().is_ok() {
            prop_assert!(channel.is_handshaking());
            prop_assert_eq!(channel.read(&mut [0; 16]), Ok(Plain::Wait));
        }
        prop_assert!(channel.outgoing().len() < 64, "an alert at most");
    }

    #[test]
    fn garbage_inside_ends_the_session(garbage in prop::collection::vec(any::<u8>(), 64..600)) {
        let mut world = World::new(SessionLimits::default());
        world.wire = garbage;
        prop_assert!(world.receive(usize::MAX).is_empty());
        // A head that announces more than came is waited for.
        if world.session.status() == SessionStatus::Open {
            world.session.end_of_input();
            prop_assert_eq!(world.session.status(), SessionStatus::Finishing);
        }
    }
}
