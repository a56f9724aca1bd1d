//! The newest content: the map of all that was written, or, after a revert, a base of which only
//! some blocks are known, with what was written since on top.
//!
//! ```text
//!   a revert ─ base: the moment, lazily; before: what was there until then, as a whole map
//!            ─ in the background the whole map of the moment ─ with what was written since: whole
//! ```
//!
//! Invariants: what was written since goes before the base; a base goes when the floor has come to
//! the branch that it is the beginning of, as the image has all of it then.
//!
//! What is not known here: I/O, requests, how a base is searched.

use super::lazy_map::LazyMap;
use super::reading::{Run, run_at};
use crate::branches::Path;
use crate::format::Seq;
use crate::map::BlockMap;
use crate::replay::Version;
use std::ops::Range;

/// What the newest content will be when a branch begins.
#[derive(Debug)]
pub(super) enum Next {
    Whole(BlockMap),
    Lazy(Box<LazyMap>),
}

/// The whole map of the content before a revert, and what it saw.
#[derive(Debug)]
struct Before {
    map: BlockMap,
    path: Path,
    /// The last seq that the newest content sees of that, too.
    common: Seq,
}

/// What a branch begins with.
#[derive(Debug)]
struct Base {
    map: Box<LazyMap>,
    branch: u64,
    before: Option<Before>,
}

/// The newest content.
#[derive(Debug, Default)]
pub(super) struct Newest {
    /// All that was written, or what was written since the base.
    written: BlockMap,
    base: Option<Base>,
}

impl Next {
    /// A fold moved into the image what `folded` has.
    pub(super) fn forget(&mut self, folded: &BlockMap, is_kept: impl Fn(u64) -> bool) {
        match self {
            Next::Whole(map) => map.forget(folded),
            Next::Lazy(map) => map.forget(folded, is_kept),
        }
    }
}

impl Newest {
    pub(super) fn of_whole(map: BlockMap) -> Newest {
        Newest {
            written: map,
            base: None,
        }
    }

    /// The newest content becomes that of a moment, with which a branch begins. `before`: what the
    /// content before saw.
    pub(super) fn begin_branch(&mut self, branch: u64, map: Box<LazyMap>, before: Option<Path>) {
        let written = std::mem::take(&mut self.written);
        let before = match self.base.take() {
            // Of two reverts one behind the other, that before the first one.
            Some(base) => base.before.map(|before| (before.map, before.path)),
            None => before.map(|path| (written, path)),
        };
        let before = match before {
            // A revert is undone.
            Some((whole, path)) if path == *map.path() => return self.written = whole,
            Some((whole, path)) => path.common(map.path()).map(|common| Before {
                map: whole,
                path,
                common,
            }),
            None => None,
        };
        self.base = Some(Base {
            map,
            branch,
            before,
        });
    }

    pub(super) fn apply(&mut self, version: &Version) {
        version.apply(&mut self.written);
    }

    /// The whole map of the base is there.
    pub(super) fn base_is_whole(&mut self, mut map: BlockMap) {
        map.lay_over(std::mem::take(&mut self.written));
        *self = Newest::of_whole(map);
    }

    /// The map, if it is whole.
    pub(super) fn whole(&self) -> Option<&BlockMap> {
        self.base.is_none().then_some(&self.written)
    }

    /// What is known of the base, if there is one.
    pub(super) fn base(&self) -> Option<&LazyMap> {
        self.base.as_ref().map(|base| &*base.map)
    }

    pub(super) fn base_mut(&mut self) -> Option<&mut LazyMap> {
        self.base.as_mut().map(|base| &mut *base.map)
    }

    /// The base, and the whole map of the content before, with the last seq that both see.
    pub(super) fn base_and_before(&mut self) -> Option<(&mut LazyMap, Option<(&BlockMap, Seq)>)> {
        let base = self.base.as_mut()?;
        let before = base.before.as_ref();
        let before = before.map(|before| (&before.map, before.common));
        Some((&mut base.map, before))
    }

    /// The first blocks of a range that are not known.
    pub(super) fn unknown(&self, blocks: &Range<u64>) -> Option<Range<u64>> {
        let base = self.base.as_ref()?;
        let mut at = blocks.start;
        while at < blocks.end {
            let until = at + self.written.blocks_in_image(at, blocks.end - at);
            let known = base.map.known(at, until - at);
            if at + known < until {
                return Some(at + known..until);
            }
            at = until + u64::from(until < blocks.end);
        }
        None
    }

    /// Where block `lba` lies; `None` if that is not known.
    pub(super) fn run_at(&self, lba: u64, limit: u64) -> Option<Run> {
        let Some(base) = &self.base else {
            return Some(run_at(&self.written, lba, limit));
        };
        if self.written.get(lba).is_some() {
            return Some(run_at(&self.written, lba, limit));
        }
        let limit = base
            .map
            .known(lba, self.written.blocks_in_image(lba, limit));
        (limit > 0).then(|| run_at(base.map.map(), lba, limit))
    }

    /// A fold moved into the image what `folded` has, up to `floor`, and retired segments.
    pub(super) fn forget(&mut self, folded: &BlockMap, floor: Seq, is_kept: impl Fn(u64) -> bool) {
        self.written.forget(folded);
        self.base.take_if(|base| base.branch <= floor);
        if let Some(base) = &mut self.base {
            base.map.forget(folded, is_kept);
            if let Some(before) = &mut base.before {
                before.map.forget(folded);
            }
        }
    }

    /// Blocks whose newest version lies in the log; with a base, that may lie there.
    pub(super) fn blocks_at_most(&self) -> u64 {
        let base = self.base.as_ref();
        self.written.blocks() + base.map_or(0, |base| base.map.blocks_at_most())
    }

    /// Bytes of memory.
    pub(super) fn memory_bytes(&self) -> u64 {
        let of_base = |base: &Base| {
            let before = base.before.as_ref();
            base.map.memory_bytes() + before.map_or(0, |before| before.map.memory_bytes())
        };
        self.written.memory_bytes() + self.base.as_ref().map_or(0, of_base)
    }
}
