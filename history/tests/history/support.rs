//! What tests of single behaviours share.

use crate::disk::Disk;
use crate::driver::{Driver, LOG, geometry, settings};
use disktime_history::{OpenError, RequestId, SUPERBLOCK_UNITS, Seq, UNIT_BYTES, WhenFull};
use disktime_random::SplitMix64;

pub(crate) fn new(when_full: WhenFull) -> (Driver, SplitMix64) {
    let driver = Driver::new(geometry(32, 8, 64), settings(2, when_full));
    (driver, SplitMix64::new(3))
}

pub(crate) fn write(driver: &mut Driver, random: &mut SplitMix64, lba: u64, byte: u8) -> Seq {
    let data = vec![byte; UNIT_BYTES];
    let request = driver.write(lba, data, true).expect("taken");
    driver.finish(request, random).expect("written")
}

pub(crate) fn done(driver: &mut Driver, random: &mut SplitMix64, request: RequestId) -> Seq {
    driver.finish(request, random).expect("done")
}

pub(crate) fn revert(driver: &mut Driver, random: &mut SplitMix64, moment: Seq) -> Seq {
    let request = driver.request();
    driver.log.revert(request, moment).expect("taken");
    done(driver, random, request)
}

/// Opens what the disks of `driver` hold now.
pub(crate) fn reopened(driver: &Driver) -> Result<(Driver, disktime_history::Report), OpenError> {
    let (mut disk, image) = (driver.disk.clone(), driver.image.clone());
    disk.settle();
    Driver::open(disk, image, driver.geometry(), driver.settings())
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

/// The places of batches of a type in all segments, in bytes, oldest first by batch number.
pub(crate) fn batches(driver: &Driver, kind: u8) -> Vec<usize> {
    let bytes = &driver.disk.bytes;
    let places = (32..bytes.len() / UNIT_BYTES).map(|unit| unit * UNIT_BYTES);
    let is_batch = |at: &usize| bytes[*at..].starts_with(b"DTHB") && bytes[at + 10] == kind;
    let mut found: Vec<usize> = places.filter(is_batch).collect();
    found.sort_by_key(|at| u64_at(bytes, at + 32));
    found
}

/// The place of the CHECKPOINT that the superblocks name.
pub(crate) fn newest_checkpoint(driver: &Driver) -> usize {
    let unit = &driver.disk.bytes[128..132];
    u32::from_le_bytes(unit.try_into().expect("4 bytes")) as usize * UNIT_BYTES
}

/// Makes the checksum of a batch header right again.
pub(crate) fn reseal(bytes: &mut [u8], at: usize) {
    let seed = [&LOG[..], &bytes[at + 24..at + 32], &bytes[at + 16..at + 24]].concat();
    let block = &mut bytes[at..at + UNIT_BYTES];
    block[4..8].fill(0);
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&seed), block);
    block[4..8].copy_from_slice(&checksum.to_le_bytes());
}

/// Changes a field of both superblocks.
pub(crate) fn change_superblocks(disk: &mut Disk, at: usize, field: &[u8]) {
    for unit in SUPERBLOCK_UNITS {
        let from = unit as usize * UNIT_BYTES;
        let block = &mut disk.bytes[from..from + UNIT_BYTES];
        block[at..at + field.len()].copy_from_slice(field);
        block[12..16].fill(0);
        let checksum = crc32c::crc32c(block).to_le_bytes();
        block[12..16].copy_from_slice(&checksum);
    }
}
