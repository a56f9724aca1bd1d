//! Where each stream's next request lies, to find the nearest to the head that may go.
//!
//! The streams are in order of offset; from the head a search goes up and down at once, so that the
//! first one found that may go is the nearest. Requests without an offset (a flush) need no seek
//! and come first.
//!
//! What is not known here: which streams may go.

use super::blocks::{Blocks, Keyed};
use crate::stream_id::StreamId;

/// A stream by the offset of its next request.
#[derive(Debug, Clone, Copy)]
struct NextOffset {
    offset_bytes: u64,
    stream: StreamId,
}

impl Keyed for NextOffset {
    type Key = (u64, StreamId);

    fn key(&self) -> Self::Key {
        (self.offset_bytes, self.stream)
    }
}

/// Where a next request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NextPlace {
    /// At this offset.
    At(u64),
    /// It has no offset.
    Anywhere,
}

/// All next requests.
#[derive(Debug, Default)]
pub(super) struct NextRequests {
    by_offset: Blocks<NextOffset, ()>,
    anywhere: Vec<StreamId>,
}

impl NextRequests {
    /// A stream has a next request there now, instead of `old`.
    pub(super) fn set(&mut self, stream: StreamId, old: Option<NextPlace>, new: Option<NextPlace>) {
        if old == new {
            return;
        }
        match old {
            Some(NextPlace::At(offset)) => {
                self.by_offset.remove((offset, stream));
            }
            Some(NextPlace::Anywhere) => self.anywhere.retain(|other| *other != stream),
            None => {}
        }
        match new {
            Some(NextPlace::At(offset_bytes)) => self.by_offset.insert(NextOffset {
                offset_bytes,
                stream,
            }),
            Some(NextPlace::Anywhere) => self.anywhere.push(stream),
            None => {}
        }
    }

    /// The nearest stream that `rank` gives a rank; among the equally near the least of rank and
    /// identity.
    pub(super) fn nearest<R: Ord + Copy>(
        &self,
        head_bytes: u64,
        rank: impl Fn(StreamId) -> Option<R>,
    ) -> Option<StreamId> {
        let ranked = |stream: StreamId| Some((rank(stream)?, stream));
        if let Some((_, stream)) = self.anywhere.iter().copied().filter_map(ranked).min() {
            return Some(stream);
        }
        let mut up = OffsetCursor::above(&self.by_offset, head_bytes);
        let mut down = up;
        down.step_back(&self.by_offset);
        let mut best: Option<(u64, R, StreamId)> = None;
        loop {
            let above = up.get(&self.by_offset);
            let below = down.get(&self.by_offset);
            let far_above = above.map(|next| next.offset_bytes - head_bytes);
            let far_below = below.map(|next| head_bytes - next.offset_bytes);
            let goes_up = match (far_above, far_below) {
                (None, None) => break,
                (Some(above), Some(below)) => above <= below,
                (above, _) => above.is_some(),
            };
            let (distance, next) = if goes_up {
                (far_above, above)
            } else {
                (far_below, below)
            };
            let (Some(distance), Some(next)) = (distance, next) else {
                break;
            };
            if best.is_some_and(|(nearest, ..)| distance > nearest) {
                break;
            }
            if let Some((rank, stream)) = ranked(next.stream) {
                let found = (distance, rank, stream);
                best = Some(best.map_or(found, |best| best.min(found)));
            }
            if goes_up {
                up.step(&self.by_offset);
            } else {
                down.step_back(&self.by_offset);
            }
        }
        best.map(|(_, _, stream)| stream)
    }
}

/// A position in the list; beyond either end there is nothing.
#[derive(Debug, Clone, Copy)]
struct OffsetCursor {
    block: usize,
    within: usize,
    before_start: bool,
}

impl OffsetCursor {
    fn above(by_offset: &Blocks<NextOffset, ()>, offset_bytes: u64) -> OffsetCursor {
        let (block, within) = by_offset.position((offset_bytes, StreamId::LOWEST));
        OffsetCursor {
            block,
            within,
            before_start: false,
        }
    }

    fn get(self, by_offset: &Blocks<NextOffset, ()>) -> Option<NextOffset> {
        if self.before_start {
            return None;
        }
        let block = by_offset.blocks.get(self.block)?;
        block.entries.get(self.within).copied()
    }

    fn step(&mut self, by_offset: &Blocks<NextOffset, ()>) {
        self.within += 1;
        let len = by_offset
            .blocks
            .get(self.block)
            .map_or(0, |b| b.entries.len());
        if self.within >= len {
            self.block += 1;
            self.within = 0;
        }
    }

    fn step_back(&mut self, by_offset: &Blocks<NextOffset, ()>) {
        if self.within > 0 {
            self.within -= 1;
        } else if self.block > 0 {
            self.block -= 1;
            self.within = by_offset.blocks[self.block].entries.len() - 1;
        } else {
            self.before_start = true;
        }
    }
}

#[cfg(test)]
mod tests;
