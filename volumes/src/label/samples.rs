//! Labels for unit tests: with sections of unknown kinds, and copies of version 1.

use super::features::Features;
use super::header::HEADER_BYTES;
use super::number::copy_checksum;
use super::{KeptSection, Label, MAGIC, Place, UNIT_BYTES, Uuid, VdiskEntry, vdisks};

/// The kind and the bytes of a section of an unknown kind, and where it lies.
pub(crate) type Kept = (u32, Vec<u8>, Place);

/// A label with these vdisks, whose table lies in `table`, and with nothing known to be zero before
/// `known_zero_from`.
pub(crate) fn label(
    size_bytes: u64,
    known_zero_from: u64,
    vdisks: Vec<VdiskEntry>,
    table: Place,
    kept: Vec<Kept>,
) -> Label {
    let section = |(kind, bytes, place)| KeptSection { kind, place, bytes };
    let label = Label {
        generation: 5,
        known_zero_from,
        features: Features::new(0, 1 << 9),
        vdisks,
        table_place: table,
        kept: kept.into_iter().map(section).collect(),
        ..Label::empty(Uuid::from_bytes([9; 16]), size_bytes, true)
    };
    assert!(label.is_consistent());
    label
}

/// A copy of version 1 with the table of a label and a generation.
pub(crate) fn version1(label: &Label, generation: u64) -> Vec<u8> {
    let mut copy = MAGIC.to_vec();
    copy.extend(1u32.to_le_bytes());
    copy.extend([0; 8]);
    copy.extend((label.vdisks.len() as u32).to_le_bytes());
    copy.extend(generation.to_le_bytes());
    copy.extend(label.disk_uuid.to_bytes());
    let (zero_from, zero_to) = label.known_zero();
    for number in [label.size_bytes, zero_from, zero_to] {
        copy.extend(number.to_le_bytes());
    }
    copy.resize(HEADER_BYTES, 0);
    copy.extend(vdisks::encode(&label.vdisks));
    copy.resize(copy.len().next_multiple_of(UNIT_BYTES), 0);
    let length = copy.len() as u32;
    copy[16..20].copy_from_slice(&length.to_le_bytes());
    let checksum = copy_checksum(&copy);
    copy[12..16].copy_from_slice(&checksum.to_le_bytes());
    copy
}
