//! The records of vdisks: the same in section 1 of version 2 and in version 1.
//!
//! A record: length of the name (2), zero (2), number of extents (4), size in bytes (8), uuid (16),
//! the name in UTF-8 padded with zeroes to a multiple of 8, and the extents in the order of the
//! vdisk's address space: offset on the disk (8), length (8), place of the zero map (8; 0: none).

use super::number::uuid_at;
use super::table::{Extent, VdiskEntry};
use super::{MAX_NAME_BYTES, MAX_VDISKS};
use disktime_units::little_endian::{is_zero, u16_at, u32_at, u64_at};

const HEAD_BYTES: usize = 32;
const EXTENT_BYTES: usize = 24;
const NAME_ALIGNMENT_BYTES: usize = 8;

/// Bytes of a record.
pub(super) fn record_bytes(name_bytes: usize, extents: usize) -> usize {
    HEAD_BYTES + name_bytes.next_multiple_of(NAME_ALIGNMENT_BYTES) + extents * EXTENT_BYTES
}

/// Bytes of all records.
pub(super) fn table_bytes(vdisks: &[VdiskEntry]) -> usize {
    let record = |vdisk: &VdiskEntry| record_bytes(vdisk.name().len(), vdisk.extents().len());
    vdisks.iter().map(record).sum()
}

/// All records, one after the other.
pub(super) fn encode(vdisks: &[VdiskEntry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(table_bytes(vdisks));
    for vdisk in vdisks {
        encode_record(vdisk, &mut bytes);
    }
    bytes
}

/// The vdisks of a section, which their records fill. `None` if they do not.
pub(super) fn decode(mut section: &[u8]) -> Option<Vec<VdiskEntry>> {
    let mut vdisks = Vec::new();
    while !section.is_empty() {
        if vdisks.len() == MAX_VDISKS {
            return None;
        }
        vdisks.push(decode_record(&mut section)?);
    }
    Some(vdisks)
}

/// The first `count` vdisks in `bytes`, and what is behind them.
pub(super) fn decode_first(count: usize, mut bytes: &[u8]) -> Option<(Vec<VdiskEntry>, &[u8])> {
    let mut vdisks = Vec::new();
    for _ in 0..count {
        vdisks.push(decode_record(&mut bytes)?);
    }
    Some((vdisks, bytes))
}

fn encode_record(vdisk: &VdiskEntry, bytes: &mut Vec<u8>) {
    let name = vdisk.name().as_bytes();
    let end = bytes.len() + HEAD_BYTES + name.len().next_multiple_of(NAME_ALIGNMENT_BYTES);
    bytes.extend_from_slice(&(name.len() as u16).to_le_bytes());
    bytes.extend_from_slice(&[0; 2]);
    bytes.extend_from_slice(&(vdisk.extents().len() as u32).to_le_bytes());
    bytes.extend_from_slice(&vdisk.size_bytes().to_le_bytes());
    bytes.extend_from_slice(&vdisk.uuid().to_bytes());
    bytes.extend_from_slice(name);
    bytes.resize(end, 0);
    for extent in vdisk.extents() {
        let map = extent.map_offset_bytes.unwrap_or(0);
        for number in [extent.offset_bytes, extent.len_bytes, map] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
}

/// Takes a record off the front. Nothing is allocated that the bytes do not hold.
fn decode_record(rest: &mut &[u8]) -> Option<VdiskEntry> {
    let head = rest.split_off(..HEAD_BYTES)?;
    let name_bytes = usize::from(u16_at(head, 0));
    let extent_count = u32_at(head, 4) as usize;
    if name_bytes == 0 || name_bytes > MAX_NAME_BYTES || u16_at(head, 2) != 0 {
        return None;
    }
    let padded = rest.split_off(..name_bytes.next_multiple_of(NAME_ALIGNMENT_BYTES))?;
    let (name, padding) = padded.split_at(name_bytes);
    if !is_zero(padding) {
        return None;
    }
    let name = std::str::from_utf8(name).ok()?.to_owned();
    let table = rest.split_off(..extent_count.checked_mul(EXTENT_BYTES)?)?;
    let extents = table
        .chunks_exact(EXTENT_BYTES)
        .map(|record| Extent {
            offset_bytes: u64_at(record, 0),
            len_bytes: u64_at(record, 8),
            map_offset_bytes: Some(u64_at(record, 16)).filter(|offset| *offset != 0),
        })
        .collect();
    Some(VdiskEntry::new(
        name,
        uuid_at(head, 16),
        u64_at(head, 8),
        extents,
    ))
}
