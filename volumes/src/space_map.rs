//! Which units of an extent have their space on the file system below the disk. Pure, in memory
//! only, for disks whose space is not their own.
//!
//! It answers what the maps of content cannot: whether a write may find no space (a hole, for block
//! status), whether a trim of zeroes gives something back, and what is left to be set aside. It
//! begins with what the file system says at opening, and follows what is done since.
//!
//! A unit is a block of the file system, of at most 4096 bytes, as a part of a chunk can be a hole.
//! A region of 16 MiB is held as a whole, free as a whole, or mixed. All have memory for a bit per
//! unit from the start, as zeroes that the system provides when they are touched first: a region
//! that was never mixed takes none.
//!
//! Invariants: a unit that is not held reads as zeroes, unless a write to it is in flight; a unit
//! is held from when a write, a zeroing or a setting aside of all or a part of it has succeeded, or
//! has failed and may have done a part, until a discard of all of it, which had it alone, has
//! succeeded; the bits of a region count only while it is mixed; nothing is allocated after the map
//! is made.

use std::ops::Range;

const REGION_BYTES: u64 = 16 << 20;
const WORD_BITS: u64 = 64;
/// The bits of so many regions lie in one piece of memory; a single one for all could be larger
/// than the system grants.
const REGIONS_AT_ONCE: u64 = 1 << 13;

/// The units of an extent.
#[derive(Debug)]
pub(crate) struct SpaceMap {
    unit_bytes: u64,
    len_bytes: u64,
    /// How many units of each region are held.
    held: Vec<u32>,
    bits: Vec<Box<[u64]>>,
    held_bytes: u64,
}

/// What is known of a region.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Free,
    Held,
    Mixed,
}

impl SpaceMap {
    /// An extent of which nothing has its space. `unit_bytes` is a power of two that divides 1 MiB,
    /// and the extent whole units.
    pub(crate) fn free(len_bytes: u64, unit_bytes: u64) -> SpaceMap {
        debug_assert!(unit_bytes.is_power_of_two() && len_bytes.is_multiple_of(unit_bytes));
        let regions = len_bytes.div_ceil(REGION_BYTES);
        let words = |regions: u64| regions as usize * region_words(unit_bytes);
        let bits = (0..regions).step_by(REGIONS_AT_ONCE as usize).map(|first| {
            let count = REGIONS_AT_ONCE.min(regions - first);
            vec![0; words(count)].into_boxed_slice()
        });
        SpaceMap {
            unit_bytes,
            len_bytes,
            held: vec![0; regions as usize],
            bits: bits.collect(),
            held_bytes: 0,
        }
    }

    /// How much has its space.
    pub(crate) fn held_bytes(&self) -> u64 {
        self.held_bytes
    }

    /// Every unit that the range touches has its space from now on; by how much that is more.
    pub(crate) fn hold(&mut self, start: u64, end: u64) -> u64 {
        let start = start - start % self.unit_bytes;
        let end = end.next_multiple_of(self.unit_bytes).min(self.len_bytes);
        let bytes = self.set(start, end, true);
        self.held_bytes += bytes;
        bytes
    }

    /// No unit that the range touches is held any more.
    pub(crate) fn clear(&mut self, start: u64, end: u64) {
        let end = end.next_multiple_of(self.unit_bytes).min(self.len_bytes);
        self.give_back(start - start % self.unit_bytes, end);
    }

    /// The same units, none of them held.
    pub(crate) fn emptied(&self) -> SpaceMap {
        SpaceMap::free(self.len_bytes, self.unit_bytes)
    }

    /// No unit that lies in the range as a whole has its space any more; by how much that is less.
    pub(crate) fn give_back(&mut self, start: u64, end: u64) -> u64 {
        let start = start.next_multiple_of(self.unit_bytes);
        let bytes = self.set(start, end - end % self.unit_bytes, false);
        self.held_bytes -= bytes;
        bytes
    }

    /// Whether the byte at `at` has its space, and up to where (at most `limit`) that holds.
    pub(crate) fn run(&self, at: u64, limit: u64) -> (bool, u64) {
        let limit = limit.min(self.len_bytes);
        let (held, mut stop) = self.run_in_region(at, limit);
        while stop < limit {
            let (same, next) = self.run_in_region(stop, limit);
            if same != held {
                break;
            }
            stop = next;
        }
        (held, stop)
    }

    fn run_in_region(&self, at: u64, limit: u64) -> (bool, u64) {
        let region = at / REGION_BYTES;
        let base = region * REGION_BYTES;
        let limit = limit.min(base + REGION_BYTES);
        let bits = match self.state(region) {
            State::Free => return (false, limit),
            State::Held => return (true, limit),
            State::Mixed => self.bits_of(region),
        };
        let (mut unit, last) = (
            (at - base) / self.unit_bytes,
            (limit - base).div_ceil(self.unit_bytes),
        );
        let held = is_set(bits, unit);
        while unit < last {
            // Those of the word from the unit on that differ.
            let word = bits[(unit / WORD_BITS) as usize] >> (unit % WORD_BITS);
            let same = match held {
                true => word.trailing_ones(),
                false => word.trailing_zeros(),
            };
            let left = WORD_BITS - unit % WORD_BITS;
            unit += u64::from(same).min(left);
            if u64::from(same) < left {
                break;
            }
        }
        (held, limit.min(base + unit * self.unit_bytes))
    }

    fn set(&mut self, start: u64, end: u64, hold: bool) -> u64 {
        let (mut at, mut changed) = (start, 0);
        while at < end {
            let region = at / REGION_BYTES;
            let base = region * REGION_BYTES;
            let until = end.min(base + REGION_BYTES);
            let units = (at - base) / self.unit_bytes..(until - base) / self.unit_bytes;
            changed += self.set_in_region(region, units, hold);
            at = until;
        }
        changed * self.unit_bytes
    }

    /// Holds or frees some of a region's units; how many changed.
    fn set_in_region(&mut self, region: u64, units: Range<u64>, hold: bool) -> u64 {
        let all = self.units_in(region);
        let before = u64::from(self.held[region as usize]);
        let state = self.state(region);
        let changed = if units == (0..all) {
            if hold { all - before } else { before }
        } else {
            let as_before = match state {
                State::Mixed => None,
                State::Held if hold => return 0,
                State::Free if !hold => return 0,
                State::Held => Some(u64::MAX),
                State::Free => Some(0),
            };
            let bits = self.bits_of_mut(region);
            if let Some(word) = as_before {
                bits.fill(word);
            }
            set_bits(bits, units, hold)
        };
        let held = &mut self.held[region as usize];
        match hold {
            true => *held += changed as u32,
            false => *held -= changed as u32,
        }
        changed
    }

    fn state(&self, region: u64) -> State {
        match u64::from(self.held[region as usize]) {
            0 => State::Free,
            held if held == self.units_in(region) => State::Held,
            _ => State::Mixed,
        }
    }

    fn units_in(&self, region: u64) -> u64 {
        REGION_BYTES.min(self.len_bytes - region * REGION_BYTES) / self.unit_bytes
    }

    /// Where the words of a region are.
    fn words_of(&self, region: u64) -> (usize, Range<usize>) {
        let words = region_words(self.unit_bytes);
        let first = (region % REGIONS_AT_ONCE) as usize * words;
        ((region / REGIONS_AT_ONCE) as usize, first..first + words)
    }

    fn bits_of(&self, region: u64) -> &[u64] {
        let (piece, words) = self.words_of(region);
        &self.bits[piece][words]
    }

    fn bits_of_mut(&mut self, region: u64) -> &mut [u64] {
        let (piece, words) = self.words_of(region);
        &mut self.bits[piece][words]
    }
}

/// How many words the bits of a region take.
fn region_words(unit_bytes: u64) -> usize {
    (REGION_BYTES / unit_bytes).div_ceil(WORD_BITS) as usize
}

fn is_set(bits: &[u64], unit: u64) -> bool {
    bits[(unit / WORD_BITS) as usize] >> (unit % WORD_BITS) & 1 == 1
}

/// Sets or clears the bits; how many changed.
fn set_bits(bits: &mut [u64], units: Range<u64>, set: bool) -> u64 {
    let (mut at, mut changed) = (units.start, 0);
    while at < units.end {
        let until = units.end.min((at / WORD_BITS + 1) * WORD_BITS);
        let mask = (u64::MAX >> (WORD_BITS - (until - at))) << (at % WORD_BITS);
        let word = &mut bits[(at / WORD_BITS) as usize];
        let differs = if set { !*word } else { *word } & mask;
        *word ^= differs;
        changed += u64::from(differs.count_ones());
        at = until;
    }
    changed
}

#[cfg(test)]
mod tests;
