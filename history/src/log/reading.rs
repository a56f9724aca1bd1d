//! Where blocks lie: now, or at a moment that is open.

use super::fetching::ViewMap;
use super::{Log, Phase};
use crate::format::checks::Checks;
use crate::format::{Seq, UNIT_BYTES, Unit};
use crate::map::BlockMap;
use crate::steps::{Failure, ViewId};

/// Blocks of a run of zeroes that is looked up at once, at most.
const RUN_BLOCKS_MAX: u64 = 1 << 20;

/// What a look-up is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The newest content.
    Now,
    /// A moment that is open.
    At(ViewId),
}

/// Where a run of blocks lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// In the image, at the same block.
    Image,
    /// It reads as zeroes.
    Zeroes,
    /// Nowhere: the log had rotted when these blocks were to be folded. A read of them fails.
    Lost,
    /// One block, in this unit of the log; `Log::verifies` judges what is read there.
    Log {
        /// Where.
        unit: Unit,
        /// What it has to sum to.
        checksum: u32,
    },
}

/// A run of blocks from one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// How many.
    pub blocks: u64,
    /// Where they are.
    pub source: Source,
}

/// Judges blocks of one segment.
#[derive(Debug, Clone, Copy)]
pub struct Judge {
    checks: Checks,
    segment: u64,
}

impl Judge {
    /// Whether a block that was read is what was written.
    pub fn verifies(&self, checksum: u32, block: &[u8]) -> bool {
        block.len() == UNIT_BYTES && self.checks.payload(self.segment, block) == checksum
    }
}

impl Log {
    /// Where block `lba` lies, and how many from it on, at most `limit`, lie with it. `None` if the
    /// view is not open, if it has to be fetched first, or if nothing can be served.
    pub fn look_up(&self, view: View, lba: u64, mut limit: u64) -> Option<Run> {
        if limit == 0 {
            return None;
        }
        let mut run = match view {
            View::Now if self.phase == Phase::Broken(Failure::Image) => return None,
            View::Now => self.newest.run_at(lba, limit)?,
            View::At(view) => match &self.views.get(&view)?.1 {
                ViewMap::Whole(map) => run_at(map, lba, limit),
                ViewMap::Lazy(map) => {
                    limit = map.known(lba, limit);
                    if limit == 0 {
                        return None;
                    }
                    run_at(map.map(), lba, limit)
                }
            },
        };
        if run.source == Source::Image {
            let (blocks, is_lost) = self.lost_blocks.run_at(lba, run.blocks);
            run.blocks = blocks;
            run.source = if is_lost { Source::Lost } else { Source::Image };
        }
        Some(run)
    }

    /// Whether a block that was read from a unit of the log is what was written there.
    pub fn verifies(&self, unit: Unit, checksum: u32, block: &[u8]) -> bool {
        self.judge(unit).verifies(checksum, block)
    }

    /// Judges blocks that are read from the segment that a unit lies in: for a reader that has its
    /// answer when the log is not at hand.
    pub fn judge(&self, unit: Unit) -> Judge {
        Judge {
            checks: self.checks,
            segment: self.segments.id_in_slot(self.geometry.slot_of(unit)),
        }
    }

    /// Whether the segment of a judge that was asked for at this unit still lies there. If not, the
    /// bytes that are read there may be others, and the blocks are to be looked up again.
    pub fn still_holds(&self, unit: Unit, judge: &Judge) -> bool {
        self.segments.id_in_slot(self.geometry.slot_of(unit)) == judge.segment
    }

    /// The moment of a view that is open.
    pub fn moment_of(&self, view: ViewId) -> Option<Seq> {
        self.views.get(&view).map(|(moment, _)| *moment)
    }

    /// How many blocks the vdisk has there; `None` if the view is not open.
    pub fn blocks_of(&self, view: View) -> Option<u64> {
        match view {
            View::Now => Some(self.sizes.present()),
            View::At(view) => Some(self.sizes.at(self.moment_of(view)?)),
        }
    }

    pub(super) fn add_view(&mut self, moment: Seq, map: ViewMap) -> ViewId {
        let view = ViewId(self.next_view);
        self.next_view += 1;
        self.views.insert(view, (moment, map));
        view
    }

    /// A view is needed no more.
    pub fn close_view(&mut self, view: ViewId) {
        self.views.remove(&view);
        self.abandon_whole(View::At(view));
    }
}

pub(super) fn run_at(map: &BlockMap, lba: u64, limit: u64) -> Run {
    match map.get(lba).map(|value| value.as_data()) {
        None => Run {
            blocks: map.blocks_in_image(lba, limit),
            source: Source::Image,
        },
        Some(Some((unit, checksum))) => Run {
            blocks: 1,
            source: Source::Log { unit, checksum },
        },
        Some(None) => Run {
            blocks: map.zeroes_from(lba, limit.min(RUN_BLOCKS_MAX)),
            source: Source::Zeroes,
        },
    }
}
