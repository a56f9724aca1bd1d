//! Which units of an extent have their space on the file system below the disk. Pure, in memory
//! only, for disks whose space is not their own.
//!
//! It answers what the maps of content cannot: whether a write may find no space (a hole, for block
//! status), whether a trim of zeroes gives something back, and what is left to be set aside. It
//! begins with what the file system says at opening, and follows what is done since.
//!
//! A unit is a block of the file system, of at most 4 KiB, as a part of a chunk can be a hole. A
//! region of 16 MiB is held as a whole, free as a whole, or has a bit for each unit.
//!
//! Invariants: a unit that is not held reads as zeroes, unless a write to it is in flight or has
//! failed; a unit is held from when a write, a zeroing or a setting aside of all or a part of it
//! has succeeded until a discard of all of it, which had it alone, has.

use std::ops::Range;

const REGION_BYTES: u64 = 16 << 20;
const WORD_BITS: u64 = 64;

/// What is known of a region.
#[derive(Debug)]
enum Region {
    Free,
    Held,
    Mixed { held: u32, bits: Box<[u64]> },
}

/// The units of an extent.
#[derive(Debug)]
pub(crate) struct SpaceMap {
    unit_bytes: u64,
    len_bytes: u64,
    regions: Vec<Region>,
    held_bytes: u64,
}

impl SpaceMap {
    /// An extent of which nothing has its space. `unit_bytes` is a power of two that divides 1 MiB,
    /// and the extent whole units.
    pub(crate) fn free(len_bytes: u64, unit_bytes: u64) -> SpaceMap {
        debug_assert!(unit_bytes.is_power_of_two() && len_bytes.is_multiple_of(unit_bytes));
        let regions = (0..len_bytes.div_ceil(REGION_BYTES)).map(|_| Region::Free);
        SpaceMap {
            unit_bytes,
            len_bytes,
            regions: regions.collect(),
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
        let index = (at / REGION_BYTES) as usize;
        let base = index as u64 * REGION_BYTES;
        let limit = limit.min(base + REGION_BYTES);
        let bits = match &self.regions[index] {
            Region::Free => return (false, limit),
            Region::Held => return (true, limit),
            Region::Mixed { bits, .. } => bits,
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
            let index = at / REGION_BYTES;
            let base = index * REGION_BYTES;
            let until = end.min(base + REGION_BYTES);
            let units = (at - base) / self.unit_bytes..(until - base) / self.unit_bytes;
            let in_region = REGION_BYTES.min(self.len_bytes - base) / self.unit_bytes;
            changed += self.regions[index as usize].set(units, in_region, hold);
            at = until;
        }
        changed * self.unit_bytes
    }
}

impl Region {
    /// Holds or frees some of the region's `all` units; how many changed.
    fn set(&mut self, units: Range<u64>, all: u64, hold: bool) -> u64 {
        if matches!((&*self, hold), (Region::Held, true) | (Region::Free, false)) {
            return 0;
        }
        if units == (0..all) {
            let before = self.count(all);
            *self = Region::uniform(hold);
            return if hold { all - before } else { before };
        }
        if !matches!(self, Region::Mixed { .. }) {
            let held = self.count(all);
            let word = if held > 0 { u64::MAX } else { 0 };
            *self = Region::Mixed {
                held: held as u32,
                bits: vec![word; all.div_ceil(WORD_BITS) as usize].into(),
            };
        }
        let Region::Mixed { held, bits } = self else {
            unreachable!("it was made so above");
        };
        let changed = set_bits(bits, units, hold);
        match hold {
            true => *held += changed as u32,
            false => *held -= changed as u32,
        }
        let held = u64::from(*held);
        if held == 0 || held == all {
            *self = Region::uniform(hold);
        }
        changed
    }

    fn uniform(hold: bool) -> Region {
        match hold {
            true => Region::Held,
            false => Region::Free,
        }
    }

    fn count(&self, all: u64) -> u64 {
        match self {
            Region::Free => 0,
            Region::Held => all,
            Region::Mixed { held, .. } => u64::from(*held),
        }
    }
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
