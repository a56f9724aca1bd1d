//! Streams by a key, the least first: a heap that knows where each stream is in it.
//!
//! Used for when a stream's account changes by itself, and for the order of spare tags. Memory is
//! one slot per stream; setting, changing and removing cost O(log n) and allocate nothing once all
//! streams have been in it.

use crate::stream_id::StreamId;

const ABSENT: u32 = u32::MAX;

/// A heap of streams, the least key on top; equal keys by the stream's number.
#[derive(Debug)]
pub(crate) struct StreamHeap<K> {
    heap: Vec<(K, StreamId)>,
    /// Index in the heap, by stream.
    index: Vec<u32>,
}

impl<K> Default for StreamHeap<K> {
    fn default() -> Self {
        StreamHeap {
            heap: Vec::new(),
            index: Vec::new(),
        }
    }
}

impl<K: Ord + Copy> StreamHeap<K> {
    /// The least.
    pub(crate) fn first(&self) -> Option<(K, StreamId)> {
        self.heap.first().copied()
    }

    /// How many are in it.
    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    fn place(&self, stream: StreamId) -> Option<usize> {
        let index = *self.index.get(stream.index())?;
        if index == ABSENT {
            return None;
        }
        debug_assert_eq!(self.heap[index as usize].1, stream, "a removed stream");
        Some(index as usize)
    }

    /// The stream's key, if it is in it.
    pub(crate) fn key(&self, stream: StreamId) -> Option<K> {
        self.place(stream).map(|index| self.heap[index].0)
    }

    /// Puts a stream in, or changes its key.
    pub(crate) fn set(&mut self, stream: StreamId, key: K) {
        let at = match self.place(stream) {
            Some(at) => {
                self.heap[at].0 = key;
                at
            }
            None => {
                let number = stream.index();
                if self.index.len() <= number {
                    self.index.resize(number + 1, ABSENT);
                }
                self.heap.push((key, stream));
                self.heap.len() - 1
            }
        };
        self.settle(at);
    }

    /// Takes a stream out, if it is in it.
    pub(crate) fn remove(&mut self, stream: StreamId) {
        let Some(at) = self.place(stream) else {
            return;
        };
        self.heap.swap_remove(at);
        self.index[stream.index()] = ABSENT;
        if at < self.heap.len() {
            self.settle(at);
        }
    }

    /// Moves the entry at `at` up or down to where it belongs.
    fn settle(&mut self, mut at: usize) {
        let entry = self.heap[at];
        while at > 0 {
            let parent = (at - 1) / 4;
            if self.heap[parent] <= entry {
                break;
            }
            self.put(at, self.heap[parent]);
            at = parent;
        }
        loop {
            let children = 4 * at + 1..(4 * at + 5).min(self.heap.len());
            let Some(least) = children.min_by_key(|child| self.heap[*child]) else {
                break;
            };
            if entry <= self.heap[least] {
                break;
            }
            self.put(at, self.heap[least]);
            at = least;
        }
        self.put(at, entry);
    }

    fn put(&mut self, at: usize, entry: (K, StreamId)) {
        self.heap[at] = entry;
        self.index[entry.1.index()] = at as u32;
    }
}

#[cfg(test)]
mod tests;
