//! The header of a batch: one unit that says what the batch holds and verifies its payload.

use super::bytes::put;
use super::checks::Checks;
use super::record::Record;
use super::{COUNT_LIMIT, PAYLOAD_UNITS_MAX, Seq, UNIT_BYTES, Unit, VDISK_BLOCKS_MAX, VERSION};
use disktime_units::little_endian::{u16_at, u32_at, u64_at};

const MAGIC: &[u8; 4] = b"DTHB";
const CHECKSUM_AT: usize = 4;
const RECORD_AT: usize = 192;
const PAYLOAD_CHECKSUMS_AT: usize = 3072;
const ENTRY_BYTES: usize = 24;

/// Entries of a batch, at most.
pub(crate) const ENTRIES_MAX: usize = (PAYLOAD_CHECKSUMS_AT - RECORD_AT) / ENTRY_BYTES;

const TYPE_DATA: u8 = 1;

/// What an entry does to its blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// They hold the payload.
    Data,
    /// They were zeroed.
    Zeroes,
    /// They were trimmed, and read as zeroes.
    Trimmed,
}

impl EntryKind {
    fn number(self) -> u8 {
        match self {
            EntryKind::Data => 1,
            EntryKind::Zeroes => 2,
            EntryKind::Trimmed => 3,
        }
    }

    fn of(number: u8) -> Option<EntryKind> {
        match number {
            1 => Some(EntryKind::Data),
            2 => Some(EntryKind::Zeroes),
            3 => Some(EntryKind::Trimmed),
            _ => None,
        }
    }
}

/// One change of a run of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// First block.
    pub lba: u64,
    /// Blocks, at least 1.
    pub blocks: u32,
    /// What happens to them.
    pub kind: EntryKind,
}

impl Entry {
    /// Units of payload that it brings.
    pub(crate) fn payload_units(&self) -> usize {
        match self.kind {
            EntryKind::Data => self.blocks as usize,
            EntryKind::Zeroes | EntryKind::Trimmed => 0,
        }
    }

    fn decode(bytes: &[u8]) -> Option<Entry> {
        let entry = Entry {
            lba: u64_at(bytes, 0),
            blocks: u32_at(bytes, 8),
            kind: EntryKind::of(bytes[12])?,
        };
        let end = entry.lba.checked_add(u64::from(entry.blocks))?;
        let is_possible = entry.blocks > 0
            && end <= VDISK_BLOCKS_MAX
            && entry.payload_units() <= PAYLOAD_UNITS_MAX;
        is_possible.then_some(entry)
    }
}

/// What a batch holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// Changes of the vdisk.
    Data(Vec<Entry>),
    /// A record about the history.
    Record(Record),
}

/// The header of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) segment: u64,
    pub(crate) epoch: u64,
    pub(crate) number: u64,
    pub(crate) first_seq: Seq,
    pub(crate) durable_seq: Seq,
    pub(crate) time_ns: u64,
    pub(crate) branch: u64,
    pub(crate) unit: Unit,
    pub(crate) previous_checksum: u32,
    pub(crate) body: Body,
    pub(crate) payload_checksums: Vec<u32>,
}

impl BatchHeader {
    /// The unit, and its checksum.
    pub(crate) fn encode(&self, checks: &Checks) -> (Vec<u8>, u32) {
        let mut block = vec![0; UNIT_BYTES];
        put(&mut block, 0, MAGIC);
        put(&mut block, 8, &(VERSION as u16).to_le_bytes());
        put(
            &mut block,
            14,
            &(self.payload_checksums.len() as u16).to_le_bytes(),
        );
        for (at, number) in [
            (16, self.segment),
            (24, self.epoch),
            (32, self.number),
            (40, self.first_seq),
            (48, self.durable_seq),
            (56, self.time_ns),
            (64, self.branch),
        ] {
            put(&mut block, at, &number.to_le_bytes());
        }
        put(&mut block, 72, &self.unit.to_le_bytes());
        put(&mut block, 76, &self.previous_checksum.to_le_bytes());
        match &self.body {
            Body::Data(entries) => {
                block[10] = TYPE_DATA;
                put(&mut block, 12, &(entries.len() as u16).to_le_bytes());
                for (index, entry) in entries.iter().enumerate() {
                    let at = RECORD_AT + index * ENTRY_BYTES;
                    put(&mut block, at, &entry.lba.to_le_bytes());
                    put(&mut block, at + 8, &entry.blocks.to_le_bytes());
                    block[at + 12] = entry.kind.number();
                }
            }
            Body::Record(record) => {
                block[10] = record.type_number();
                let len = record.encode(&mut block[RECORD_AT..PAYLOAD_CHECKSUMS_AT]);
                put(&mut block, 80, &len.to_le_bytes());
            }
        }
        for (index, checksum) in self.payload_checksums.iter().enumerate() {
            let at = PAYLOAD_CHECKSUMS_AT + 4 * index;
            put(&mut block, at, &checksum.to_le_bytes());
        }
        let checksum = checks.header(self.epoch, self.segment, &block, CHECKSUM_AT);
        put(&mut block, CHECKSUM_AT, &checksum.to_le_bytes());
        (block, checksum)
    }

    /// The segment of which a block says that it is a batch's header; nothing else is checked.
    pub(crate) fn claimed_segment(block: &[u8]) -> Option<u64> {
        let is_header = block.len() == UNIT_BYTES && block.starts_with(MAGIC);
        is_header.then(|| u64_at(block, 16))
    }

    /// The header of a batch of segment `segment` that lies at `unit`, and its checksum; `None` if
    /// the block does not hold one.
    pub(crate) fn decode(
        checks: &Checks,
        segment: u64,
        unit: Unit,
        block: &[u8],
    ) -> Option<(BatchHeader, u32)> {
        if BatchHeader::claimed_segment(block) != Some(segment) {
            return None;
        }
        let (epoch, checksum) = (u64_at(block, 24), u32_at(block, CHECKSUM_AT));
        if u32_at(block, 72) != unit
            || checks.header(epoch, segment, block, CHECKSUM_AT) != checksum
        {
            return None;
        }
        let payload_units = usize::from(u16_at(block, 14));
        if u32::from(u16_at(block, 8)) != VERSION || payload_units > PAYLOAD_UNITS_MAX {
            return None;
        }
        let checksums = block[PAYLOAD_CHECKSUMS_AT..].chunks_exact(4);
        let header = BatchHeader {
            segment,
            epoch,
            number: u64_at(block, 32),
            first_seq: u64_at(block, 40),
            durable_seq: u64_at(block, 48),
            time_ns: u64_at(block, 56),
            branch: u64_at(block, 64),
            unit,
            previous_checksum: u32_at(block, 76),
            body: decode_body(block, payload_units)?,
            payload_checksums: checksums
                .take(payload_units)
                .map(|crc| u32_at(crc, 0))
                .collect(),
        };
        header.is_possible().then_some((header, checksum))
    }

    fn is_possible(&self) -> bool {
        let counts = [
            self.segment,
            self.epoch,
            self.number,
            self.first_seq,
            self.time_ns,
            self.durable_seq,
        ];
        let belongs = self.branch != 0 || matches!(self.body, Body::Record(_));
        counts.iter().all(|count| *count < COUNT_LIMIT)
            && self.durable_seq < self.first_seq
            && self.branch < self.first_seq
            && belongs
            && self.record_is_possible()
    }

    /// Whether a record names nothing that comes after it.
    fn record_is_possible(&self) -> bool {
        match &self.body {
            Body::Record(Record::Branch { parent, fork, .. }) => {
                *parent < self.first_seq && *fork < self.first_seq
            }
            Body::Record(Record::Clone(clone)) => clone.moment < self.first_seq,
            Body::Record(Record::DropClone(seq)) => *seq < self.first_seq,
            Body::Record(Record::FoldIntent { from, to }) => from <= to && *to < self.first_seq,
            _ => true,
        }
    }

    /// Units of the whole batch.
    pub(crate) fn units(&self) -> u32 {
        1 + self.payload_checksums.len() as u32
    }

    /// How many seqs it takes.
    pub(crate) fn seqs(&self) -> u64 {
        match &self.body {
            Body::Data(entries) => entries.len() as u64,
            Body::Record(_) => 1,
        }
    }

    /// Its last seq.
    pub(crate) fn last_seq(&self) -> Seq {
        self.first_seq + self.seqs() - 1
    }

    /// The number of its type, as footers hold it.
    pub(crate) fn type_number(&self) -> u8 {
        match &self.body {
            Body::Data(_) => TYPE_DATA,
            Body::Record(record) => record.type_number(),
        }
    }

    /// Whether each unit of `payload` has its checksum.
    pub(crate) fn payload_is_whole(&self, checks: &Checks, payload: &[u8]) -> bool {
        let units = payload.chunks(UNIT_BYTES);
        units.len() == self.payload_checksums.len()
            && std::iter::zip(units, &self.payload_checksums)
                .all(|(unit, checksum)| checks.payload(self.segment, unit) == *checksum)
    }
}

fn decode_body(block: &[u8], payload_units: usize) -> Option<Body> {
    let count = usize::from(u16_at(block, 12));
    let record_bytes = u32_at(block, 80);
    if block[10] != TYPE_DATA {
        let area = &block[RECORD_AT..PAYLOAD_CHECKSUMS_AT];
        let record = Record::decode(block[10], record_bytes, area, payload_units)?;
        return (count == 0).then_some(Body::Record(record));
    }
    if count == 0 || count > ENTRIES_MAX {
        return None;
    }
    let area = block[RECORD_AT..].chunks_exact(ENTRY_BYTES);
    let entries: Option<Vec<Entry>> = area.take(count).map(Entry::decode).collect();
    let entries = entries?;
    let brought: usize = entries.iter().map(Entry::payload_units).sum();
    (brought == payload_units).then_some(Body::Data(entries))
}
