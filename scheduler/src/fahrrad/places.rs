//! Where each stream's next request lies, to find the nearest to the head that may go.
//!
//! The streams are in order of place; from the head a search goes up and down at once, so that the
//! first one found that may go is the nearest. Requests without a place (a flush) need no seek and come first.
//!
//! What is not known here: who may go.

use super::blocks::{Blocks, Keyed};
use crate::stream_id::StreamId;

/// A stream by the place of its next request.
#[derive(Debug, Clone, Copy)]
struct Place {
    offset_bytes: u64,
    stream: StreamId,
}

impl Keyed for Place {
    type Key = (u64, StreamId);

    fn key(&self) -> Self::Key {
        (self.offset_bytes, self.stream)
    }
}

/// Where a next request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// At this offset.
    At(u64),
    /// It has no place.
    Anywhere,
}

/// All next requests.
#[derive(Debug, Default)]
pub(super) struct Places {
    by_offset: Blocks<Place, ()>,
    anywhere: Vec<StreamId>,
}

impl Places {
    /// A stream has a next request there now, instead of `old`.
    pub(super) fn set(&mut self, stream: StreamId, old: Option<Next>, new: Option<Next>) {
        if old == new {
            return;
        }
        match old {
            Some(Next::At(offset)) => {
                self.by_offset.remove((offset, stream));
            }
            Some(Next::Anywhere) => self.anywhere.retain(|other| *other != stream),
            None => {}
        }
        match new {
            Some(Next::At(offset_bytes)) => self.by_offset.insert(Place {
                offset_bytes,
                stream,
            }),
            Some(Next::Anywhere) => self.anywhere.push(stream),
            None => {}
        }
    }

    /// The nearest stream that `rank` gives a rank; among the equally near the least of rank and number.
    pub(super) fn nearest<R: Ord + Copy>(
        &self,
        head_bytes: u64,
        rank: impl Fn(StreamId) -> Option<R>,
    ) -> Option<StreamId> {
        let ranked = |stream: StreamId| Some((rank(stream)?, stream));
        if let Some((_, stream)) = self.anywhere.iter().copied().filter_map(ranked).min() {
            return Some(stream);
        }
        let mut up = Cursor::above(&self.by_offset, head_bytes);
        let mut down = up;
        down.step_back(&self.by_offset);
        let mut best: Option<(u64, R, StreamId)> = None;
        loop {
            let above = up.get(&self.by_offset);
            let below = down.get(&self.by_offset);
            let far_above = above.map(|place| place.offset_bytes - head_bytes);
            let far_below = below.map(|place| head_bytes - place.offset_bytes);
            let goes_up = match (far_above, far_below) {
                (None, None) => break,
                (Some(above), Some(below)) => above <= below,
                (above, _) => above.is_some(),
            };
            let (distance, place) = if goes_up {
                (far_above, above)
            } else {
                (far_below, below)
            };
            let (Some(distance), Some(place)) = (distance, place) else {
                break;
            };
            if best.is_some_and(|(nearest, ..)| distance > nearest) {
                break;
            }
            if let Some((rank, stream)) = ranked(place.stream) {
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
struct Cursor {
    block: usize,
    within: usize,
    before_start: bool,
}

impl Cursor {
    fn above(places: &Blocks<Place, ()>, offset_bytes: u64) -> Cursor {
        let (block, within) = places.position((offset_bytes, StreamId::LOWEST));
        Cursor {
            block,
            within,
            before_start: false,
        }
    }

    fn get(self, places: &Blocks<Place, ()>) -> Option<Place> {
        if self.before_start {
            return None;
        }
        let block = places.blocks.get(self.block)?;
        block.entries.get(self.within).copied()
    }

    fn step(&mut self, places: &Blocks<Place, ()>) {
        self.within += 1;
        let len = places.blocks.get(self.block).map_or(0, |b| b.entries.len());
        if self.within >= len {
            self.block += 1;
            self.within = 0;
        }
    }

    fn step_back(&mut self, places: &Blocks<Place, ()>) {
        if self.within > 0 {
            self.within -= 1;
        } else if self.block > 0 {
            self.block -= 1;
            self.within = places.blocks[self.block].entries.len() - 1;
        } else {
            self.before_start = true;
        }
    }
}

#[cfg(test)]
mod tests;
