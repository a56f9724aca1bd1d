//! No allocation per request once a volume set is warm. Alone in its file, because the allocator
//! that counts is the whole program's.

mod common;

use common::{DIRTY, MIB, configs, disk_loop, options};
use disktime_disks::{LinearCost, Store, VirtualDisk};
use disktime_engine::{Buffer, Extent, PolicyKind, Request, RequestKind, Service, VdiskId};
use disktime_testing::allocations::{Counting, count};
use disktime_units::Nanos;
use disktime_volumes::{VirtualDriver, VolumeSet};

#[global_allocator]
static COUNTING: Counting = Counting;

const SIZE_BYTES: u64 = 64 * MIB;
const REQUESTS: u64 = 32;
/// Rounds in which tables and pool grow.
const WARM_ROUNDS: u64 = 50;

/// The requests of a round, in turn: whole blocks, parts of blocks, durable, holes, and status. No
/// trim, and no zeroes of whole chunks, as this disk gives the memory of what is discarded back.
fn request(vdisk: VdiskId, round: u64, number: u64, buffer: Option<Buffer>) -> Request {
    let kinds = [
        (RequestKind::Read, 4096, 4096),
        (RequestKind::Write, 8192, 4096),
        (RequestKind::Write, 100, 5000),
        (RequestKind::Flush, 0, 0),
        (RequestKind::WriteZeroes, 4096, 32 << 10),
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
    let mut driver = VirtualDriver::default();
    let vdisks = configs(&[("a", 8 * MIB), ("b", 8 * MIB)]);
    let disk_loop = disk_loop(disk, PolicyKind::Fahrrad, 64);
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
            before = count();
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
    let allocations = count() - before;
    assert_eq!(allocations, 0, "in {} requests", 3 * WARM_ROUNDS * REQUESTS);
    while !set.is_idle() {
        set.turn(now, &mut replies);
        now = set.next_wake().map_or(now, |wake| wake.max(now));
    }
}
