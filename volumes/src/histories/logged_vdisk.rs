//! A vdisk with its log: what is in flight of it, and how its parts come together.
//!
//! Invariants: after each call to the log all its steps and notices are taken; the data of a change
//! stays as it is until the log has answered it.

use super::changed::ChangedDone;
use super::clients::{BLOCK, Clients};
use super::controls::{MomentDone, SeqDone, Then};
use super::cuts::Hold;
use super::deferred::Deferred;
use super::fetching::Seeker;
use super::fold_pass::FoldLimits;
use super::fold_retry::FoldRetry;
use super::folding::FoldWork;
use super::inner::{Ground, InnerRequests, Place, Purpose};
use super::lineage::{Elders, Parent};
use super::reading::{Readings, Wanted};
use super::reverting::PendingRevert;
use super::verifying::VerifyWork;
use crate::data_path::DataPath;
use crate::ids::VdiskSlot;
use crate::request_checks::{buffer_fits, range_error};
use disktime_disks::{BufferPool, Disk};
use disktime_engine::{
    IoError, LastChange, NoSpaceCount, Reply, ReplyDetail, Request, RequestKind, StoredBytes,
    VdiskId,
};
use disktime_history::{IoId, Log, Seq, View, ViewId};
use disktime_units::{Nanos, TrimHandling};
use slab::Slab;
use std::collections::VecDeque;

/// Unused memory that a vdisk keeps for batches and reads.
const POOL_BYTES: usize = 8 << 20;

/// What a logged vdisk is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub name: String,
    pub log: Log,
    /// Steps that were asked for while it was opened and wait for it to be served.
    pub image_step: Option<IoId>,
    /// On the disk of the image,
    pub image: Ground,
    /// and on that of the log.
    pub area: Ground,
    /// The number of the set of the log's disk, if that is another than the image's.
    pub log_set: Option<usize>,
    pub size_bytes: u64,
    pub fold_limits: FoldLimits,
    pub trims: TrimHandling,
    pub last_change: LastChange,
    pub no_space: NoSpaceCount,
    /// None: all moments are kept.
    pub window_ns: Option<u64>,
    /// Bytes of the log's area; 0: it has none yet.
    pub area_bytes: u64,
    /// Bytes that it may have.
    pub max_bytes: u64,
    /// What is stored in the image.
    pub image_bytes: u64,
    /// What it was cloned from, if it is a clone.
    pub parent: Option<Parent>,
}

/// What a request of the log is for.
pub(super) enum LogPurpose {
    /// A part of a change of a client, with its data unless that is the client's own.
    Change {
        client: usize,
        data: Option<Vec<u8>>,
    },
    /// A flush of a client.
    Flush(usize),
    /// A mark, or what is given up.
    Control(SeqDone),
    /// The revert that is being done.
    Revert,
    /// A moment is opened.
    Open(Seq, MomentDone),
    /// A moment is resolved first.
    Resolve(Then),
    /// Blocks are found.
    Fetch(Seeker),
    /// What was written between two moments is listed.
    Changed(Seq, Seq, ChangedDone),
}

/// A moment that the log has opened, and who waits for it.
pub(super) type Opened = (ViewId, Seq, MomentDone);

/// A vdisk with a history.
pub(crate) struct LoggedVdisk {
    pub(super) parts: Parts,
    pub(super) clients: Clients,
    /// By number: what the log was asked.
    pub(super) asked: Slab<LogPurpose>,
    pub(super) readings: Readings,
    pub(super) inner: InnerRequests,
    pub(super) fold: Option<FoldWork>,
    /// What the disk answered to a fold that the log has not called failed yet.
    pub(super) fold_error: Option<IoError>,
    /// Folds have failed since the last one that did not.
    pub(super) fold_retry: Option<FoldRetry>,
    pub(super) verify: Option<VerifyWork>,
    /// How many were begun.
    pub(super) verifications: u64,
    pub(super) pool: BufferPool,
    /// Clients whose change or flush the log had no space for; tried again.
    pub(super) stalled: VecDeque<usize>,
    pub(super) revert: Option<PendingRevert>,
    pub(super) hold: Hold,
    pub(super) deferred: Deferred,
    /// Clients whose requests wait until it is done, in order.
    pub(super) behind_revert: VecDeque<usize>,
    pub(super) opened: Vec<Opened>,
    /// Clients that ask for block status and have not begun; all blocks can be looked up.
    pub(super) statuses: Vec<usize>,
    /// What is to be looked up in the vdisks that it was cloned from.
    pub(super) waits_for_elders: VecDeque<Wanted>,
    /// Of a clone: the handle of the moment that it begins with.
    pub(super) moment: Option<VdiskId>,
    pub(super) replies: Vec<Reply>,
    stored: StoredBytes,
    since_1970_ns: u64,
    pub(super) stopping: bool,
    /// A clone that is being dropped.
    pub(super) is_leaving: bool,
    /// Folds are left to the next start.
    pub(super) leaves_folds: bool,
    pub(super) is_closed: bool,
    /// Requests were answered since the last tick.
    is_active: bool,
}

impl std::fmt::Debug for LoggedVdisk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoggedVdisk")
            .field("parts", &self.parts)
            .field("clients", &self.clients.len())
            .finish_non_exhaustive()
    }
}

impl LoggedVdisk {
    pub(crate) fn new(parts: Parts, since_1970_ns: u64) -> LoggedVdisk {
        let blocks = parts.log.fold_blocks();
        let fold = parts.image_step.map(|io| FoldWork::new(io, blocks));
        let image_bytes = parts.image_bytes;
        let deferred = Deferred::of_log(&parts.log);
        let vdisk = LoggedVdisk {
            parts,
            clients: Clients::new(),
            asked: Slab::new(),
            readings: Readings::default(),
            inner: InnerRequests::default(),
            fold,
            fold_error: None,
            fold_retry: None,
            verify: None,
            verifications: 0,
            pool: BufferPool::new(POOL_BYTES),
            stalled: VecDeque::new(),
            revert: None,
            hold: Hold::default(),
            deferred,
            behind_revert: VecDeque::new(),
            opened: Vec::new(),
            statuses: Vec::new(),
            waits_for_elders: VecDeque::new(),
            moment: None,
            replies: Vec::new(),
            stored: StoredBytes::default(),
            since_1970_ns,
            stopping: false,
            is_leaving: false,
            leaves_folds: false,
            is_closed: false,
            is_active: false,
        };
        vdisk.count_stored(image_bytes);
        vdisk
    }

    pub(crate) fn image_slot(&self) -> VdiskSlot {
        self.parts.image.slot
    }

    /// The number of the set of its log's disk, if that is another than the image's.
    pub(crate) fn log_set(&self) -> Option<usize> {
        self.parts.log_set
    }

    /// How much is stored, in the image and in the log: never too little, and exact now and then.
    pub(crate) fn stored(&self) -> &StoredBytes {
        &self.stored
    }

    pub(super) fn since_1970_ns(&self) -> u64 {
        self.since_1970_ns
    }

    /// The time of the set's last turn.
    pub(super) fn hear_time(&mut self, since_1970_ns: u64) {
        self.since_1970_ns = self.since_1970_ns.max(since_1970_ns);
    }

    /// Takes a request in, or gives it back when too many are in flight.
    pub(super) fn submit(
        &mut self,
        mut request: Request,
        view: View,
        since_1970_ns: u64,
    ) -> Result<(), Request> {
        self.since_1970_ns = since_1970_ns;
        if request.kind == RequestKind::Cache {
            // Nothing between here and the disk keeps what is read.
            request.len_bytes = 0;
        }
        if !self.clients.admits(&request) {
            return Err(request);
        }
        let refused = self.refusal(&request, view);
        let kind = request.kind;
        let is_of_range = !matches!(kind, RequestKind::Flush | RequestKind::Status);
        let is_empty = request.len_bytes == 0 && is_of_range;
        let key = self.clients.insert(request, view);
        if let Some(error) = refused {
            self.clients.get_mut(key).fail(error, None);
            self.answer(key);
            return Ok(());
        }
        self.clients.get_mut(key).waits_for_revert = self.revert.is_some() && view == View::Now;
        match kind {
            RequestKind::Trim if self.parts.trims == TrimHandling::Ignore => self.answer(key),
            _ if is_empty => self.answer(key),
            kind if kind.modifies() && !self.clients.claim(key) => {}
            _ => self.begin(key),
        }
        self.pump();
        Ok(())
    }

    /// Begins a request; a change has its claim.
    pub(super) fn begin(&mut self, key: usize) {
        if self.waits_for_revert(key) {
            return;
        }
        match self.clients.get(key).kind() {
            RequestKind::Status => self.find_status(key),
            RequestKind::Read => self.begin_read(key),
            RequestKind::Flush => self.flush(key),
            _ => self.begin_change(key),
        }
    }

    /// Why a request fails before anything is done.
    fn refusal(&self, request: &Request, view: View) -> Option<IoError> {
        let kind = request.kind;
        let modifies = kind.modifies();
        if kind != RequestKind::Flush && self.stopping {
            return Some(IoError::Shutdown);
        }
        if modifies && view != View::Now {
            return Some(IoError::ReadOnly);
        }
        if kind == RequestKind::Allocate {
            // Space is set aside for the log as a whole, not for a range.
            return Some(IoError::NotSupported);
        }
        let size_bytes = match view {
            View::Now => self.parts.size_bytes,
            // A view that is not open has nothing.
            View::At(_) => self.parts.log.blocks_of(view).unwrap_or(0) * BLOCK,
        };
        if let Some(error) = range_error(request, size_bytes) {
            return Some(error);
        }
        (!buffer_fits(request, true)).then_some(IoError::Invalid)
    }

    /// A request is done: its answer goes out, and those that waited for its blocks begin.
    pub(super) fn answer(&mut self, key: usize) {
        let client = self.clients.get(key);
        let modifies = client.kind().modifies();
        if client
            .error
            .is_some_and(|(error, _)| error == IoError::NoSpace)
        {
            self.parts.no_space.add_one();
        }
        if modifies {
            // A part of one that failed may have reached the log.
            self.parts.last_change.changed(self.since_1970_ns);
            // Programs take what has nothing stored for a hole, so this is never too little.
            let len_bytes = (client.end() - client.start()).next_multiple_of(BLOCK);
            let left = self.parts.size_bytes.saturating_sub(self.stored.get());
            if client.kind() == RequestKind::Write {
                self.stored.add(len_bytes.min(left));
            }
        }
        self.is_active = true;
        let reply = self.clients.complete(key);
        self.replies.push(reply);
        while let Some(next) = self.clients.take_granted() {
            self.begin_change(next);
        }
    }

    /// The same, of a read that the image answered.
    pub(super) fn answer_read(&mut self, key: usize, detail: ReplyDetail) {
        self.is_active = true;
        let reply = self.clients.complete(key);
        let detail = match reply.result {
            Ok(()) => detail,
            Err(_) => reply.detail,
        };
        self.replies.push(Reply { detail, ..reply });
    }

    /// Hands the replies out; their memory is used again.
    pub(super) fn append_replies(&mut self, replies: &mut Vec<Reply>) {
        replies.append(&mut self.replies);
    }

    /// Those that ask for block status and have not begun.
    pub(super) fn take_statuses(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.statuses)
    }

    pub(super) fn take_opened(&mut self) -> Vec<Opened> {
        std::mem::take(&mut self.opened)
    }

    /// Goes on as far as possible without an answer of the data path.
    pub(super) fn advance(&mut self, since_1970_ns: u64) {
        self.since_1970_ns = since_1970_ns;
        self.pump();
        self.advance_revert();
        self.advance_hold();
        for _ in 0..self.stalled.len() {
            let Some(key) = self.stalled.pop_front() else {
                break;
            };
            match self.clients.get(key).kind() {
                RequestKind::Flush => self.flush(key),
                _ => self.go_on_with_change(key),
            }
        }
        self.pump();
        self.advance_fold();
        self.advance_verify();
        self.end_awaited_reads();
        self.pump();
    }

    /// Sends what the data path of the image's disk takes, and with it that of the log where it
    /// lies there, too.
    pub(super) fn send<D: Disk>(&mut self, now: Nanos, at: usize, path: &mut DataPath<D>) {
        let image = (Place::Image, self.parts.image);
        self.inner.send(now, at, image, path);
        if self.parts.log_set.is_none() {
            self.send_to_log(now, at, path);
        }
    }

    /// Sends what the data path of the log's disk takes; whether that was anything.
    pub(super) fn send_to_log<D: Disk>(
        &mut self,
        now: Nanos,
        at: usize,
        path: &mut DataPath<D>,
    ) -> bool {
        let area = (Place::Log, self.parts.area);
        self.inner.send(now, at, area, path)
    }

    /// An inner request was answered.
    pub(super) fn complete(&mut self, key: usize, reply: Reply, elders: Elders<'_>) {
        match self.inner.take(key) {
            Purpose::Step(io) => self.step_is_done(io, reply),
            Purpose::StepRead(io) => self.step_read_is_done(io, reply),
            Purpose::ImagePiece { read, start, whole } => {
                self.image_piece_is_read(read, start, whole, reply)
            }
            Purpose::LogPiece(piece) => self.log_piece_is_read(&piece, reply, elders),
            Purpose::FoldRead { places, unit } => self.fold_is_read(places, unit, reply),
            Purpose::FoldWrite { blocks } => self.fold_is_written(blocks, reply),
            Purpose::FoldFlush => self.fold_is_flushed(reply),
            Purpose::VerifyRead(number) => self.verify_is_read(number, reply),
        }
        self.end_awaited_reads();
        self.pump();
    }

    /// Takes all steps and notices of the log.
    pub(super) fn pump(&mut self) {
        loop {
            let mut any = false;
            while let Some(step) = self.parts.log.take_step(self.since_1970_ns) {
                self.do_step(step);
                any = true;
            }
            while let Some(notice) = self.parts.log.take_notice() {
                self.note(notice);
                any = true;
            }
            if !any {
                return;
            }
        }
    }

    /// What is due from time to time. `image_bytes`: what is stored in the image.
    pub(super) fn tick(&mut self, since_1970_ns: u64, image_bytes: u64) {
        self.since_1970_ns = since_1970_ns;
        if !self.leaves_folds {
            self.tick_fold();
        }
        if self.parts.log.retry_writes() {
            self.beginning_has_no_space();
        }
        let log = &mut self.parts.log;
        if !self.leaves_folds && log.broken().is_none() {
            log.expire_branches(since_1970_ns);
            log.fold_early();
            if let Some(to) = log.fold_target(since_1970_ns) {
                // What holds the floor may change before the fold; then the next tick tries again.
                let _ = log.fold(to);
            }
        }
        let is_active = std::mem::replace(&mut self.is_active, false);
        if !is_active && self.clients.len() == 0 && log.is_idle() {
            log.note_durable();
        }
        self.count_stored(image_bytes);
        self.pump();
    }

    pub(crate) fn count_stored(&self, image_bytes: u64) {
        let in_log = self.parts.log.index_blocks() * BLOCK;
        let stored = (image_bytes + in_log).min(self.parts.size_bytes);
        let before = self.stored.get();
        self.stored.add(stored.saturating_sub(before));
        self.stored.subtract(before.saturating_sub(stored));
    }

    /// When it goes on if nothing is answered before, in nanoseconds since 1970.
    pub(super) fn wake_ns(&self) -> Option<u64> {
        self.parts.log.wake_ns()
    }

    /// Whether it goes on without an answer.
    pub(super) fn has_work(&self) -> bool {
        let has_answers = !self.replies.is_empty() || !self.opened.is_empty();
        has_answers || self.waits_for_elders() || self.has_revert_work()
    }
}
