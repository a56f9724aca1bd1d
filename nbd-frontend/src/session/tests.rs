//! Unit tests of `session`: requests in, replies out, limits, invalid requests.

mod abandoned;
mod changed_contexts;
mod gaps;
mod structured;

use super::*;
use crate::export::ExportHandle;
use crate::validate::payload_bytes;
use disktime_engine::{Buffer, IoError, RequestKind, VdiskId};
use disktime_nbd_protocol::{RequestHeader, SimpleReply, command, command_flag};
use proptest::prelude::*;

const MIB: u32 = 1 << 20;

pub(super) fn pool() -> BufferPool {
    BufferPool::new(8 << 20)
}

fn session(limits: SessionLimits) -> NbdSession {
    let export = Export::new(ExportHandle(0), VdiskId(3), "disk", 64 << 20);
    NbdSession::new(export, limits, &[])
}

pub(super) fn read(cookie: u64, offset_bytes: u64, len_bytes: u32) -> Vec<u8> {
    RequestHeader::new(command::READ, cookie, offset_bytes, len_bytes)
        .encode()
        .to_vec()
}

pub(super) fn write(cookie: u64, offset_bytes: u64, data: &[u8]) -> Vec<u8> {
    let header = RequestHeader::new(command::WRITE, cookie, offset_bytes, data.len() as u32);
    [&header.encode()[..], data].concat()
}

/// Feeds the session with as many of `bytes` as it takes, and collects its requests; returns how
/// many bytes it took.
pub(super) fn feed(
    session: &mut NbdSession,
    pool: &mut BufferPool,
    bytes: &[u8],
    requests: &mut Vec<Request>,
) -> usize {
    let mut fed = 0;
    loop {
        while let Some(request) = session.next_request(pool) {
            requests.push(request);
        }
        let space = session.space(pool);
        let here = space.len().min(bytes.len() - fed);
        if here == 0 {
            return fed;
        }
        space[..here].copy_from_slice(&bytes[fed..fed + here]);
        session.filled(here);
        fed += here;
    }
}

/// The requests in bytes that the session takes all of.
pub(super) fn requests_in(
    session: &mut NbdSession,
    pool: &mut BufferPool,
    bytes: &[u8],
) -> Vec<Request> {
    let mut requests = Vec::new();
    assert_eq!(feed(session, pool, bytes, &mut requests), bytes.len());
    requests
}

fn assert_holds_nothing(session: &NbdSession) {
    let held = (session.requests_held(), session.buffer_bytes_held());
    assert_eq!(held, (0, 0));
}

/// Takes all bytes that wait to be sent, `step` at a time.
pub(super) fn take_sent(session: &mut NbdSession, pool: &mut BufferPool, step: usize) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let mut slices = [IoSlice::new(&[]); 3];
        let used = session.outgoing(&mut slices);
        let bytes: Vec<u8> = slices[..used]
            .iter()
            .flat_map(|slice| slice.iter().copied())
            .collect();
        if bytes.is_empty() {
            return all;
        }
        let now = bytes.len().min(step);
        all.extend_from_slice(&bytes[..now]);
        session.sent(now, pool);
    }
}

fn reply_bytes(cookie: u64, error: u32, data: &[u8]) -> Vec<u8> {
    [&SimpleReply { error, cookie }.encode()[..], data].concat()
}

#[test]
fn replies_go_out_in_the_order_of_their_completion_with_their_own_cookies_and_data() {
    let (mut session, mut pool) = (session(SessionLimits::default()), pool());
    let bytes = [read(70, 0, 3), write(71, 4096, b"hello"), read(72, 10, 2)].concat();
    let requests = requests_in(&mut session, &mut pool, &bytes);
    assert_eq!(requests.len(), 3);
    let written = &requests[1];
    assert_eq!(
        (written.kind, written.offset_bytes),
        (RequestKind::Write, 4096)
    );
    assert_eq!(written.buffer.as_deref(), Some(&b"hello"[..]));
    assert!(requests.iter().all(|request| request.vdisk == VdiskId(3)));
    for (mut request, fill) in requests.into_iter().rev().zip([b'c', b'b', b'a']) {
        if request.kind == RequestKind::Read {
            request.buffer.as_mut().expect("a read has room").fill(fill);
        }
        session.reply(request.reply(Ok(())), &mut pool);
    }
    let expected = [
        reply_bytes(72, 0, b"cc"),
        reply_bytes(71, 0, b""),
        reply_bytes(70, 0, b"aaa"),
    ]
    .concat();
    assert_eq!(take_sent(&mut session, &mut pool, 1), expected);
    assert_holds_nothing(&session);
}

#[test]
fn the_data_of_a_long_write_are_read_into_its_own_buffer() {
    let (mut session, mut pool) = (session(SessionLimits::default()), pool());
    let start = RequestHeader::new(command::WRITE, 1, 0, MIB).encode();
    let mut requests = Vec::new();
    feed(&mut session, &mut pool, &start, &mut requests);
    let space = session.space(&mut pool);
    assert_eq!(space.len(), MIB as usize);
    let address = space.as_ptr();
    space.fill(0x5A);
    session.filled(MIB as usize);
    let request = session
        .next_request(&mut pool)
        .expect("the write is complete");
    let buffer = request.buffer.expect("its data");
    assert_eq!(buffer.as_ptr(), address);
    assert!(buffer.iter().all(|byte| *byte == 0x5A));
}

#[test]
fn requests_that_need_no_disk_are_answered_at_once() {
    let (mut session, mut pool) = (session(SessionLimits::default()), pool());
    let beyond = 64 << 20;
    let mut flagged = RequestHeader::new(command::READ, 5, 0, 1);
    flagged.flags = command_flag::NO_HOLE;
    let bytes = [
        read(1, 0, 0),
        read(2, beyond, 1),
        write(3, beyond - 1, b"two bytes and more"),
        RequestHeader::new(55, 4, 0, 0).encode().to_vec(),
        flagged.encode().to_vec(),
        write(6, 0, b""),
        read(7, 0, u32::MAX),
    ]
    .concat();
    let requests = requests_in(&mut session, &mut pool, &bytes);
    assert!(
        requests.is_empty(),
        "none of them is submitted to the service"
    );
    let expected: Vec<u8> = [(1, 0), (2, 22), (3, 28), (4, 22), (5, 22), (6, 0), (7, 22)]
        .into_iter()
        .flat_map(|(cookie, error)| reply_bytes(cookie, error, b""))
        .collect();
    assert_eq!(take_sent(&mut session, &mut pool, usize::MAX), expected);
    assert_eq!(session.status(), SessionStatus::Open);
}

#[test]
fn the_data_of_a_write_that_is_too_long_are_skipped_in_the_input_buffer() {
    let (mut session, mut pool) = (session(SessionLimits::default()), pool());
    let len = 33 * MIB;
    let mut bytes = RequestHeader::new(command::WRITE, 9, 0, len)
        .encode()
        .to_vec();
    bytes.resize(bytes.len() + len as usize, 0xEE);
    bytes.extend_from_slice(&read(10, 0, 1));
    let requests = requests_in(&mut session, &mut pool, &bytes);
    assert_eq!(requests.len(), 1, "the next request is parsed");
    assert_eq!(
        take_sent(&mut session, &mut pool, 7),
        reply_bytes(9, 22, b"")
    );
}

#[test]
fn a_peer_that_does_not_read_is_not_read_from_and_later_gets_every_reply() {
    let limits = SessionLimits {
        requests: 8,
        buffer_bytes: 64 << 10,
        input_bytes: 256,
    };
    let (mut session, mut pool) = (session(limits), pool());
    for (len, held) in [(16 << 10, 4), (1, 8)] {
        let bytes: Vec<u8> = (0..1000).flat_map(|cookie| read(cookie, 0, len)).collect();
        let (mut fed, mut cookies) = (0, Vec::new());
        while cookies.len() < 1000 {
            let mut requests = Vec::new();
            fed += feed(&mut session, &mut pool, &bytes[fed..], &mut requests);
            assert!(
                requests.len() <= held,
                "{} requests at once",
                requests.len()
            );
            if fed < bytes.len() {
                assert_eq!(session.requests_held(), held);
            }
            assert!(session.buffer_bytes_held() <= 64 << 10);
            requests
                .into_iter()
                .for_each(|it| session.reply(it.reply(Ok(())), &mut pool));
            // Answered but not sent: there is still no space.
            let stuck = feed(&mut session, &mut pool, &bytes[fed..], &mut Vec::new());
            assert!(stuck == 0 || fed + stuck == bytes.len());
            fed += stuck;
            let sent = take_sent(&mut session, &mut pool, 1000);
            for reply in sent.chunks(SimpleReply::BYTES + len as usize) {
                let header = reply.first_chunk().expect("a whole reply");
                cookies.push(SimpleReply::decode(header).expect("its magic").cookie);
            }
        }
        assert_eq!(cookies, (0..1000).collect::<Vec<u64>>());
        assert_holds_nothing(&session);
    }
}

#[test]
fn refused_requests_count_against_the_limit() {
    let limits = SessionLimits {
        requests: 8,
        ..SessionLimits::default()
    };
    let (mut session, mut pool) = (session(limits), pool());
    let bytes: Vec<u8> = (0..100_000)
        .flat_map(|cookie| read(cookie, u64::MAX, 1))
        .collect();
    let fed = feed(&mut session, &mut pool, &bytes, &mut Vec::new());
    assert!(
        fed <= limits.input_bytes + 8 * RequestHeader::BYTES,
        "{fed} bytes were taken"
    );
    assert_eq!(session.requests_held(), 8);
}

#[test]
fn errors_of_the_service_reach_the_client_without_data() {
    let errors = [
        (IoError::Io, 5),
        (IoError::Invalid, 22),
        (IoError::NoSpace, 28),
        (IoError::ReadOnly, 1),
        (IoError::NotSupported, 95),
        (IoError::Shutdown, 108),
    ];
    for (error, number) in errors {
        let (mut session, mut pool) = (session(SessionLimits::default()), pool());
        let mut requests = requests_in(&mut session, &mut pool, &read(1, 0, 4096));
        let request = requests.pop().expect("the read");
        session.reply(request.reply(Err(error)), &mut pool);
        assert_eq!(
            take_sent(&mut session, &mut pool, 5),
            reply_bytes(1, number, b"")
        );
        assert_holds_nothing(&session);
    }
}

#[test]
fn a_read_answered_without_its_data_becomes_an_error() {
    let (mut session, mut pool) = (session(SessionLimits::default()), pool());
    let bytes = [read(1, 0, 10), read(2, 0, 10)].concat();
    let requests = requests_in(&mut session, &mut pool, &bytes);
    let mut replies = requests.into_iter().map(|request| request.reply(Ok(())));
    let none = Reply {
        buffer: None,
        ..replies.next().expect("the first")
    };
    let short = Reply {
        buffer: Some(Buffer::zeroed(9)),
        ..replies.next().expect("the second")
    };
    session.reply(none, &mut pool);
    session.reply(short, &mut pool);
    let expected = [reply_bytes(1, 5, b""), reply_bytes(2, 5, b"")].concat();
    assert_eq!(take_sent(&mut session, &mut pool, 100), expected);
}

#[test]
fn disc_and_the_end_of_input_finish_after_the_complete_requests() {
    let limits = SessionLimits {
        requests: 1,
        ..SessionLimits::default()
    };
    for sends_disc in [true, false] {
        let (mut session, mut pool) = (session(limits), pool());
        let mut bytes = [read(1, 0, 1), read(2, 0, 1)].concat();
        if sends_disc {
            bytes.extend_from_slice(&RequestHeader::new(command::DISC, 0, 0, 0).encode());
        }
        let mut requests = Vec::new();
        feed(&mut session, &mut pool, &bytes, &mut requests);
        session.end_of_input();
        assert_eq!(
            session.status(),
            SessionStatus::Open,
            "a complete request still waits"
        );
        assert!(session.space(&mut pool).is_empty());
        let request = requests.pop().expect("the first");
        session.reply(request.reply(Ok(())), &mut pool);
        assert_eq!(
            take_sent(&mut session, &mut pool, 100),
            reply_bytes(1, 0, &[0])
        );
        let request = session.next_request(&mut pool).expect("the second");
        assert!(session.next_request(&mut pool).is_none());
        assert_eq!(session.status(), SessionStatus::Finishing);
        assert_eq!(session.is_ended_by_peer(), sends_disc);
        session.reply(request.reply(Ok(())), &mut pool);
        assert_eq!(
            take_sent(&mut session, &mut pool, 100),
            reply_bytes(2, 0, &[0])
        );
        assert!(session.space(&mut pool).is_empty());
    }
}

#[test]
fn a_wrong_magic_number_breaks_the_session() {
    let (mut session, mut pool) = (session(SessionLimits::default()), pool());
    feed(&mut session, &mut pool, &[0x11; 28], &mut Vec::new());
    assert!(matches!(session.status(), SessionStatus::Broken(_)));
    assert!(session.space(&mut pool).is_empty());
    assert!(session.next_request(&mut pool).is_none());
}

#[test]
fn while_draining_requests_in_flight_are_answered_and_nothing_more_is_taken() {
    let (mut session, mut pool) = (session(SessionLimits::default()), pool());
    let second = write(2, 0, b"half of it");
    let bytes = [&read(1, 0, 1)[..], &second[..33]].concat();
    let mut requests = requests_in(&mut session, &mut pool, &bytes);
    session.drain();
    let rest = [&second[33..], &write(3, 0, b"data"), &read(4, 0, 1)].concat();
    let mut late = Vec::new();
    assert_eq!(feed(&mut session, &mut pool, &rest, &mut late), 0);
    assert!(late.is_empty());
    let request = requests.pop().expect("the first");
    session.reply(request.reply(Ok(())), &mut pool);
    let expected = reply_bytes(1, 0, &[0]);
    assert_eq!(take_sent(&mut session, &mut pool, 100), expected);
    assert_eq!(session.status(), SessionStatus::Open);
    session.finish();
    assert_eq!(session.status(), SessionStatus::Finishing);
}

/// A request that was received and not taken before the drain is not answered either.
#[test]
fn what_was_received_before_a_drain_is_not_taken() {
    let (mut session, mut pool) = (session(SessionLimits::default()), pool());
    let bytes = read(1, 0, 1);
    session.space(&mut pool)[..bytes.len()].copy_from_slice(&bytes);
    session.filled(bytes.len());
    session.drain();
    assert!(session.next_request(&mut pool).is_none());
    assert!(take_sent(&mut session, &mut pool, 100).is_empty());
}

#[test]
fn bytes_carried_over_from_the_handshake_come_first() {
    let export = Export::new(ExportHandle(0), VdiskId(0), "disk", 1 << 20);
    let bytes = write(1, 0, b"carried");
    for at in 0..=bytes.len() {
        let mut pool = pool();
        let limits = SessionLimits {
            input_bytes: 1,
            ..SessionLimits::default()
        };
        let mut session = NbdSession::new(export.clone(), limits, &bytes[..at]);
        let requests = requests_in(&mut session, &mut pool, &bytes[at..]);
        assert_eq!(
            requests[0].buffer.as_deref(),
            Some(&b"carried"[..]),
            "split at {at}"
        );
    }
}

/// A random request: command, flags, offset, length.
fn any_request() -> impl Strategy<Value = (u16, u16, u64, u32)> {
    let offset = prop_oneof![0u64..70 << 20, Just(u64::MAX), Just(0)];
    (0u16..9, 0u16..4, offset, 0u32..5000)
        .prop_filter("DISC ends the stream", |request| request.0 != command::DISC)
}

proptest! {
    /// Wherever the bytes are cut, the requests are the same, and every request is answered once.
    #[test]
    fn any_cut_of_the_stream_gives_the_same_requests(
        asked in proptest::collection::vec(any_request(), 1..40),
        cuts in proptest::collection::vec(1usize..3000, 1..20),
        input_bytes in 28usize..10_000,
    ) {
        let mut bytes = Vec::new();
        for (cookie, (command, flags, offset_bytes, len_bytes)) in asked.iter().copied().enumerate() {
            let header = RequestHeader {
                flags, command, cookie: cookie as u64, offset_bytes, len_bytes,
            };
            bytes.extend_from_slice(&header.encode());
            let data = payload_bytes(&header) as usize;
            bytes.extend((0..data).map(|at| (at + cookie) as u8));
        }
        let run = |cuts: &[usize], limits: SessionLimits| {
            let (mut session, mut pool) = (session(limits), pool());
            let (mut rest, mut seen, mut answers) = (&bytes[..], Vec::new(), Vec::new());
            let mut cuts = cuts.iter().cycle();
            while !rest.is_empty() {
                let piece = rest.len().min(*cuts.next().unwrap_or(&1));
                let (mut now, mut requests) = (&rest[..piece], Vec::new());
                loop {
                    let fed = feed(&mut session, &mut pool, now, &mut requests);
                    now = &now[fed..];
                    for request in requests.drain(..) {
                        let data = request.buffer.as_ref()
                            .filter(|_| request.kind == RequestKind::Write)
                            .map(|buffer| buffer.to_vec());
                        seen.push((request.kind, request.offset_bytes, request.fua, data));
                        session.reply(request.reply(Err(IoError::Io)), &mut pool);
                    }
                    let sent = take_sent(&mut session, &mut pool, 1 << 20);
                    answers.extend_from_slice(&sent);
                    // Sent replies make space for requests that wait in the input.
                    if now.is_empty() && fed == 0 && sent.is_empty() { break }
                }
                rest = &rest[piece..];
            }
            assert_eq!((session.requests_held(), session.buffer_bytes_held()), (0, 0));
            assert_eq!(session.status(), SessionStatus::Open);
            let mut cookies: Vec<u64> = answers.chunks(SimpleReply::BYTES)
                .map(|reply| SimpleReply::decode(reply.try_into().unwrap()).unwrap().cookie)
                .collect();
            cookies.sort_unstable();
            (seen, cookies)
        };
        let whole = run(&[usize::MAX], SessionLimits::default());
        prop_assert_eq!(&whole.1, &(0..asked.len() as u64).collect::<Vec<_>>());
        let limits = SessionLimits { requests: 3, buffer_bytes: 4096, input_bytes };
        prop_assert_eq!(run(&cuts, limits), whole);
    }
}
