//! One body of behaviour that every disk with content has to show, whatever serves it.
//!
//! The driver waits as an engine does: for the descriptor if there is one, until the time that the
//! disk names if it names one. Its clock is real for real and paced disks, and jumps for the
//! others.

mod driver;

use disktime_disks::{
    Buffer, Capabilities, CostModel, DiscardEffect, Disk, DiskOptions, DiskProperties, DiskRequest,
    FaultDisk, FaultOptions, LinearCost, Operation, PacedDisk, PacedOverlapDisk, ServiceTime,
    Store, VirtualDisk, VirtualOverlapDisk, open_disk,
};
use disktime_drive_models::{HddModel, OverlapDrive, ServiceModel, preset};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use driver::{Driver, data_request, request};
use std::path::Path;

const SIZE_BYTES: u64 = 64 << 20;

/// A drive without a mechanism: 20 µs and a nanosecond per 64 bytes.
struct Simple;

impl ServiceModel for Simple {
    fn serve(&mut self, start: Nanos, _: Operation, _: u64, len_bytes: u64) -> Nanos {
        start + Nanos(20_000 + len_bytes / 64)
    }
}

fn real(path: &Path, change: impl FnOnce(&mut DiskOptions)) -> Box<dyn Disk + Send> {
    let mut options = DiskOptions::new(path);
    options.size_bytes = Some(SIZE_BYTES);
    options.create = true;
    options.has_seeks = Some(false);
    change(&mut options);
    open_disk(&options).expect("a file in a temporary folder can be a disk")
}

fn modelled_properties() -> DiskProperties {
    let zero = Nanos::ZERO;
    DiskProperties {
        description: "simple drive".into(),
        size_bytes: SIZE_BYTES,
        block_bytes: 512,
        has_seeks: true,
        worst_case: Nanos::from_millis(1),
        switch_cost: zero,
        worst_seek: zero,
        seek_curve: Vec::new(),
        positioning: None,
        cost: CostModel::Linear(LinearCost {
            read_base: zero,
            read_per_mib: zero,
            write_base: zero,
            write_per_mib: zero,
            flush: zero,
        }),
        max_in_flight: 1,
        quantum_bytes: 512 << 10,
        capabilities: Capabilities {
            discard: DiscardEffect::Ignored,
            caches_reads: false,
            holds_data: false,
            volatile_cache: false,
        },
        notices: Vec::new(),
    }
}

fn paced(inner: Box<dyn Disk + Send>) -> PacedDisk<Simple> {
    PacedDisk::new(Simple, modelled_properties(), inner)
}

/// Everything that holds for every disk.
fn conforms(mut driver: Driver) {
    new_disk_is_zero(&mut driver);
    what_was_written_is_read_in_pieces(&mut driver);
    zeroes_and_discards_keep_to_their_range(&mut driver);
    flush_and_durable_writes_complete(&mut driver);
    random_operations_match_a_shadow(&mut driver);
    assert_eq!(driver.in_flight(), 0);
}

fn new_disk_is_zero(driver: &mut Driver) {
    for offset in [0, SIZE_BYTES / 2, SIZE_BYTES - 4096] {
        assert!(
            driver.read(offset, &[4096]).iter().all(|byte| *byte == 0),
            "at {offset}"
        );
    }
}

fn what_was_written_is_read_in_pieces(driver: &mut Driver) {
    let block = driver.block();
    let data: Vec<u8> = (0..16 * block).map(|at| (at / 7 % 251) as u8).collect();
    driver.write(8192, &data, &[block, 3 * block, 12 * block], false);
    assert_eq!(driver.read(8192, &[4 * block, 11 * block, block]), data);
    // One piece more than the kernel takes in one call.
    let many = vec![block; 1030];
    let data: Vec<u8> = (0..1030 * block)
        .map(|at| (at / block % 253) as u8)
        .collect();
    driver.write(1 << 20, &data, &many, false);
    assert!(
        driver.read(1 << 20, &many) == data,
        "a request of 1030 pieces got mixed up"
    );
}

fn zeroes_and_discards_keep_to_their_range(driver: &mut Driver) {
    let len = 3 << 20;
    driver.write(4 << 20, &vec![0xAB; len], &[len], false);
    let (start, middle) = ((4 << 20) + 8192, (1 << 20) + 4096);
    driver.run(request(Operation::WriteZeroes, start, middle as u64));
    let mut expected = vec![0xAB; len];
    expected[8192..8192 + middle].fill(0);
    assert!(
        driver.read(4 << 20, &[len]) == expected,
        "zeroing missed its range"
    );
    driver.run(request(Operation::Discard, (6 << 20) + 8192, 65536));
    let after = driver.read(6 << 20, &[1 << 20]);
    assert!(
        after[..8192].iter().all(|byte| *byte == 0xAB),
        "a discard reached below its range"
    );
    assert!(
        after[8192 + 65536..].iter().all(|byte| *byte == 0xAB),
        "or above"
    );
}

fn flush_and_durable_writes_complete(driver: &mut Driver) {
    let block = driver.block();
    driver.write(0, &vec![1; block], &[block], true);
    driver.run(request(Operation::Flush, 0, 0));
    let mut zeroes = request(Operation::WriteZeroes, 0, block as u64);
    zeroes.fua = true;
    driver.run(zeroes);
    assert!(driver.read(0, &[block]).iter().all(|byte| *byte == 0));
}

/// As many in flight as the disk takes, on places that do not overlap; each completes once, with
/// its own buffers, and the content ends up as if they had been done one by one.
fn random_operations_match_a_shadow(driver: &mut Driver) {
    let (area, unit) = (16_usize << 20, 8192_usize);
    let base = 32 << 20;
    let mut shadow = vec![0_u8; area];
    let mut random = SplitMix64::new(42);
    for round in 0..20_u8 {
        let depth = driver.disk.properties().max_in_flight;
        let slice = area / depth / unit * unit;
        let mut tags = Vec::new();
        for slot in 0..depth {
            let at = slot * slice + random.below((slice / unit) as u64) as usize * unit;
            let offset = base + at as u64;
            match random.below(4) {
                0 => {
                    shadow[at..at + unit].fill(0);
                    let zeroes = request(Operation::WriteZeroes, offset, unit as u64);
                    tags.push((driver.submit(zeroes), None));
                }
                1 => {
                    let room = vec![Buffer::zeroed(unit / 2), Buffer::zeroed(unit / 2)];
                    let read = data_request(Operation::Read, offset, room);
                    tags.push((driver.submit(read), Some(at)));
                }
                _ => {
                    let value = round.wrapping_mul(31) ^ slot as u8 | 1;
                    shadow[at..at + unit].fill(value);
                    let write = Buffer::copy_of(&shadow[at..at + unit]);
                    let write = data_request(Operation::Write, offset, vec![write]);
                    tags.push((driver.submit(write), None));
                }
            }
        }
        for completion in driver.wait_all() {
            completion.result.as_ref().expect("no operation fails here");
            let position = tags.iter().position(|(tag, _)| *tag == completion.tag);
            let (_, read_at) = tags.swap_remove(position.expect("completed twice, or never asked"));
            if let Some(at) = read_at {
                let data = driver::joined(&completion.buffers);
                assert!(
                    data == shadow[at..at + unit],
                    "a read in a crowd got the wrong bytes"
                );
            }
        }
        assert!(tags.is_empty(), "{tags:?} never completed");
    }
    assert!(
        driver.read(base, &[area]) == shadow,
        "the content is not what was written"
    );
}

fn in_folder(test: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    test(&folder.path().join("test.disk"));
}

#[test]
fn io_uring_on_a_file() {
    in_folder(|path| {
        let disk = real(path, |_| ());
        let description = disk.properties().description.clone();
        assert!(
            description.starts_with("io_uring"),
            "this test needs io_uring; {description}: {:?}",
            disk.properties().notices
        );
        conforms(Driver::real(disk));
    });
}

#[test]
fn io_uring_through_the_page_cache() {
    in_folder(|path| conforms(Driver::real(real(path, |options| options.direct = false))));
}

/// No zeroing of ranges there, so that the engines have to find out and punch holes.
#[test]
fn io_uring_and_plain_calls_on_a_file_in_memory() {
    let folder = tempfile::tempdir_in("/dev/shm").expect("/dev/shm is a tmpfs on every Linux");
    for force_sync in [false, true] {
        let path = folder.path().join(format!("{force_sync}.disk"));
        conforms(Driver::real(real(&path, |options| {
            options.force_sync = force_sync
        })));
    }
}

#[test]
fn io_uring_with_one_request_in_flight() {
    in_folder(|path| {
        conforms(Driver::real(real(path, |options| {
            options.has_seeks = Some(true)
        })))
    });
}

#[test]
fn plain_system_calls_on_a_file() {
    in_folder(|path| {
        let disk = real(path, |options| options.force_sync = true);
        assert!(
            disk.properties()
                .description
                .starts_with("plain system calls")
        );
        conforms(Driver::real(disk));
    });
}

#[test]
fn faulty_disk_without_faults() {
    conforms(Driver::virtual_time(Box::new(FaultDisk::new(
        FaultOptions::instant(SIZE_BYTES),
    ))));
}

#[test]
fn faulty_disk_with_a_model() {
    let mut options = FaultOptions::instant(SIZE_BYTES);
    options.service = ServiceTime::Model(Box::new(Simple));
    options.block_bytes = 4096;
    conforms(Driver::virtual_time(Box::new(FaultDisk::new(options))));
}

#[test]
fn paced_disk_over_io_uring() {
    in_folder(|path| {
        let inner = real(path, |options| options.paced = true);
        conforms(Driver::real(Box::new(paced(inner))));
    });
}

#[test]
fn paced_disk_over_plain_system_calls() {
    in_folder(|path| {
        let inner = real(path, |options| {
            options.paced = true;
            options.force_sync = true;
        });
        conforms(Driver::real(Box::new(paced(inner))));
    });
}

#[test]
fn paced_disks_that_overlap_requests() {
    for (name, force_sync) in [("nvme-970pro", false), ("sata-870", true)] {
        in_folder(|path| {
            let inner = real(path, |options| {
                options.paced = true;
                options.force_sync = force_sync;
                options.max_in_flight = Some(64);
            });
            let drive = OverlapDrive::find(name).expect("a preset");
            let modelled = DiskProperties::of_drive(drive.properties(SIZE_BYTES), name.into());
            let disk = PacedOverlapDisk::new(drive.model(1), modelled, inner);
            assert_eq!(
                disk.properties().max_in_flight,
                drive.queue_depth().min(64) as usize
            );
            conforms(Driver::real(Box::new(disk)));
        });
    }
}

#[test]
fn virtual_hard_disk() {
    let disk = VirtualDisk::new(desktop_drive(), desktop_properties(), Store::Sparse);
    conforms(Driver::virtual_time(Box::new(disk)));
}

#[test]
fn virtual_disk_without_seeks() {
    let mut properties = modelled_properties();
    properties.max_in_flight = 16;
    let disk = VirtualDisk::new(Simple, properties, Store::Sparse);
    conforms(Driver::virtual_time(Box::new(disk)));
}

#[test]
fn virtual_disks_that_overlap_requests() {
    for name in OverlapDrive::names() {
        let drive = OverlapDrive::find(name).expect("a preset");
        let disk = VirtualOverlapDisk::of_drive(&drive, SIZE_BYTES, 1, Store::Sparse);
        conforms(Driver::virtual_time(Box::new(disk)));
    }
}

fn desktop_drive() -> HddModel {
    let (parameters, _) = preset("desktop-7200-2008").expect("the preset of the examples");
    HddModel::scaled_to(&parameters, SIZE_BYTES * 64).expect("a preset is a drive")
}

fn desktop_properties() -> DiskProperties {
    DiskProperties {
        size_bytes: SIZE_BYTES,
        ..DiskProperties::of_drive(desktop_drive().properties(), "desktop".into())
    }
}

/// The paced disk and the virtual disk, both with the model of a hard disk, through the same
/// sequence of runs and jumps, reads and writes, with pauses and without.
#[test]
fn model_and_pacing_give_the_same_times() {
    let mut expected = VirtualDisk::new(desktop_drive(), desktop_properties(), Store::None);
    let instant = FaultDisk::new(FaultOptions::instant(SIZE_BYTES));
    let mut disk = PacedDisk::new(desktop_drive(), desktop_properties(), Box::new(instant));
    let mut random = SplitMix64::new(7);
    let mut now = Nanos::ZERO;
    let (mut offset, mut latest) = (0, Nanos::ZERO);
    let mut completions = Vec::new();
    for tag in 0..2000 {
        let len = (1 + random.below(64)) * 512;
        if offset + len > SIZE_BYTES || random.chance(300_000) {
            offset = random.below(SIZE_BYTES / 512 - 64) * 512;
        }
        let kind = if random.chance(300_000) {
            Operation::Write
        } else {
            Operation::Read
        };
        let make = || DiskRequest {
            tag,
            ..data_request(kind, offset, vec![Buffer::zeroed(len as usize)])
        };
        expected.submit(now, make());
        disk.submit(now, make());
        offset += len;
        let at = expected.next_completion().expect("the virtual disk knows");
        expected.collect(at, &mut completions);
        assert_eq!(disk.next_completion(), Some(at));
        disk.collect(at.saturating_sub(Nanos(1)), &mut completions);
        assert_eq!(completions.len(), 1, "done before the model's time");
        // The process wakes late by up to 100 µs; the model's timeline does not notice.
        let late = Nanos(random.below(100_000));
        latest = latest.max(late);
        disk.collect(at + late, &mut completions);
        assert_eq!(completions.len(), 2, "the model's time has come");
        assert_eq!((completions[1].tag, completions[1].completed_at), (tag, at));
        completions.clear();
        // Half of the time there is a queue, and the next one starts where the last one ended.
        now = if random.chance(500_000) {
            at
        } else {
            at + late
        };
    }
    let pacing = disk.pacing().expect("a paced disk measures it");
    assert_eq!((pacing.overruns, pacing.served), (0, 2000));
    let lateness = pacing.lateness;
    assert_eq!(lateness.count, 2000);
    assert!(
        lateness.p50 < latest && lateness.max >= latest,
        "{lateness:?}"
    );
}

#[test]
fn an_overrun_is_counted_and_moves_the_timeline() {
    let mut options = FaultOptions::instant(SIZE_BYTES);
    options.service = ServiceTime::Constant(Nanos::from_millis(5));
    let mut disk = paced(Box::new(FaultDisk::new(options)));
    let mut completions = Vec::new();
    let read = || data_request(Operation::Read, 0, vec![Buffer::zeroed(4096)]);
    disk.submit(Nanos::ZERO, read());
    let model_time = disk.next_completion().expect("the model names a time");
    disk.collect(model_time, &mut completions);
    assert!(completions.is_empty(), "the data has not come yet");
    assert_eq!(
        disk.next_completion(),
        Some(Nanos::from_millis(5)),
        "waits for the data now"
    );
    disk.collect(Nanos::from_millis(6), &mut completions);
    let completion = completions.pop().expect("the data has come");
    assert_eq!(completion.completed_at, Nanos::from_millis(6));
    let pacing = disk.pacing().expect("a paced disk measures it");
    assert_eq!((pacing.overruns, pacing.served), (1, 1));
    disk.submit(model_time, read());
    let next = disk.next_completion().expect("the model names a time");
    assert!(
        next > Nanos::from_millis(6),
        "the next one starts after the overrun, not at {next}"
    );
}
