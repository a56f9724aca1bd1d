//! The footer of a sealed segment: its blocks and runs by place in the vdisk, its batches by time.

use super::bytes::put;
use super::checks::Checks;
use super::{Seq, UNIT_BYTES, Unit};
use disktime_units::little_endian::{u16_at, u32_at, u64_at};

const MAGIC: &[u8; 4] = b"DTHF";
const CHECKSUM_AT: usize = 4;
const ENTRIES_AT: usize = 64;
const ENTRY_BYTES: usize = 24;

/// Entries of a page.
pub(crate) const PAGE_ENTRIES: usize = (UNIT_BYTES - ENTRIES_AT) / ENTRY_BYTES;

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageKind {
    Blocks = 1,
    Runs = 2,
    Batches = 3,
}

/// The kinds in the order of a footer.
pub(crate) const PAGE_KINDS: [PageKind; 3] = [PageKind::Blocks, PageKind::Runs, PageKind::Batches];

/// An entry of any kind of page: the columns of the table in docs/history-format.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FooterEntry {
    /// Block, first block of a run, or time.
    pub(crate) key: u64,
    pub(crate) seq: Seq,
    /// Of the data, or of the batch's header.
    pub(crate) unit: Unit,
    /// Checksum of the data, blocks of the run, or type of the batch.
    pub(crate) last: u32,
}

/// All entries of a segment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Blocks, runs, batches.
    pub(crate) entries: [Vec<FooterEntry>; 3],
}

impl Footer {
    /// Brings it into the order in which it is stored.
    pub(crate) fn sort(&mut self) {
        for entries in &mut self.entries {
            entries.sort_by_key(|entry| (entry.key, entry.seq));
        }
    }

    /// Pages of each kind.
    pub(crate) fn pages(&self) -> [u32; 3] {
        self.entries
            .each_ref()
            .map(|entries| entries.len().div_ceil(PAGE_ENTRIES) as u32)
    }

    /// The pages, of which the first will lie at `unit`.
    pub(crate) fn encode(&self, checks: &Checks, segment: u64, unit: Unit) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, entries) in std::iter::zip(PAGE_KINDS, &self.entries) {
            for page in entries.chunks(PAGE_ENTRIES) {
                let at = unit + (bytes.len() / UNIT_BYTES) as u32;
                bytes.extend_from_slice(&encode_page(checks, segment, at, kind, page));
            }
        }
        bytes
    }

    /// The footer whose pages these are; `None` if one of them does not verify.
    pub(crate) fn decode(
        checks: &Checks,
        segment: u64,
        unit: Unit,
        pages: [u32; 3],
        bytes: &[u8],
    ) -> Option<Footer> {
        let mut footer = Footer::default();
        let mut blocks = bytes.chunks_exact(UNIT_BYTES).zip(unit..);
        for (which, (kind, count)) in std::iter::zip(PAGE_KINDS, pages).enumerate() {
            for _ in 0..count {
                let (block, at) = blocks.next()?;
                footer.entries[which].extend(decode_page(checks, segment, at, kind, block)?);
            }
            let entries = &footer.entries[which];
            let is_full = entries.len().div_ceil(PAGE_ENTRIES) == count as usize;
            let is_sorted = entries.is_sorted_by_key(|entry| (entry.key, entry.seq));
            if !is_full || !is_sorted {
                return None;
            }
        }
        Some(footer)
    }
}

fn encode_page(
    checks: &Checks,
    segment: u64,
    unit: Unit,
    kind: PageKind,
    entries: &[FooterEntry],
) -> Vec<u8> {
    let mut block = vec![0; UNIT_BYTES];
    put(&mut block, 0, MAGIC);
    block[8] = kind as u8;
    put(&mut block, 10, &(entries.len() as u16).to_le_bytes());
    put(&mut block, 12, &unit.to_le_bytes());
    put(&mut block, 16, &segment.to_le_bytes());
    for (index, entry) in entries.iter().enumerate() {
        let at = ENTRIES_AT + index * ENTRY_BYTES;
        put(&mut block, at, &entry.key.to_le_bytes());
        put(&mut block, at + 8, &entry.seq.to_le_bytes());
        put(&mut block, at + 16, &entry.unit.to_le_bytes());
        put(&mut block, at + 20, &entry.last.to_le_bytes());
    }
    let checksum = checks.header(0, segment, &block, CHECKSUM_AT);
    put(&mut block, CHECKSUM_AT, &checksum.to_le_bytes());
    block
}

/// The entries of a page that verifies at its place.
pub(crate) fn decode_page(
    checks: &Checks,
    segment: u64,
    unit: Unit,
    kind: PageKind,
    block: &[u8],
) -> Option<Vec<FooterEntry>> {
    if block.len() != UNIT_BYTES || &block[..4] != MAGIC {
        return None;
    }
    let count = usize::from(u16_at(block, 10));
    let end = ENTRIES_AT + count.min(PAGE_ENTRIES) * ENTRY_BYTES;
    let is_whole = checks.header(0, segment, block, CHECKSUM_AT) == u32_at(block, CHECKSUM_AT)
        && (1..=PAGE_ENTRIES).contains(&count)
        && block[8] == kind as u8
        && u32_at(block, 12) == unit
        && u64_at(block, 16) == segment;
    let entries = block[ENTRIES_AT..end].chunks_exact(ENTRY_BYTES);
    is_whole.then(|| {
        entries
            .map(|entry| FooterEntry {
                key: u64_at(entry, 0),
                seq: u64_at(entry, 8),
                unit: u32_at(entry, 16),
                last: u32_at(entry, 20),
            })
            .collect()
    })
}
