//! One pass of a fold: as many blocks as fit its memory, in the order of the image. They are read
//! from the log in the log's order, each into its place, and then written in the image's order.
//!
//! ```text
//!   map, from the cursor on ─► jobs (runs of the image)       ┐
//!                              places, by unit of the log ─► reads, with what lies between them
//! ```
//!
//! A hard disk does not take scattered reads of the log: each costs a seek and half a turn. In the
//! log's order what lies between two blocks that are wanted passes under the head anyway, so short
//! gaps are read too.
//!
//! Invariant: a pass holds at most [`FoldLimits::pass_bytes`] of blocks; each block of it is read
//! or lost once, and each job is written once, after all of the pass is read.
//!
//! Not known here: streams, requests, and what happens to blocks that are lost.

use disktime_disks::{Buffer, BufferPool};
use disktime_history::{Log, Source, UNIT_BYTES, Unit};
use std::ops::Range;

/// Most blocks of a job.
const JOB_BLOCKS: u64 = 128;
/// Most units of a read: long ones keep other requests from coming between.
const READ_UNITS: u32 = 1024;
/// Most jobs of a pass; runs of zeroes take no memory.
const JOBS_MAX: usize = 1 << 16;

/// What a fold may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FoldLimits {
    /// Blocks of a pass, in bytes.
    pub pass_bytes: usize,
    /// Units between two wanted ones that are read with them.
    pub gap_units: u32,
    /// Writes of the image in flight.
    pub writes: usize,
    /// Bytes of the log after which a fold gives space back.
    pub step_bytes: u64,
}

/// Passes of a step of a fold. With more, reading the step once for each pass costs more than
/// writing it to the image together saves.
const STEP_PASSES: u64 = 8;

impl FoldLimits {
    /// On a log's disk with seeks each pass reads the whole of what is folded, so there should be
    /// few: half of the log makes one of a fold of half of it. 256 MiB is the most that is taken.
    /// On another log's disk reads need no order, and the order of the writes is that of the image
    /// in any case; so a fold has one step there.
    pub(crate) fn of_disks(
        log_has_seeks: bool,
        image_has_seeks: bool,
        area_bytes: u64,
    ) -> FoldLimits {
        const LEAST: u64 = 4 << 20;
        let (pass_bytes, gap_units) = match log_has_seeks {
            true => ((area_bytes / 2).clamp(LEAST, 256 << 20), 64),
            false => (LEAST, 0),
        };
        FoldLimits {
            pass_bytes: pass_bytes as usize,
            gap_units,
            writes: if image_has_seeks { 128 } else { 8 },
            step_bytes: match log_has_seeks {
                true => STEP_PASSES * pass_bytes,
                false => area_bytes,
            },
        }
    }

    /// The part of a log that is folded until space is given back, in millionths.
    pub(crate) fn step_ppm(&self, area_bytes: u64) -> u32 {
        (self.step_bytes.min(area_bytes) * 1_000_000 / area_bytes.max(1)) as u32
    }
}

/// A run of the image.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) lba: u64,
    pub(super) blocks: u64,
    /// `None`: it becomes zeroes.
    pub(super) buffer: Option<Buffer>,
    /// Blocks of it that the log does not have any more, from its first on.
    pub(super) lost: Vec<usize>,
}

/// A block that is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) unit: Unit,
    pub(super) checksum: u32,
    job: u32,
    block: u32,
}

/// Blocks and runs of one pass.
#[derive(Debug, Default)]
pub(super) struct FoldPass {
    jobs: Vec<Job>,
    /// By unit.
    places: Vec<Place>,
    /// Places before this one are read, or being read.
    planned: usize,
    /// Blocks that are not read yet.
    unread: usize,
    /// Jobs before this one are written, or being written.
    next_job: usize,
}

impl FoldPass {
    /// The blocks from `cursor` on, which is moved behind them; empty if there are none.
    pub(super) fn list(
        log: &Log,
        pool: &mut BufferPool,
        cursor: &mut u64,
        limits: &FoldLimits,
    ) -> FoldPass {
        let mut pass = FoldPass::default();
        let blocks_max = limits.pass_bytes / UNIT_BYTES;
        while pass.places.len() < blocks_max && pass.jobs.len() < JOBS_MAX {
            let Some((lba, run)) = log.fold_next(*cursor) else {
                break;
            };
            *cursor = lba + run.blocks;
            match run.source {
                Source::Log { unit, checksum } => pass.add_block(lba, unit, checksum),
                _ => pass.jobs.push(Job::new(lba, run.blocks, None)),
            }
        }
        let with_data: Vec<u32> = pass.places.iter().map(|place| place.job).collect();
        for job in with_data {
            let job = &mut pass.jobs[job as usize];
            if job.buffer.is_none() {
                job.buffer = Some(pool.take(job.blocks as usize * UNIT_BYTES));
            }
        }
        pass.unread = pass.places.len();
        pass.places.sort_unstable_by_key(|place| place.unit);
        pass
    }

    fn add_block(&mut self, lba: u64, unit: Unit, checksum: u32) {
        // A run of zeroes has no place.
        let newest = self.places.last().map(|place| place.job as usize + 1);
        let is_data = newest == Some(self.jobs.len());
        let is_next = |job: &&mut Job| job.lba + job.blocks == lba && job.blocks < JOB_BLOCKS;
        let block = match self.jobs.last_mut().filter(|_| is_data).filter(is_next) {
            Some(job) => {
                job.blocks += 1;
                job.blocks - 1
            }
            None => {
                self.jobs.push(Job::new(lba, 1, None));
                0
            }
        };
        let job = self.jobs.len() - 1;
        self.places.push(Place {
            unit,
            checksum,
            job: job as u32,
            block: block as u32,
        });
    }

    /// The places that are read next, with one read.
    pub(super) fn next_read(&mut self, limits: &FoldLimits) -> Option<Range<usize>> {
        let first = self.places.get(self.planned)?.unit;
        let mut last = first;
        let is_near = |place: &&Place| {
            let is_near =
                place.unit - last <= limits.gap_units + 1 && place.unit - first < READ_UNITS;
            last = place.unit;
            is_near
        };
        let count = self.places[self.planned..].iter().take_while(is_near);
        let from = self.planned;
        self.planned += count.count();
        Some(from..self.planned)
    }

    /// Units that all reads of the pass together take.
    pub(super) fn read_units(&self, limits: &FoldLimits) -> u64 {
        let mut ahead = FoldPass {
            places: self.places.clone(),
            ..FoldPass::default()
        };
        std::iter::from_fn(|| ahead.next_read(limits).map(|places| self.units(&places).1)).sum()
    }

    /// The unit that a read of these places begins with, and how many it takes.
    pub(super) fn units(&self, places: &Range<usize>) -> (Unit, u64) {
        let first = self.places[places.start].unit;
        let last = self.places[places.end - 1].unit;
        (first, u64::from(last - first) + 1)
    }

    pub(super) fn place(&self, at: usize) -> Place {
        self.places[at]
    }

    /// A block was read.
    pub(super) fn fill(&mut self, at: usize, block: &[u8]) {
        let place = self.places[at];
        let from = place.block as usize * UNIT_BYTES;
        if let Some(buffer) = &mut self.jobs[place.job as usize].buffer {
            buffer[from..from + UNIT_BYTES].copy_from_slice(block);
        }
        self.unread -= 1;
    }

    /// A block is not to be had; where it belongs in the image.
    pub(super) fn lose(&mut self, at: usize) -> u64 {
        let place = self.places[at];
        let job = &mut self.jobs[place.job as usize];
        job.lost.push(place.block as usize);
        self.unread -= 1;
        job.lba + u64::from(place.block)
    }

    /// The job that is written next, if all is read.
    pub(super) fn next_job(&mut self) -> Option<usize> {
        let next = Some(self.next_job).filter(|at| self.unread == 0 && *at < self.jobs.len());
        self.next_job += usize::from(next.is_some());
        next
    }

    pub(super) fn job_mut(&mut self, at: usize) -> &mut Job {
        &mut self.jobs[at]
    }

    /// Whether every job was taken to be written.
    pub(super) fn is_taken(&self) -> bool {
        self.next_job == self.jobs.len()
    }
}

impl Job {
    fn new(lba: u64, blocks: u64, buffer: Option<Buffer>) -> Job {
        Job {
            lba,
            blocks,
            buffer,
            lost: Vec::new(),
        }
    }

    /// What of it is written: ranges of blocks, from its first on.
    pub(super) fn pieces(&mut self) -> Vec<Range<usize>> {
        let mut lost = std::mem::take(&mut self.lost);
        lost.sort_unstable();
        lost.push(self.blocks as usize);
        let mut from = 0;
        let mut pieces = Vec::with_capacity(1);
        for end in lost {
            if from < end {
                pieces.push(from..end);
            }
            from = end + 1;
        }
        pieces
    }
}
