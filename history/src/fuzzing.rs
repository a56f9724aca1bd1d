//! Entry points for fuzzing: every decoder and recovery, on any bytes. For `fuzz/` only.
//!
//! What must hold: nothing panics, and what decodes encodes to bytes that decode to the same.

use crate::format::batch::BatchHeader;
use crate::format::checkpoint::Tables;
use crate::format::checks::Checks;
use crate::format::footer::{Footer, PAGE_KINDS, decode_page};
use crate::format::segment_header::SegmentHeader;
use crate::format::superblock::Superblock;
use crate::format::{UNIT_BYTES, Uuid};
use crate::moment::Moment;
use disktime_units::little_endian::{u32_at, u64_at};

/// Where the checksum of a unit lies, and with which epoch and segment it is seeded; `None` if its
/// magic is none of a log's.
fn checksum_of(unit: &[u8]) -> Option<(usize, u64, u64)> {
    match &unit[..4] {
        b"DTHB" => Some((4, u64_at(unit, 24), u64_at(unit, 16))),
        b"DTHF" => Some((4, 0, u64_at(unit, 16))),
        b"DTHS" if unit.starts_with(b"DTHSEGMT") => Some((12, 0, u64_at(unit, 16))),
        b"DTHS" => Some((12, 0, 0)),
        _ => None,
    }
}

/// Makes the checksum of a unit right, whatever else is in it. Without that, hardly any change
/// would come past the first check.
pub fn make_whole(log: Uuid, unit: &mut [u8]) {
    assert_eq!(unit.len(), UNIT_BYTES);
    let Some((at, epoch, segment)) = checksum_of(unit) else {
        return;
    };
    let checksum = if unit.starts_with(b"DTHSUPER") {
        crate::format::checks::unseeded(unit, at)
    } else {
        Checks::new(log).header(epoch, segment, unit, at)
    };
    unit[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
}

/// Reads a unit as each kind of block.
///
/// # Panics
/// If something decodes that encodes to something else.
pub fn decode_unit(log: Uuid, unit: &[u8]) {
    let checks = Checks::new(log);
    if let Ok(superblock) = Superblock::decode(unit) {
        let again = Superblock::decode(&superblock.encode());
        assert!(again == Ok(superblock), "a superblock");
    }
    if unit.len() != UNIT_BYTES {
        assert!(SegmentHeader::decode(&checks, 1, unit).is_none());
        assert!(BatchHeader::decode(&checks, 1, 1, unit).is_none());
        return;
    }
    let (segment, place) = (u64_at(unit, 16), u32_at(unit, 72));
    if let Some((header, _)) = SegmentHeader::decode(&checks, segment, unit) {
        let again = SegmentHeader::decode(&checks, segment, &header.encode(&checks).0);
        assert!(
            again.is_some_and(|(again, _)| again == header),
            "a segment header"
        );
    }
    if let Some((header, _)) = BatchHeader::decode(&checks, segment, place, unit) {
        let again = BatchHeader::decode(&checks, segment, place, &header.encode(&checks).0);
        assert!(
            again.is_some_and(|(again, _)| again == header),
            "a batch header"
        );
        assert!(header.last_seq() >= header.first_seq);
    }
    for (which, kind) in PAGE_KINDS.into_iter().enumerate() {
        let place = u32_at(unit, 12);
        if let Some(entries) = decode_page(&checks, segment, place, kind, unit) {
            let mut footer = Footer::default();
            footer.entries[which] = entries;
            let page = footer.encode(&checks, segment, place);
            let again = decode_page(&checks, segment, place, kind, &page);
            assert!(again.as_ref() == Some(&footer.entries[which]), "a page");
        }
    }
}

/// Reads tables of a checkpoint.
///
/// # Panics
/// If they decode and encode to something else.
pub fn decode_tables(bytes: &[u8]) {
    if let Some(tables) = Tables::decode(bytes) {
        let again = tables.encode();
        assert!(tables.rows().encoded_bytes() == again.len());
        assert!(Tables::decode(&again) == Some(tables));
    }
}

/// Reads a text as a moment.
///
/// # Panics
/// If a name of a mark is another form too.
pub fn parse_moment(text: &str) {
    let is_name = crate::check_mark_name(text).is_ok();
    let moment = Moment::parse(text);
    assert_eq!(is_name, moment == Ok(Moment::Mark(text.to_string())));
}
