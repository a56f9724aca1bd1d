//! The commit pipeline of a vdisk: what has to happen, in which order, before FLUSH and FUA
//! requests are answered.
//!
//! A *run* works through a list of stages. Today's list is: flush the data, write the first halves
//! of the changed pairs of the zero maps, flush those, write the second halves, flush those; only
//! the first where no map has changed. A log adds its stages to the same list (write a batch, flush
//! its disk).
//!
//! ```text
//!   requests: waiting ──begin──► covered ──────────────────────────────────────► answered
//!   stages:                      flush │ write write │ flush │ write write │ flush │ end
//! ```
//!
//! Invariants: one run at a time, and requests that join meanwhile share the next; a flush starts
//! when every stage before it has completed, and a write when the last flush before it has, so
//! neighbouring writes run side by side; what a run makes durable is decided at its beginning,
//! before its first flush is sent; a failed stage ends the run with the first error, once what is
//! on the disk is back, and nothing of it is sent any more. No allocation once the lists have
//! grown.
//!
//! Not known here: what the blocks hold, the clock, and that a failed flush is final for the disk.

use crate::ids::RequestId;
use crate::target::Target;
use crate::zero_map::Half;
use disktime_engine::IoError;
use std::collections::VecDeque;

/// One entry of a run's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Make durable what the target's disk has taken.
    Flush(Target),
    /// Write blocks, the last one first.
    Write {
        source: BlockSource,
        blocks: usize,
        target: Target,
    },
}

/// Whose blocks a stage writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockSource {
    /// The snapshot of the zero map of that extent of the vdisk.
    ZeroMap { extent: usize, half: Half },
}

impl Stage {
    /// Writes one half of each of `pairs` pairs of an extent's zero map.
    pub(crate) fn write_map(extent: usize, half: Half, pairs: usize, target: Target) -> Stage {
        Stage::Write {
            source: BlockSource::ZeroMap { extent, half },
            blocks: pairs,
            target,
        }
    }
}

/// An I/O of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommitIo {
    /// Flush the target's disk.
    Flush(Target),
    /// Write block `which` of the source; the source says where on the target's disk.
    Write {
        source: BlockSource,
        which: usize,
        target: Target,
    },
}

/// The commits of one vdisk.
#[derive(Debug)]
pub(crate) struct CommitPipeline {
    running: bool,
    stages: Vec<Stage>,
    /// The stage of which an I/O is sent next.
    at: usize,
    /// How many blocks of that stage were sent.
    sent_blocks: usize,
    /// I/Os on the disk.
    outstanding: usize,
    /// One of them is a flush.
    flushing: bool,
    error: Option<IoError>,
    /// Requests that the run answers.
    covered: VecDeque<RequestId>,
    /// Requests for the next run.
    waiting: VecDeque<RequestId>,
    /// A run is to begin although no request waits for one.
    asked: bool,
}

impl CommitPipeline {
    /// Space for that many requests and stages without allocation.
    pub(crate) fn with_capacity(requests: usize, stages: usize) -> CommitPipeline {
        CommitPipeline {
            running: false,
            stages: Vec::with_capacity(stages),
            at: 0,
            sent_blocks: 0,
            outstanding: 0,
            flushing: false,
            error: None,
            covered: VecDeque::with_capacity(requests),
            waiting: VecDeque::with_capacity(requests),
            asked: false,
        }
    }

    /// The next run answers this request, too.
    pub(crate) fn join(&mut self, id: RequestId) {
        self.waiting.push_back(id);
    }

    /// A run is to begin, whether or not a request joins it.
    pub(crate) fn ask(&mut self) {
        self.asked = true;
    }

    /// Whether a run is wanted and none is in progress.
    pub(crate) fn can_begin(&self) -> bool {
        !self.running && (self.asked || !self.waiting.is_empty())
    }

    /// Whether no run is in progress and none is wanted.
    pub(crate) fn is_idle(&self) -> bool {
        !self.running && !self.can_begin()
    }

    /// Begins a run for all that wait. `list` puts its stages into the empty list that it gets;
    /// they must begin with a flush.
    pub(crate) fn begin(&mut self, list: impl FnOnce(&mut Vec<Stage>)) {
        debug_assert!(self.can_begin() && self.covered.is_empty());
        std::mem::swap(&mut self.covered, &mut self.waiting);
        self.running = true;
        self.asked = false;
        list(&mut self.stages);
        debug_assert!(matches!(self.stages.first(), Some(Stage::Flush(_))));
    }

    /// Whether [`CommitPipeline::next_io`] has one.
    pub(crate) fn has_io(&self) -> bool {
        let Some(stage) = self.stages.get(self.at) else {
            return false;
        };
        let is_free = match stage {
            Stage::Flush(_) => self.outstanding == 0,
            Stage::Write { .. } => !self.flushing,
        };
        self.running && self.error.is_none() && is_free
    }

    /// The next I/O of the run, if one may be sent now.
    pub(crate) fn next_io(&mut self) -> Option<CommitIo> {
        if !self.has_io() {
            return None;
        }
        self.outstanding += 1;
        match self.stages[self.at] {
            Stage::Flush(target) => {
                self.flushing = true;
                self.at += 1;
                Some(CommitIo::Flush(target))
            }
            Stage::Write {
                source,
                blocks,
                target,
            } => {
                self.sent_blocks += 1;
                let which = blocks - self.sent_blocks;
                if which == 0 {
                    self.sent_blocks = 0;
                    self.at += 1;
                }
                Some(CommitIo::Write {
                    source,
                    which,
                    target,
                })
            }
        }
    }

    /// An I/O of the run is back. The result of the run if that ends it; the requests that it
    /// covered are then taken by [`CommitPipeline::take_covered`].
    pub(crate) fn io_done(&mut self, result: Result<(), IoError>) -> Option<Result<(), IoError>> {
        debug_assert!(self.running && self.outstanding > 0);
        self.outstanding -= 1;
        self.flushing = false;
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
        let is_over =
            self.outstanding == 0 && (self.error.is_some() || self.at == self.stages.len());
        is_over.then(|| self.end())
    }

    fn end(&mut self) -> Result<(), IoError> {
        self.running = false;
        self.stages.clear();
        self.at = 0;
        self.sent_blocks = 0;
        self.error.take().map_or(Ok(()), Err)
    }

    /// Fails all that wait, without a run; they are taken as those of a run that has ended.
    pub(crate) fn refuse_waiting(&mut self) {
        debug_assert!(self.can_begin() && self.covered.is_empty());
        self.asked = false;
        std::mem::swap(&mut self.covered, &mut self.waiting);
    }

    /// The next request of the run that has ended, in the order in which they joined.
    pub(crate) fn take_covered(&mut self) -> Option<RequestId> {
        debug_assert!(!self.running);
        self.covered.pop_front()
    }
}

#[cfg(test)]
mod tests;
