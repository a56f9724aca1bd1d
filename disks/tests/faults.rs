//! The fault-injecting disk does what its script and its seed say, and its crashes keep what was
//! promised.

mod driver;

use disktime_disks::{
    Buffer, Disk, DiskErrorKind, Fault, FaultDisk, FaultKind, FaultOptions, Operation, ServiceTime,
};
use disktime_random::SplitMix64;
use disktime_units::Nanos;
use driver::{Driver, data_request, request};

const SIZE_BYTES: u64 = 64 << 20;

#[test]
fn scripted_and_seeded_faults_hit_what_they_name() {
    let disk = FaultDisk::new(FaultOptions::instant(SIZE_BYTES));
    let handle = disk.handle();
    let mut driver = Driver::virtual_time(Box::new(disk));
    handle.inject(Fault {
        operation: Some(Operation::Read),
        range_bytes: 8192..12288,
        skip: 1,
        times: Some(1),
        kind: FaultKind::Error(DiskErrorKind::Io),
    });
    let room = || vec![Buffer::zeroed(8192)];
    let mut failures = Vec::new();
    for offset in [8192, 0, 4096, 4096, 8192] {
        driver.submit(data_request(Operation::Read, offset, room()));
        failures.extend(
            driver
                .wait_all()
                .into_iter()
                .map(|completion| completion.result.is_err()),
        );
    }
    assert_eq!(failures, [false, false, true, false, false]);
    handle.inject(Fault::every(
        Operation::Flush,
        FaultKind::Error(DiskErrorKind::Io),
    ));
    driver.submit(request(Operation::Flush, 0, 0));
    assert!(driver.wait_all()[0].result.is_err());
    handle.clear_faults();
    driver.submit(request(Operation::Flush, 0, 0));
    let error = driver
        .wait_all()
        .remove(0)
        .result
        .expect_err("a failed flush is final");
    assert_eq!(error.kind, DiskErrorKind::FlushFailedBefore);
}

#[test]
fn a_stuck_request_ends_when_released() {
    let mut disk = FaultDisk::new(FaultOptions::instant(SIZE_BYTES));
    let handle = disk.handle();
    handle.inject(Fault::every(Operation::Read, FaultKind::Stuck));
    disk.submit(
        Nanos(1),
        data_request(Operation::Read, 0, vec![Buffer::zeroed(512)]),
    );
    let mut completions = Vec::new();
    disk.collect(Nanos::from_secs(3600), &mut completions);
    assert!(completions.is_empty() && disk.next_completion().is_none());
    handle.release_stuck(Nanos::from_secs(3601));
    disk.collect(Nanos::from_secs(3601), &mut completions);
    assert_eq!(completions.len(), 1);
}

/// Writes a value per operation and flushes now and then, up to a crash at every operation: what
/// was flushed survives, and nothing appears that was never written.
#[test]
fn every_crash_point_keeps_what_was_flushed() {
    let sweep = |point: u64| {
        let disk = FaultDisk::new(FaultOptions::instant(SIZE_BYTES));
        let handle = disk.handle();
        handle.freeze_at(point);
        let mut driver = Driver::virtual_time(Box::new(disk));
        let (mut flushed, mut written) = (0_u8, 0_u8);
        for value in 1..=20_u8 {
            let write = Buffer::copy_of(&[value; 2048]);
            driver.submit(data_request(Operation::Write, 4096, vec![write]));
            written = value;
            if handle.is_frozen() {
                break;
            }
            driver.wait_all();
            if value % 3 == 0 {
                driver.submit(request(Operation::Flush, 0, 0));
                if handle.is_frozen() {
                    break;
                }
                driver.wait_all();
                flushed = value;
            }
        }
        let mut random = SplitMix64::new(point);
        let after = handle.crash(&mut random, ServiceTime::Constant(Nanos::ZERO));
        let found = Driver::virtual_time(Box::new(after)).read(4096, &[2048]);
        for sector in found.chunks(512) {
            assert!(
                sector.iter().all(|byte| *byte == sector[0]),
                "torn inside a sector"
            );
            let value = sector[0];
            assert!(
                (flushed..=written).contains(&value),
                "crash at {point}: found {value}, flushed {flushed}, written {written}"
            );
        }
        (found, handle.operations())
    };
    let (_, operations) = sweep(u64::MAX);
    assert_eq!(operations, 26);
    let mut torn = 0;
    for point in 0..operations {
        let (found, _) = sweep(point);
        assert_eq!(found, sweep(point).0, "the same seed made another crash");
        torn += u32::from(found.iter().any(|byte| *byte != found[0]));
    }
    assert!(torn > 0, "no crash tore a request");
}
