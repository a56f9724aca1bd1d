//! A disk with a volatile cache. A crash keeps any subset of the sectors that were written and not
//! flushed, of writes that were complete or in flight, in any order of writes; one sector that was
//! being written may hold neither the old nor the new bytes.

use disktime_random::SplitMix64;

/// Bytes that are written as a whole.
pub(crate) const SECTOR_BYTES: usize = 512;

/// The simulated disk.
#[derive(Clone)]
pub(crate) struct Disk {
    /// What reads see.
    pub(crate) bytes: Vec<u8>,
    durable: Vec<u8>,
    /// Complete or in flight, not flushed: offset and bytes.
    volatile: Vec<(usize, Vec<u8>)>,
}

impl Disk {
    pub(crate) fn new(bytes: usize) -> Disk {
        Disk {
            bytes: vec![0; bytes],
            durable: vec![0; bytes],
            volatile: Vec::new(),
        }
    }

    /// A write that is complete.
    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.bytes[offset..offset + bytes.len()].copy_from_slice(bytes);
        self.volatile.push((offset, bytes.to_vec()));
    }

    /// A write that a crash interrupts.
    pub(crate) fn interrupt(&mut self, offset: usize, bytes: &[u8]) {
        self.volatile.push((offset, bytes.to_vec()));
    }

    /// It has more bytes at its end, all zeroes.
    pub(crate) fn grow(&mut self, bytes: usize) {
        self.bytes.resize(bytes, 0);
        self.durable.resize(bytes, 0);
    }

    /// How many writes a flush that begins now covers.
    pub(crate) fn begin_flush(&self) -> usize {
        self.volatile.len()
    }

    /// A flush that covers so many writes ends. Others ended in between may have covered some.
    pub(crate) fn end_flush(&mut self, covers: usize) {
        let covers = covers.min(self.volatile.len());
        for (offset, bytes) in self.volatile.drain(..covers) {
            self.durable[offset..offset + bytes.len()].copy_from_slice(&bytes);
        }
    }

    /// What is there is durable.
    pub(crate) fn settle(&mut self) {
        self.volatile.clear();
        self.durable.clone_from(&self.bytes);
    }

    /// Power is lost.
    pub(crate) fn crash(&mut self, random: &mut SplitMix64) {
        let kept_per_million = [0, 200_000, 500_000, 950_000, 1_000_000][random.below(5) as usize];
        let mut writes = std::mem::take(&mut self.volatile);
        if random.below(2) == 0 {
            // Sectors of different writes to one place are rare; their order is free too.
            for at in (1..writes.len()).rev() {
                writes.swap(at, random.below(at as u64 + 1) as usize);
            }
        }
        let whole = random.below(2) == 0;
        for (offset, bytes) in &writes {
            let keep_write = random.chance(kept_per_million);
            for (index, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                if if whole {
                    keep_write
                } else {
                    random.chance(kept_per_million)
                } {
                    let at = *offset + index * SECTOR_BYTES;
                    self.durable[at..at + sector.len()].copy_from_slice(sector);
                }
            }
        }
        if !writes.is_empty() && random.below(2) == 0 {
            let (offset, bytes) = &writes[random.below(writes.len() as u64) as usize];
            let sectors = (bytes.len() / SECTOR_BYTES) as u64;
            let at = *offset + random.below(sectors) as usize * SECTOR_BYTES;
            self.durable[at..at + SECTOR_BYTES].fill_with(|| random.below(256) as u8);
        }
        self.bytes.clone_from(&self.durable);
    }
}
