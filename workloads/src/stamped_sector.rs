//! The format of a stamped sector: a header that identifies the write and the position, and content
//! that follows from the header, so that a change of any byte is detected. What is allowed after a
//! crash is not known here.

use disktime_random::Random;

/// Bytes in a block, the unit of writing.
pub const STAMP_BLOCK_BYTES: usize = 4096;
/// Bytes in a sector, the unit that a disk writes atomically.
pub(crate) const SECTOR_BYTES: usize = 512;
/// Sectors in a block.
pub(crate) const SECTORS: usize = STAMP_BLOCK_BYTES / SECTOR_BYTES;
const HEADER_BYTES: usize = 40;
/// Starts every stamped sector; the last byte is the format's version.
const MAGIC: u64 = u64::from_le_bytes(*b"dtstamp\x01");

fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .chunks(8)
        .fold(0xCBF2_9CE4_8422_2325, |hash: u64, chunk| {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let mixed = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            mixed ^ (mixed >> 29)
        })
}

/// Header: magic, vdisk, position (block × 8 + sector), generation, checksum of all but itself.
pub(crate) fn write_sector(
    bytes: &mut [u8],
    vdisk: u64,
    block: u64,
    sector: usize,
    generation: u64,
) {
    let position = block * SECTORS as u64 + sector as u64;
    for (field, value) in [MAGIC, vdisk, position, generation, 0].iter().enumerate() {
        bytes[field * 8..field * 8 + 8].copy_from_slice(&value.to_le_bytes());
    }
    let seed = checksum(&bytes[..HEADER_BYTES]);
    Random::new(seed).fill(&mut bytes[HEADER_BYTES..]);
    let sum = checksum(bytes);
    bytes[HEADER_BYTES - 8..HEADER_BYTES].copy_from_slice(&sum.to_le_bytes());
}

/// The generation of a sector, 0 for zeroes; `None` if it was not stamped for this position.
pub(crate) fn read_sector(bytes: &[u8], vdisk: u64, block: u64, sector: usize) -> Option<u64> {
    if bytes.iter().all(|byte| *byte == 0) {
        return Some(0);
    }
    let generation = u64::from_le_bytes(bytes[24..32].try_into().ok()?);
    let mut expected = [0; SECTOR_BYTES];
    write_sector(&mut expected, vdisk, block, sector, generation);
    (generation > 0 && expected == bytes).then_some(generation)
}
