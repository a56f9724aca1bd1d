//! No allocation per request once a volume set is warm. Alone in its file, because the allocator
//! that counts is the whole program's.

mod common;

use common::{BLANK, DIRTY, MIB, configs, disk_loop, options};
use disktime_disks::{
    Completion, ContentMap, Disk, DiskProperties, DiskRequest, FreeSpace, LinearCost, Operation,
    SpaceBelow, Store, VirtualDisk, VirtualLinearDisk,
};
use disktime_engine::{Buffer, Extent, PolicyKind, Reply, Request, RequestKind, Service, VdiskId};
use disktime_testing::allocations::{Counting, count};
use disktime_units::{Nanos, TrimHandling};
use disktime_volumes::{Format, VirtualDriver, VolumeSet};

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

/// A disk in virtual time.
fn virtual_disk() -> VirtualLinearDisk {
    let cost = LinearCost {
        read_base: Nanos::from_micros(80),
        read_per_mib: Nanos::from_micros(400),
        write_base: Nanos::from_micros(30),
        write_per_mib: Nanos::from_micros(900),
        flush: Nanos::from_micros(300),
    };
    VirtualDisk::linear(SIZE_BYTES, cost, 8, "test", Store::Head(SIZE_BYTES))
}

/// The same as a file of which nothing has its space yet. It forgets what is discarded, and keeps
/// the memory.
struct SparseFile {
    disk: VirtualLinearDisk,
    free: FreeSpace,
}

impl Disk for SparseFile {
    fn properties(&self) -> &DiskProperties {
        self.disk.properties()
    }
    fn submit(&mut self, now: Nanos, request: DiskRequest) {
        let request = match request.operation {
            Operation::Discard => DiskRequest {
                operation: Operation::Flush,
                offset_bytes: 0,
                len_bytes: 0,
                ..request
            },
            _ => request,
        };
        self.disk.submit(now, request);
    }
    fn collect(&mut self, now: Nanos, completions: &mut Vec<Completion>) {
        self.disk.collect(now, completions);
    }
    fn next_completion(&self) -> Option<Nanos> {
        self.disk.next_completion()
    }
    fn content_map(&self) -> Option<&dyn ContentMap> {
        Some(self)
    }
    fn free_space(&self) -> Option<&FreeSpace> {
        Some(&self.free)
    }
}

impl ContentMap for SparseFile {
    fn data_after(&self, _from: u64, _to: u64) -> Option<(u64, u64)> {
        None
    }
    fn space_below(&self) -> Option<&dyn SpaceBelow> {
        Some(self)
    }
}

impl SpaceBelow for SparseFile {
    fn unit_bytes(&self) -> u64 {
        4096
    }
    fn each(&self, _range: (u64, u64), _calls: &mut u32, _note: &mut dyn FnMut(u64, u64)) {}
    fn is_exact(&self) -> bool {
        true
    }
}

/// A set with two vdisks, and what a client of both has.
struct Bench<D: Disk> {
    set: VolumeSet<D>,
    handles: Vec<VdiskId>,
    buffers: Vec<Option<Buffer>>,
    replies: Vec<Reply>,
    now: Nanos,
}

impl<D: Disk> Bench<D> {
    fn new(
        disk: D,
        format: Format,
        vdisk_bytes: u64,
        trims: TrimHandling,
        buffer: fn(u64) -> Option<Buffer>,
    ) -> Self {
        let mut driver = VirtualDriver::default();
        let mut vdisks = configs(&[("a", vdisk_bytes), ("b", vdisk_bytes)]);
        for vdisk in &mut vdisks {
            vdisk.trims = trims;
            vdisk.spec.maps_holes = trims == TrimHandling::Hold;
        }
        let disk_loop = disk_loop(disk, PolicyKind::Fahrrad, 64);
        let opened = VolumeSet::open(disk_loop, &mut driver, &vdisks, options(format));
        let set = opened.expect("the disk is in order").0;
        Bench {
            handles: set.vdisk_ids().collect(),
            set,
            buffers: (0..REQUESTS).map(buffer).collect(),
            replies: Vec::with_capacity(REQUESTS as usize),
            now: driver.now,
        }
    }

    /// A round of requests, and their answers.
    fn round(&mut self, round: u64, request: fn(VdiskId, u64, u64, Option<Buffer>) -> Request) {
        for number in 0..REQUESTS {
            let vdisk = self.handles[(number / 8 % 2) as usize];
            let buffer = self.buffers[number as usize].take();
            let request = request(vdisk, round, number, buffer);
            assert!(self.set.submit(self.now, request).is_ok());
        }
        while self.replies.len() < REQUESTS as usize {
            self.turn();
        }
        for mut reply in self.replies.drain(..) {
            assert_eq!(reply.result, Ok(()), "{:?}", reply.kind);
            if let (RequestKind::Status, Some(room)) = (reply.kind, &mut reply.buffer) {
                room.set_len(64 * Extent::BYTES);
            }
            self.buffers[reply.handle as usize] = reply.buffer;
        }
    }

    fn turn(&mut self) {
        self.set.turn(self.now, &mut self.replies);
        self.now = self.set.next_wake().map_or(self.now, |at| at.max(self.now));
    }

    /// The loop's statistics keep readings of ten seconds, one per 100 ms.
    fn fill_statistics(&mut self) {
        for _ in 0..110 {
            self.now += Nanos::from_millis(100);
            self.set.turn(self.now, &mut self.replies);
        }
    }

    /// `request` in rounds: first until tables and pool have grown, then counted.
    fn allocates_nothing(&mut self, request: fn(VdiskId, u64, u64, Option<Buffer>) -> Request) {
        let mut before = 0;
        for round in 0..4 * WARM_ROUNDS {
            if round == WARM_ROUNDS {
                self.fill_statistics();
                before = count();
            }
            self.round(round, request);
        }
        let allocations = count() - before;
        assert_eq!(allocations, 0, "in {} requests", 3 * WARM_ROUNDS * REQUESTS);
        while !self.set.is_idle() {
            self.turn();
        }
    }
}

#[test]
fn a_warm_set_allocates_nothing() {
    let mut bench = Bench::new(virtual_disk(), DIRTY, 8 * MIB, TrimHandling::Pass, buffer);
    bench.allocates_nothing(request);
}

/// Chunks that the rounds of `scattered` use, in vdisks of two regions of the space map each.
const SCATTERED_BYTES: u64 = 24 * MIB;

/// Writes of single blocks and trims of some of them, so that parts of each region come to have
/// their space and lose it; reads and status beside them.
fn scattered(vdisk: VdiskId, round: u64, number: u64, buffer: Option<Buffer>) -> Request {
    let kinds = [
        (RequestKind::Write, 0, 4096),
        (RequestKind::Read, 0, MIB),
        (RequestKind::Write, 16 << 10, 4096),
        (RequestKind::Status, 0, MIB),
        (RequestKind::Trim, 0, 64 << 10),
        (RequestKind::Write, 40 << 10, 4096),
        (RequestKind::Trim, 0, SCATTERED_BYTES / 2),
        (RequestKind::Trim, SCATTERED_BYTES / 2, SCATTERED_BYTES / 2),
    ];
    let (kind, start, len_bytes) = kinds[(number % 8) as usize];
    let is_all = kind == RequestKind::Trim && len_bytes > MIB;
    // Everything is given back in each eighth round.
    let (kind, len_bytes) = match is_all && round % 8 != 7 {
        true => (RequestKind::Trim, 4096),
        false => (kind, len_bytes),
    };
    let chunk = match is_all {
        true => 0,
        // The first rounds write to each chunk: the disk below makes its memory then.
        false => (round * 11 + number / 8) % (SCATTERED_BYTES / MIB) * 16,
    };
    Request {
        origin: 0,
        handle: number,
        vdisk,
        kind,
        offset_bytes: chunk * (64 << 10) + start,
        len_bytes,
        fua: false,
        buffer,
    }
}

fn scattered_buffer(number: u64) -> Option<Buffer> {
    match number % 8 {
        0 | 2 | 5 => Some(Buffer::zeroed(4096)),
        1 => Some(Buffer::zeroed(MIB as usize)),
        3 => Some(Buffer::zeroed(64 * Extent::BYTES)),
        _ => None,
    }
}

/// `scattered` requests to a sparse file.
fn scattered_allocates_nothing(trims: TrimHandling) {
    let disk = SparseFile {
        disk: virtual_disk(),
        free: FreeSpace::new(1 << 40),
    };
    let mut bench = Bench::new(disk, BLANK, SCATTERED_BYTES, trims, scattered_buffer);
    bench.allocates_nothing(scattered);
}

#[test]
fn a_vdisk_whose_space_is_in_pieces_allocates_nothing() {
    scattered_allocates_nothing(TrimHandling::Pass);
}

/// With discards that are sent later, and taken back.
#[test]
fn a_vdisk_that_holds_its_trims_allocates_nothing() {
    scattered_allocates_nothing(TrimHandling::Hold);
}
