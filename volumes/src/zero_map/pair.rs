//! What the two blocks of a pair mean together: which one counts, and whether the other one has to
//! be written again.
//!
//! Invariants: a block counts in place of a damaged one only if both were kept newest, so that it
//! is as new as any state that was promised; blocks that an earlier build wrote in turn are read as
//! that build meant them, and a damaged one that may be the newer is not replaced by the older.

use super::MapKey;
use super::block::{self, Generation};
use disktime_units::little_endian::is_zero;
use std::fmt;

/// What a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// A pair of which a block counts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FoundPair {
    pub(super) current: usize,
    pub(super) generation: Generation,
    pub(super) other: Other,
}

/// What was found in the block that does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Other {
    /// The same.
    Same,
    /// What an earlier build leaves there; the next change of the pair writes both.
    InTurn,
    /// An older state: an update was interrupted.
    Behind,
    /// Nothing whole.
    Damaged,
}

/// Why it is not known what the bits of a pair are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MapDefect {
    /// Neither block is whole, or they contradict each other.
    Both,
    /// A block is damaged, and the other one may be older.
    NewerInTurn,
}

/// How many blocks of a vdisk's zero maps are written again from the other one of their pair.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Repairs {
    damaged: usize,
    behind: usize,
}

impl Repairs {
    /// Counts a block; whether it has to be written again.
    pub(super) fn note(&mut self, other: Other) -> bool {
        match other {
            Other::Same | Other::InTurn => return false,
            Other::Behind => self.behind += 1,
            Other::Damaged => self.damaged += 1,
        }
        true
    }

    /// Counts those of another map, too.
    pub(crate) fn add(&mut self, more: Repairs) {
        self.damaged += more.damaged;
        self.behind += more.behind;
    }

    /// Whether nothing has to be written again.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Repairs::default()
    }
}

/// As in: 2 blocks *were damaged, and 1 was an update behind*.
impl fmt::Display for Repairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blocks = |count: usize| match count {
            1 => "1 block was".to_owned(),
            _ => format!("{count} blocks were"),
        };
        if self.damaged > 0 {
            write!(f, "{} damaged or torn", blocks(self.damaged))?;
        }
        if self.damaged > 0 && self.behind > 0 {
            write!(f, " and ")?;
        }
        if self.behind > 0 {
            write!(f, "{} an update behind", blocks(self.behind))?;
        }
        Ok(())
    }
}

/// Judges the blocks of pair `index`.
pub(super) fn judge(key: &MapKey, index: u64, blocks: [&[u8]; 2]) -> Result<FoundPair, MapDefect> {
    let found = blocks.map(|block| block::decode(key, index, block));
    let (current, generation, other) = match found {
        [None, None] => return Err(MapDefect::Both),
        [Some(first), Some(second)] => {
            let current = usize::from(second > first);
            let newest = first.max(second);
            let other = match first == second {
                true if blocks[0] != blocks[1] => return Err(MapDefect::Both),
                true => Other::Same,
                false if newest.is_in_turn() => Other::InTurn,
                false => Other::Behind,
            };
            (current, newest, other)
        }
        [Some(whole), None] => (0, whole, beside_a_lost_one(key, index, whole, blocks[1])?),
        [None, Some(whole)] => (1, whole, beside_a_lost_one(key, index, whole, blocks[0])?),
    };
    Ok(FoundPair {
        current,
        generation,
        other,
    })
}

/// What the other block is, of which nothing whole was found.
fn beside_a_lost_one(
    key: &MapKey,
    index: u64,
    whole: Generation,
    other: &[u8],
) -> Result<Other, MapDefect> {
    if !whole.is_in_turn() {
        return Ok(Other::Damaged);
    }
    let was_never_written = is_zero(&other[..SECTOR_BYTES]);
    if whole == Generation::FIRST_IN_TURN && was_never_written {
        return Ok(match is_zero(other) {
            true => Other::InTurn,
            false => Other::Damaged,
        });
    }
    // Its header says whether it is the older one, or our first update of the pair, torn: the
    // second half would have replaced the whole block. A flipped bit may make a newer one look so.
    let claimed = block::claim(key, index, other);
    let is_older = claimed == Some(whole.before()) || claimed == Some(whole.next());
    match is_older && !block::is_whole_as(whole.after(), other) {
        true => Ok(Other::Damaged),
        false => Err(MapDefect::NewerInTurn),
    }
}

#[cfg(test)]
mod tests;
