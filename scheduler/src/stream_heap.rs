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
    fn settle(&mut self, at: usize) {
        let entry = self.heap[at];
        let mut free = at;
        while free > 0 {
            let parent = (free - 1) / 4;
            let above = self.heap[parent];
            if !is_less(&entry, &above) {
                break;
            }
            self.put(free, above);
            free = parent;
        }
        // What moved up is less than all that was below its new place.
        if free == at {
            free = self.sink(at, &entry);
        }
        self.put(free, entry);
    }

    /// Moves up what is less than `entry`, which was at `free` and is above it. The place that is
    /// free then.
    #[inline]
    fn sink(&mut self, mut free: usize, entry: &(K, StreamId)) -> usize {
        while let Some((at, least)) = self.least_child(free) {
            if !is_less(&least, entry) {
                break;
            }
            self.put(free, least);
            free = at;
        }
        free
    }

    /// The least of those below, with its place.
    #[inline]
    fn least_child(&self, parent: usize) -> Option<(usize, (K, StreamId))> {
        let first = 4 * parent + 1;
        let below = self.heap.get(first..)?;
        let Some(all) = below.first_chunk::<4>() else {
            let rest = below.iter().enumerate();
            let (at, least) = rest.min_by_key(|(_, entry)| **entry)?;
            return Some((first + at, *least));
        };
        let left = usize::from(is_less(&all[1], &all[0]));
        let right = 2 + usize::from(is_less(&all[3], &all[2]));
        let least = if is_less(&all[right], &all[left]) {
            right
        } else {
            left
        };
        Some((first + least, all[least]))
    }

    fn put(&mut self, at: usize, entry: (K, StreamId)) {
        self.heap[at] = entry;
        self.index[entry.1.index()] = at as u32;
    }
}

/// The order of tuples, without a branch: which of two streams is less is as good as random.
#[inline]
fn is_less<K: Ord>(one: &(K, StreamId), other: &(K, StreamId)) -> bool {
    (one.0 < other.0) | ((one.0 == other.0) & (one.1 < other.1))
}

#[cfg(test)]
mod tests;
