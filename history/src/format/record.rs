//! Records: what batches other than DATA say about the history.

use super::bytes::put;
use super::{
    CLONE_SETTINGS_BYTES_MAX, MARK_NAME_BYTES_MAX, PAYLOAD_UNITS_MAX, Seq, UNIT_BYTES, Uuid,
};
use disktime_units::little_endian::{array_at, u16_at, u32_at, u64_at};

const MARK: u8 = 2;
const BRANCH: u8 = 3;
const EPOCH: u8 = 4;
const CHECKPOINT: u8 = 5;
const FOLD_INTENT: u8 = 6;
const DURABLE: u8 = 7;
const DROP: u8 = 8;
const SEAL: u8 = 10;
const RESIZE: u8 = 11;
const CLONE: u8 = 129;
const DROP_CLONE: u8 = 131;
/// Types from here on may be ignored by a program that does not know them.
const IGNORABLE: u8 = 128;

const MARK_NAME_AT: usize = 24;
const CLONE_NAME_AT: usize = 28;

/// Why a branch begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BranchReason {
    /// It is the first of the log.
    First,
    /// The vdisk was reverted.
    Revert,
    /// A revert was undone.
    Undo,
}

impl BranchReason {
    pub(crate) fn number(self) -> u8 {
        match self {
            BranchReason::First => 1,
            BranchReason::Revert => 2,
            BranchReason::Undo => 3,
        }
    }

    pub(crate) fn of(number: u8) -> Option<BranchReason> {
        match number {
            1 => Some(BranchReason::First),
            2 => Some(BranchReason::Revert),
            3 => Some(BranchReason::Undo),
            _ => None,
        }
    }
}

/// What the name of a mark stands for beside its moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MarkText {
    pub(crate) cut: Uuid,
    pub(crate) vdisks: u32,
    pub(crate) name: String,
}

/// A vdisk that begins with a moment of another one: a clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneEntry {
    /// The clone.
    pub vdisk: Uuid,
    /// The moment that it begins with.
    pub moment: Seq,
    /// Its name, 1 to 128 bytes.
    pub name: String,
    /// How it is served, at most 1024 bytes; not read here.
    pub settings: String,
}

impl CloneEntry {
    /// Whether the lengths are in their bounds.
    pub(crate) fn is_possible(&self) -> bool {
        (1..=MARK_NAME_BYTES_MAX).contains(&self.name.len())
            && self.settings.len() <= CLONE_SETTINGS_BYTES_MAX
    }
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    Mark(MarkText),
    Branch {
        parent: u64,
        fork: Seq,
        reason: BranchReason,
    },
    Epoch {
        before: u64,
        kept: Seq,
        /// Durable data behind `kept` is lost, and a user accepted that.
        accepts_loss: bool,
    },
    Checkpoint {
        payload_bytes: u32,
    },
    FoldIntent {
        from: Seq,
        to: Seq,
    },
    Durable,
    DropMark(Seq),
    DropBranch(u64),
    Seal(SealRecord),
    /// The vdisk has so many blocks from here on, whatever branch is written.
    Resize(u64),
    Clone(CloneEntry),
    /// The clone whose record has this seq is given up.
    DropClone(Seq),
    /// Of a type that this program does not know and may ignore.
    Other {
        kind: u8,
        bytes: u32,
    },
}

/// What a SEAL says about its footer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SealRecord {
    /// Pages of blocks, of runs, of batches.
    pub(crate) pages: [u32; 3],
    pub(crate) last_seq: Seq,
}

impl Record {
    pub(crate) fn type_number(&self) -> u8 {
        match self {
            Record::Mark(_) => MARK,
            Record::Branch { .. } => BRANCH,
            Record::Epoch { .. } => EPOCH,
            Record::Checkpoint { .. } => CHECKPOINT,
            Record::FoldIntent { .. } => FOLD_INTENT,
            Record::Durable => DURABLE,
            Record::DropMark(_) | Record::DropBranch(_) => DROP,
            Record::Seal(_) => SEAL,
            Record::Resize(_) => RESIZE,
            Record::Clone(_) => CLONE,
            Record::DropClone(_) => DROP_CLONE,
            Record::Other { kind, .. } => *kind,
        }
    }

    /// Writes it to the record area; returns what the header's length field holds.
    pub(crate) fn encode(&self, area: &mut [u8]) -> u32 {
        match self {
            Record::Mark(mark) => {
                put(area, 0, &mark.cut);
                put(area, 16, &mark.vdisks.to_le_bytes());
                put(area, 20, &(mark.name.len() as u16).to_le_bytes());
                put(area, MARK_NAME_AT, mark.name.as_bytes());
                (MARK_NAME_AT + mark.name.len()) as u32
            }
            Record::Branch {
                parent,
                fork,
                reason,
            } => {
                area[16] = reason.number();
                two(area, *parent, *fork) + 1
            }
            Record::Epoch {
                before,
                kept,
                accepts_loss,
            } => {
                area[16] = u8::from(*accepts_loss);
                two(area, *before, *kept) + 1
            }
            Record::FoldIntent { from, to } => two(area, *from, *to),
            Record::DropMark(moment) => two(area, 1, *moment),
            Record::DropBranch(id) => two(area, 2, *id),
            Record::Checkpoint { payload_bytes } => *payload_bytes,
            Record::Durable => 0,
            Record::Seal(seal) => {
                for (index, pages) in seal.pages.iter().enumerate() {
                    put(area, 4 * index, &pages.to_le_bytes());
                }
                put(area, 16, &seal.last_seq.to_le_bytes());
                24
            }
            Record::Clone(clone) => encode_clone(clone, area),
            Record::DropClone(number) | Record::Resize(number) => {
                put(area, 0, &number.to_le_bytes());
                8
            }
            Record::Other { bytes, .. } => *bytes,
        }
    }

    /// The record of a header; bytes behind it are not judged here.
    pub(crate) fn decode(kind: u8, len: u32, area: &[u8], payload_units: usize) -> Option<Record> {
        let (first, second) = (u64_at(area, 0), u64_at(area, 8));
        let record = match kind {
            MARK => Record::Mark(decode_mark(area)?),
            BRANCH => Record::Branch {
                parent: first,
                fork: second,
                reason: BranchReason::of(area[16])?,
            },
            EPOCH => Record::Epoch {
                before: first,
                kept: second,
                accepts_loss: area[16] == 1,
            },
            CHECKPOINT => Record::Checkpoint { payload_bytes: len },
            FOLD_INTENT => Record::FoldIntent {
                from: first,
                to: second,
            },
            DURABLE => Record::Durable,
            DROP if area[0] == 1 => Record::DropMark(second),
            DROP if area[0] == 2 => Record::DropBranch(second),
            SEAL => Record::Seal(SealRecord {
                pages: [u32_at(area, 0), u32_at(area, 4), u32_at(area, 8)],
                last_seq: u64_at(area, 16),
            }),
            RESIZE => Record::Resize(first),
            CLONE => Record::Clone(decode_clone(area)?),
            DROP_CLONE => Record::DropClone(first),
            IGNORABLE.. => return Some(Record::Other { kind, bytes: len }),
            _ => return None,
        };
        // A later program may write more behind the fields, never less.
        let known = record.encode(&mut vec![0; area.len()]);
        (record.payload_units()? == payload_units && known <= len).then_some(record)
    }

    /// Units of payload that belong to it; `None` if there are more than fit.
    fn payload_units(&self) -> Option<usize> {
        let units = match self {
            Record::Checkpoint { payload_bytes } => (*payload_bytes as usize).div_ceil(UNIT_BYTES),
            Record::Seal(seal) => seal.pages.iter().map(|pages| *pages as usize).sum(),
            _ => 0,
        };
        (units <= PAYLOAD_UNITS_MAX).then_some(units)
    }
}

fn two(area: &mut [u8], first: u64, second: u64) -> u32 {
    put(area, 0, &first.to_le_bytes());
    put(area, 8, &second.to_le_bytes());
    16
}

fn encode_clone(clone: &CloneEntry, area: &mut [u8]) -> u32 {
    put(area, 0, &clone.vdisk);
    put(area, 16, &clone.moment.to_le_bytes());
    put(area, 24, &(clone.name.len() as u16).to_le_bytes());
    put(area, 26, &(clone.settings.len() as u16).to_le_bytes());
    let settings_at = CLONE_NAME_AT + clone.name.len();
    put(area, CLONE_NAME_AT, clone.name.as_bytes());
    put(area, settings_at, clone.settings.as_bytes());
    (settings_at + clone.settings.len()) as u32
}

fn decode_clone(area: &[u8]) -> Option<CloneEntry> {
    let lens = [u16_at(area, 24), u16_at(area, 26)].map(usize::from);
    let (name, rest) = area.get(CLONE_NAME_AT..)?.split_at_checked(lens[0])?;
    let text = |bytes: &[u8]| Some(std::str::from_utf8(bytes).ok()?.to_owned());
    let clone = CloneEntry {
        vdisk: array_at(area, 0),
        moment: u64_at(area, 16),
        name: text(name)?,
        settings: text(rest.get(..lens[1])?)?,
    };
    clone.is_possible().then_some(clone)
}

fn decode_mark(area: &[u8]) -> Option<MarkText> {
    let len = usize::from(u16_at(area, 20));
    let is_possible = (1..=MARK_NAME_BYTES_MAX).contains(&len);
    let name = area.get(MARK_NAME_AT..MARK_NAME_AT + len)?;
    let name = std::str::from_utf8(name).ok()?;
    is_possible.then(|| MarkText {
        cut: array_at(area, 0),
        vdisks: u32_at(area, 16),
        name: name.to_string(),
    })
}
