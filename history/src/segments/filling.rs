//! What batches take, and how data that goes into several of them fills what is left.
//!
//! Each segment that is begun gets a checkpoint: behind the batch that it was begun for, or, if
//! there is no room for that, as the first batch of the next one.
//!
//! What is not known here: records that are asked for meanwhile.

use super::{OpenSegment, Segments};

/// What a batch takes from a segment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Room {
    /// Header and payload.
    pub(crate) units: u32,
    /// Entries of the footer: blocks, runs, batches.
    pub(crate) entries: [usize; 3],
}

impl Room {
    /// Of so many blocks of data, without a header.
    pub(crate) fn of_blocks(blocks: u32) -> Room {
        Room {
            units: blocks,
            entries: [blocks as usize, 0, 0],
        }
    }

    /// With what comes behind it.
    pub(crate) fn and(self, more: Room) -> Room {
        Room {
            units: self.units + more.units,
            entries: std::array::from_fn(|kind| self.entries[kind] + more.entries[kind]),
        }
    }
}

/// What a batch without entries takes.
const BATCH: Room = Room {
    units: 1,
    entries: [0, 0, 1],
};

/// What the header of a segment takes.
const SEGMENT_HEADER: Room = Room {
    units: 1,
    entries: [0; 3],
};

/// Data that is divided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Divided {
    pub(crate) blocks: u32,
    /// A part that is not the last one has so many at least.
    pub(crate) least_blocks: u32,
    /// A batch takes so many units at most.
    pub(crate) batch_units_max: u32,
    /// What the first batch has before it.
    pub(crate) before: Room,
    /// The open segment is still to get a checkpoint.
    pub(crate) checkpoint_waits: bool,
}

impl Segments {
    /// Whether all of it can be placed, so that `kept` slots stay free. `checkpoint`: what one
    /// takes, after so many segments have been begun.
    pub(crate) fn has_room_for_all(
        &self,
        data: &Divided,
        checkpoint: impl Fn(usize) -> Room,
        kept: usize,
    ) -> bool {
        let Some(slots) = self.free.len().checked_sub(kept) else {
            return false;
        };
        let fits = |taken| self.fits_slot(taken);
        let mut taken = self.open.as_ref().map(OpenSegment::taken);
        let (mut left, mut batch) = (data.blocks, data.before);
        let (mut begun, mut waits) = (0, data.checkpoint_waits);
        loop {
            while let Some(before) = taken {
                let with = |blocks| batch.and(Room::of_blocks(blocks));
                let part = most_that_fit(left, |blocks| {
                    with(blocks).units <= data.batch_units_max && fits(before.and(with(blocks)))
                });
                if part == left {
                    return true;
                }
                let is_taken = part >= data.least_blocks;
                let mut next = before;
                if is_taken {
                    next = before.and(with(part));
                    left -= part;
                }
                batch = BATCH;
                taken = Some(next);
                if waits {
                    taken = Some(next.and(checkpoint(begun))).filter(|taken| fits(*taken));
                    waits = taken.is_none();
                }
                if !is_taken {
                    break;
                }
            }
            if begun == slots {
                return false;
            }
            begun += 1;
            taken = Some(SEGMENT_HEADER);
            if waits {
                taken = Some(SEGMENT_HEADER.and(checkpoint(begun)));
            }
            waits = !waits;
        }
    }
}

/// The most blocks, up to a limit, that fit; fewer always do if some do.
pub(crate) fn most_that_fit(limit: u32, fits: impl Fn(u32) -> bool) -> u32 {
    let (mut fitting, mut too_many) = (0, limit + 1);
    while too_many - fitting > 1 {
        let blocks = fitting + (too_many - fitting) / 2;
        match fits(blocks) {
            true => fitting = blocks,
            false => too_many = blocks,
        }
    }
    fitting
}
