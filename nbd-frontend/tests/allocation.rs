//! No allocation per request after the first rounds of a session. A test program of its own,
//! because the counting allocator is the whole program's.

use disktime_engine::{
    BufferPool, Extent, Reply, ReplyDetail, RequestKind, Session, VdiskId, ZeroPieces,
};
use disktime_nbd::{Export, ExportHandle, NbdSession, Negotiated, SessionLimits};
use disktime_nbd_protocol::{RequestHeader, command};
use disktime_testing::allocations::{Counting, count};
use std::io::IoSlice;

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn a_session_allocates_nothing_after_its_first_rounds() {
    for structured in [false, true] {
        serve(structured);
    }
}

/// 200 rounds of 32 requests; only the first ten may allocate.
fn serve(structured: bool) {
    let export = Export::new(ExportHandle(0), VdiskId(0), "disk", 1 << 30);
    let negotiated = Negotiated {
        structured,
        allocation: structured.then_some(1),
        ..Negotiated::default()
    };
    let mut session =
        NbdSession::new(export, SessionLimits::default(), &[]).with_negotiated(negotiated);
    let mut pool = BufferPool::new(64 << 20);
    let mut batch = Vec::new();
    for cookie in 0..32 {
        let command = [
            command::READ,
            command::WRITE,
            command::FLUSH,
            99,
            command::BLOCK_STATUS,
            command::READ,
            command::CACHE,
            command::READ,
        ][cookie as usize % 8];
        let len_bytes = match command {
            command::FLUSH => 0,
            // Long enough for holes in the middle.
            command::READ if cookie % 8 == 5 => 1 << 20,
            _ => 4096,
        };
        let header = RequestHeader::new(command, cookie, 0, len_bytes);
        batch.extend_from_slice(&header.encode());
        if command == command::WRITE {
            batch.resize(batch.len() + 4096, 0x5A);
        }
    }
    let mut held = Vec::with_capacity(64);
    let (mut answered, mut before) = (0, 0);
    for round in 0..200 {
        if round == 10 {
            before = count();
        }
        let mut rest = &batch[..];
        loop {
            while let Some(request) = session.next_request(&mut pool) {
                held.push(request);
            }
            let space = session.space(&mut pool);
            let here = space.len().min(rest.len());
            if here == 0 {
                break;
            }
            space[..here].copy_from_slice(&rest[..here]);
            session.filled(here);
            rest = &rest[here..];
        }
        assert!(rest.is_empty());
        for mut request in held.drain(..) {
            answered += 1;
            let mut middle = ZeroPieces::of_read(request.offset_bytes, request.len_bytes);
            for piece in [3, 5, 6, 9] {
                middle.add(piece * 65536, (piece + 1) * 65536);
            }
            if let (RequestKind::Status, Some(room)) = (request.kind, &mut request.buffer) {
                let extent = Extent {
                    len_bytes: 4096,
                    hole: true,
                    zero: true,
                };
                room[..Extent::BYTES].copy_from_slice(&extent.encode());
                room.set_len(Extent::BYTES);
            }
            let detail = ReplyDetail::Zeroes {
                first_bytes: 512,
                last_bytes: 512,
                middle,
            };
            let reply = Reply {
                detail,
                ..request.reply(Ok(()))
            };
            session.reply(reply, &mut pool);
        }
        loop {
            let mut slices = [IoSlice::new(&[]); 64];
            let used = session.outgoing(&mut slices);
            let count: usize = slices[..used].iter().map(|slice| slice.len()).sum();
            if count == 0 {
                break;
            }
            session.sent(count, &mut pool);
        }
    }
    // Without structured replies a block status is refused at once, like an unknown command.
    let each_round = if structured { 28 } else { 24 };
    assert_eq!(answered, 200 * each_round);
    assert_eq!(count(), before, "allocations after the first rounds");
}
