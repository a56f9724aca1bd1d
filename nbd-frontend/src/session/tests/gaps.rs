//! Reads with zeroes anywhere in them: the replies are reassembled and compared.

use super::*;
use disktime_engine::{ReplyDetail, ZeroPieces};
use disktime_nbd_protocol::{ChunkHeader, be32, be64, chunk, command, command_flag};
use proptest::prelude::*;

const KIB: u32 = 1 << 10;

fn session() -> NbdSession {
    let negotiated = Negotiated {
        structured: true,
        ..Negotiated::default()
    };
    super::session(SessionLimits::default()).with_negotiated(negotiated)
}

/// A read, its data, and which zeroes the service knows of.
#[derive(Debug, Clone)]
struct Read {
    flags: u16,
    offset_bytes: u64,
    data: Vec<u8>,
    detail: ReplyDetail,
}

impl Read {
    /// A read with zeroes in these ranges, which are reported as far as the reply's detail can.
    fn new(flags: u16, offset_bytes: u64, len_bytes: u32, zeroes: &[(u32, u32)]) -> Read {
        let mut data: Vec<u8> = (0..len_bytes).map(|at| (at % 251 + 1) as u8).collect();
        let mut middle = ZeroPieces::of_read(offset_bytes, u64::from(len_bytes));
        for (start, end) in zeroes {
            data[*start as usize..*end as usize].fill(0);
            middle.add(*start, *end);
        }
        let first_bytes = data.iter().take_while(|byte| **byte == 0).count() as u32;
        let last_bytes = data.iter().rev().take_while(|byte| **byte == 0).count() as u32;
        let last_bytes = last_bytes.min(len_bytes - first_bytes);
        Read {
            flags,
            offset_bytes,
            data,
            detail: ReplyDetail::Zeroes {
                first_bytes,
                last_bytes,
                middle,
            },
        }
    }
}

/// Sends the reads, answers them, and returns the reply bytes, taken `step` at a time.
fn exchange(reads: &[Read], step: usize) -> Vec<u8> {
    let (mut session, mut pool) = (session(), pool());
    let (mut bytes, mut requests) = (Vec::new(), Vec::new());
    for (cookie, read) in reads.iter().enumerate() {
        let len_bytes = read.data.len() as u32;
        let header = RequestHeader::new(command::READ, cookie as u64, read.offset_bytes, len_bytes);
        let flags = read.flags;
        bytes.extend(RequestHeader { flags, ..header }.encode());
    }
    feed(&mut session, &mut pool, &bytes, &mut requests);
    assert_eq!(requests.len(), reads.len());
    for (request, read) in requests.into_iter().zip(reads) {
        let mut reply = request.reply(Ok(()));
        reply.detail = read.detail;
        let buffer = reply.buffer.as_mut().expect("a read has room");
        buffer.copy_from_slice(&read.data);
        session.reply(reply, &mut pool);
    }
    let sent = take_sent(&mut session, &mut pool, step);
    let held = (session.requests_held(), session.buffer_bytes_held());
    assert_eq!(held, (0, 0), "what is answered holds nothing");
    sent
}

/// Parses a reply like a client: its data, the number of chunks of data, and of holes.
fn reassemble(read: &Read, cookie: u64, bytes: &mut &[u8]) -> (Vec<u8>, usize, usize) {
    let mut data = vec![0xEE; read.data.len()];
    let (mut missing, mut datas, mut holes) = (data.len(), 0, 0);
    loop {
        let header = bytes.first_chunk().and_then(ChunkHeader::decode);
        let header = header.expect("a chunk");
        assert_eq!(header.cookie, cookie);
        let (body, rest) = bytes[ChunkHeader::BYTES..].split_at(header.len_bytes as usize);
        *bytes = rest;
        let start = (be64(body, 0) - read.offset_bytes) as usize;
        let len = match header.kind {
            chunk::OFFSET_DATA => {
                data[start..start + body.len() - 8].copy_from_slice(&body[8..]);
                datas += 1;
                body.len() - 8
            }
            chunk::OFFSET_HOLE => {
                let len = be32(body, 8) as usize;
                data[start..start + len].fill(0);
                holes += 1;
                len
            }
            kind => panic!("a chunk of kind {kind}"),
        };
        assert!(len > 0, "an empty chunk");
        missing -= len;
        if header.flags == chunk::DONE {
            assert_eq!(missing, 0, "the reply is done before all came, or after");
            return (data, datas, holes);
        }
    }
}

fn alone(read: &Read) -> (usize, usize, usize) {
    let sent = exchange(std::slice::from_ref(read), 70_001);
    let mut rest = &sent[..];
    let (data, datas, holes) = reassemble(read, 0, &mut rest);
    assert!(rest.is_empty() && data == read.data, "other data came");
    (sent.len(), datas, holes)
}

#[test]
fn zeroes_in_the_middle_are_not_sent() {
    let zeroes = [
        (0, 32 * KIB),
        (96 * KIB, 160 * KIB),
        (224 * KIB, 416 * KIB),
        (511 * KIB, 512 * KIB),
    ];
    let at = u64::from(32 * KIB);
    let read = Read::new(0, at, 512 * KIB, &zeroes);
    let (sent_bytes, datas, holes) = alone(&read);
    assert_eq!((datas, holes), (3, 4));
    let data_bytes = (512 - 32 - 64 - 192 - 1) * KIB as usize;
    assert_eq!(sent_bytes, data_bytes + 3 * 28 + 4 * 32);
    let whole = Read::new(command_flag::DF, at, 512 * KIB, &zeroes);
    assert_eq!(alone(&whole), (512 * KIB as usize + 28, 1, 0));
}

#[test]
fn alternating_zeroes_give_a_bounded_number_of_chunks() {
    let zeroes: Vec<(u32, u32)> = (0..64)
        .map(|piece| (piece * 128 * KIB, (piece * 128 + 64) * KIB))
        .collect();
    let (_, datas, holes) = alone(&Read::new(0, 0, 4 << 20, &zeroes[..32]));
    assert_eq!((datas, holes), (32, 32));
    // Twice as long, so its pieces are, too: none of the holes is as long.
    let (_, datas, holes) = alone(&Read::new(0, 0, 8 << 20, &zeroes));
    assert_eq!((datas, holes), (1, 1));
}

fn any_read() -> impl Strategy<Value = Read> {
    let flags = prop_oneof![4 => Just(0), 1 => Just(command_flag::DF)];
    let offset = (0u64..1 << 20, 0u64..2).prop_map(|(at, odd)| at / 4096 * 4096 + odd);
    let len = prop_oneof![1u32..200_000, 100_000u32..3 << 20];
    let ranges = proptest::collection::vec((any::<u32>(), any::<u32>()), 0..6);
    (flags, offset, len, ranges).prop_map(|(flags, offset_bytes, len_bytes, ranges)| {
        let zeroes: Vec<(u32, u32)> = ranges
            .into_iter()
            .map(|(start, len)| {
                let start = start % len_bytes;
                (start, (start + len % (300 * KIB)).min(len_bytes))
            })
            .collect();
        Read::new(flags, offset_bytes, len_bytes, &zeroes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    /// Wherever the zeroes are and the bytes are cut, the client gets the same data.
    #[test]
    fn all_data_arrive_once(
        reads in proptest::collection::vec(any_read(), 1..4),
        step in prop_oneof![20_000usize..100_000, Just(usize::MAX)],
    ) {
        let sent = exchange(&reads, step);
        let mut rest = &sent[..];
        for (cookie, read) in reads.iter().enumerate() {
            let (data, datas, _) = reassemble(read, cookie as u64, &mut rest);
            prop_assert!(data == read.data, "read {cookie} is other data");
            prop_assert!(read.flags == 0 || datas <= 1);
        }
        prop_assert!(rest.is_empty());
    }
}
