//! A map of which only some blocks are known, and the search for others.
//!
//! ```text
//!   open segment ─ newest sealed segment ─ … ┬─ … ─ oldest ─ image
//!     fences, filter ─ a page of its footer  └─ here the newest content has branched off: what its
//!                                               map has from before is what the search would find
//! ```
//!
//! Invariants: what is known is what a whole map would say; a fold makes nothing known. Everything
//! is bounded: blocks that are known, pages of one search.
//!
//! What is not known here: I/O, requests, which moment it is.

use crate::branches::Path;
use crate::fences::Fences;
use crate::format::checkpoint::SegmentRow;
use crate::format::footer::{FooterEntry, PageKind};
use crate::format::{Seq, Unit};
use crate::map::{BlockMap, Value};
use crate::runs::Runs;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Runs of blocks that are known, at most.
const KNOWN_RUNS_MAX: usize = 65_536;

/// Pages that are read before a whole map is built: as many as this part of the segments, and this
/// many at least.
const PAGES_PART: usize = 8;
const PAGES_MIN: usize = 8;

/// Whether a whole map takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whole {
    NotYet,
    /// It is being built.
    Coming,
    /// It cannot be built: what does not verify cannot be found.
    Never,
}

/// A map of which only some blocks are known.
#[derive(Debug)]
pub(super) struct LazyMap {
    path: Path,
    /// Sealed segments that it sees, newest first.
    segments: Vec<(SegmentRow, Arc<Fences>)>,
    /// What the open segment held.
    newest: BlockMap,
    found: BlockMap,
    /// Blocks that are known.
    known: Runs,
    pages_read: usize,
    pub(super) whole: Whole,
}

/// A whole map of another moment.
pub(super) struct Shortcut<'m, F> {
    pub(super) map: &'m BlockMap,
    /// The last seq that both moments see.
    pub(super) common: Seq,
    /// The last seq of the sealed segment that a unit lies in; `None`: it lies in none.
    pub(super) last_seq_of: F,
}

impl LazyMap {
    /// Of what a path sees: in these sealed segments, newest first, and in the open one.
    pub(super) fn new(
        path: Path,
        segments: Vec<(SegmentRow, Arc<Fences>)>,
        newest: BlockMap,
    ) -> LazyMap {
        LazyMap {
            path,
            segments,
            newest,
            found: BlockMap::default(),
            known: Runs::default(),
            pages_read: 0,
            whole: Whole::NotYet,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Blocks from `lba` on, at most `limit`, that are known.
    pub(super) fn known(&self, lba: u64, limit: u64) -> u64 {
        let (blocks, are_known) = self.known.run_at(lba, limit);
        if are_known { blocks } else { 0 }
    }

    /// What is known.
    pub(super) fn map(&self) -> &BlockMap {
        &self.found
    }

    /// Blocks whose newest version may lie in the log, at most.
    pub(super) fn blocks_at_most(&self) -> u64 {
        let sealed = self.segments.iter().map(|(_, fences)| fences.blocks());
        sealed.sum::<u64>() + self.newest.blocks()
    }

    /// Bytes of memory, without what the log keeps of its segments anyway.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.newest.memory_bytes() + self.found.memory_bytes()
    }

    /// Whether so many pages were read for it that a whole map is worth its reads.
    pub(super) fn is_read_much(&self) -> bool {
        self.pages_read >= PAGES_MIN.max(self.segments.len() / PAGES_PART)
    }

    /// A fold moved into the image what `folded` has, and retired segments: `is_kept` knows the
    /// others.
    pub(super) fn forget(&mut self, folded: &BlockMap, is_kept: impl Fn(u64) -> bool) {
        self.newest.forget(folded);
        self.segments.retain(|(row, _)| is_kept(row.id));
        self.found = BlockMap::default();
        self.known.clear();
    }

    fn keep(&mut self, blocks: Range<u64>, found: &[(u64, Value)]) {
        if self.known.len() >= KNOWN_RUNS_MAX {
            self.known.clear();
            self.found = BlockMap::default();
        }
        for (lba, value) in found {
            self.found.set(*lba, *value);
        }
        self.known.insert(blocks);
    }
}

/// A page of a footer that a search needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct WantedPage {
    pub(super) segment: u64,
    pub(super) slot: u32,
    pub(super) unit: Unit,
    pub(super) kind: PageKind,
    number: u32,
}

/// Blocks that are being found.
#[derive(Debug)]
pub(super) struct Search {
    blocks: Range<u64>,
    /// Blocks that no segment so far has.
    open: Vec<u64>,
    found: Vec<(u64, Value)>,
    /// Segments that were searched.
    searched: usize,
    /// Pages of the footer of the next one.
    pages: BTreeMap<u32, Vec<FooterEntry>>,
    pages_read: usize,
}

impl Search {
    pub(super) fn begin(blocks: Range<u64>, map: &LazyMap) -> Search {
        let newest = &map.newest;
        let found = |lba: u64| newest.get(lba).map(|value| (lba, value));
        let is_open = |lba: &u64| newest.get(*lba).is_none();
        Search {
            open: blocks.clone().filter(is_open).collect(),
            found: blocks.clone().filter_map(found).collect(),
            blocks,
            searched: 0,
            pages: BTreeMap::new(),
            pages_read: 0,
        }
    }

    pub(super) fn blocks(&self) -> &Range<u64> {
        &self.blocks
    }

    /// Pages that were read for it.
    pub(super) fn pages_read(&self) -> usize {
        self.pages_read
    }

    /// Searches on; the page that has to be read before it can go on. If there is none, the blocks
    /// are known.
    pub(super) fn advance<F: Fn(Unit) -> Option<Seq>>(
        &mut self,
        map: &mut LazyMap,
        mut shortcut: Option<Shortcut<'_, F>>,
    ) -> Option<WantedPage> {
        while let Some((row, fences)) = map.segments.get(self.searched) {
            let can_cut = |shortcut: &mut Shortcut<'_, F>| row.seqs[1] <= shortcut.common;
            if let Some(shortcut) = shortcut.take_if(can_cut) {
                self.cut_short(&shortcut);
            }
            if self.open.is_empty() {
                break;
            }
            if let Some(number) = self.missing_page(&map.path, row, fences) {
                return Some(WantedPage {
                    segment: row.id,
                    slot: row.slot,
                    // The SEAL is before the first page.
                    unit: row.seal.map_or(0, |(unit, _)| unit) + 1 + number,
                    kind: fences.kind_of(number),
                    number,
                });
            }
            self.take_segment(&map.path, row, fences);
        }
        map.keep(self.blocks.clone(), &self.found);
        None
    }

    /// A page was read.
    pub(super) fn give(&mut self, map: &mut LazyMap, page: WantedPage, entries: Vec<FooterEntry>) {
        map.pages_read += 1;
        self.pages_read += 1;
        self.pages.insert(page.number, entries);
    }

    /// All segments that are left are seen by both moments: what the other one has in them is what
    /// this one has, unless it has a newer version.
    fn cut_short<F: Fn(Unit) -> Option<Seq>>(&mut self, shortcut: &Shortcut<'_, F>) {
        let found = &mut self.found;
        self.open.retain(|lba| {
            let Some(value) = shortcut.map.get(*lba) else {
                return false;
            };
            let last_seq = (shortcut.last_seq_of)(value.unit());
            let is_common = last_seq.is_some_and(|last| last <= shortcut.common);
            if is_common {
                found.push((*lba, value));
            }
            !is_common
        });
    }

    /// A page of the segment that has to be read before all blocks are known in it.
    fn missing_page(&self, path: &Path, row: &SegmentRow, fences: &Fences) -> Option<u32> {
        let mut pages = self.open.iter().flat_map(|lba| {
            let intervals = path.within(row.seqs[0], row.seqs[1]);
            let of_block = intervals.filter_map(|(_, last)| fences.page_of(*lba, last));
            of_block.chain(fences.run_pages_of(*lba))
        });
        pages.find(|page| !self.pages.contains_key(page))
    }

    /// All pages that are needed of the segment are there: takes the newest version of each block.
    fn take_segment(&mut self, path: &Path, row: &SegmentRow, fences: &Fences) {
        let pages = std::mem::take(&mut self.pages);
        let newest = |lba: u64| {
            let intervals = path.within(row.seqs[0], row.seqs[1]);
            let of_block = intervals.filter_map(|(first, last)| {
                let entries = pages.get(&fences.page_of(lba, last)?)?;
                let behind = entries.partition_point(|entry| (entry.key, entry.seq) <= (lba, last));
                let entry = entries[..behind].last()?;
                let is_it = entry.key == lba && entry.seq >= first;
                is_it.then(|| (entry.seq, Value::data(entry.unit, entry.last)))
            });
            let runs = fences.run_pages_of(lba).filter_map(|page| pages.get(&page));
            let covers = |entry: &&FooterEntry| {
                let end = entry.key.saturating_add(u64::from(entry.last));
                (entry.key..end).contains(&lba) && path.sees(entry.seq)
            };
            let runs = runs.flatten().filter(covers);
            let of_runs = runs.map(|entry| (entry.seq, Value::zeroes(entry.unit)));
            of_block.chain(of_runs).max_by_key(|(seq, _)| *seq)
        };
        let found = &mut self.found;
        self.open.retain(|lba| match newest(*lba) {
            Some((_, value)) => {
                found.push((*lba, value));
                false
            }
            None => true,
        });
        self.searched += 1;
    }
}
