//! A leaf of the index: up to 4,096 blocks, in the form that is smallest.

use super::{LEAF_BLOCKS, SPARSE_MAX, Value};
use crate::format::Unit;

/// Blocks below which a dense leaf becomes sparse again; less than [`SPARSE_MAX`], so that a leaf
/// does not change its form with each block.
const DENSE_MIN: u32 = 2400;

/// No version of ours: unit 0 holds a superblock.
const ABSENT: Value = Value(0);

#[derive(Debug, Clone)]
pub(super) enum Leaf {
    /// Keys ascend; two vectors, as pairs would be padded to 16 bytes.
    Sparse(Vec<u16>, Vec<Value>),
    /// A value for each block, and how many are there.
    Dense(Box<[Value]>, u32),
    Uniform(Value),
}

impl Default for Leaf {
    fn default() -> Leaf {
        Leaf::Sparse(Vec::new(), Vec::new())
    }
}

impl Leaf {
    pub(super) fn get(&self, key: u16) -> Option<Value> {
        match self {
            Leaf::Sparse(keys, values) => keys.binary_search(&key).ok().map(|at| values[at]),
            Leaf::Dense(values, _) => present(values[usize::from(key)]),
            Leaf::Uniform(value) => Some(*value),
        }
    }

    pub(super) fn set(&mut self, key: u16, value: Value) {
        match self {
            Leaf::Sparse(keys, values) => match keys.binary_search(&key) {
                Ok(at) => values[at] = value,
                Err(at) => {
                    if keys.len() == keys.capacity() {
                        // Twice the space at once would cost more than the blocks.
                        let more = keys.len() / 16 + 4;
                        keys.reserve_exact(more);
                        values.reserve_exact(more);
                    }
                    keys.insert(at, key);
                    values.insert(at, value);
                    if keys.len() > SPARSE_MAX {
                        self.make_dense();
                    }
                }
            },
            Leaf::Dense(values, count) => {
                let place = &mut values[usize::from(key)];
                *count += u32::from(*place == ABSENT);
                *place = value;
            }
            Leaf::Uniform(old) if *old == value => {}
            Leaf::Uniform(_) => {
                self.make_dense();
                self.set(key, value);
            }
        }
    }

    /// All that `newer` has replaces what is there.
    pub(super) fn lay_over(&mut self, newer: Leaf) {
        if matches!(newer, Leaf::Uniform(_)) {
            *self = newer;
            return;
        }
        let mut next = newer.next_from(0);
        while let Some((key, value)) = next {
            self.set(key, value);
            let behind = key + 1;
            let is_inside = u64::from(behind) < LEAF_BLOCKS;
            next = is_inside.then(|| newer.next_from(behind)).flatten();
        }
    }

    /// The first block at or behind `from` that is there.
    pub(super) fn next_from(&self, from: u16) -> Option<(u16, Value)> {
        match self {
            Leaf::Sparse(keys, values) => {
                let at = keys.partition_point(|key| *key < from);
                keys.get(at).map(|key| (*key, values[at]))
            }
            Leaf::Dense(values, _) => {
                let found = values[usize::from(from)..]
                    .iter()
                    .position(|value| *value != ABSENT);
                found.map(|at| (from + at as u16, values[usize::from(from) + at]))
            }
            Leaf::Uniform(value) => Some((from, *value)),
        }
    }

    /// Hands out the blocks that are there, in order, as runs: first block, and how many.
    pub(super) fn each_run(&self, mut take: impl FnMut(u64, u64)) {
        match self {
            Leaf::Sparse(keys, _) => keys.iter().for_each(|key| take(u64::from(*key), 1)),
            Leaf::Dense(values, _) => {
                let there = (0..).zip(values.iter());
                let there = there.filter(|(_, value)| **value != ABSENT);
                there.for_each(|(key, _)| take(key, 1));
            }
            Leaf::Uniform(_) => take(0, LEAF_BLOCKS),
        }
    }

    /// Removes what `folded` has in the same version; whether nothing is left.
    pub(super) fn forget(&mut self, folded: &Leaf) -> bool {
        if let (Leaf::Uniform(value), Leaf::Uniform(old)) = (&*self, folded) {
            return value == old;
        }
        if matches!(self, Leaf::Uniform(_)) {
            self.make_dense();
        }
        match self {
            Leaf::Sparse(keys, values) => {
                let mut kept = 0;
                for at in 0..keys.len() {
                    if folded.get(keys[at]) != Some(values[at]) {
                        (keys[kept], values[kept]) = (keys[at], values[at]);
                        kept += 1;
                    }
                }
                keys.truncate(kept);
                values.truncate(kept);
                keys.shrink_to_fit();
                values.shrink_to_fit();
            }
            Leaf::Dense(values, count) => {
                for (key, value) in (0..).zip(values.iter_mut()) {
                    if *value != ABSENT && folded.get(key) == Some(*value) {
                        *value = ABSENT;
                        *count -= 1;
                    }
                }
                if *count < DENSE_MIN {
                    self.make_sparse();
                }
            }
            Leaf::Uniform(_) => {}
        }
        self.blocks() == 0
    }

    /// The blocks of it whose version lies in such a unit.
    pub(super) fn part(&self, is_wanted: impl Fn(Unit) -> bool) -> Leaf {
        let is_wanted = |value: Value| value != ABSENT && is_wanted(value.unit());
        match self {
            Leaf::Uniform(value) if is_wanted(*value) => self.clone(),
            Leaf::Uniform(_) => Leaf::default(),
            Leaf::Sparse(keys, values) => {
                let all = std::iter::zip(keys, values).map(|(key, value)| (*key, *value));
                Leaf::of_sorted(all.filter(|(_, value)| is_wanted(*value)))
            }
            Leaf::Dense(values, _) => {
                let all = (0..).zip(values.iter().copied());
                Leaf::of_sorted(all.filter(|(_, value)| is_wanted(*value)))
            }
        }
    }

    fn of_sorted(blocks: impl Iterator<Item = (u16, Value)>) -> Leaf {
        let (keys, values): (Vec<u16>, Vec<Value>) = blocks.unzip();
        let is_dense = keys.len() > SPARSE_MAX;
        let mut leaf = Leaf::Sparse(keys, values);
        if is_dense {
            leaf.make_dense();
        }
        leaf
    }

    pub(super) fn blocks(&self) -> u64 {
        match self {
            Leaf::Sparse(keys, _) => keys.len() as u64,
            Leaf::Dense(_, count) => u64::from(*count),
            Leaf::Uniform(_) => LEAF_BLOCKS,
        }
    }

    pub(super) fn heap_bytes(&self) -> u64 {
        let bytes = match self {
            Leaf::Sparse(keys, values) => {
                keys.capacity() * size_of::<u16>() + values.capacity() * size_of::<Value>()
            }
            Leaf::Dense(values, _) => size_of_val(&**values),
            Leaf::Uniform(_) => 0,
        };
        bytes as u64
    }

    fn make_dense(&mut self) {
        let mut dense = vec![ABSENT; LEAF_BLOCKS as usize];
        match self {
            Leaf::Sparse(keys, values) => {
                for (key, value) in std::iter::zip(keys, values) {
                    dense[usize::from(*key)] = *value;
                }
            }
            Leaf::Uniform(value) => dense.fill(*value),
            Leaf::Dense(..) => return,
        }
        *self = Leaf::Dense(dense.into_boxed_slice(), self.blocks() as u32);
    }

    fn make_sparse(&mut self) {
        if let Leaf::Dense(values, _) = self {
            let there = (0..)
                .zip(values.iter())
                .filter(|(_, value)| **value != ABSENT);
            let (keys, values) = there.map(|(key, value)| (key, *value)).unzip();
            *self = Leaf::Sparse(keys, values);
        }
    }
}

fn present(value: Value) -> Option<Value> {
    (value != ABSENT).then_some(value)
}
