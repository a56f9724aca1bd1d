//! The first 128 bytes of a copy of version 2.
//!
//! Magic, version, checksum and length are where version 1 has them, so that a program of either
//! version can tell a whole copy of the other from a damaged one.

use super::features::{Features, ProgramVersion};
use super::number::uuid_at;
use super::{MAGIC, VERSION};
use crate::uuid::Uuid;
use disktime_units::little_endian::{is_zero, u16_at, u32_at, u64_at};

pub(super) const HEADER_BYTES: usize = 128;
/// Where the reserved bytes begin.
const RESERVED_AT: usize = 94;

/// What the header says, without what the codec of the copy sees to (magic, version, checksum).
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) length_bytes: usize,
    pub(super) sections: usize,
    pub(super) generation: u64,
    pub(super) disk_uuid: Uuid,
    pub(super) size_bytes: u64,
    pub(super) known_zero_from: u64,
    pub(super) known_zero_to: u64,
    pub(super) features: Features,
    pub(super) written_by: ProgramVersion,
}

impl Header {
    /// The checksum's field is left zero.
    pub(super) fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&0u32.to_le_bytes());
        bytes.extend_from_slice(&(self.length_bytes as u32).to_le_bytes());
        bytes.extend_from_slice(&(self.sections as u32).to_le_bytes());
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.extend_from_slice(&self.disk_uuid.to_bytes());
        let numbers = [
            self.size_bytes,
            self.known_zero_from,
            self.known_zero_to,
            self.features.incompatible(),
            self.features.compatible(),
        ];
        for number in numbers {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in self.written_by.numbers() {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.resize(HEADER_BYTES, 0);
    }

    /// Of a copy whose magic, version and checksum are right. The reserved bytes are judged apart
    /// ([`reserved_is_zero`]): a feature that this program does not know may use them.
    pub(super) fn decode(copy: &[u8]) -> Header {
        Header {
            length_bytes: u32_at(copy, 16) as usize,
            sections: u32_at(copy, 20) as usize,
            generation: u64_at(copy, 24),
            disk_uuid: uuid_at(copy, 32),
            size_bytes: u64_at(copy, 48),
            known_zero_from: u64_at(copy, 56),
            known_zero_to: u64_at(copy, 64),
            features: Features::new(u64_at(copy, 72), u64_at(copy, 80)),
            written_by: ProgramVersion::new([88, 90, 92].map(|at| u16_at(copy, at))),
        }
    }
}

/// Whether the bytes that have no meaning yet are zero.
pub(super) fn reserved_is_zero(copy: &[u8]) -> bool {
    is_zero(&copy[RESERVED_AT..HEADER_BYTES])
}
