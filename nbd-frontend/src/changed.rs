//! Metadata contexts that say what has changed, `qemu:dirty-bitmap:NAME`: what the server gives for
//! one when a client opens its export, and the descriptors of a range that are made of it.
//!
//! Invariants: the ranges of a context stay what they are as long as a session uses it, so answers
//! to several requests fit together; the descriptors of a range follow one another without gaps
//! from its beginning, and neighbours differ.
//!
//! What is not known here: histories, and what a name means.

use std::sync::Arc;

/// Contexts of one session beside `base:allocation`, at most.
pub(crate) const CHANGED_CONTEXTS_MAX: usize = 8;

/// The server's identity for a context of an export. It has no meaning in this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContextHandle(pub u64);

/// What has changed: ranges of bytes (offset, length), by offset and apart from each other. Copies
/// share them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangedRanges(Arc<Vec<(u64, u64)>>);

impl ChangedRanges {
    /// These ranges.
    pub fn new(ranges: Arc<Vec<(u64, u64)>>) -> ChangedRanges {
        let is_apart = |pair: &[(u64, u64)]| pair[0].0 + pair[0].1 < pair[1].0;
        debug_assert!(ranges.windows(2).all(is_apart), "the ranges are apart");
        ChangedRanges(ranges)
    }

    /// The runs of `start..end`: where each ends, and whether it has changed. One search, then a
    /// step for each.
    pub(crate) fn runs(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, bool)> {
        let first = self
            .0
            .partition_point(|(offset, length)| offset + length <= start);
        let mut ranges = self.0[first..].iter();
        let mut next = ranges.next();
        let mut at = start;
        std::iter::from_fn(move || {
            if at >= end {
                return None;
            }
            let (stop, is_changed) = match next {
                Some((offset, length)) if *offset <= at => {
                    next = ranges.next();
                    (offset + length, true)
                }
                Some((offset, _)) => (*offset, false),
                None => (end, false),
            };
            at = stop.min(end);
            Some((at, is_changed))
        })
    }
}

/// A context of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedContext {
    /// Its number in the transmission phase.
    pub number: u32,
    /// What it says.
    pub ranges: ChangedRanges,
}

#[cfg(test)]
mod tests;
