//! A sorted list in short blocks: insertion, removal and search in a time that hardly grows, and a
//! summary of each block that is made anew only when the block has changed.
//!
//! Streams are few enough (thousands) and come and go often enough that a balanced tree would spend
//! its time on pointers; a block of 48 entries is moved in one go, and a walk over all summaries
//! of a thousand entries reads some twenty of them.
//!
//! Invariants: keys are unique and ascend through all blocks; no block is empty; `lasts[i]` is the
//! last key of block i. Blocks that run empty are kept for later, so that a list whose length has
//! been reached before allocates nothing.

/// Entries of a full block.
const BLOCK_MAX: usize = 48;
/// Neighbours are joined when they have no more than this together.
const JOIN_MAX: usize = 24;

/// What has a place in the order.
pub(super) trait Keyed {
    /// The order.
    type Key: Ord + Copy + std::fmt::Debug;

    /// Where this goes.
    fn key(&self) -> Self::Key;
}

/// Some entries in a row.
#[derive(Debug)]
pub(super) struct Block<E, S> {
    pub(super) entries: Vec<E>,
    /// `None` after a change.
    pub(super) summary: Option<S>,
}

/// All entries, in order.
#[derive(Debug)]
pub(super) struct Blocks<E: Keyed, S> {
    pub(super) blocks: Vec<Block<E, S>>,
    lasts: Vec<E::Key>,
    unused: Vec<Block<E, S>>,
}

impl<E: Keyed, S> Default for Blocks<E, S> {
    fn default() -> Self {
        Blocks {
            blocks: Vec::new(),
            lasts: Vec::new(),
            unused: Vec::new(),
        }
    }
}

impl<E: Keyed, S> Blocks<E, S> {
    /// The block that `key` is in or would be.
    fn block_of(&self, key: E::Key) -> usize {
        let index = self.lasts.partition_point(|last| *last < key);
        index.min(self.blocks.len().saturating_sub(1))
    }

    fn fresh_block(&mut self) -> Block<E, S> {
        self.unused.pop().unwrap_or_else(|| Block {
            entries: Vec::with_capacity(BLOCK_MAX),
            summary: None,
        })
    }

    /// Block and index of the first entry at or above `key`; one past the last block if there is
    /// none.
    pub(super) fn position(&self, key: E::Key) -> (usize, usize) {
        let index = self.lasts.partition_point(|last| *last < key);
        let within = self.blocks.get(index).map_or(0, |block| {
            block.entries.partition_point(|entry| entry.key() < key)
        });
        (index, within)
    }

    /// Puts an entry in its place.
    pub(super) fn insert(&mut self, entry: E) {
        if self.blocks.is_empty() {
            let block = self.fresh_block();
            self.lasts.push(entry.key());
            self.blocks.push(block);
        }
        let key = entry.key();
        let index = self.block_of(key);
        let block = &mut self.blocks[index];
        let within = block.entries.partition_point(|other| other.key() < key);
        block.entries.insert(within, entry);
        block.summary = None;
        if within + 1 == block.entries.len() {
            self.lasts[index] = key;
        }
        if block.entries.len() == BLOCK_MAX {
            self.split(index);
        }
    }

    fn split(&mut self, index: usize) {
        let mut upper = self.fresh_block();
        let block = &mut self.blocks[index];
        upper.entries.extend(block.entries.drain(BLOCK_MAX / 2..));
        upper.summary = None;
        let last = block.entries[BLOCK_MAX / 2 - 1].key();
        self.lasts.insert(index, last);
        self.blocks.insert(index + 1, upper);
    }

    /// Takes an entry out.
    ///
    /// # Panics
    /// If it is not there.
    pub(super) fn remove(&mut self, key: E::Key) -> E {
        let (index, within) = self.position(key);
        let block = &mut self.blocks[index];
        assert!(
            block
                .entries
                .get(within)
                .is_some_and(|entry| entry.key() == key),
            "an entry is taken out where it was put in"
        );
        let entry = block.entries.remove(within);
        block.summary = None;
        match block.entries.last() {
            None => self.drop_block(index),
            Some(last) => {
                self.lasts[index] = last.key();
                self.join(index);
            }
        }
        entry
    }

    fn drop_block(&mut self, index: usize) {
        let block = self.blocks.remove(index);
        self.lasts.remove(index);
        self.unused.push(block);
    }

    /// Joins a block that has become short with the next.
    fn join(&mut self, index: usize) {
        let Some(next) = self.blocks.get(index + 1) else {
            return;
        };
        if self.blocks[index].entries.len() + next.entries.len() > JOIN_MAX {
            return;
        }
        let (below, above) = self.blocks.split_at_mut(index + 1);
        below[index].entries.append(&mut above[0].entries);
        below[index].summary = None;
        self.lasts[index] = self.lasts[index + 1];
        self.drop_block(index + 1);
    }

    /// The entry, to be changed without changing its key.
    pub(super) fn get_mut(&mut self, key: E::Key) -> Option<&mut E> {
        let (index, within) = self.position(key);
        let block = self.blocks.get_mut(index)?;
        block.summary = None;
        block
            .entries
            .get_mut(within)
            .filter(|entry| entry.key() == key)
    }

    /// The entries, in order.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = &E> {
        self.blocks.iter().flat_map(|block| &block.entries)
    }
}

#[cfg(test)]
mod tests;
