//! What a batch changes: its entries as footer entries, and footers as a map.
//!
//! Invariant: the map that is built while writing, from footers, or by scanning is the same one,
//! because all three come through here in log order.
//!
//! What is not known here: I/O, records.

use crate::branches::Path;
use crate::format::batch::{BatchHeader, Body, EntryKind};
use crate::format::footer::{Footer, FooterEntry};
use crate::format::{Seq, Unit};
use crate::map::{BlockMap, Value};

/// A version of a block or of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) lba: u64,
    pub(crate) blocks: u64,
    pub(crate) seq: Seq,
    pub(crate) value: Value,
}

impl Version {
    pub(crate) fn apply(&self, map: &mut BlockMap) {
        if self.value.as_data().is_some() {
            map.set(self.lba, self.value);
        } else {
            map.set_run(self.lba, self.blocks, self.value);
        }
    }
}

/// Calls `each` for every version that a batch brings, in the order of the seqs.
pub(crate) fn versions(header: &BatchHeader, mut each: impl FnMut(Version)) {
    let Body::Data(entries) = &header.body else {
        return;
    };
    let mut payload = std::iter::zip(header.unit + 1.., &header.payload_checksums);
    for (seq, entry) in (header.first_seq..).zip(entries) {
        if entry.kind != EntryKind::Data {
            each(Version {
                lba: entry.lba,
                blocks: u64::from(entry.blocks),
                seq,
                value: Value::zeroes(header.unit),
            });
            continue;
        }
        let blocks = entry.lba..entry.lba + u64::from(entry.blocks);
        for (lba, (unit, checksum)) in blocks.zip(payload.by_ref()) {
            each(Version {
                lba,
                blocks: 1,
                seq,
                value: Value::data(unit, *checksum),
            });
        }
    }
}

/// Adds a batch to the footer of its segment.
pub(crate) fn add_to_footer(header: &BatchHeader, footer: &mut Footer) {
    let [blocks, runs, batches] = &mut footer.entries;
    versions(header, |version| {
        let (key, seq) = (version.lba, version.seq);
        match version.value.as_data() {
            Some((unit, last)) => blocks.push(FooterEntry {
                key,
                seq,
                unit,
                last,
            }),
            None => runs.push(FooterEntry {
                key,
                seq,
                unit: header.unit,
                last: version.blocks as u32,
            }),
        }
    });
    batches.push(FooterEntry {
        key: header.time_ns,
        seq: header.last_seq(),
        unit: header.unit,
        last: u32::from(header.type_number()),
    });
}

/// Replays a segment into a map, as far as `path` sees it. Segments come oldest first.
pub(crate) fn apply_footer(footer: &Footer, path: &Path, map: &mut BlockMap) {
    let [blocks, runs, _] = &footer.entries;
    if runs.is_empty() {
        // Sorted or in log order, the newest version of a block comes last.
        for entry in blocks.iter().filter(|entry| path.sees(entry.seq)) {
            map.set(entry.key, Value::data(entry.unit, entry.last));
        }
        return;
    }
    let data = blocks
        .iter()
        .map(|entry| version(entry, 1, Value::data(entry.unit, entry.last)));
    let zeroes = runs
        .iter()
        .map(|entry| version(entry, u64::from(entry.last), Value::zeroes(entry.unit)));
    let mut all: Vec<Version> = data
        .chain(zeroes)
        .filter(|one| path.sees(one.seq))
        .collect();
    all.sort_by_key(|version| version.seq);
    all.iter().for_each(|version| version.apply(map));
}

fn version(entry: &FooterEntry, blocks: u64, value: Value) -> Version {
    Version {
        lba: entry.key,
        blocks,
        seq: entry.seq,
        value,
    }
}

/// Whether every entry can be what a program wrote: inside the vdisk and inside the segment.
pub(crate) fn footer_is_possible(
    footer: &Footer,
    units: std::ops::Range<Unit>,
    vdisk: u64,
) -> bool {
    let [blocks, runs, batches] = &footer.entries;
    let all = blocks.iter().chain(runs).chain(batches);
    let ends = |entry: &FooterEntry, blocks: u64| {
        entry
            .key
            .checked_add(blocks)
            .is_some_and(|end| end <= vdisk)
    };
    all.into_iter().all(|entry| units.contains(&entry.unit))
        && blocks.iter().all(|entry| ends(entry, 1))
        && runs.iter().all(|entry| ends(entry, u64::from(entry.last)))
}
