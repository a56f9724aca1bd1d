//! The content of a disk with a volatile cache: the durable one, and every newer version of a
//! sector that may survive a crash.
//!
//! Invariants: a read sees the newest version; making versions up to a moment durable keeps the
//! newest of them and forgets the older ones; sectors are visited in ascending order, so that one
//! seed always makes the same crash.

use disktime_random::SplitMix64;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The unit that a crash keeps whole.
pub(super) const SECTOR_BYTES: usize = 512;
const PAGE_BYTES: usize = 4096;
const SECTORS_PER_PAGE: u64 = (PAGE_BYTES / SECTOR_BYTES) as u64;
/// Older unflushed versions than this many are forgotten, which bounds the memory of a test that
/// never flushes.
const VERSIONS_MAX: usize = 4;

/// A sector's bytes; `None` is all zeroes.
pub(super) type Sector = Option<Box<[u8; SECTOR_BYTES]>>;

#[derive(Debug, Clone)]
struct Version {
    sequence: u64,
    data: Sector,
}

/// The content of a disk. Cheap to clone: pages are shared until written.
#[derive(Debug, Clone, Default)]
pub(super) struct Content {
    durable: BTreeMap<u64, Arc<[u8; PAGE_BYTES]>>,
    pending: BTreeMap<u64, Vec<Version>>,
}

impl Content {
    /// Reads the newest versions, durable or not.
    pub(super) fn read(&self, first_sector: u64, bytes: &mut [u8]) {
        for (sector, chunk) in (first_sector..).zip(bytes.chunks_mut(SECTOR_BYTES)) {
            match self
                .pending
                .get(&sector)
                .and_then(|versions| versions.last())
            {
                Some(Version {
                    data: Some(data), ..
                }) => chunk.copy_from_slice(&data[..chunk.len()]),
                Some(Version { data: None, .. }) => chunk.fill(0),
                None => self.read_durable(sector, chunk),
            }
        }
    }

    fn read_durable(&self, sector: u64, chunk: &mut [u8]) {
        match self.durable.get(&(sector / SECTORS_PER_PAGE)) {
            Some(page) => {
                let start = (sector % SECTORS_PER_PAGE) as usize * SECTOR_BYTES;
                chunk.copy_from_slice(&page[start..start + chunk.len()]);
            }
            None => chunk.fill(0),
        }
    }

    /// A new version that a crash may lose.
    pub(super) fn write_pending(&mut self, sector: u64, sequence: u64, data: Sector) {
        let versions = self.pending.entry(sector).or_default();
        if versions.len() == VERSIONS_MAX {
            versions.remove(0);
        }
        versions.push(Version { sequence, data });
    }

    /// A new version that no crash loses; older ones can no longer overwrite it.
    pub(super) fn write_durable(&mut self, sector: u64, data: Sector) {
        self.pending.remove(&sector);
        let number = sector / SECTORS_PER_PAGE;
        if data.is_none() && !self.durable.contains_key(&number) {
            return;
        }
        let page = self
            .durable
            .entry(number)
            .or_insert_with(|| Arc::new([0; PAGE_BYTES]));
        let start = (sector % SECTORS_PER_PAGE) as usize * SECTOR_BYTES;
        let place = &mut Arc::make_mut(page)[start..start + SECTOR_BYTES];
        match data {
            Some(data) => place.copy_from_slice(&data[..]),
            None => place.fill(0),
        }
    }

    /// Makes every version up to `sequence` durable.
    pub(super) fn flush(&mut self, sequence: u64) {
        for (sector, mut versions) in std::mem::take(&mut self.pending) {
            let newer = versions
                .iter()
                .position(|version| version.sequence > sequence);
            let later = versions.split_off(newer.unwrap_or(versions.len()));
            if let Some(version) = versions.pop() {
                self.write_durable(sector, version.data);
            }
            if !later.is_empty() {
                self.pending.insert(sector, later);
            }
        }
    }

    /// How many sectors a crash could change.
    pub(super) fn pending_sectors(&self) -> usize {
        self.pending.len()
    }

    /// Power is lost: each pending sector is left with one of its versions, or with none of them.
    /// Half of the crashes lose all or keep all of them, as these cases find most defects.
    pub(super) fn crash(&mut self, random: &mut SplitMix64) {
        let mode = random.below(4);
        for (sector, mut versions) in std::mem::take(&mut self.pending) {
            let survivor = match mode {
                0 => None,
                1 => versions.pop(),
                _ => {
                    let choice = random.below(versions.len() as u64 + 1) as usize;
                    (choice < versions.len()).then(|| versions.swap_remove(choice))
                }
            };
            if let Some(version) = survivor {
                self.write_durable(sector, version.data);
            }
        }
    }
}

#[cfg(test)]
mod tests;
