//! What is kept in memory of the footer of a sealed segment, so that a single block is found in it
//! by reading one page: the first entry of each page, and a filter that says which blocks it has
//! for sure not.
//!
//! 1.6 bytes for each block that the segment holds, and 2 for each of its units where it has many
//! runs. Invariant: a page that a search does not name
//! holds nothing that was searched for. What is not known here: I/O, branches.

use crate::format::Seq;
use crate::format::footer::{Footer, FooterEntry, PAGE_ENTRIES, PageKind};

/// Bits of the filter for each block, and how many of them a block sets: one of 300 blocks that are
/// not there is taken for one that is.
const FILTER_BITS: usize = 12;
const FILTER_HASHES: u64 = 8;

/// Ranges that hold all runs, at most: so many, and one more for so many units of the segment.
const RANGES_MIN: usize = 16;
const UNITS_A_RANGE: usize = 8;

/// Fences and filter of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fences {
    /// Block and seq that each page of blocks begins with.
    block_pages: Vec<(u64, Seq)>,
    /// Least block and greatest end of the runs of each page of runs.
    run_pages: Vec<(u64, u64)>,
    /// Ranges of blocks outside which there is no run, apart from each other.
    run_ranges: Vec<(u64, u64)>,
    filter: Vec<u64>,
    blocks: u64,
}

impl Fences {
    /// Those of a footer that is sorted.
    pub(crate) fn of_footer(footer: &Footer) -> Fences {
        let [blocks, runs, batches] = &footer.entries;
        let ranges_max = RANGES_MIN + (blocks.len() + batches.len()) / UNITS_A_RANGE;
        let pages = blocks.chunks(PAGE_ENTRIES).map(|page| {
            let first = &page[0];
            (first.key, first.seq)
        });
        let run_pages = runs.chunks(PAGE_ENTRIES).map(|page| {
            let ends = page.iter().map(|run| run.key + u64::from(run.last));
            (page[0].key, ends.max().unwrap_or(0))
        });
        let mut fences = Fences {
            block_pages: pages.collect(),
            run_pages: run_pages.collect(),
            run_ranges: ranges_of(runs, ranges_max),
            filter: vec![0; (blocks.len() * FILTER_BITS).div_ceil(64)],
            blocks: blocks.len() as u64,
        };
        for entry in blocks {
            for (word, bit) in bits(entry.key, fences.filter.len()) {
                fences.filter[word] |= bit;
            }
        }
        fences
    }

    /// The page of the footer that holds the newest version of a block up to `seq`, if any page
    /// does.
    pub(crate) fn page_of(&self, lba: u64, seq: Seq) -> Option<u32> {
        let mut bits = bits(lba, self.filter.len());
        if self.filter.is_empty() || !bits.all(|(word, bit)| self.filter[word] & bit != 0) {
            return None;
        }
        let behind = self
            .block_pages
            .partition_point(|first| *first <= (lba, seq));
        behind.checked_sub(1).map(|page| page as u32)
    }

    /// The pages of the footer that may hold runs with this block.
    pub(crate) fn run_pages_of(&self, lba: u64) -> impl Iterator<Item = u32> {
        let before = self.run_ranges.partition_point(|(_, end)| *end <= lba);
        let range = self.run_ranges.get(before);
        let is_inside = range.is_some_and(|(first, _)| *first <= lba);
        let first = self.block_pages.len() as u32;
        let pages = (first..).zip(self.run_pages.iter().filter(move |_| is_inside));
        let hit = pages.filter(move |(_, (least, end))| (*least..*end).contains(&lba));
        hit.map(|(page, _)| page)
    }

    /// What a page of the footer holds: blocks or runs.
    pub(crate) fn kind_of(&self, page: u32) -> PageKind {
        if (page as usize) < self.block_pages.len() {
            PageKind::Blocks
        } else {
            PageKind::Runs
        }
    }

    /// Versions of blocks that the segment has.
    pub(crate) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Bytes of memory.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let pages = self.block_pages.len() + self.run_pages.len() + self.run_ranges.len();
        (16 * pages + 8 * self.filter.len()) as u64
    }
}

/// Ranges that hold all runs, which are sorted: the blocks of the runs, and of what lies between
/// two runs as little as `most` ranges allow.
fn ranges_of(runs: &[FooterEntry], most: usize) -> Vec<(u64, u64)> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for run in runs {
        let end = run.key + u64::from(run.last);
        match ranges.last_mut() {
            Some(last) if run.key <= last.1 => last.1 = last.1.max(end),
            _ => ranges.push((run.key, end)),
        }
    }
    if ranges.len() <= most {
        return ranges;
    }
    let gap = |pair: &[(u64, u64)]| pair[1].0 - pair[0].1;
    let mut gaps: Vec<u64> = ranges.windows(2).map(gap).collect();
    gaps.sort_unstable();
    // As many as are not greater than this one are closed, or some more.
    let closed = gaps[ranges.len() - most - 1];
    ranges.dedup_by(|next, before| {
        let is_near = next.0 - before.1 <= closed;
        if is_near {
            before.1 = next.1;
        }
        is_near
    });
    ranges.shrink_to_fit();
    ranges
}

/// The words and bits of a filter of so many words that belong to a block.
fn bits(lba: u64, words: usize) -> impl Iterator<Item = (usize, u64)> {
    let mixed = (lba ^ lba >> 31).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let (first, step) = (mixed >> 32, mixed | 1);
    let all = 64 * words.max(1) as u64;
    (0..FILTER_HASHES).map(move |index| {
        let bit = first.wrapping_add(index.wrapping_mul(step & 0xFFFF_FFFF)) % all;
        ((bit / 64) as usize, 1 << (bit % 64))
    })
}

#[cfg(test)]
mod tests;
