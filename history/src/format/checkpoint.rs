//! The tables of a CHECKPOINT: segments, branches, marks, and how far the image has come.

use super::bytes::{array_at, is_zero, put, u16_at, u32_at, u64_at};
use super::record::BranchReason;
use super::{MARK_NAME_BYTES_MAX, Seq, Unit, Uuid};

pub(crate) const HEADER_BYTES: usize = 64;
pub(crate) const SEGMENT_BYTES: usize = 56;
const BRANCH_BYTES: usize = 48;
const MARK_BYTES: usize = 40;

/// A segment as a checkpoint lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentRow {
    pub(crate) id: u64,
    pub(crate) slot: u32,
    /// `None`: it is not sealed.
    pub(crate) seal: Option<(Unit, u32)>,
    pub(crate) seqs: [Seq; 2],
    pub(crate) times_ns: [u64; 2],
}

/// A branch as a checkpoint lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BranchRow {
    pub(crate) id: u64,
    pub(crate) parent: u64,
    pub(crate) fork: Seq,
    /// 0: it is the current one.
    pub(crate) head: Seq,
    pub(crate) head_time_ns: u64,
    pub(crate) reason: BranchReason,
    pub(crate) dropped: bool,
}

/// A mark as a checkpoint lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MarkRow {
    pub(crate) moment: Seq,
    pub(crate) time_ns: u64,
    pub(crate) cut: Uuid,
    pub(crate) vdisks: u32,
    pub(crate) name: String,
}

/// The tables of a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    pub(crate) floor: Seq,
    pub(crate) oldest_restorable: Seq,
    pub(crate) current_branch: u64,
    pub(crate) vdisk_blocks: u64,
    /// 0: there is no revert to undo.
    pub(crate) undo_branch: u64,
    pub(crate) segments: Vec<SegmentRow>,
    pub(crate) branches: Vec<BranchRow>,
    pub(crate) marks: Vec<MarkRow>,
}

impl Tables {
    /// Bytes of the payload.
    pub(crate) fn encoded_bytes(&self) -> usize {
        let names: usize = self
            .marks
            .iter()
            .map(|mark| mark_bytes(mark.name.len()))
            .sum();
        HEADER_BYTES
            + self.segments.len() * SEGMENT_BYTES
            + self.branches.len() * BRANCH_BYTES
            + names
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEADER_BYTES];
        let oldest_segment = self.segments.first().map_or(0, |segment| segment.id);
        put(&mut bytes, 0, &self.floor.to_le_bytes());
        put(&mut bytes, 8, &self.oldest_restorable.to_le_bytes());
        put(&mut bytes, 16, &self.current_branch.to_le_bytes());
        put(&mut bytes, 24, &oldest_segment.to_le_bytes());
        put(&mut bytes, 32, &self.vdisk_blocks.to_le_bytes());
        put(&mut bytes, 40, &(self.segments.len() as u32).to_le_bytes());
        put(&mut bytes, 44, &(self.branches.len() as u32).to_le_bytes());
        put(&mut bytes, 48, &(self.marks.len() as u32).to_le_bytes());
        put(&mut bytes, 56, &self.undo_branch.to_le_bytes());
        self.segments
            .iter()
            .for_each(|row| encode_segment(row, &mut bytes));
        self.branches
            .iter()
            .for_each(|row| encode_branch(row, &mut bytes));
        self.marks
            .iter()
            .for_each(|row| encode_mark(row, &mut bytes));
        bytes
    }

    /// The tables in the first bytes of a payload; `None` if it is not what [`Tables::encode`]
    /// makes. Whether the rows fit each other is not judged here.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Tables> {
        let mut reader = Reader { rest: bytes };
        let header = reader.take(HEADER_BYTES)?;
        let mut tables = Tables {
            floor: u64_at(header, 0),
            oldest_restorable: u64_at(header, 8),
            current_branch: u64_at(header, 16),
            vdisk_blocks: u64_at(header, 32),
            undo_branch: u64_at(header, 56),
            ..Tables::default()
        };
        for _ in 0..u32_at(header, 40) {
            tables
                .segments
                .push(decode_segment(reader.take(SEGMENT_BYTES)?)?);
        }
        for _ in 0..u32_at(header, 44) {
            tables
                .branches
                .push(decode_branch(reader.take(BRANCH_BYTES)?)?);
        }
        for _ in 0..u32_at(header, 48) {
            tables.marks.push(decode_mark(&mut reader)?);
        }
        (reader.rest.is_empty() && tables.encode() == bytes).then_some(tables)
    }
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }
}

fn mark_bytes(name_bytes: usize) -> usize {
    (MARK_BYTES + name_bytes).next_multiple_of(8)
}

/// Appends a row of zeroes; its first byte.
fn row(bytes: &mut Vec<u8>, len: usize) -> usize {
    let at = bytes.len();
    bytes.resize(at + len, 0);
    at
}

fn put_all(bytes: &mut [u8], at: usize, numbers: &[u64]) {
    for (index, number) in numbers.iter().enumerate() {
        put(bytes, at + 8 * index, &number.to_le_bytes());
    }
}

fn encode_segment(segment: &SegmentRow, bytes: &mut Vec<u8>) {
    let at = row(bytes, SEGMENT_BYTES);
    let (unit, checksum) = segment.seal.unwrap_or_default();
    put(bytes, at, &segment.id.to_le_bytes());
    put(bytes, at + 8, &segment.slot.to_le_bytes());
    put(bytes, at + 12, &unit.to_le_bytes());
    put_all(bytes, at + 16, &segment.seqs);
    put_all(bytes, at + 32, &segment.times_ns);
    put(bytes, at + 48, &checksum.to_le_bytes());
}

fn decode_segment(row: &[u8]) -> Option<SegmentRow> {
    let unit = u32_at(row, 12);
    is_zero(&row[52..]).then(|| SegmentRow {
        id: u64_at(row, 0),
        slot: u32_at(row, 8),
        seal: (unit != 0).then(|| (unit, u32_at(row, 48))),
        seqs: [u64_at(row, 16), u64_at(row, 24)],
        times_ns: [u64_at(row, 32), u64_at(row, 40)],
    })
}

fn encode_branch(branch: &BranchRow, bytes: &mut Vec<u8>) {
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

fn decode_branch(row: &[u8]) -> Option<BranchRow> {
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

fn encode_mark(mark: &MarkRow, bytes: &mut Vec<u8>) {
    let at = row(bytes, mark_bytes(mark.name.len()));
    put_all(bytes, at, &[mark.moment, mark.time_ns]);
    put(bytes, at + 16, &mark.cut);
    put(bytes, at + 32, &mark.vdisks.to_le_bytes());
    put(bytes, at + 36, &(mark.name.len() as u16).to_le_bytes());
    put(bytes, at + MARK_BYTES, mark.name.as_bytes());
}

fn decode_mark(reader: &mut Reader<'_>) -> Option<MarkRow> {
    let fixed = reader.take(MARK_BYTES)?;
    let len = usize::from(u16_at(fixed, 36));
    let name = reader.take(mark_bytes(len) - MARK_BYTES)?;
    let name = std::str::from_utf8(&name[..len]).ok()?;
    (1..=MARK_NAME_BYTES_MAX).contains(&len).then(|| MarkRow {
        moment: u64_at(fixed, 0),
        time_ns: u64_at(fixed, 8),
        cut: array_at(fixed, 16),
        vdisks: u32_at(fixed, 32),
        name: name.to_string(),
    })
}
