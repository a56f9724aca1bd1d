//! A log that is open: requests in, steps and notices out.
//!
//! ```text
//!   write, zero, mark … ── staged ── batch ── in flight ── published (map, tables) ── answered
//!                                     │                          │
//!   pipeline.rs ──────────────────────┘      flushing.rs: what waits for durability
//!   sealing.rs   the next segment            checkpoints.rs: CHECKPOINT, superblocks
//!   building.rs  maps of moments             folding.rs: the floor moves
//!   space.rs     the disk below has none    cloning.rs: what other vdisks begin with
//!   deferring.rs it is on a disk only when something is written
//!   joining.rs   records that wait go in one write
//!   verifying.rs what it holds is read again   used_space.rs what its space is kept for
//!   growing.rs   the vdisk and the log get more space
//!   ending.rs    all of it moves into the image
//! ```
//!
//! Invariants: batches are published and answered in the order of their numbers, each after its
//! write is complete; a seq is durable only if a flush that began after its batch was complete has
//! ended; after a failed write or flush nothing is written (a write that finds no space below is
//! taken back instead). Everything is bounded: requests that
//! wait, batches in flight, builds, open views.
//!
//! What is not known here: disks, clocks, threads, who asked.

mod branching;
mod building;
mod checkpoints;
mod cloning;
mod damage;
mod data_batches;
mod deferring;
mod ending;
mod fetching;
mod flushing;
mod folding;
mod gathering;
mod growing;
mod joining;
mod lazy_map;
mod newest;
mod opening;
mod pacing;
mod pipeline;
mod publishing;
mod reading;
mod requests;
mod retaining;
mod sealing;
mod space;
mod used_space;
mod verifying;

pub use fetching::{FETCH_BLOCKS_MAX, Fetched};
pub(crate) use opening::Found;
pub use reading::{Judge, Run, Source, View};
pub use requests::Resolved;
pub use retaining::{CloneStatus, Holder, MarkStatus, Status};
pub use used_space::{HeldSpace, UsedSpace};

use crate::branches::Branches;
use crate::clones::Clones;
use crate::fences::Fences;
use crate::format::checkpoint::LossRow;
use crate::format::checks::Checks;
use crate::format::record::Record;
use crate::format::superblock::{Geometry, Superblock};
use crate::format::{Seq, UNIT_BYTES};
use crate::lost::LostBlocks;
use crate::marks::Marks;
use crate::recovery::Report;
use crate::segments::{Cut, Segments};
use crate::sizes::Sizes;
use crate::steps::{Failure, IoFailed, IoId, Notice, RequestId, Step, ViewId};
use building::Builds;
use checkpoints::Superblocks;
use data_batches::Staged;
use deferring::Deferral;
use fetching::{Fetches, ViewMap};
use flushing::Flushing;
use folding::Fold;
use gathering::Gathering;
use growing::Growing;
use newest::Newest;
use pipeline::{Flight, StagedRecord};
use sealing::Sealing;
use space::Space;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Requests that wait, at most.
pub(crate) const STAGED_MAX: usize = 4096;

/// The longest chain of parts that give work to an earlier part: a full segment, its sealing; a
/// full log, a fold, its map, its record.
const ROUNDS: usize = 4;

/// What happens to writes when the log is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// The floor moves early; writes wait for it.
    Shorten,
    /// Writes are refused.
    Refuse,
}

/// How a log is used; nothing of it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Batches in flight, 1 to 4: one on a hard disk.
    pub commits_in_flight: usize,
    /// What happens to writes when the log is full.
    pub when_full: WhenFull,
    /// How long moments are kept.
    pub window_ns: u64,
    /// The part of all slots that a full log folds at once, in millionths: the rest of the log is
    /// the window that is kept however fast clients write.
    pub batch_ppm: u32,
    /// The part of all slots that a step of a fold takes, in millionths, one slot at least: their
    /// space is free when the step ends.
    pub step_ppm: u32,
    /// How long a batch waits, after one has ended, for as many changes as that one had: their
    /// clients come back. 0 where the next write costs no turn of a disk.
    pub gather_ns: u64,
    /// The version of this program: major, minor, patch.
    pub program_version: [u16; 3],
}

/// What a log does at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The map of the newest moment is built.
    Building,
    /// It was made just now, and waits for its area: nothing is written.
    Unwritten,
    /// The new epoch is written.
    BeginningEpoch,
    /// A new log: its first branch begins, before anything can be written to it.
    BeginningBranch,
    /// The new epoch is there; a checkpoint behind a loss that is accepted is written.
    AcceptingLoss,
    Writable,
    ReadOnly,
    /// What is in flight ends, then a last checkpoint is written.
    Closing,
    Closed,
    /// Nothing is written any more, for this reason.
    Broken(Failure),
}

/// What a completion is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Batch,
    /// With the last published seq when it began.
    Flush(Seq),
    Superblock,
    SuperblockFlush(Seq),
    SealWrite,
    SealFlush(Seq),
    BuildRead,
    FetchRead,
    Image,
    Reads,
}

/// The history of a vdisk, open.
#[derive(Debug)]
pub struct Log {
    settings: Settings,
    geometry: Geometry,
    checks: Checks,
    phase: Phase,
    superblock: Superblock,
    superblocks: Superblocks,
    segments: Segments,
    branches: Branches,
    marks: Marks,
    clones: Clones,
    /// Sizes of the vdisk; that of `geometry` is the greatest.
    sizes: Sizes,
    growing: Option<Growing>,
    newest: Newest,
    views: BTreeMap<ViewId, (Seq, ViewMap)>,
    fetches: Fetches,
    /// Of sealed segments whose footer is whole, by id.
    fences: BTreeMap<u64, Arc<Fences>>,
    next_view: u64,
    builds: Builds,
    fold: Option<Fold>,
    /// The image holds this moment.
    floor: Seq,
    oldest_restorable: Seq,

    next_seq: Seq,
    next_batch: u64,
    next_ticket: u64,
    last_time_ns: u64,
    published_seq: Seq,
    published_time_ns: u64,
    /// The last seq of a batch that is no DURABLE record.
    published_content_seq: Seq,
    durable_seq: Seq,
    /// The greatest durable seq that a header on the disk holds.
    noted_seq: Seq,
    last_seal_checksum: u32,

    staged: VecDeque<Staged>,
    records: VecDeque<StagedRecord>,
    flight: VecDeque<Flight>,
    flushing: Flushing,
    /// Requests that have failed, and are told so when none of their pieces is being written.
    failing: Vec<(RequestId, Failure)>,
    sealing: Option<Sealing>,
    space: Space,
    gathering: Gathering,
    /// Units of the newest batch of data.
    data_batch_units: u64,
    checkpoint_wanted: bool,
    reverting: bool,
    held: bool,
    deferral: Deferral,
    /// Durable data from this seq on is lost.
    lost_from: Option<Seq>,
    /// Where what is left of the log ends, if durable data is lost.
    cut: Option<Cut>,
    /// Who accepts that.
    accepting: Option<RequestId>,
    /// Losses that were accepted.
    losses: Vec<LossRow>,
    /// Blocks of the image that do not hold the floor.
    lost_blocks: LostBlocks,
    report: Report,
    /// The EPOCH of this opening: it is written before anything else is.
    epoch_record: Option<Record>,
    /// Only the CHECKPOINT that the superblocks name may be without a header: the next one is
    /// written when this segment is sealed. Its id, and the checksum that the header had.
    hole: Option<(u64, u32)>,
    /// The number of the first batch of this opening.
    first_batch: u64,

    ios: BTreeMap<IoId, Purpose>,
    next_io: u64,
    steps: VecDeque<Step>,
    notices: VecDeque<Notice>,
}

impl Log {
    /// The next thing to do, if there is one now. `now_ns`: nanoseconds since 1970.
    pub fn take_step(&mut self, now_ns: u64) -> Option<Step> {
        // A part of the log may give work to one that comes before it, without I/O in between.
        for _ in 0..ROUNDS {
            if !self.steps.is_empty() {
                break;
            }
            self.advance(now_ns);
        }
        self.steps.pop_front()
    }

    /// The next notice.
    pub fn take_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// A write, a flush, the image's writes or a wait for reads has ended.
    ///
    /// # Panics
    /// If no step with this id is in flight.
    pub fn complete(&mut self, io: IoId, result: Result<(), IoFailed>) {
        let purpose = self.ios.remove(&io).expect("a step is completed once");
        if matches!(self.phase, Phase::Broken(_)) {
            self.flight.retain(|flight| flight.io != io);
            self.answer_failing();
            return;
        }
        if result.is_err() {
            match purpose {
                Purpose::Image => self.image_failed(),
                _ => self.break_down(Failure::Broken),
            }
            return;
        }
        if matches!(
            purpose,
            Purpose::Batch | Purpose::Superblock | Purpose::SealWrite
        ) {
            self.note_space();
        }
        match purpose {
            Purpose::Batch => self.batch_is_written(io),
            Purpose::Flush(covers) => self.flush_ended(covers),
            Purpose::Superblock => self.superblock_is_written(),
            Purpose::SuperblockFlush(covers) => {
                self.durable_up_to(covers);
                self.superblock_is_durable();
            }
            Purpose::SealWrite => self.seal_is_written(),
            Purpose::SealFlush(covers) => {
                self.durable_up_to(covers);
                self.seal_flush_ended();
            }
            Purpose::Image => self.image_is_written(),
            Purpose::Reads => self.reads_ended(),
            Purpose::BuildRead | Purpose::FetchRead => {
                unreachable!("a read is completed by complete_read")
            }
        }
    }

    /// A read has ended, with as many bytes as were asked for.
    ///
    /// # Panics
    /// If no read with this id is in flight, or if the length is another one.
    pub fn complete_read(&mut self, io: IoId, result: Result<&[u8], IoFailed>) {
        let purpose = self.ios.remove(&io).expect("a step is completed once");
        match purpose {
            Purpose::BuildRead => self.build_read_ended(result),
            Purpose::FetchRead => self.fetch_read_ended(result),
            _ => panic!("a read is completed by complete_read"),
        }
    }

    /// Whether nothing is in flight and nothing waits.
    pub fn is_idle(&self) -> bool {
        self.ios.is_empty() && self.steps.is_empty() && self.staged.is_empty()
    }

    fn advance(&mut self, now_ns: u64) {
        self.advance_builds();
        self.advance_fetches();
        match self.phase {
            Phase::Building
            | Phase::Unwritten
            | Phase::ReadOnly
            | Phase::Closed
            | Phase::Broken(_) => return,
            Phase::BeginningEpoch => {
                self.advance_superblocks();
                return;
            }
            Phase::BeginningBranch | Phase::AcceptingLoss | Phase::Writable | Phase::Closing => {}
        }
        self.advance_growing();
        self.advance_superblocks();
        self.advance_sealing(now_ns);
        self.advance_pipeline(now_ns);
        self.advance_flushing();
        self.advance_fold();
        self.advance_close();
    }

    fn start(&mut self, purpose: Purpose) -> IoId {
        let io = IoId(self.next_io);
        self.next_io += 1;
        self.ios.insert(io, purpose);
        io
    }

    fn start_flush(&mut self, purpose: Purpose) {
        let io = self.start(purpose);
        self.steps.push_back(Step::Flush { io });
    }

    fn is_writable(&self) -> bool {
        self.phase == Phase::Writable
    }

    fn is_closing(&self) -> bool {
        self.phase == Phase::Closing
    }
}

/// Whole blocks in so many bytes.
fn blocks_in(bytes: usize) -> u64 {
    (bytes / UNIT_BYTES) as u64
}
