//! The naive model: a full copy of the vdisk for every moment, and branches as a plain tree.

use disktime_history::{CloneEntry, Seq, UNIT_BYTES};
use std::collections::BTreeMap;

pub(crate) const SECTORS_PER_BLOCK: usize = 8;

/// A number for each sector of 512 bytes; 0 is zeroes.
pub(crate) type Copy = Vec<u32>;

/// The bytes of a block of a copy.
pub(crate) fn block_bytes(copy: &Copy, block: usize) -> Vec<u8> {
    let stamps = &copy[block * SECTORS_PER_BLOCK..(block + 1) * SECTORS_PER_BLOCK];
    let mut bytes = Vec::with_capacity(UNIT_BYTES);
    for stamp in stamps {
        let word = u64::from(*stamp).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (0..64).for_each(|_| bytes.extend_from_slice(&word.to_le_bytes()));
    }
    bytes
}

/// A branch of the model.
#[derive(Clone, Debug)]
pub(crate) struct Branch {
    pub(crate) parent: Option<usize>,
    pub(crate) fork: Seq,
    pub(crate) first: Seq,
    /// The last moment of it.
    pub(crate) head: Seq,
    pub(crate) dropped: bool,
    pub(crate) drop_is_promised: bool,
}

/// Everything that the history has to serve.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) copies: BTreeMap<Seq, (usize, Copy)>,
    pub(crate) branches: Vec<Branch>,
    pub(crate) current: usize,
    pub(crate) now: Copy,
    /// The present size.
    pub(crate) blocks: u64,
    pub(crate) undo: Option<usize>,
    pub(crate) marks: BTreeMap<String, Seq>,
    /// In the order in which they were made.
    pub(crate) clones: Vec<CloneEntry>,
    pub(crate) oldest: Seq,
}

impl Tree {
    pub(crate) fn new(blocks: u64, first: Seq) -> Tree {
        let now = vec![0; blocks as usize * SECTORS_PER_BLOCK];
        Tree {
            copies: BTreeMap::from([(first, (0, now.clone()))]),
            branches: vec![Branch {
                parent: None,
                fork: 0,
                first,
                head: first,
                dropped: false,
                drop_is_promised: false,
            }],
            current: 0,
            now,
            blocks,
            undo: None,
            marks: BTreeMap::new(),
            clones: Vec::new(),
            oldest: 0,
        }
    }

    /// The newest content is that of this moment.
    pub(crate) fn note(&mut self, seq: Seq) {
        self.copies.insert(seq, (self.current, self.now.clone()));
        self.branches[self.current].head = seq;
    }

    /// A branch begins at `seq`, with the content of `fork`.
    pub(crate) fn begin(&mut self, seq: Seq, fork: Seq) {
        let (parent, now) = self.copies[&fork].clone();
        self.undo = Some(self.current);
        self.current = self.branches.len();
        self.branches.push(Branch {
            parent: Some(parent),
            fork,
            first: seq,
            head: seq,
            dropped: false,
            drop_is_promised: false,
        });
        self.now = now;
        self.resize(self.blocks);
        self.note(seq);
    }

    /// Branches that one leads through, each with the last moment of it that it sees.
    fn chain(&self, branch: usize) -> Vec<(usize, Seq)> {
        let mut chain = vec![(branch, Seq::MAX)];
        let mut at = branch;
        while let Some(parent) = self.branches[at].parent {
            chain.push((parent, self.branches[at].fork));
            at = parent;
        }
        chain
    }

    /// Whether a moment must be served.
    pub(crate) fn serves(&self, seq: Seq) -> bool {
        let Some((owner, _)) = self.copies.get(&seq) else {
            return false;
        };
        let kept = (0..self.branches.len()).filter(|branch| !self.branches[*branch].dropped);
        let mut chains = kept.flat_map(|branch| self.chain(branch));
        seq >= self.oldest && chains.any(|(of, last)| of == *owner && seq <= last)
    }

    /// Branches whose tail could be dropped.
    pub(crate) fn tails(&self) -> Vec<usize> {
        let current = self.chain(self.current);
        let others = (0..self.branches.len()).filter(|branch| *branch != self.current);
        let kept = others.filter(|branch| !self.branches[*branch].dropped);
        kept.filter(|branch| {
            let row = &self.branches[*branch];
            let cut = current
                .iter()
                .find(|(of, _)| of == branch)
                .map(|(_, last)| *last);
            cut.map_or(row.first, |cut| cut + 1) <= row.head
        })
        .collect()
    }

    /// A crash lost what came after `newest`.
    pub(crate) fn truncate(&mut self, newest: Seq) {
        self.copies.split_off(&(newest + 1));
        let current = self.current;
        let mut copies = self.copies.iter();
        let last = copies.rfind(|(_, (owner, _))| *owner == current);
        let (seq, (_, copy)) = last.expect("a branch begins with a moment");
        self.branches[current].head = *seq;
        self.now = copy.clone();
        self.resize(self.blocks);
    }

    /// The vdisk has this size, and reads as zeroes behind the old one.
    pub(crate) fn resize(&mut self, blocks: u64) {
        self.blocks = blocks;
        self.now.resize(blocks as usize * SECTORS_PER_BLOCK, 0);
    }

    pub(crate) fn serving(&self) -> Vec<Seq> {
        self.copies
            .keys()
            .copied()
            .filter(|seq| self.serves(*seq))
            .collect()
    }
}
