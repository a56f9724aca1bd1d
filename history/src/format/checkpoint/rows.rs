//! The rows of a checkpoint's tables as bytes.

use super::{
    BRANCH_BYTES, BranchRow, CLONE_BYTES, CloneRow, LossRow, LostRun, MARK_BYTES, MarkRow, Reader,
    SEGMENT_BYTES, SegmentRow, SizeRow,
};
use crate::format::MARK_NAME_BYTES_MAX;
use crate::format::bytes::put;
use crate::format::record::{BranchReason, CloneEntry};
use disktime_units::little_endian::{array_at, u16_at, u32_at, u64_at};

/// Bytes of the row of a mark with this name.
pub(crate) fn mark_bytes(name: &str) -> usize {
    (MARK_BYTES + name.len()).next_multiple_of(8)
}

/// Bytes of the row of a clone.
pub(crate) fn clone_bytes(clone: &CloneEntry) -> usize {
    (CLONE_BYTES + clone.name.len() + clone.settings.len()).next_multiple_of(8)
}

/// Appends a row of zeroes; its first byte.
pub(super) fn row(bytes: &mut Vec<u8>, len: usize) -> usize {
    let at = bytes.len();
    bytes.resize(at + len, 0);
    at
}

pub(super) fn put_all(bytes: &mut [u8], at: usize, numbers: &[u64]) {
    for (index, number) in numbers.iter().enumerate() {
        put(bytes, at + 8 * index, &number.to_le_bytes());
    }
}

pub(super) fn encode_segment(segment: &SegmentRow, bytes: &mut Vec<u8>) {
    let at = row(bytes, SEGMENT_BYTES);
    let (unit, of_seal) = segment.seal.unwrap_or_default();
    let checksum = segment.hole.unwrap_or(of_seal);
    put(bytes, at, &segment.id.to_le_bytes());
    put(bytes, at + 8, &segment.slot.to_le_bytes());
    put(bytes, at + 12, &unit.to_le_bytes());
    put_all(bytes, at + 16, &segment.seqs);
    put_all(bytes, at + 32, &segment.times_ns);
    put(bytes, at + 48, &checksum.to_le_bytes());
    let last = if segment.seal.is_some() {
        u32::from(segment.is_cut)
    } else {
        segment.next_slot
    };
    put(bytes, at + 52, &last.to_le_bytes());
}

pub(super) fn decode_run(row: &[u8]) -> LostRun {
    LostRun {
        lba: u64_at(row, 0),
        blocks: u32_at(row, 8),
    }
}

pub(super) fn decode_size(row: &[u8]) -> SizeRow {
    SizeRow {
        seq: u64_at(row, 0),
        blocks: u64_at(row, 8),
    }
}

pub(super) fn decode_loss(row: &[u8]) -> LossRow {
    LossRow {
        first: u64_at(row, 0),
        last: u64_at(row, 8),
        time_ns: u64_at(row, 16),
    }
}

pub(super) fn decode_segment(row: &[u8]) -> SegmentRow {
    let (unit, last) = (u32_at(row, 12), u32_at(row, 52));
    let (is_cut, checksum) = (unit != 0 && last == 1, u32_at(row, 48));
    let has_seal = unit != 0 && !is_cut;
    SegmentRow {
        id: u64_at(row, 0),
        slot: u32_at(row, 8),
        seal: (unit != 0).then_some((unit, if has_seal { checksum } else { 0 })),
        is_cut,
        hole: Some(checksum).filter(|checksum| !has_seal && *checksum != 0),
        next_slot: if unit == 0 { last } else { 0 },
        seqs: [u64_at(row, 16), u64_at(row, 24)],
        times_ns: [u64_at(row, 32), u64_at(row, 40)],
    }
}

pub(super) fn encode_branch(branch: &BranchRow, bytes: &mut Vec<u8>) {
    let at = row(bytes, BRANCH_BYTES);
    let numbers = [
        branch.id,
        branch.parent,
        branch.fork,
        branch.head,
        branch.head_time_ns,
    ];
    put_all(bytes, at, &numbers);
    bytes[at + 40] = branch.reason.number();
    bytes[at + 41] = u8::from(branch.dropped);
}

pub(super) fn decode_branch(row: &[u8]) -> Option<BranchRow> {
    Some(BranchRow {
        id: u64_at(row, 0),
        parent: u64_at(row, 8),
        fork: u64_at(row, 16),
        head: u64_at(row, 24),
        head_time_ns: u64_at(row, 32),
        reason: BranchReason::of(row[40])?,
        dropped: row[41] == 1,
    })
}

pub(super) fn encode_mark(mark: &MarkRow, bytes: &mut Vec<u8>) {
    let row_bytes = mark_bytes(&mark.name);
    let at = row(bytes, row_bytes);
    put_all(bytes, at, &[mark.moment, mark.time_ns]);
    put(bytes, at + 16, &mark.cut);
    put(bytes, at + 32, &mark.vdisks.to_le_bytes());
    put(bytes, at + 36, &(mark.name.len() as u16).to_le_bytes());
    put(bytes, at + 38, &(row_bytes as u16).to_le_bytes());
    put(bytes, at + MARK_BYTES, mark.name.as_bytes());
}

pub(super) fn decode_mark(reader: &mut Reader<'_>) -> Option<MarkRow> {
    let fixed = reader.take(MARK_BYTES)?;
    let len = usize::from(u16_at(fixed, 36));
    let row_bytes = usize::from(u16_at(fixed, 38));
    let name = reader.take(row_bytes.checked_sub(MARK_BYTES)?)?;
    let name = std::str::from_utf8(name.get(..len)?).ok()?;
    (1..=MARK_NAME_BYTES_MAX).contains(&len).then(|| MarkRow {
        moment: u64_at(fixed, 0),
        time_ns: u64_at(fixed, 8),
        cut: array_at(fixed, 16),
        vdisks: u32_at(fixed, 32),
        name: name.to_string(),
    })
}

pub(super) fn encode_clone(clone: &CloneRow, bytes: &mut Vec<u8>) {
    let entry = &clone.entry;
    let row_bytes = clone_bytes(entry);
    let at = row(bytes, row_bytes);
    put_all(bytes, at, &[clone.seq, entry.moment]);
    put(bytes, at + 16, &entry.vdisk);
    put(bytes, at + 32, &clone.time_ns.to_le_bytes());
    put(bytes, at + 40, &(entry.name.len() as u16).to_le_bytes());
    put(bytes, at + 42, &(entry.settings.len() as u16).to_le_bytes());
    put(bytes, at + 44, &(row_bytes as u32).to_le_bytes());
    put(bytes, at + CLONE_BYTES, entry.name.as_bytes());
    let settings_at = at + CLONE_BYTES + entry.name.len();
    put(bytes, settings_at, entry.settings.as_bytes());
}

pub(super) fn decode_clone(reader: &mut Reader<'_>) -> Option<CloneRow> {
    let fixed = reader.take(CLONE_BYTES)?;
    let lens = [u16_at(fixed, 40), u16_at(fixed, 42)].map(usize::from);
    let row_bytes = u32_at(fixed, 44) as usize;
    let rest = reader.take(row_bytes.checked_sub(CLONE_BYTES)?)?;
    let (name, rest) = rest.split_at_checked(lens[0])?;
    let text = |bytes: &[u8]| Some(std::str::from_utf8(bytes).ok()?.to_owned());
    let entry = CloneEntry {
        vdisk: array_at(fixed, 16),
        moment: u64_at(fixed, 8),
        name: text(name)?,
        settings: text(rest.get(..lens[1])?)?,
    };
    entry.is_possible().then(|| CloneRow {
        seq: u64_at(fixed, 0),
        time_ns: u64_at(fixed, 32),
        entry,
    })
}
