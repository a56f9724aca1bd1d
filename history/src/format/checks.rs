//! Checksums: CRC32C, begun with what makes bytes of another log, epoch or segment fail.

use super::bytes::put;
use super::{UNIT_BYTES, Uuid};

/// Begins the checksums of one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checks {
    log: Uuid,
}

impl Checks {
    /// The checksums of the log with this uuid.
    pub(crate) fn new(log: Uuid) -> Checks {
        Checks { log }
    }

    fn seed(&self, epoch: u64, segment: u64) -> u32 {
        let mut seed = [0; 32];
        put(&mut seed, 0, &self.log);
        put(&mut seed, 16, &epoch.to_le_bytes());
        put(&mut seed, 24, &segment.to_le_bytes());
        crc32c::crc32c(&seed)
    }

    /// Of a unit of payload.
    pub(crate) fn payload(&self, segment: u64, unit: &[u8]) -> u32 {
        crc32c::crc32c_append(self.seed(0, segment), unit)
    }

    /// What turns the unseeded checksum of one unit into that of payload of a segment: a CRC is
    /// linear, so the seed's share depends on the length only. Data can so be summed when it
    /// arrives, before its segment is known.
    pub(crate) fn payload_seed(&self, segment: u64) -> u32 {
        let zeroes = [0; UNIT_BYTES];
        self.payload(segment, &zeroes) ^ crc32c::crc32c(&zeroes)
    }

    /// Of a block whose own checksum field of four bytes lies at `field`.
    pub(crate) fn header(&self, epoch: u64, segment: u64, block: &[u8], field: usize) -> u32 {
        around(self.seed(epoch, segment), block, field)
    }
}

/// Of a block, not seeded.
pub(crate) fn unseeded(block: &[u8], field: usize) -> u32 {
    around(0, block, field)
}

fn around(seed: u32, block: &[u8], field: usize) -> u32 {
    let crc = crc32c::crc32c_append(seed, &block[..field]);
    let crc = crc32c::crc32c_append(crc, &[0; 4]);
    crc32c::crc32c_append(crc, &block[field + 4..])
}
