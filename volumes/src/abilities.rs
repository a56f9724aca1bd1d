//! What a disk can do, as far as requests are cut by it.
//!
//! It starts with what the disk states about itself and is corrected when the disk refuses an
//! operation as not supported. Corrections go one way: an ability is lost and never comes back, so
//! a request is not tried by the same refused operation again and again.

use disktime_disks::Disk;

/// Sizes that I/O keeps to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grain {
    block_bytes: u64,
    quantum_bytes: u64,
}

impl Grain {
    /// `quantum_bytes` is a multiple of `block_bytes`.
    pub(crate) fn new(block_bytes: u64, quantum_bytes: u64) -> Grain {
        debug_assert!(quantum_bytes.is_multiple_of(block_bytes));
        Grain {
            block_bytes,
            quantum_bytes,
        }
    }

    /// I/O begins and ends at multiples of this.
    pub(crate) fn block_bytes(&self) -> u64 {
        self.block_bytes
    }

    /// Longest I/O.
    pub(crate) fn quantum_bytes(&self) -> u64 {
        self.quantum_bytes
    }

    pub(crate) fn floor(&self, at: u64) -> u64 {
        at - at % self.block_bytes
    }

    pub(crate) fn ceil(&self, at: u64) -> u64 {
        at.next_multiple_of(self.block_bytes)
    }

    pub(crate) fn is_aligned(&self, at: u64) -> bool {
        at.is_multiple_of(self.block_bytes)
    }
}

/// What the disk can do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Abilities {
    grain: Grain,
    holds_data: bool,
    discards: bool,
    /// A discarded range reads as zeroes.
    discard_zeroes: bool,
    zeroes: bool,
    has_seeks: bool,
    caches_reads: bool,
    /// What was never written may find no space below.
    can_run_out: bool,
    /// Longest piece of a discard and of a zeroing.
    discard_bytes: u64,
    zeroing_bytes: u64,
}

impl Abilities {
    /// As the disk states them.
    pub(crate) fn of<D: Disk>(disk: &D) -> Abilities {
        let properties = disk.properties();
        let capabilities = properties.capabilities;
        Abilities {
            grain: Grain::new(
                u64::from(properties.block_bytes),
                u64::from(properties.quantum_bytes),
            ),
            holds_data: capabilities.holds_data,
            discards: capabilities.discards(),
            discard_zeroes: capabilities.discard_zeroes(),
            zeroes: true,
            has_seeks: properties.has_seeks,
            caches_reads: capabilities.caches_reads,
            can_run_out: disk
                .content_map()
                .is_some_and(|map| map.space_below().is_some()),
            discard_bytes: u64::from(properties.quantum_bytes),
            zeroing_bytes: u64::from(properties.quantum_bytes),
        }
    }

    pub(crate) fn grain(&self) -> Grain {
        self.grain
    }

    /// Whether there are bytes to move; a pure model of a disk has none.
    pub(crate) fn holds_data(&self) -> bool {
        self.holds_data
    }

    /// Whether it discards.
    pub(crate) fn discards(&self) -> bool {
        self.discards
    }

    /// Whether a discarded range reads as zeroes, so that zeroes can be had by giving space back.
    pub(crate) fn discarding_zeroes(&self) -> bool {
        self.discards && self.discard_zeroes
    }

    /// Whether zeroing by giving space back is faster than writing zeroes, too. That is not said
    /// of a disk with seeks.
    pub(crate) fn zeroes_by_discard(&self) -> bool {
        self.discarding_zeroes() && !self.has_seeks
    }

    /// Whether it zeroes a range itself, so that zeroes need not be sent.
    pub(crate) fn zeroes(&self) -> bool {
        self.zeroes
    }

    /// Whether reading a range makes the next read of it cheaper.
    pub(crate) fn caches_reads(&self) -> bool {
        self.caches_reads
    }

    /// Whether what has no space below may find none; it can be set aside before.
    pub(crate) fn can_run_out(&self) -> bool {
        self.can_run_out
    }

    /// Longest piece of a discard.
    pub(crate) fn discard_bytes(&self) -> u64 {
        self.discard_bytes
    }

    /// Longest piece that the disk is asked to zero.
    pub(crate) fn zeroing_bytes(&self) -> u64 {
        self.zeroing_bytes
    }

    /// How long pieces of discards and zeroings should be, by what they were measured to take.
    pub(crate) fn set_longest(&mut self, discard_bytes: u64, zeroing_bytes: u64) {
        let quantum = self.grain.quantum_bytes();
        let whole = |bytes: u64| {
            self.grain
                .floor(bytes.min(quantum))
                .max(self.grain.block_bytes())
        };
        let longest = (whole(discard_bytes), whole(zeroing_bytes));
        (self.discard_bytes, self.zeroing_bytes) = longest;
    }

    /// It refused a discard.
    pub(crate) fn lose_discard(&mut self) {
        self.discards = false;
    }

    /// It refused to zero.
    pub(crate) fn lose_zeroing(&mut self) {
        self.zeroes = false;
    }
}

#[cfg(test)]
impl Abilities {
    /// A disk that can do everything, for unit tests.
    pub(crate) fn full(grain: Grain) -> Abilities {
        Abilities {
            grain,
            holds_data: true,
            discards: true,
            discard_zeroes: true,
            zeroes: true,
            has_seeks: false,
            caches_reads: true,
            can_run_out: true,
            discard_bytes: grain.quantum_bytes(),
            zeroing_bytes: grain.quantum_bytes(),
        }
    }
}
