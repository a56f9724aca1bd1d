//! Content of which the log finds the blocks when they are asked for: moments, and the newest
//! content after a revert. It is there at once, is its full copy, also where footers cannot be
//! read, and clones begin with it.

mod common;

use common::histories::{Done, HISTORY, ask, clone_config, listener, open_at, with_history};
use common::{BLANK, MIB, Machine, TestDisk, crash, new_disk, run};
use disktime_disks::{Buffer, DiskErrorKind, Fault, FaultDisk, FaultHandle, FaultKind, Operation};
use disktime_engine::{Extent, IoError, Reply, RequestKind, Service, VdiskId};
use disktime_history::{Moment, WhenFull};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use disktime_volumes::Format;

const QUANTUM: u32 = 128 << 10;
const SIZE: u64 = 8 * MIB;
const DISK: u64 = 240 * MIB;
/// What one request of the disk takes.
const IO: Nanos = Nanos::from_micros(100);

struct World {
    machine: Machine<TestDisk>,
    handle: FaultHandle,
    random: SplitMix64,
    copy: Vec<u8>,
    /// Moments, with their full copies.
    moments: Vec<(u64, Vec<u8>)>,
}

fn open(disk: FaultDisk, format: Format, now: Nanos) -> Machine<TestDisk> {
    let vdisks = [with_history(SIZE, 1 << 60, WhenFull::Refuse)];
    let disk = TestDisk::around(disk, QUANTUM);
    open_at(disk, &vdisks, format, now).expect("it opens").0
}

impl World {
    /// A log of some 40 segments in which most blocks have several versions.
    fn new(seed: u64) -> World {
        let disk = new_disk(DISK, 4096, seed);
        let handle = disk.handle();
        let mut world = World {
            machine: open(disk, BLANK, Nanos::ZERO),
            handle,
            random: SplitMix64::new(seed),
            copy: vec![0; SIZE as usize],
            moments: Vec::new(),
        };
        for index in 0..1300_u64 {
            world.change();
            if index % 130 == 100 {
                let newest = world.newest();
                world.moments.push((newest, world.copy.clone()));
            }
        }
        world
    }

    fn newest(&self) -> u64 {
        let vdisk = self.machine.handle(0);
        let report = self.machine.set.history(vdisk).expect("a history");
        report.status.newest
    }

    fn change(&mut self) {
        let blocks = 1 + self.random.below(16);
        let offset = self.random.below(SIZE / 4096 - blocks) * 4096;
        let range = offset as usize..(offset + blocks * 4096) as usize;
        let place = (offset, blocks * 4096);
        if self.random.below(40) == 0 {
            self.copy[range].fill(0);
            let kind = RequestKind::Trim;
            let done = self.machine.call(0, kind, place, None, false);
            done.expect("a trim");
            return;
        }
        let byte = self.random.below(255) as u8 + 1;
        let data: Vec<u8> = range.clone().map(|at| byte ^ (at >> 12) as u8).collect();
        self.copy[range].copy_from_slice(&data);
        self.machine.write(0, offset, &data).expect("a write");
    }

    fn ask(&mut self, vdisk: VdiskId, kind: RequestKind, place: (u64, u64)) -> Reply {
        ask(&mut self.machine, vdisk, kind, place)
    }

    fn read(&mut self, vdisk: VdiskId, place: (u64, u64)) -> Result<Vec<u8>, IoError> {
        let reply = self.ask(vdisk, RequestKind::Read, place);
        let buffer = reply.buffer.expect("its buffer");
        reply.result.map(|()| buffer.to_vec())
    }

    fn check(&mut self, vdisk: VdiskId, copy: &[u8], place: (u64, u64)) {
        let range = place.0 as usize..(place.0 + place.1) as usize;
        let read = self.read(vdisk, place).expect("it can be read");
        assert!(read == copy[range], "{place:?}");
    }

    /// What block status calls zeroes is zeroes.
    fn check_status(&mut self, vdisk: VdiskId, copy: &[u8]) {
        let reply = self.ask(vdisk, RequestKind::Status, (0, SIZE));
        reply.result.expect("status is told");
        let mut at = 0;
        for extent in Extent::read_all(&reply.buffer.expect("its buffer")) {
            let end = at + extent.len_bytes as usize;
            let is_zero = |block: &[u8]| block.iter().all(|byte| *byte == 0);
            let mut blocks = copy[at..end].chunks(4096);
            assert!(!extent.zero || blocks.all(is_zero), "{at} of {extent:?}");
            at = end;
        }
        assert_eq!(at, SIZE as usize);
    }

    /// Has something done; what the callback is given, as soon as it is.
    fn hear<T: Send + 'static>(
        &mut self,
        begin: impl FnOnce(&mut Machine<TestDisk>, VdiskId, Done<T>),
    ) -> T {
        let (heard, done) = listener();
        let vdisk = self.machine.handle(0);
        begin(&mut self.machine, vdisk, done);
        let machine = &mut self.machine;
        loop {
            machine.set.turn(machine.now, &mut machine.replies);
            if let Some(result) = heard.lock().expect("no panic").take() {
                return result.expect("it is done");
            }
            let wake = machine.set.next_wake().expect("something is to come");
            machine.now = machine.now.max(wake);
        }
    }

    fn open(&mut self, moment: u64) -> VdiskId {
        let moment = Moment::Seq(moment);
        self.hear(|machine, vdisk, done| machine.set.open_moment(vdisk, &moment, done))
            .0
    }

    fn revert(&mut self, moment: u64) {
        let moment = Moment::Seq(moment);
        self.hear(|machine, vdisk, done| machine.set.revert(vdisk, &moment, done));
    }

    /// A flush and a write, and what is in flight of the background before them.
    fn timed(&mut self, what: impl FnOnce(&mut World)) {
        let began = self.machine.now;
        what(self);
        let took = self.machine.now - began;
        assert!(took <= Nanos(6 * IO.0), "{took}");
    }

    fn undo(&mut self) {
        self.hear(|machine, vdisk, done| machine.set.undo_revert(vdisk, done));
    }

    /// The server is killed and started again; units of the log's area that begin with each of
    /// these bytes.
    fn restart<const N: usize>(&mut self, magics: [&[u8]; N]) -> [Vec<u64>; N] {
        self.machine.flush(0).expect("flushed");
        let (from, len) = self.machine.set.label().histories()[0].extents()[0];
        assert_eq!(len, HISTORY);
        let now = self.machine.now;
        let mut disk = crash(&self.handle, 1);
        let mut found = [const { Vec::new() }; N];
        for at in (from..from + len).step_by(4096) {
            let buffer = Buffer::zeroed(4096);
            let read = run(&mut disk, Operation::Read, at, 4096, vec![buffer]);
            for (magic, found) in std::iter::zip(magics, &mut found) {
                found.extend(read[0].starts_with(magic).then_some(at));
            }
        }
        self.handle = disk.handle();
        let machine = open(disk, Format::Refuse, now);
        std::mem::replace(&mut self.machine, machine).set.abandon();
        self.machine.settle();
        found
    }

    fn fail_reads(&self, units: &[u64]) {
        for at in units {
            self.handle.inject(Fault {
                range_bytes: *at..at + 4096,
                ..Fault::every(Operation::Read, FaultKind::Error(DiskErrorKind::Io))
            });
        }
    }
}

#[test]
fn a_moment_is_open_at_once_and_is_its_full_copy() {
    let mut world = World::new(1);
    let moments = world.moments.clone();
    // After a restart, too.
    for is_restarted in [false, true] {
        if is_restarted {
            world.restart([]);
        }
        for (moment, copy) in &moments {
            let began = world.machine.now;
            let view = world.open(*moment);
            assert_eq!(world.machine.now, began, "nothing is read");
            let block = world.random.below(SIZE / 4096) * 4096;
            world.check(view, copy, (block, 4096));
            let took = world.machine.now - began;
            assert!(took <= Nanos(5 * IO.0), "{took}");
            for offset in (0..SIZE).step_by(64 << 10) {
                world.check(view, copy, (offset, 64 << 10));
            }
            world.check_status(view, copy);
            world.machine.set.close_moment(view);
        }
    }
}

/// Who asks for block status goes through all; a long read does so, too.
#[test]
fn block_status_and_long_reads_of_a_moment_make_it_whole() {
    let mut world = World::new(2);
    let (moment, copy) = world.moments[3].clone();
    let view = world.open(moment);
    world.check_status(view, &copy);
    let view_at = world.newest();
    let later = world.open(view_at);
    let copy = world.copy.clone();
    world.check(later, &copy, (0, SIZE));
    for vdisk in [view, later] {
        // From here on only data is read.
        let began = world.machine.now;
        let read = world.read(vdisk, (0, 4096));
        read.expect("it can be read");
        assert!(world.machine.now - began <= IO);
    }
}

#[test]
fn footers_that_cannot_be_read_are_done_without() {
    let mut world = World::new(3);
    let [pages, headers] = world.restart([b"DTHF", b"DTHB"]);
    assert!(pages.len() > 20);
    world.fail_reads(&pages);
    let (moment, copy) = world.moments[2].clone();
    let view = world.open(moment);
    for offset in (0..SIZE).step_by(256 << 10) {
        world.check(view, &copy, (offset, 4096));
    }
    world.check_status(view, &copy);
    world.revert(moment);
    let now = world.machine.handle(0);
    for offset in (0..SIZE).step_by(256 << 10) {
        world.check(now, &copy, (offset, 4096));
    }
    world.check_status(now, &copy);
    world.undo();
    let copy = world.copy.clone();
    world.check(now, &copy, (0, SIZE));
    // Without headers nothing says what their segments held: reads of that fail, and no others.
    world.fail_reads(&headers);
    let (moment, copy) = world.moments[5].clone();
    let view = world.open(moment);
    let mut failed = 0;
    for offset in (0..SIZE).step_by(4096) {
        match world.read(view, (offset, 4096)) {
            Ok(read) => assert!(read == copy[offset as usize..][..4096]),
            Err(why) => {
                assert_eq!(why, IoError::Io);
                failed += 1;
            }
        }
    }
    assert!((1..SIZE / 4096).contains(&failed), "{failed}");
    let reply = world.ask(view, RequestKind::Status, (0, SIZE));
    assert_eq!(reply.result, Err(IoError::Io));
    let copy = world.copy.clone();
    world.check(now, &copy, (0, SIZE));
}

/// The record of a revert is all that is waited for; what is read and written right behind it is
/// right.
#[test]
fn a_revert_is_done_at_once_at_any_distance() {
    for seed in 4..8 {
        let mut world = World::new(seed);
        let now = world.machine.handle(0);
        for (moment, copy) in world.moments.clone() {
            let newest = world.copy.clone();
            let block = world.random.below(SIZE / 4096) * 4096;
            world.timed(|world| world.revert(moment));
            world.check(now, &copy, (block, 4096));
            world.timed(World::undo);
            world.check(now, &newest, (block, 4096));
            world.timed(|world| world.revert(moment));
            world.copy = copy;
            // Blocks in part are merged with what they hold.
            for _ in 0..6 {
                let at = world.random.below(SIZE - 5000);
                let data = vec![world.random.below(256) as u8; 5000];
                let range = at as usize..at as usize + data.len();
                world.copy[range].copy_from_slice(&data);
                let place = (at, data.len() as u64);
                let kind = RequestKind::Write;
                let taken = world.machine.submit(0, kind, place, Some(&data), false);
                taken.expect("it is taken");
            }
            let copy = world.copy.clone();
            world.machine.settle();
            world.check_status(now, &copy);
            world.check(now, &copy, (0, SIZE));
        }
    }
}

#[test]
fn a_clone_of_a_moment_that_is_being_read_is_its_full_copy() {
    let mut world = World::new(9);
    let (moment, copy) = world.moments[4].clone();
    let view = world.open(moment);
    world.check(view, &copy, (0, 4096));
    let config = clone_config("clone");
    let of = Moment::Seq(moment);
    world.hear(|machine, parent, done| machine.set.clone_vdisk(parent, &of, config, done));
    let clone = world.machine.set.vdisk_id("clone").expect("it is served");
    for vdisk in [clone, view] {
        world.check(vdisk, &copy, (0, SIZE));
        world.check_status(vdisk, &copy);
    }
    world.machine.set.close_moment(view);
    world.check(clone, &copy, (0, SIZE));
}
