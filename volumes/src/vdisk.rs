//! An open vdisk as the data path has it: its layout, its commits, and who pays.
//!
//! A vdisk whose zero map is damaged is open all the same and fails every request, so that the
//! other vdisks of the disk are served.

use crate::abilities::Abilities;
use crate::commit::{CommitIo, CommitPipeline, Stage};
use crate::held_trims::HeldTrims;
use crate::ids::RequestId;
use crate::layout::Layout;
use crate::request_table::MAX_REQUESTS;
use crate::splitter::Splitter;
use crate::target::{DiskIndex, Target};
use crate::zero_map::Half;
use disktime_engine::{IoError, LastChange, NoSpaceCount, StreamId};
use disktime_units::TrimHandling;

/// Stages of a run beside the writes of the zero maps: that of the data, and one behind each half.
const FLUSHES: usize = 3;

/// An open vdisk.
#[derive(Debug)]
pub(crate) struct OpenVdisk {
    /// For the log.
    name: String,
    stream: StreamId,
    /// Pays for the flushes of its commits.
    flush_stream: StreamId,
    layout: Layout,
    is_damaged: bool,
    /// What people should know of its zero maps, as sentences.
    notices: Vec<String>,
    commits: CommitPipeline,
    /// How the last run of the commits ended.
    last_commit: Result<(), IoError>,
    last_change: LastChange,
    trims: TrimHandling,
    /// What the disk has not been told of, where trims are held.
    held: Option<HeldTrims>,
    no_space: NoSpaceCount,
}

impl OpenVdisk {
    /// `stream` pays for what clients ask.
    pub(crate) fn new(
        name: String,
        stream: StreamId,
        layout: Layout,
        is_damaged: bool,
        last_change: LastChange,
    ) -> OpenVdisk {
        OpenVdisk {
            name,
            stream,
            flush_stream: stream,
            is_damaged,
            notices: Vec::new(),
            commits: CommitPipeline::with_capacity(
                MAX_REQUESTS,
                2 * layout.extent_count() + FLUSHES,
            ),
            layout,
            last_commit: Ok(()),
            last_change,
            trims: TrimHandling::Pass,
            held: None,
            no_space: NoSpaceCount::default(),
        }
    }

    /// The same with what becomes of its trims.
    pub(crate) fn with_trims(self, trims: TrimHandling, held: Option<HeldTrims>) -> OpenVdisk {
        OpenVdisk {
            trims,
            held,
            ..self
        }
    }

    /// The same, with another stream that pays for the flushes of its commits.
    pub(crate) fn with_flush_stream(self, flush_stream: StreamId) -> OpenVdisk {
        OpenVdisk {
            flush_stream,
            ..self
        }
    }

    /// Its own stream pays for the flushes of its commits from now on.
    pub(crate) fn flush_by_own_stream(&mut self) {
        self.flush_stream = self.stream;
    }

    /// The same, and every request fails.
    pub(crate) fn failing(self, notice: String) -> OpenVdisk {
        OpenVdisk {
            is_damaged: true,
            ..self
        }
        .with_notice(Some(notice))
    }

    /// Cuts its requests.
    pub(crate) fn splitter(&self, abilities: Abilities) -> Splitter<'_> {
        let holds_trims = self.trims == TrimHandling::Hold;
        Splitter::new(&self.layout, abilities).holding_trims(holds_trims)
    }

    /// What becomes of its trims.
    pub(crate) fn trims(&self) -> TrimHandling {
        self.trims
    }

    /// What the disk has not been told of, where trims are held.
    pub(crate) fn held_trims(&self) -> Option<&HeldTrims> {
        self.held.as_ref()
    }

    /// The next range of which the disk is to be told, in one extent, and whether it may be: after
    /// a crash now it would still be a hole.
    pub(crate) fn next_held(&mut self, longest: u64) -> Option<(u64, u64, bool)> {
        let held = self.held.as_mut()?;
        let (start, end) = held.next(longest)?;
        let (is_durable, stop) = self.layout.durable_hole_run(start, end);
        held.go_on_at(stop);
        Some((start, stop, is_durable))
    }

    /// The disk was not told of a range after all.
    pub(crate) fn hold_again(&mut self, start: u64, end: u64) {
        if let Some(held) = &mut self.held {
            held.hold(start, end);
        }
    }

    /// What is stored of a range is going to become holes, of which the disk is not told.
    pub(crate) fn hold_trims(&mut self, start: u64, end: u64) {
        if let Some(held) = &mut self.held {
            self.layout
                .each_mapped_run(start, end, |start, end| held.hold(start, end));
        }
    }

    /// The chunks that a range touches are going to be used, or the disk is told of them.
    pub(crate) fn release_held(&mut self, start: u64, end: u64) {
        if let Some(held) = &mut self.held {
            held.release(start, end);
        }
    }

    /// The same with what more people should know.
    pub(crate) fn with_notice(mut self, notice: Option<String>) -> OpenVdisk {
        self.notices.extend(notice);
        self
    }

    /// What people should know of its zero maps, as sentences.
    pub(crate) fn notices(&self) -> &[String] {
        &self.notices
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn stream(&self) -> StreamId {
        self.stream
    }

    /// When its content changed last.
    pub(crate) fn last_change(&self) -> &LastChange {
        &self.last_change
    }

    /// How many of its requests found no space below.
    pub(crate) fn no_space(&self) -> &NoSpaceCount {
        &self.no_space
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn layout_mut(&mut self) -> &mut Layout {
        &mut self.layout
    }

    /// Whether its zero map cannot be read.
    pub(crate) fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    pub(crate) fn commits(&self) -> &CommitPipeline {
        &self.commits
    }

    pub(crate) fn commits_mut(&mut self) -> &mut CommitPipeline {
        &mut self.commits
    }

    /// Begins a run of the commit pipeline; `metadata` pays for the zero maps. The bits that it
    /// writes are those of now, so the data flush, which is sent next, covers their data.
    pub(crate) fn begin_commit(&mut self, metadata: StreamId) {
        let disk = DiskIndex::FIRST;
        let layout = &mut self.layout;
        let data = Target::whole_disk(disk, self.flush_stream);
        let maps = Target::whole_disk(disk, metadata);
        self.commits.begin(|stages| {
            stages.push(Stage::Flush(data));
            layout.begin_snapshot();
            for half in [Half::First, Half::Second] {
                let before = stages.len();
                layout.list_saving(half, stages, maps);
                if stages.len() > before {
                    stages.push(Stage::Flush(maps));
                }
            }
        });
    }

    /// An I/O of the run is back. The result of the run if that ends it.
    pub(crate) fn commit_io_done(
        &mut self,
        result: Result<(), IoError>,
    ) -> Option<Result<(), IoError>> {
        let outcome = self.commits.io_done(result)?;
        self.layout.finish_snapshot(outcome.is_ok());
        self.last_commit = outcome;
        Some(outcome)
    }

    /// Fails the commits that are wanted, without a run.
    pub(crate) fn refuse_commits(&mut self, error: IoError) {
        self.commits.refuse_waiting();
        self.last_commit = Err(error);
    }

    /// How the last run ended.
    pub(crate) fn last_commit(&self) -> Result<(), IoError> {
        self.last_commit
    }

    /// The next I/O of the run, if one may be sent now.
    pub(crate) fn next_commit_io(&mut self) -> Option<CommitIo> {
        self.commits.next_io()
    }

    /// The next request that the ended run answers.
    pub(crate) fn take_committed(&mut self) -> Option<RequestId> {
        self.commits.take_covered()
    }
}
