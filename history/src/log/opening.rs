//! From what recovery found to a log that takes requests.
//!
//! The map is built first, then the new epoch is written, durably and into both superblocks, and
//! only then anything else. A log that lost durable data is served as it was before, read-only.

use super::building::{BuildPurpose, Builds};
use super::checkpoints::Superblocks;
use super::newest::Newest;
use super::pipeline::{Answer, StagedRecord};
use super::{Log, Phase, Settings};
use crate::branches::Branches;
use crate::clones::Clones;
use crate::format::checkpoint::{LossRow, LostRun};
use crate::format::checks::Checks;
use crate::format::record::{BranchReason, Record};
use crate::format::superblock::Superblock;
use crate::format::{Seq, UNFLUSHED_SEQS_MAX};
use crate::lost::LostBlocks;
use crate::map::BlockMap;
use crate::marks::Marks;
use crate::recovery::Report;
use crate::segments::{Cut, Segments};
use crate::sizes::Sizes;
use crate::steps::{Failure, Notice};
use std::collections::{BTreeMap, VecDeque};

/// What recovery found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) superblock: Superblock,
    /// The copy of it that counted.
    pub(crate) superblock_copy: usize,
    pub(crate) floor: Seq,
    pub(crate) oldest_restorable: Seq,
    pub(crate) branches: Branches,
    pub(crate) marks: Marks,
    pub(crate) clones: Clones,
    pub(crate) sizes: Sizes,
    pub(crate) segments: Segments,
    /// Records behind the checkpoint: record, seq, seq and time before it, its time.
    pub(crate) records: Vec<(Record, Seq, (Seq, u64), u64)>,
    pub(crate) last_seq: Seq,
    pub(crate) last_batch: u64,
    pub(crate) last_time_ns: u64,
    pub(crate) last_seal_checksum: u32,
    /// The segment in which a CHECKPOINT has no header, and the checksum that the header had.
    pub(crate) hole: Option<(u64, u32)>,
    pub(crate) lost_runs: Vec<LostRun>,
    pub(crate) losses: Vec<LossRow>,
    pub(crate) report: Report,
}

impl Log {
    pub(crate) fn of_found(found: Found, settings: Settings) -> Log {
        let geometry = found.superblock.geometry;
        let mut log = Log {
            settings,
            geometry,
            checks: Checks::new(geometry.log),
            phase: Phase::Building,
            superblock: found.superblock,
            superblocks: Superblocks::of_found(found.superblock_copy),
            segments: found.segments,
            branches: found.branches,
            marks: found.marks,
            clones: found.clones,
            sizes: found.sizes,
            growing: None,
            newest: Default::default(),
            views: BTreeMap::new(),
            fetches: Default::default(),
            fences: BTreeMap::new(),
            next_view: 1,
            builds: Builds::default(),
            fold: None,
            floor: found.floor,
            oldest_restorable: found.oldest_restorable,
            next_seq: 0,
            next_batch: found.last_batch + 1,
            next_ticket: 1,
            last_time_ns: found.last_time_ns,
            published_seq: found.last_seq,
            published_time_ns: found.last_time_ns,
            published_content_seq: found.last_seq,
            durable_seq: found.last_seq,
            noted_seq: 0,
            last_seal_checksum: found.last_seal_checksum,
            staged: VecDeque::new(),
            records: VecDeque::new(),
            flight: VecDeque::new(),
            flushing: Default::default(),
            failing: Vec::new(),
            sealing: None,
            space: Default::default(),
            gathering: Default::default(),
            data_batch_units: 0,
            checkpoint_wanted: false,
            reverting: false,
            held: false,
            deferral: Default::default(),
            ios: BTreeMap::new(),
            next_io: 1,
            steps: VecDeque::new(),
            notices: VecDeque::new(),
            lost_from: found.report.lost_from,
            cut: None,
            accepting: None,
            losses: found.losses,
            lost_blocks: LostBlocks::of_rows(&found.lost_runs, geometry.vdisk_blocks)
                .unwrap_or_default(),
            report: found.report,
            epoch_record: None,
            hole: found.hole,
            first_batch: found.last_batch + 1,
        };
        for (record, seq, before, time_ns) in &found.records {
            log.published_time_ns = *time_ns;
            log.apply_record(record, *seq, *before);
        }
        log.published_time_ns = found.last_time_ns;
        log.give_up_marks_before(log.oldest_restorable);
        // Behind an older checkpoint lie more branches than there may be at one time.
        log.compact_if_many();
        if log.lost_from.is_some() {
            let end = log.segments.open().map(|open| {
                let start = geometry.slot_start(open.slot);
                (open.id, start + open.used_units())
            });
            // Without its header nothing is left of the newest segment.
            let (segment, unit) = end.unwrap_or((log.segments.last_id() + 1, 0));
            log.cut = Some(Cut {
                segment,
                unit,
                last_seq: found.last_seq,
                time_ns: found.last_time_ns,
                hole: log.hole_in(segment),
            });
            log.truncate_tables();
        }
        log.builds.push(BuildPurpose::Opening);
        log
    }

    pub(super) fn opening_map_is_built(&mut self, map: BlockMap) {
        self.newest = Newest::of_whole(map);
        if self.segments.sealed().any(|row| self.lacks_fences(row)) {
            self.builds.push(BuildPurpose::Fences);
        }
        if self.lost_from.is_some() || self.report.read_only_features.is_some() {
            self.phase = Phase::ReadOnly;
            self.notices.push_back(Notice::Opened);
            return;
        }
        if self.deferral.is_deferred() {
            self.phase = Phase::Unwritten;
            self.notices.push_back(Notice::Opened);
            return;
        }
        self.next_epoch();
        self.phase = Phase::BeginningEpoch;
        self.want_superblocks();
    }

    /// Numbers of the opening that begins, which the superblocks have before anything is written.
    pub(super) fn next_epoch(&mut self) {
        let is_new = self.superblock.epoch == 1 && self.published_seq == 0;
        let was_closed = self.superblock.closed.take().is_some();
        self.next_seq = self.superblock.next_seq.max(self.published_seq + 1);
        if !was_closed && !is_new {
            // What was given out and lost in the crash is not given out again.
            self.next_seq += UNFLUSHED_SEQS_MAX;
        }
        self.superblock.next_seq = self.next_seq;
        self.superblock.next_segment = self.segments.next_id();
        self.superblock.epoch += 1;
    }

    /// A sealed segment cannot be read behind `cut`: what it holds was durable.
    pub(super) fn opening_is_damaged(&mut self, cut: Cut) {
        self.published_seq = self.published_seq.min(cut.last_seq);
        self.durable_seq = self.durable_seq.min(self.published_seq);
        self.published_content_seq = self.published_seq;
        self.lost_from = Some(self.published_seq + 1);
        (self.report.newest, self.report.lost_from) = (self.published_seq, self.lost_from);
        self.cut = Some(cut);
        self.truncate_tables();
        if self.published_seq < self.oldest_restorable {
            // The image is younger than what is left, which was never beside it.
            self.break_down(Failure::Image);
        } else {
            self.builds.push(BuildPurpose::Opening);
        }
    }

    /// What lies behind the newest moment is lost: its branches and marks are too.
    fn truncate_tables(&mut self) {
        self.published_seq = self.branches.truncate(self.published_seq);
        self.marks.truncate(self.published_seq);
        self.clones.truncate(self.published_seq);
        self.sizes.truncate(self.published_seq);
    }

    /// The new epoch is durable in both superblocks.
    pub(super) fn epoch_begins(&mut self) {
        let is_new = self.branches.current() == 0;
        self.epoch_record = Some(Record::Epoch {
            before: self.superblock.epoch - 1,
            kept: self.published_seq,
            accepts_loss: self.accepting.is_some(),
        });
        if self.accepting.is_some() {
            self.checkpoint_wanted = true;
            self.forget_checkpoint_before();
            self.phase = Phase::AcceptingLoss;
            return;
        }
        if is_new {
            self.records.push_back(StagedRecord {
                record: Record::Branch {
                    parent: 0,
                    fork: 0,
                    reason: BranchReason::First,
                },
                payload: Vec::new(),
                answer: Answer::Nothing,
            });
        }
        // A log of which nothing is written takes no space however often it is opened.
        if self.report.checkpoint_mended {
            self.forget_checkpoint_before();
        }
        let named = self.superblock.checkpoint.map(|place| place.segment);
        self.checkpoint_wanted =
            is_new || self.report.checkpoint_mended || named != Some(self.segments.last_id());
        self.begin_owed_fold();
        // Data before the first branch would belong to none, and be lost at the next opening.
        self.phase = Phase::BeginningBranch;
        if !is_new {
            self.first_branch_begins();
        }
    }

    /// A fold that a crash or a damaged log interrupted is repeated.
    pub(super) fn begin_owed_fold(&mut self) {
        if self.floor < self.oldest_restorable {
            self.begin_fold(self.oldest_restorable);
        }
    }

    /// Requests are taken from now on.
    pub(super) fn first_branch_begins(&mut self) {
        if self.phase == Phase::BeginningBranch {
            self.phase = Phase::Writable;
            self.notices.push_back(Notice::Opened);
            if self.deferral.closes_when_open() {
                self.close();
            }
        }
    }
}
