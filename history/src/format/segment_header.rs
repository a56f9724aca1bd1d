//! The first unit of a segment.

use super::bytes::put;
use super::checks::Checks;
use super::{COUNT_LIMIT, UNIT_BYTES, VERSION};
use disktime_units::little_endian::{u32_at, u64_at};

const MAGIC: &[u8; 8] = b"DTHSEGMT";
const CHECKSUM_AT: usize = 12;

/// The header of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) id: u64,
    pub(crate) epoch: u64,
    pub(crate) first_seq: u64,
    pub(crate) first_batch: u64,
    /// 0: there is no segment before it.
    pub(crate) previous: u64,
    pub(crate) previous_seal_checksum: u32,
    pub(crate) slot: u32,
    /// Free when the header is written, and kept for the segment after this one.
    pub(crate) next_slot: u32,
    pub(crate) time_ns: u64,
}

impl SegmentHeader {
    /// The unit, and its checksum.
    pub(crate) fn encode(&self, checks: &Checks) -> (Vec<u8>, u32) {
        let mut block = vec![0; UNIT_BYTES];
        put(&mut block, 0, MAGIC);
        put(&mut block, 8, &VERSION.to_le_bytes());
        put(&mut block, 16, &self.id.to_le_bytes());
        put(&mut block, 24, &self.epoch.to_le_bytes());
        put(&mut block, 32, &self.first_seq.to_le_bytes());
        put(&mut block, 40, &self.first_batch.to_le_bytes());
        put(&mut block, 48, &self.previous.to_le_bytes());
        put(&mut block, 56, &self.previous_seal_checksum.to_le_bytes());
        put(&mut block, 60, &self.slot.to_le_bytes());
        put(&mut block, 64, &self.next_slot.to_le_bytes());
        put(&mut block, 72, &self.time_ns.to_le_bytes());
        let checksum = checks.header(0, self.id, &block, CHECKSUM_AT);
        put(&mut block, CHECKSUM_AT, &checksum.to_le_bytes());
        (block, checksum)
    }

    /// The header of segment `id`, and its checksum; `None` if the unit does not hold it.
    pub(crate) fn decode(checks: &Checks, id: u64, block: &[u8]) -> Option<(SegmentHeader, u32)> {
        SegmentHeader::decode_any(checks, block).filter(|(header, _)| header.id == id)
    }

    /// The header of whatever segment the unit holds one of, and its checksum.
    pub(crate) fn decode_any(checks: &Checks, block: &[u8]) -> Option<(SegmentHeader, u32)> {
        if block.len() != UNIT_BYTES || &block[..8] != MAGIC {
            return None;
        }
        let checksum = u32_at(block, CHECKSUM_AT);
        let header = SegmentHeader {
            id: u64_at(block, 16),
            epoch: u64_at(block, 24),
            first_seq: u64_at(block, 32),
            first_batch: u64_at(block, 40),
            previous: u64_at(block, 48),
            previous_seal_checksum: u32_at(block, 56),
            slot: u32_at(block, 60),
            next_slot: u32_at(block, 64),
            time_ns: u64_at(block, 72),
        };
        let counts = [
            header.id,
            header.epoch,
            header.first_seq,
            header.first_batch,
            header.previous,
            header.time_ns,
        ];
        let is_whole = counts.iter().all(|count| *count < COUNT_LIMIT)
            && checks.header(0, header.id, block, CHECKSUM_AT) == checksum
            && u32_at(block, 8) == VERSION;
        is_whole.then_some((header, checksum))
    }
}
