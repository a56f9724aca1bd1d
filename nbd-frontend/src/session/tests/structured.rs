//! Structured replies to reads, with holes, errors and block status.

use super::*;
use crate::validate::payload_bytes;
use disktime_engine::{Buffer, Extent, IoError, ReplyDetail, RequestKind, ZeroPieces};
use disktime_nbd_protocol::{
    ChunkHeader, SimpleReply, be16, be32, be64, chunk, command, command_flag,
};
use proptest::prelude::*;

/// A chunk: flags, kind, payload.
type Chunk = (u16, u16, Vec<u8>);

fn session(limits: SessionLimits) -> NbdSession {
    let negotiated = Negotiated {
        structured: true,
        allocation: Some(7),
        ..Negotiated::default()
    };
    super::session(limits).with_negotiated(negotiated)
}

fn flagged(command: u16, flags: u16, offset_bytes: u64, len_bytes: u32) -> Vec<u8> {
    let header = RequestHeader::new(command, 5, offset_bytes, len_bytes);
    RequestHeader { flags, ..header }.encode().to_vec()
}

fn chunks(mut bytes: &[u8]) -> Vec<Chunk> {
    let mut found = Vec::new();
    while let Some(header) = bytes.first_chunk() {
        let header = ChunkHeader::decode(header).expect("its magic");
        assert_eq!(header.cookie, 5);
        let (body, rest) = bytes[ChunkHeader::BYTES..].split_at(header.len_bytes as usize);
        found.push((header.flags, header.kind, body.to_vec()));
        bytes = rest;
    }
    assert!(bytes.is_empty());
    found
}

/// Sends one request, answers it after `fill` has filled its buffer, and returns the reply's
/// chunks.
fn exchange(
    bytes: &[u8],
    result: Result<(), IoError>,
    detail: ReplyDetail,
    fill: impl Fn(&mut Buffer),
) -> Vec<u8> {
    let (mut session, mut pool) = (session(SessionLimits::default()), pool());
    for request in requests_in(&mut session, &mut pool, bytes) {
        let mut reply = request.reply(result);
        reply.detail = detail;
        if let Some(buffer) = &mut reply.buffer {
            fill(buffer);
        }
        session.reply(reply, &mut pool);
    }
    let sent = take_sent(&mut session, &mut pool, 11);
    let held = (session.requests_held(), session.buffer_bytes_held());
    assert_eq!(held, (0, 0), "what is answered holds nothing");
    sent
}

fn read_with(flags: u16, first_bytes: u32, last_bytes: u32) -> Vec<Chunk> {
    let detail = ReplyDetail::Zeroes {
        first_bytes,
        last_bytes,
        middle: ZeroPieces::NONE,
    };
    let bytes = flagged(command::READ, flags, 4096, 100);
    let sent = exchange(&bytes, Ok(()), detail, |buffer| {
        for (at, byte) in buffer.iter_mut().enumerate() {
            *byte = at as u8;
        }
    });
    chunks(&sent)
}

#[test]
fn a_read_is_one_chunk_of_data() {
    let chunks = read_with(0, 0, 0);
    let [(chunk::DONE, chunk::OFFSET_DATA, body)] = &chunks[..] else {
        panic!("{chunks:?}");
    };
    assert_eq!(be64(body, 0), 4096);
    assert_eq!(body[8..], (0..100).collect::<Vec<u8>>());
}

#[test]
fn zeroes_at_the_ends_are_holes() {
    let chunks = read_with(0, 30, 20);
    let [
        (0, chunk::OFFSET_HOLE, first),
        (0, chunk::OFFSET_HOLE, last),
        (chunk::DONE, chunk::OFFSET_DATA, data),
    ] = &chunks[..]
    else {
        panic!("{chunks:?}");
    };
    assert_eq!((be64(first, 0), be32(first, 8)), (4096, 30));
    assert_eq!((be64(last, 0), be32(last, 8)), (4096 + 80, 20));
    assert_eq!(be64(data, 0), 4096 + 30);
    assert_eq!(data[8..], (30..80).collect::<Vec<u8>>());
    let all = read_with(0, 100, 0);
    assert_eq!(
        (all.len(), all[0].0, all[0].1),
        (1, chunk::DONE, chunk::OFFSET_HOLE)
    );
    assert_eq!((be64(&all[0].2, 0), be32(&all[0].2, 8)), (4096, 100));
}

#[test]
fn with_the_df_flag_the_data_are_one_chunk() {
    let chunks = read_with(command_flag::DF, 30, 20);
    assert_eq!((chunks.len(), chunks[0].1), (1, chunk::OFFSET_DATA));
    assert_eq!(chunks[0].2.len(), 8 + 100);
    let all = read_with(command_flag::DF, 100, 0);
    assert_eq!((all.len(), all[0].1), (1, chunk::OFFSET_HOLE));
}

#[test]
fn a_detail_beyond_the_request_is_limited_to_it() {
    for (first, last, pieces) in [
        (u32::MAX, u32::MAX, 1),
        (60, 40, 1),
        (60, 39, 3),
        (0, 100, 1),
    ] {
        let chunks = read_with(0, first, last);
        assert_eq!(chunks.len(), pieces);
        let sum: usize = chunks
            .iter()
            .map(|(_, kind, body)| match *kind {
                chunk::OFFSET_HOLE => be32(body, 8) as usize,
                _ => body.len() - 8,
            })
            .sum();
        assert_eq!(sum, 100);
    }
}

#[test]
fn a_read_of_zero_bytes_is_answered_with_an_empty_chunk() {
    let sent = exchange(
        &flagged(command::READ, 0, 10, 0),
        Ok(()),
        ReplyDetail::Nothing,
        |_| {},
    );
    assert_eq!(chunks(&sent), [(chunk::DONE, chunk::NONE, Vec::new())]);
}

#[test]
fn errors_have_an_offset_or_a_text() {
    let bytes = flagged(command::READ, 0, 4096, 100);
    let at = ReplyDetail::FailedAt(4100);
    let found = chunks(&exchange(&bytes, Err(IoError::Io), at, |_| {}));
    let [(chunk::DONE, chunk::ERROR_OFFSET, body)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!((be32(body, 0), be16(body, 4), be64(body, 6)), (5, 0, 4100));
    // 4196 is the first byte behind the range.
    for detail in [
        ReplyDetail::Nothing,
        ReplyDetail::FailedAt(4196),
        ReplyDetail::FailedAt(9000),
    ] {
        let found = chunks(&exchange(&bytes, Err(IoError::Shutdown), detail, |_| {}));
        let [(chunk::DONE, chunk::ERROR, body)] = &found[..] else {
            panic!("{found:?}");
        };
        assert_eq!(be32(body, 0), 108);
        assert_eq!(usize::from(be16(body, 4)), body.len() - 6);
        assert_eq!(&body[6..], b"the server is shutting down");
    }
    let wrong = exchange(&flagged(99, 0, 0, 0), Ok(()), ReplyDetail::Nothing, |_| {});
    assert_eq!(chunks(&wrong)[0].1, chunk::ERROR);
}

#[test]
fn success_without_data_is_a_simple_reply() {
    // The write of no bytes is answered without the service.
    for data in [&b"data"[..], b""] {
        let sent = exchange(&write(5, 0, data), Ok(()), ReplyDetail::Nothing, |_| {});
        let (error, cookie) = (0, 5);
        assert_eq!(sent, SimpleReply { error, cookie }.encode());
    }
}

fn extents(extents: &[(u64, bool, bool)]) -> impl Fn(&mut Buffer) {
    move |buffer| {
        let (entries, _) = buffer.as_chunks_mut::<{ Extent::BYTES }>();
        assert!(entries.len() >= extents.len());
        for (entry, (len_bytes, hole, zero)) in entries.iter_mut().zip(extents) {
            let (len_bytes, hole, zero) = (*len_bytes, *hole, *zero);
            *entry = Extent {
                len_bytes,
                hole,
                zero,
            }
            .encode();
        }
        buffer.set_len(extents.len() * Extent::BYTES);
    }
}

#[test]
fn a_block_status_is_sent_as_descriptors() {
    let bytes = flagged(command::BLOCK_STATUS, 0, 4096, 1000);
    let known = [
        (300, false, false),
        (200, true, true),
        (100, true, false),
        (9999, false, true),
    ];
    let found = chunks(&exchange(
        &bytes,
        Ok(()),
        ReplyDetail::Nothing,
        extents(&known),
    ));
    let [(chunk::DONE, chunk::BLOCK_STATUS, body)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(be32(body, 0), 7, "the context's number");
    let descriptors: Vec<(u32, u32)> = body[4..]
        .chunks_exact(8)
        .map(|entry| (be32(entry, 0), be32(entry, 4)))
        .collect();
    assert_eq!(descriptors, [(300, 0), (200, 3), (100, 1), (400, 2)]);
}

#[test]
fn a_status_without_extents_is_an_error_and_one_descriptor_can_be_requested() {
    let bytes = flagged(command::BLOCK_STATUS, command_flag::REQ_ONE, 0, 1000);
    for none in [&[][..], &[(0, true, true)]] {
        let nothing = exchange(&bytes, Ok(()), ReplyDetail::Nothing, extents(none));
        assert_eq!(chunks(&nothing)[0].1, chunk::ERROR);
    }
    let (mut session, mut pool) = (session(SessionLimits::default()), pool());
    let mut requests = requests_in(&mut session, &mut pool, &bytes);
    let request = requests.pop().expect("the status");
    assert_eq!(request.kind, RequestKind::Status);
    assert_eq!(request.buffer.map(|room| room.len()), Some(Extent::BYTES));
}

/// A random request: command, flags, offset, length.
fn any_request() -> impl Strategy<Value = (u16, u16, u64, u32)> {
    let command = (0u16..9).prop_filter("it ends the stream", |it| *it != command::DISC);
    let offset = prop_oneof![0u64..65 << 20, Just(u64::MAX), Just(0)];
    (command, 0u16..32, offset, 0u32..5000)
}

/// A reply: its error, and its parts.
type ReplyParts = (u32, Vec<u8>);

/// Sends the stream in pieces of these sizes, answers at once, and returns the replies by cookie.
fn replies_of(stream: &[u8], cuts: &[usize], limits: SessionLimits) -> Vec<(u64, ReplyParts)> {
    let mut session = session(limits);
    let (mut pool, mut rest, mut sent) = (pool(), stream, Vec::new());
    for cut in cuts.iter().cycle() {
        let mut now = &rest[..rest.len().min(*cut)];
        rest = &rest[now.len()..];
        loop {
            let mut requests = Vec::new();
            let fed = feed(&mut session, &mut pool, now, &mut requests);
            now = &now[fed..];
            for request in requests {
                let first_bytes = (request.len_bytes / 3) as u32;
                let last_bytes = first_bytes / 2;
                let mut reply = request.reply(Ok(()));
                reply.detail = ReplyDetail::Zeroes {
                    first_bytes,
                    last_bytes,
                    middle: ZeroPieces::NONE,
                };
                match (&mut reply.buffer, reply.kind) {
                    (Some(room), RequestKind::Status) => extents(&[(9000, true, true)])(room),
                    (Some(data), RequestKind::Read) => data.fill(0x5A),
                    _ => {}
                }
                session.reply(reply, &mut pool);
            }
            let more = take_sent(&mut session, &mut pool, 1 << 20);
            sent.extend_from_slice(&more);
            if now.is_empty() && fed == 0 && more.is_empty() {
                break;
            }
        }
        if rest.is_empty() {
            break;
        }
    }
    let held = (session.requests_held(), session.buffer_bytes_held());
    assert_eq!(held, (0, 0));
    let mut replies = parse_replies(&sent);
    replies.sort();
    replies
}

fn parse_replies(mut bytes: &[u8]) -> Vec<(u64, ReplyParts)> {
    let (mut replies, mut body) = (Vec::new(), Vec::new());
    while !bytes.is_empty() {
        if let Some(reply) = bytes.first_chunk().and_then(SimpleReply::decode) {
            replies.push((reply.cookie, (reply.error, Vec::new())));
            bytes = &bytes[SimpleReply::BYTES..];
            continue;
        }
        let header = bytes.first_chunk().and_then(ChunkHeader::decode);
        let header = header.expect("a chunk");
        let end = ChunkHeader::BYTES + header.len_bytes as usize;
        body.extend_from_slice(&bytes[ChunkHeader::BYTES..end]);
        if header.flags == chunk::DONE {
            replies.push((
                header.cookie,
                (u32::from(header.kind), std::mem::take(&mut body)),
            ));
        }
        bytes = &bytes[end..];
    }
    replies
}

proptest! {
    /// Wherever the bytes are cut and whatever the limits, each request gets the same reply, once.
    #[test]
    fn any_cut_of_the_stream_gives_the_same_replies(
        asked in proptest::collection::vec(any_request(), 1..30),
        cuts in proptest::collection::vec(1usize..3000, 1..20),
        input_bytes in 28usize..10_000,
    ) {
        let mut stream = Vec::new();
        for (cookie, (command, flags, offset_bytes, len_bytes)) in asked.iter().enumerate() {
            let header = RequestHeader::new(*command, cookie as u64, *offset_bytes, *len_bytes);
            let header = RequestHeader { flags: *flags, ..header };
            stream.extend_from_slice(&header.encode());
            let data = payload_bytes(&header) as usize;
            stream.resize(stream.len() + data, cookie as u8);
        }
        let whole = replies_of(&stream, &[usize::MAX], SessionLimits::default());
        let cookies: Vec<u64> = whole.iter().map(|(cookie, _)| *cookie).collect();
        prop_assert_eq!(cookies, (0..asked.len() as u64).collect::<Vec<_>>());
        let limits = SessionLimits { requests: 3, buffer_bytes: 4096, input_bytes };
        prop_assert_eq!(replies_of(&stream, &cuts, limits), whole);
    }
}
