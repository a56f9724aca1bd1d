//! The streams of a scheduler, by identity.
//!
//! Invariants: a slot is taken by at most one stream; its generation is one more each time that it
//! is freed, so the identity of a removed stream fits no other. Memory is bounded by the most
//! streams that were there at one time.

use super::Stream;
use crate::stream_id::StreamId;
use slab::Slab;

/// All streams.
#[derive(Debug, Default)]
pub(crate) struct StreamTable {
    streams: Slab<Stream>,
    /// By slot: the generation of the stream that has it, or will have it next.
    generations: Vec<u32>,
}

impl StreamTable {
    /// Gives a stream a slot.
    pub(crate) fn insert(&mut self, stream: Stream) -> StreamId {
        let slot = self.streams.insert(stream);
        if self.generations.len() <= slot {
            self.generations.push(0);
        }
        self.id_of(slot)
    }

    /// Frees a stream's slot.
    pub(crate) fn remove(&mut self, id: StreamId) -> Stream {
        self.check(id);
        let generation = &mut self.generations[id.index()];
        *generation = generation.wrapping_add(1);
        self.streams.remove(id.index())
    }

    /// Whether the stream is there: it has not been removed.
    pub(crate) fn contains(&self, id: StreamId) -> bool {
        self.streams.contains(id.index()) && self.generations[id.index()] == id.generation()
    }

    /// # Panics
    /// If the stream has been removed.
    pub(crate) fn check(&self, id: StreamId) {
        assert!(self.contains(id), "{id:?} was removed");
    }

    /// How many slots there are, free ones included.
    pub(crate) fn slots(&self) -> usize {
        self.generations.len()
    }

    /// How many streams there are.
    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    /// The stream. Within the scheduler identities are those of streams that are there: they are
    /// checked where they come in, and here in builds with assertions.
    #[inline]
    pub(crate) fn get(&self, id: StreamId) -> &Stream {
        debug_assert!(self.contains(id), "{id:?} was removed");
        &self.streams[id.index()]
    }

    /// The stream, to be changed.
    #[inline]
    pub(crate) fn get_mut(&mut self, id: StreamId) -> &mut Stream {
        debug_assert!(self.contains(id), "{id:?} was removed");
        &mut self.streams[id.index()]
    }

    /// The stream that has this slot.
    pub(crate) fn at(&self, slot: usize) -> Option<StreamId> {
        self.streams.contains(slot).then(|| self.id_of(slot))
    }

    /// All streams, in the order of their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (StreamId, &Stream)> {
        let streams = self.streams.iter();
        streams.map(|(slot, stream)| (self.id_of(slot), stream))
    }

    fn id_of(&self, slot: usize) -> StreamId {
        let slot_number = u32::try_from(slot).expect("streams are counted in 32 bits");
        StreamId::new(slot_number, self.generations[slot])
    }
}
