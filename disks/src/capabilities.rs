//! What a disk can do, beyond reading and writing, as one value.
//!
//! Invariant: fixed while the disk is open. A discard may still fail for one range with
//! [`crate::DiskErrorKind::NotSupported`]; the caller then goes on without.

/// What a discard leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiscardEffect {
    /// Nothing happens: discards complete at once.
    Ignored,
    /// The range is given up; what it reads as afterwards is not defined.
    Undefined,
    /// The range is given up and reads as zeroes if the discard succeeded.
    Zeroes,
}

/// What a disk can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// What discards do.
    pub discard: DiscardEffect,
    /// Whether reads leave what they read in memory for later ones.
    pub caches_reads: bool,
    /// Whether the content is kept; a pure model ignores buffers.
    pub holds_data: bool,
    /// Whether a write may be lost by a crash until a flush completes.
    pub volatile_cache: bool,
}

impl Capabilities {
    /// Whether discards do anything.
    pub fn discards(&self) -> bool {
        self.discard != DiscardEffect::Ignored
    }

    /// Whether a discard that succeeds leaves a range that reads as zeroes.
    pub fn discard_zeroes(&self) -> bool {
        self.discard == DiscardEffect::Zeroes
    }
}
