//! Uuids and checksums in the bytes of a label.

use crate::uuid::Uuid;
use disktime_units::little_endian::array_at;

/// Uuid at a place that the caller knows to exist.
pub(super) fn uuid_at(bytes: &[u8], at: usize) -> Uuid {
    Uuid::from_bytes(array_at(bytes, at))
}

/// The checksum of a copy: over all of it, with the checksum's own field as zero.
pub(super) fn copy_checksum(copy: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&copy[..12]);
    let crc = crc32c::crc32c_append(crc, &[0; 4]);
    crc32c::crc32c_append(crc, &copy[16..])
}
