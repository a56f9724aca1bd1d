//! No allocation per request once a volume set is warm. Alone in its file, because the allocator
//! that counts is the whole program's.

mod common;

use common::{DIRTY, MIB, configs, options};
use disktime_disks::{LinearCost, Store, VirtualDisk};
use disktime_engine::{
    Buffer, DiskLoop, Extent, LoopSettings, Order, PolicyKind, Request, RequestKind, Service,
    SwitchingAccount, VdiskId,
};
use disktime_units::Nanos;
use disktime_volumes::{VirtualDriver, VolumeSet};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

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

const SIZE_BYTES: u64 = 64 * MIB;
const REQUESTS: u64 = 32;
/// Rounds in which tables and pool grow.
const WARM_ROUNDS: u64 = 50;

/// The requests of a round, in turn: whole blocks, parts of blocks, durable, holes, and status. No
/// trim, as this disk gives the memory of what is discarded back.
fn request(vdisk: VdiskId, round: u64, number: u64, buffer: Option<Buffer>) -> Request {
    let kinds = [
        (RequestKind::Read, 4096, 4096),
        (RequestKind::Write, 8192, 4096),
        (RequestKind::Write, 100, 5000),
        (RequestKind::Flush, 0, 0),
        (RequestKind::WriteZeroes, 0, 64 << 10),
        (RequestKind::Write, 512, 512),
        (RequestKind::Status, 0, MIB),
        (RequestKind::Read, 0, MIB),
    ];
    let (kind, start, len_bytes) = kinds[(number % 8) as usize];
    let chunk = if kind == RequestKind::Flush {
        0
    } else {
        (round * 7 + number) % 64
    };
    Request {
        origin: 0,
        handle: number,
        vdisk,
        kind,
        offset_bytes: chunk * (64 << 10) + start,
        len_bytes,
        fua: number % 8 == 5,
        buffer,
    }
}

/// The buffer that a request of that number has in every round.
fn buffer(number: u64) -> Option<Buffer> {
    match number % 8 {
        0 | 1 => Some(Buffer::zeroed(4096)),
        2 => Some(Buffer::zeroed(5000)),
        5 => Some(Buffer::zeroed(512)),
        6 => Some(Buffer::zeroed(64 * Extent::BYTES)),
        7 => Some(Buffer::zeroed(MIB as usize)),
        _ => None,
    }
}

#[test]
fn a_warm_set_allocates_nothing() {
    let cost = LinearCost {
        read_base: Nanos::from_micros(80),
        read_per_mib: Nanos::from_micros(400),
        write_base: Nanos::from_micros(30),
        write_per_mib: Nanos::from_micros(900),
        flush: Nanos::from_micros(300),
    };
    let disk = VirtualDisk::linear(SIZE_BYTES, cost, 8, "test", Store::Head(SIZE_BYTES));
    let settings = LoopSettings {
        policy: PolicyKind::Fahrrad,
        switching: SwitchingAccount::Served,
        order: Order::Sweep,
        max_queued: 64,
    };
    let mut driver = VirtualDriver::default();
    let vdisks = configs(&[("a", 8 * MIB), ("b", 8 * MIB)]);
    let disk_loop = DiskLoop::new(disk, settings);
    let opened = VolumeSet::open(disk_loop, &mut driver, &vdisks, options(DIRTY));
    let mut set = opened.expect("the disk is in order").0;
    let handles: Vec<VdiskId> = set.vdisk_ids().collect();
    let mut buffers: Vec<Option<Buffer>> = (0..REQUESTS).map(buffer).collect();
    let mut replies = Vec::with_capacity(REQUESTS as usize);
    let (mut now, mut before) = (driver.now, 0);
    for round in 0..4 * WARM_ROUNDS {
        if round == WARM_ROUNDS {
            // The loop's statistics keep readings of ten seconds, one per 100 ms.
            for _ in 0..110 {
                now += Nanos::from_millis(100);
                set.turn(now, &mut replies);
            }
            before = ALLOCATIONS.with(Cell::get);
        }
        for number in 0..REQUESTS {
            let vdisk = handles[(number / 8 % 2) as usize];
            let buffer = buffers[number as usize].take();
            let request = request(vdisk, round, number, buffer);
            assert!(set.submit(now, request).is_ok());
        }
        while replies.len() < REQUESTS as usize {
            set.turn(now, &mut replies);
            now = set.next_wake().map_or(now, |wake| wake.max(now));
        }
        for mut reply in replies.drain(..) {
            assert_eq!(reply.result, Ok(()), "{:?}", reply.kind);
            if let (RequestKind::Status, Some(room)) = (reply.kind, &mut reply.buffer) {
                room.set_len(64 * Extent::BYTES);
            }
            buffers[reply.handle as usize] = reply.buffer;
        }
    }
    let allocations = ALLOCATIONS.with(Cell::get) - before;
    assert_eq!(allocations, 0, "in {} requests", 3 * WARM_ROUNDS * REQUESTS);
    while !set.is_idle() {
        set.turn(now, &mut replies);
        now = set.next_wake().map_or(now, |wake| wake.max(now));
    }
}
