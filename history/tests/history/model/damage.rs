//! Damage that costs nothing: a superblock, or a checkpoint if another one can replace it. It
//! stays, and more comes with every opening.

use crate::disk::Disk;
use crate::driver::LOG;
use crate::support::u64_at;
use disktime_history::{SUPERBLOCK_UNITS, UNIT_BYTES};
use disktime_random::SplitMix64;

/// Flips a bit of a superblock, or of the header or tables of one of the two checkpoints.
pub(super) fn damage_what_is_there_twice(disk: &mut Disk, random: &mut SplitMix64) {
    let copies = SUPERBLOCK_UNITS.map(|unit| unit as usize * UNIT_BYTES);
    let is_whole = |at: usize| {
        let mut block = disk.bytes[at..at + UNIT_BYTES].to_vec();
        let checksum = block[12..16].to_vec();
        block[12..16].fill(0);
        crc32c::crc32c(&block).to_le_bytes() == checksum[..]
    };
    let both = copies.iter().all(|at| is_whole(*at));
    if !both || u64_at(&disk.bytes, copies[0] + 64) != u64_at(&disk.bytes, copies[1] + 64) {
        return;
    }
    let unit_at = |at: usize| {
        let unit = &disk.bytes[at..at + 4];
        u32::from_le_bytes(unit.try_into().expect("4 bytes")) as usize
    };
    let newest = unit_at(128) * UNIT_BYTES;
    let before = unit_at(176) * UNIT_BYTES;
    // One of them may have been damaged before, and then written over.
    let is_there = |at: usize, sum: usize| {
        let mut header = disk.bytes[at..at + UNIT_BYTES].to_vec();
        let seed = |epoch: &[u8]| crc32c::crc32c(&[&LOG[..], epoch, &header[16..24]].concat());
        let (of_header, of_payload) = (seed(&header[24..32]), seed(&[0; 8]));
        let payload = &disk.bytes[at + UNIT_BYTES..at + 2 * UNIT_BYTES];
        let payload = crc32c::crc32c_append(of_payload, payload).to_le_bytes();
        header[4..8].fill(0);
        let whole = crc32c::crc32c_append(of_header, &header).to_le_bytes();
        whole[..] == disk.bytes[sum..sum + 4] && payload[..] == header[3072..3076]
    };
    let both = before > 0 && is_there(newest, 132) && is_there(before, 180);
    let at = match random.below(4) {
        0 => copies[random.below(2) as usize],
        1 if both => newest,
        2 if both => newest + UNIT_BYTES,
        3 if both => before + random.below(2) as usize * UNIT_BYTES,
        _ => return,
    };
    disk.bytes[at + random.below(UNIT_BYTES as u64) as usize] ^= 1 << random.below(8);
    disk.settle();
}
