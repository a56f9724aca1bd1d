//! Labels of version 1, which earlier programs wrote: read, never written.
//!
//! The header is as long as that of version 2 and means the same up to byte 72, except that byte 20
//! has the number of vdisks. Their records follow at byte 128.

use super::directory::Place;
use super::features::{Features, ProgramVersion};
use super::header::{HEADER_BYTES, Header};
use super::table::Label;
use super::vdisks;
use disktime_units::little_endian::is_zero;

/// The version's number.
pub(super) const VERSION: u32 = 1;
const MAX_VDISKS: usize = 1024;

/// The label of a copy whose magic, version and checksum are right. `None` if its table is not
/// consistent.
pub(super) fn decode(copy: &[u8]) -> Option<Label> {
    let header = Header::decode(copy);
    let count = header.sections;
    if count > MAX_VDISKS {
        return None;
    }
    let (vdisks, rest) = vdisks::decode_first(count, &copy[HEADER_BYTES..])?;
    let label = Label {
        version: VERSION,
        generation: header.generation,
        disk_uuid: header.disk_uuid,
        size_bytes: header.size_bytes,
        known_zero_from: header.known_zero_from,
        known_zero_to: header.known_zero_to,
        features: Features::default(),
        written_by: ProgramVersion::default(),
        vdisks,
        histories: Vec::new(),
        table_place: Place::Inside,
        kept: Vec::new(),
    };
    (is_zero(rest) && label.is_consistent()).then_some(label)
}
