//! Which vdisks of a set have something to do: a turn looks at no others, so that a thousand clones
//! to which nothing happens take no time of it.
//!
//! Invariants: a vdisk that is not here is quiet: nothing of it is in flight, and nothing waits; it
//! is put here before it is changed. The order is that of the list, not that in which they came.
//! Memory is a bit for each place of the list, and none is taken by a turn.

const BITS: usize = u64::BITS as usize;

/// Places in the list of a set.
#[derive(Debug, Default)]
pub(super) struct Awake {
    words: Vec<u64>,
}

impl Awake {
    /// The vdisk at a place has something to do, as far as is known.
    pub(super) fn wake(&mut self, at: usize) {
        let word = at / BITS;
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (at % BITS);
    }

    /// It is quiet, or there is none any more.
    pub(super) fn sleep(&mut self, at: usize) {
        if let Some(word) = self.words.get_mut(at / BITS) {
            *word &= !(1 << (at % BITS));
        }
    }

    /// The first place from one on that has something to do.
    pub(super) fn next(&self, from: usize) -> Option<usize> {
        let (first, bit) = (from / BITS, from % BITS);
        let mut mask = u64::MAX << bit;
        for (at, word) in self.words.iter().enumerate().skip(first) {
            let found = word & mask;
            if found != 0 {
                return Some(at * BITS + found.trailing_zeros() as usize);
            }
            mask = u64::MAX;
        }
        None
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        let next = |at: &usize| self.next(at + 1);
        std::iter::successors(self.next(0), next)
    }
}

#[cfg(test)]
mod tests;
