//! Unit tests of `request_table`.

use super::*;
use disktime_engine::{Buffer, VdiskId};

const SLOT: VdiskSlot = VdiskSlot::new(0);

fn table() -> RequestTable {
    let mut table = RequestTable::new();
    table.make_room(VdiskSlot::new(1));
    table
}

fn request(handle: u64, kind: RequestKind, len_bytes: u64) -> Request {
    Request {
        origin: 9,
        handle,
        vdisk: VdiskId(0),
        kind,
        offset_bytes: 0,
        len_bytes,
        fua: false,
        buffer: (kind == RequestKind::Read).then(|| Buffer::zeroed(16)),
    }
}

#[test]
fn requests_and_bytes_in_flight_are_bounded_by_vdisk() {
    let mut table = table();
    for handle in 0..MAX_REQUESTS as u64 {
        assert!(table.admits(SLOT, RequestKind::Flush, 0));
        table.insert(SLOT, request(handle, RequestKind::Flush, 0));
    }
    assert!(!table.admits(SLOT, RequestKind::Flush, 0));
    let other = VdiskSlot::new(1);
    assert!(table.admits(other, RequestKind::Read, 2 * MAX_REQUEST_BYTES));
    let id = table.insert(other, request(0, RequestKind::Read, MAX_REQUEST_BYTES));
    assert!(!table.admits(other, RequestKind::Write, 1));
    assert!(
        table.admits(other, RequestKind::Trim, u64::MAX),
        "it holds no memory"
    );
    table.complete(id, Ok(()), ReplyDetail::Nothing);
    assert!(table.admits(other, RequestKind::Write, MAX_REQUEST_BYTES));
    assert_eq!((table.len(), table.len_of(other)), (MAX_REQUESTS, 0));
}

#[test]
fn a_reply_is_that_of_its_request() {
    let mut table = table();
    let first = table.insert(SLOT, request(1, RequestKind::Read, 16));
    let second = table.insert(SLOT, request(2, RequestKind::Flush, 0));
    let reply = table.complete(first, Err(IoError::Io), ReplyDetail::FailedAt(3));
    assert_eq!((reply.origin, reply.handle), (9, 1));
    assert_eq!(reply.result, Err(IoError::Io));
    assert_eq!(reply.detail, ReplyDetail::FailedAt(3));
    assert!(reply.buffer.is_some_and(|buffer| buffer.len() == 16));
    assert_eq!(
        table.complete(second, Ok(()), ReplyDetail::Nothing).handle,
        2
    );
}

#[test]
#[should_panic(expected = "a request is completed exactly once")]
fn a_request_is_completed_once() {
    let mut table = table();
    let id = table.insert(SLOT, request(1, RequestKind::Flush, 0));
    table.complete(id, Ok(()), ReplyDetail::Nothing);
    table.complete(id, Ok(()), ReplyDetail::Nothing);
}

#[test]
fn requests_of_a_vdisk_take_turns() {
    let mut table = table();
    let ids = [1, 2].map(|handle| table.insert(SLOT, request(handle, RequestKind::Read, 16)));
    ids.into_iter().for_each(|id| table.queue(id));
    assert!(!table.is_data_done(ids[0]), "it waits for its turn");
    assert_eq!(table.take_queued(SLOT), Some(ids[0]));
    assert!(table.is_data_done(ids[0]), "nothing is left to be cut");
    table.queue(ids[0]);
    assert_eq!(table.take_queued(SLOT), Some(ids[1]));
    assert_eq!(table.take_queued(SLOT), Some(ids[0]));
    assert!(!table.has_queued(SLOT));
    for id in ids {
        table.complete(id, Ok(()), ReplyDetail::Nothing);
    }
}

#[test]
fn a_release_grants_what_waited_for_it() {
    let mut table = table();
    let ids = [1, 2].map(|handle| table.insert(SLOT, request(handle, RequestKind::Write, 16)));
    let alone = |id| Claim::new(id, (0, 16), true);
    assert!(table.claim(SLOT, alone(ids[0])));
    assert!(!table.claim(SLOT, alone(ids[1])));
    table.release(ids[0], |id, request| {
        assert_eq!(request.kind(), RequestKind::Write);
        alone(id)
    });
    assert_eq!(table.take_granted(), Some(ids[1]));
    assert_eq!(table.take_granted(), None);
    for id in ids {
        table.complete(id, Ok(()), ReplyDetail::Nothing);
    }
}
