//! No allocation per request once a session is warm. Alone in its file, because the allocator
//! that counts is the whole program's.

use disktime_engine::{BufferPool, Reply, ReplyDetail, RequestKind, Session, VdiskId};
use disktime_nbd::protocol::{RequestHeader, command};
use disktime_nbd::{Export, ExportHandle, NbdSession, SessionLimits};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::IoSlice;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: everything is left to the system's allocator; the count is a thread's own number.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise about `start` and `layout` is passed on.
        unsafe { System.dealloc(start, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

#[test]
fn a_warm_session_allocates_nothing() {
    let export = Export::new(ExportHandle(0), VdiskId(0), "disk", 1 << 30);
    let mut session = NbdSession::new(export, SessionLimits::default(), &[]);
    let mut pool = BufferPool::new(64 << 20);
    let mut batch = Vec::new();
    for cookie in 0..32 {
        let command = [command::READ, command::WRITE, command::FLUSH, 99][cookie as usize % 4];
        let len_bytes = if command == command::FLUSH { 0 } else { 4096 };
        let header = RequestHeader {
            flags: 0,
            command,
            cookie,
            offset_bytes: 0,
            len_bytes,
        };
        batch.extend_from_slice(&header.encode());
        if command == command::WRITE {
            batch.resize(batch.len() + 4096, 0x5A);
        }
    }
    let mut held = Vec::with_capacity(64);
    let mut answered = 0;
    for round in 0..200 {
        if round == 10 {
            ALLOCATIONS.with(|count| count.set(0));
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
        for request in held.drain(..) {
            assert_ne!(request.kind, RequestKind::Trim);
            answered += 1;
            let reply = Reply {
                origin: request.origin,
                handle: request.handle,
                kind: request.kind,
                result: Ok(()),
                buffer: request.buffer,
                detail: ReplyDetail::Nothing,
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
    assert_eq!(answered, 200 * 24);
    assert_eq!(
        ALLOCATIONS.with(Cell::get),
        0,
        "allocations after the first rounds"
    );
}
