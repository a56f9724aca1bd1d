//! The identity of a stream, and a map from it.
//!
//! A stream has a slot in the scheduler's table, and a removed stream's slot is used again. The
//! identity is the slot with a generation that counts how often the slot has been used, so that an
//! identity that was kept too long is recognised. Invariant: two streams of one scheduler never
//! have equal identities (before 2³² streams have used one slot).
//!
//! What is not known here: what a stream is.

use std::fmt;

/// Which stream; given by the scheduler when the stream is added, and opaque. The order is that of
/// the slots: without removals the order in which the streams were added.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId {
    /// The slot above the generation, in one number: comparing identities is part of every
    /// decision.
    packed: u64,
}

impl StreamId {
    /// The lowest identity there is: a bound for searches.
    pub(crate) const LOWEST: StreamId = StreamId::new(0, 0);

    pub(crate) const fn new(slot: u32, generation: u32) -> StreamId {
        StreamId {
            packed: (slot as u64) << 32 | generation as u64,
        }
    }

    /// An identity for tests of code that only passes identities on.
    #[doc(hidden)]
    pub const fn for_test(slot: u32) -> StreamId {
        StreamId::new(slot, 0)
    }

    /// The slot's number: unique among the streams that a scheduler has at one time, and less than
    /// the most that it ever had at one time. After a removal another stream can have it.
    pub const fn index(self) -> usize {
        (self.packed >> 32) as usize
    }

    /// How many streams had this slot before.
    pub(crate) const fn generation(self) -> u32 {
        self.packed as u32
    }

    /// Whether this identity was given before `other`, which has the same slot.
    fn is_older_than(self, other: StreamId) -> bool {
        let ahead = other.generation().wrapping_sub(self.generation());
        ahead != 0 && ahead < u32::MAX / 2
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {}", self.index())?;
        if self.generation() > 0 {
            write!(f, " (generation {})", self.generation())?;
        }
        Ok(())
    }
}

/// A value for each of some streams. What was kept for a removed stream is never found under the
/// identity of the stream that has its slot now, and is replaced by that stream's value.
///
/// Memory is one entry per slot; reading and writing cost an index and a comparison.
#[derive(Debug, Clone)]
pub struct StreamMap<T> {
    entries: Vec<Option<(StreamId, T)>>,
}

impl<T> Default for StreamMap<T> {
    fn default() -> Self {
        StreamMap {
            entries: Vec::new(),
        }
    }
}

impl<T> StreamMap<T> {
    /// The stream's value.
    pub fn get(&self, id: StreamId) -> Option<&T> {
        match self.entries.get(id.index()) {
            Some(Some((owner, value))) if *owner == id => Some(value),
            _ => None,
        }
    }

    /// The stream's value, to be changed.
    pub fn get_mut(&mut self, id: StreamId) -> Option<&mut T> {
        match self.entries.get_mut(id.index()) {
            Some(Some((owner, value))) if *owner == id => Some(value),
            _ => None,
        }
    }

    /// Gives the stream a value, in place of its old one or that of the stream that had its slot
    /// before.
    ///
    /// # Panics
    /// If a newer stream has the slot: the identity was kept after its stream was removed.
    pub fn insert(&mut self, id: StreamId, value: T) {
        *self.entry(id) = Some((id, value));
    }

    /// The stream's value, which is `default()` if it has none yet.
    ///
    /// # Panics
    /// As [`StreamMap::insert`].
    pub fn get_or_insert_with(&mut self, id: StreamId, default: impl FnOnce() -> T) -> &mut T {
        let entry = self.entry(id);
        if entry.as_ref().is_none_or(|(owner, _)| *owner != id) {
            *entry = None;
        }
        &mut entry.get_or_insert_with(|| (id, default())).1
    }

    fn entry(&mut self, id: StreamId) -> &mut Option<(StreamId, T)> {
        if self.entries.len() <= id.index() {
            self.entries.resize_with(id.index() + 1, || None);
        }
        let entry = &mut self.entries[id.index()];
        if let Some((owner, _)) = entry {
            assert!(
                !id.is_older_than(*owner),
                "{id:?} was removed, and its slot belongs to {owner:?}"
            );
        }
        entry
    }

    /// Takes the stream's value out.
    pub fn remove(&mut self, id: StreamId) -> Option<T> {
        self.get(id)?;
        self.entries[id.index()].take().map(|(_, value)| value)
    }

    /// The streams that have values, in the order of their slots.
    pub fn iter(&self) -> impl Iterator<Item = (StreamId, &T)> {
        let entries = self.entries.iter().flatten();
        entries.map(|(id, value)| (*id, value))
    }

    /// Keeps the values of the streams that `keeps` accepts.
    pub fn retain(&mut self, keeps: impl Fn(StreamId) -> bool) {
        for entry in &mut self.entries {
            if entry.as_ref().is_some_and(|(id, _)| !keeps(*id)) {
                *entry = None;
            }
        }
    }
}

#[cfg(test)]
mod tests;
