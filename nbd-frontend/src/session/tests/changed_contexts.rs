//! Block status with contexts `qemu:dirty-bitmap:…`: a chunk for each, whole and within bounds.

use super::*;
use crate::changed::{ChangedContext, ChangedRanges};
use disktime_engine::Extent;
use disktime_nbd_protocol::{ChunkHeader, be32, chunk};
use std::sync::Arc;

const KIB: u64 = 1 << 10;

/// Every other 4 KiB from `first` on, `count` times.
fn every_other(first: u64, count: u64) -> ChangedRanges {
    let range = |at| ((first + 2 * at) * 4 * KIB, 4 * KIB);
    ChangedRanges::new(Arc::new((0..count).map(range).collect()))
}

fn session_with(allocation: Option<u32>, changed: Vec<ChangedRanges>) -> NbdSession {
    let changed = (10..).zip(changed);
    let changed = changed.map(|(number, ranges)| ChangedContext { number, ranges });
    super::session(SessionLimits::default()).with_negotiated(Negotiated {
        structured: true,
        allocation,
        changed: changed.collect(),
    })
}

/// A chunk of a block status: whether it is the last, its context, its descriptors.
type Status = (bool, u32, Vec<(u32, u32)>);

/// Asks for the status of a range, which the service calls a hole of that length; what it was
/// asked, and the reply.
fn status_of(
    session: &mut NbdSession,
    flags: u16,
    (offset_bytes, len_bytes): (u64, u32),
    result: Result<(), IoError>,
) -> (Request, Vec<u8>) {
    let mut pool = pool();
    let header = RequestHeader::new(command::BLOCK_STATUS, 5, offset_bytes, len_bytes);
    let bytes = RequestHeader { flags, ..header }.encode();
    let mut requests = requests_in(session, &mut pool, &bytes);
    assert_eq!(requests.len(), 1);
    let mut request = requests.remove(0);
    let asked = Request {
        buffer: None,
        ..request
    };
    let extent = Extent {
        len_bytes: u64::from(len_bytes),
        hole: true,
        zero: true,
    };
    let buffer = request.buffer.as_mut().expect("there is room for extents");
    buffer[..Extent::BYTES].copy_from_slice(&extent.encode());
    buffer.set_len(Extent::BYTES);
    session.reply(request.reply(result), &mut pool);
    let sent = take_sent(session, &mut pool, 1000);
    assert_holds_nothing(session);
    (asked, sent)
}

fn chunks(mut bytes: &[u8]) -> Vec<Status> {
    let mut found = Vec::new();
    while let Some(header) = bytes.first_chunk() {
        let header = ChunkHeader::decode(header).expect("its magic");
        assert_eq!((header.cookie, header.kind), (5, chunk::BLOCK_STATUS));
        let (body, rest) = bytes[ChunkHeader::BYTES..].split_at(header.len_bytes as usize);
        let descriptors = body[4..].chunks_exact(8);
        let descriptors = descriptors.map(|one| (be32(one, 0), be32(one, 4)));
        let is_last = header.flags == chunk::DONE;
        found.push((is_last, be32(body, 0), descriptors.collect()));
        bytes = rest;
    }
    assert!(bytes.is_empty());
    found
}

#[test]
fn each_context_has_a_chunk_and_the_last_ends_the_reply() {
    let ranges = vec![every_other(1, 2), ChangedRanges::default()];
    let mut session = session_with(Some(1), ranges);
    let range = (2048, 20 * KIB as u32);
    let (_, sent) = status_of(&mut session, 0, range, Ok(()));
    let expected = [
        (false, 1, vec![(20 << 10, 3)]),
        (
            false,
            10,
            vec![(2048, 0), (4096, 1), (4096, 0), (4096, 1), (6144, 0)],
        ),
        (true, 11, vec![(20 << 10, 0)]),
    ];
    assert_eq!(chunks(&sent), expected);
}

#[test]
fn without_allocation_the_service_is_asked_for_its_pace_only() {
    let mut session = session_with(None, vec![every_other(0, 4)]);
    let (asked, sent) = status_of(&mut session, 0, (4 * KIB, 8 << 10), Ok(()));
    assert_eq!((asked.offset_bytes, asked.len_bytes), (4 * KIB, 1));
    let expected = [(true, 10, vec![(4096, 0), (4096, 1)])];
    assert_eq!(chunks(&sent), expected);
    let (_, sent) = status_of(&mut session, 0, (0, 8 << 10), Err(IoError::Shutdown));
    let header = ChunkHeader::decode(sent.first_chunk().expect("a chunk")).expect("its magic");
    assert_eq!((header.kind, header.flags), (chunk::ERROR, chunk::DONE));
}

#[test]
fn with_req_one_each_context_has_one_descriptor() {
    let mut session = session_with(Some(1), vec![every_other(0, 4), every_other(1, 4)]);
    let one = command_flag::REQ_ONE;
    let (_, sent) = status_of(&mut session, one, (1024, 64 << 10), Ok(()));
    let expected = [
        (false, 1, vec![(64 << 10, 3)]),
        (false, 10, vec![(3072, 1)]),
        (true, 11, vec![(3072, 0)]),
    ];
    assert_eq!(chunks(&sent), expected);
}

#[test]
fn however_many_ranges_there_are_a_reply_is_short_and_the_next_goes_on() {
    for contexts in 1..=8 {
        let ranges = vec![every_other(0, 2000); contexts];
        let mut session = session_with(None, ranges);
        let (mut at, end) = (0, 16 << 20);
        let mut seen = Vec::new();
        while at < end {
            let range = (at, (end - at) as u32);
            let (_, sent) = status_of(&mut session, 0, range, Ok(()));
            assert!(sent.len() <= 4096, "{} bytes", sent.len());
            let chunks = chunks(&sent);
            assert_eq!(chunks.len(), contexts);
            assert!(chunks.iter().all(|chunk| chunk.2 == chunks[0].2));
            let descriptors = &chunks[0].2;
            for (length, status) in descriptors {
                seen.push((at, *length, *status));
                at += u64::from(*length);
            }
            assert!(descriptors.len() >= 60 || at == end);
        }
        assert_eq!(at, end, "no descriptor goes beyond the range");
        let changed = seen.iter().filter(|(_, _, status)| *status == 1);
        let changed: Vec<_> = changed.map(|(at, length, _)| (*at, *length)).collect();
        let expected: Vec<_> = (0..2000).map(|at| (at * 8 * KIB, 4096)).collect();
        assert_eq!(changed, expected);
    }
}
