//! The tables of a CHECKPOINT: segments, branches, marks, and how far the image has come.

use super::bytes::put;
use super::record::{BranchReason, CloneEntry};
use super::{Seq, Unit, Uuid};
use disktime_units::little_endian::{u32_at, u64_at};
pub(crate) use rows::{clone_bytes, mark_bytes};
use rows::{
    decode_branch, decode_clone, decode_loss, decode_mark, decode_run, decode_segment, decode_size,
    encode_branch, encode_clone, encode_mark, encode_segment, put_all, row,
};

mod rows;

const SECTION_BYTES: usize = 16;
const HEAD_BYTES: usize = 40;
/// Headers of the four sections, and the head.
pub(crate) const HEADER_BYTES: usize = 4 * SECTION_BYTES + HEAD_BYTES;
pub(crate) const SEGMENT_BYTES: usize = 56;
pub(crate) const BRANCH_BYTES: usize = 48;
const MARK_BYTES: usize = 40;
pub(crate) const LOST_RUN_BYTES: usize = 16;
const LOSS_BYTES: usize = 24;
const CLONE_BYTES: usize = 48;
const SIZE_BYTES: usize = 16;

/// A segment as a checkpoint lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentRow {
    pub(crate) id: u64,
    pub(crate) slot: u32,
    /// Where it ends, and the checksum of the SEAL's header; `None`: it is not sealed.
    pub(crate) seal: Option<(Unit, u32)>,
    /// There is no SEAL at its end: what lay there is lost.
    pub(crate) is_cut: bool,
    /// The checksum of a CHECKPOINT between its batches which has no header, if one has none and
    /// the segment has no SEAL.
    pub(crate) hole: Option<u32>,
    /// The slot of the segment behind it, if it is not sealed.
    pub(crate) next_slot: u32,
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

/// Blocks of the image that do not hold what the floor had there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LostRun {
    pub(crate) lba: u64,
    pub(crate) blocks: u32,
}

/// Durable data that is lost, and whose loss was accepted: the seqs from `first` to `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LossRow {
    pub(crate) first: Seq,
    pub(crate) last: Seq,
    /// When it was accepted.
    pub(crate) time_ns: u64,
}

/// A clone as a checkpoint lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CloneRow {
    /// Of its record.
    pub(crate) seq: Seq,
    pub(crate) time_ns: u64,
    pub(crate) entry: CloneEntry,
}

/// The size of the vdisk from a moment on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SizeRow {
    pub(crate) seq: Seq,
    pub(crate) blocks: u64,
}

/// The tables of a checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tables {
    pub(crate) floor: Seq,
    pub(crate) oldest_restorable: Seq,
    pub(crate) current_branch: u64,
    /// The present size.
    pub(crate) vdisk_blocks: u64,
    /// 0: there is no revert to undo.
    pub(crate) undo_branch: u64,
    pub(crate) segments: Vec<SegmentRow>,
    pub(crate) branches: Vec<BranchRow>,
    pub(crate) marks: Vec<MarkRow>,
    /// By block, apart from each other.
    pub(crate) lost_runs: Vec<LostRun>,
    pub(crate) losses: Vec<LossRow>,
    /// By seq.
    pub(crate) clones: Vec<CloneRow>,
    /// By seq; none if there is only the present size.
    pub(crate) sizes: Vec<SizeRow>,
}

/// How many rows tables have, and bytes of those that are not all of one length.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) segments: usize,
    pub(crate) branches: usize,
    pub(crate) marks_bytes: usize,
    pub(crate) lost_runs: usize,
    pub(crate) losses: usize,
    pub(crate) clones_bytes: usize,
    pub(crate) sizes: usize,
}

impl Rows {
    /// Bytes of the payload.
    pub(crate) fn encoded_bytes(&self) -> usize {
        HEADER_BYTES
            + self.segments * SEGMENT_BYTES
            + self.branches * BRANCH_BYTES
            + self.marks_bytes
            + section_bytes(self.lost_runs, LOST_RUN_BYTES)
            + section_bytes(self.losses, LOSS_BYTES)
            + section_bytes(self.sizes, SIZE_BYTES)
            + section_bytes(self.clones_bytes, 1)
    }
}

impl Tables {
    pub(crate) fn rows(&self) -> Rows {
        let marks = self.marks.iter().map(|row| mark_bytes(&row.name));
        let clones = self.clones.iter().map(|row| clone_bytes(&row.entry));
        Rows {
            segments: self.segments.len(),
            branches: self.branches.len(),
            marks_bytes: marks.sum(),
            lost_runs: self.lost_runs.len(),
            losses: self.losses.len(),
            clones_bytes: clones.sum(),
            sizes: self.sizes.len(),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        section(&mut bytes, HEAD, 1, HEAD_BYTES, |bytes| {
            let at = row(bytes, HEAD_BYTES);
            let numbers = [
                self.floor,
                self.oldest_restorable,
                self.current_branch,
                self.vdisk_blocks,
                self.undo_branch,
            ];
            put_all(bytes, at, &numbers);
        });
        section(
            &mut bytes,
            SEGMENTS,
            self.segments.len(),
            SEGMENT_BYTES,
            |bytes| {
                let rows = self.segments.iter();
                rows.for_each(|row| encode_segment(row, bytes));
            },
        );
        section(
            &mut bytes,
            BRANCHES,
            self.branches.len(),
            BRANCH_BYTES,
            |bytes| {
                let rows = self.branches.iter();
                rows.for_each(|row| encode_branch(row, bytes));
            },
        );
        section(&mut bytes, MARKS, self.marks.len(), 0, |bytes| {
            self.marks.iter().for_each(|row| encode_mark(row, bytes));
        });
        self.encode_losses(&mut bytes);
        if !self.clones.is_empty() {
            section(&mut bytes, CLONES, self.clones.len(), 0, |bytes| {
                self.clones.iter().for_each(|row| encode_clone(row, bytes));
            });
        }
        let sizes = self.sizes.len();
        if sizes > 0 {
            section(&mut bytes, SIZES, sizes, SIZE_BYTES, |bytes| {
                for size in &self.sizes {
                    let at = row(bytes, SIZE_BYTES);
                    put_all(bytes, at, &[size.seq, size.blocks]);
                }
            });
        }
        bytes
    }

    /// Sections that most logs do not have.
    fn encode_losses(&self, bytes: &mut Vec<u8>) {
        let runs = self.lost_runs.len();
        if runs > 0 {
            section(bytes, LOST_RUNS, runs, LOST_RUN_BYTES, |bytes| {
                for run in &self.lost_runs {
                    let at = row(bytes, LOST_RUN_BYTES);
                    put_all(bytes, at, &[run.lba, u64::from(run.blocks)]);
                }
            });
        }
        let losses = self.losses.len();
        if losses > 0 {
            section(bytes, LOSSES, losses, LOSS_BYTES, |bytes| {
                for loss in &self.losses {
                    let at = row(bytes, LOSS_BYTES);
                    put_all(bytes, at, &[loss.first, loss.last, loss.time_ns]);
                }
            });
        }
    }

    /// The tables in the first bytes of a payload; `None` if they are none. Sections of unknown
    /// types and the ends of longer rows are skipped. Whether the rows fit each other is not judged
    /// here.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Tables> {
        let mut reader = Reader { rest: bytes };
        let mut tables = Tables::default();
        let mut seen = [false; SECTIONS];
        while !reader.rest.is_empty() {
            let header = reader.take(SECTION_BYTES)?;
            let (kind, rows) = (u32_at(header, 0), u32_at(header, 4));
            let row_bytes = u32_at(header, 8) as usize;
            let mut body = Reader {
                rest: reader.take(u32_at(header, 12) as usize)?,
            };
            let Some(seen) = seen.get_mut((kind as usize).wrapping_sub(1)) else {
                continue;
            };
            if std::mem::replace(seen, true) {
                return None;
            }
            let (least, most) = match kind {
                HEAD => (HEAD_BYTES, 1),
                SEGMENTS => (SEGMENT_BYTES, u32::MAX),
                BRANCHES => (BRANCH_BYTES, u32::MAX),
                LOST_RUNS => (LOST_RUN_BYTES, u32::MAX),
                LOSSES => (LOSS_BYTES, u32::MAX),
                SIZES => (SIZE_BYTES, u32::MAX),
                _ => (0, u32::MAX),
            };
            if row_bytes < least || rows > most {
                return None;
            }
            for _ in 0..rows {
                match kind {
                    HEAD => tables.take_head(body.take(row_bytes)?),
                    SEGMENTS => tables.segments.push(decode_segment(body.take(row_bytes)?)),
                    BRANCHES => tables.branches.push(decode_branch(body.take(row_bytes)?)?),
                    LOST_RUNS => tables.lost_runs.push(decode_run(body.take(row_bytes)?)),
                    LOSSES => tables.losses.push(decode_loss(body.take(row_bytes)?)),
                    CLONES => tables.clones.push(decode_clone(&mut body)?),
                    SIZES => tables.sizes.push(decode_size(body.take(row_bytes)?)),
                    _ => tables.marks.push(decode_mark(&mut body)?),
                }
            }
        }
        let always = &seen[..ALWAYS];
        always.iter().all(|seen| *seen).then_some(tables)
    }

    fn take_head(&mut self, row: &[u8]) {
        self.floor = u64_at(row, 0);
        self.oldest_restorable = u64_at(row, 8);
        self.current_branch = u64_at(row, 16);
        self.vdisk_blocks = u64_at(row, 24);
        self.undo_branch = u64_at(row, 32);
    }
}

const HEAD: u32 = 1;
const SEGMENTS: u32 = 2;
const BRANCHES: u32 = 3;
const MARKS: u32 = 4;
const LOST_RUNS: u32 = 5;
const LOSSES: u32 = 6;
const CLONES: u32 = 7;
const SIZES: u32 = 8;

/// Sections that are known, and how many of them each checkpoint has.
const SECTIONS: usize = 8;
const ALWAYS: usize = 4;

fn section_bytes(rows: usize, row_bytes: usize) -> usize {
    let header = if rows > 0 { SECTION_BYTES } else { 0 };
    header + rows * row_bytes
}

/// Appends a section: its header, then what `write` appends.
fn section(
    bytes: &mut Vec<u8>,
    kind: u32,
    rows: usize,
    row_bytes: usize,
    write: impl FnOnce(&mut Vec<u8>),
) {
    let at = row(bytes, SECTION_BYTES);
    write(bytes);
    let body = bytes.len() - at - SECTION_BYTES;
    for (index, number) in [kind, rows as u32, row_bytes as u32, body as u32]
        .iter()
        .enumerate()
    {
        put(bytes, at + 4 * index, &number.to_le_bytes());
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

#[cfg(test)]
mod tests;
