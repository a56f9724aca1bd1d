//! The data path: the way of a request from the frontend to the disk and back.
//!
//! ```text
//!   take in ─► begin ─► cut ─► send ───────────────► complete ─► answer
//!   (bounds,   (claim,  (splitter) (I/O queue)            │         ▲
//!    validity)  plan)                                     └► commit ┘
//! ```
//!
//! Invariants: a reply is sent after the disk said so, a FLUSH or FUA reply when data and zero map
//! are durable; an error fails the request whose piece it was, and a failed flush every commit of
//! the disk from then on. Vdisks with something to send take turns, and within a vdisk its
//! requests do.
//!
//! Beginning is in `beginning.rs`, completing in `completion.rs`, how vdisks come and go in
//! `leaving.rs`, flushes at the end of the disk in `shared_flush.rs`.
//!
//! Not known here: names and uuids (the catalog's), labels, and how streams come and go.

use crate::commit::{BlockSource, CommitIo};
use crate::driver::WallClock;
use crate::histories;
use crate::ids::{RequestId, VdiskSlot};
use crate::io_queue::IoQueue;
use crate::layout::Layout;
use crate::request::InnerTerms;
use crate::request_checks::{buffer_fits, range_error};
use crate::request_table::RequestTable;
use crate::rotation::Rotation;
use crate::splitter::{Cut, Piece, Splitter};
use crate::vdisk::OpenVdisk;
use disktime_disks::{CutMark, Disk, FreeSpace};
use disktime_engine::{
    DiskLoop, IoDone, IoError, Reply, ReplyDetail, Request, RequestKind, StreamId,
};
use disktime_units::Nanos;

mod beginning;
mod completion;
mod held;
mod leaving;
mod metadata;
mod shared_flush;
mod status_pace;

use held::HeldDiscards;
use leaving::Leaving;
use shared_flush::SharedFlush;
use status_pace::StatusPace;

/// Bytes that one cache request reads at most.
const CACHE_BYTES: u64 = 32 << 20;

/// The requests of a set's vdisks on their way.
pub(crate) struct DataPath<D: Disk> {
    io: IoQueue<D>,
    /// Pays for the zero maps,
    metadata: StreamId,
    /// and this for trims that were held.
    trims: StreamId,
    held: HeldDiscards,
    status_pace: StatusPace,
    /// By slot.
    vdisks: Vec<Option<OpenVdisk>>,
    leaving: Vec<Leaving>,
    /// Vdisks that have left and are not taken yet.
    left: Vec<(VdiskSlot, OpenVdisk)>,
    /// The answer to a read of metadata.
    metadata_read: Option<IoDone>,
    /// How many reads of metadata were sent; only the last one is waited for.
    metadata_reads: u64,
    requests: RequestTable,
    /// Vdisks with something to send.
    rotation: Rotation,
    replies: Vec<Reply>,
    done: Vec<IoDone>,
    /// Runs of commits share their flushes.
    shared_flush: Option<SharedFlush>,
    /// The server stops: nothing new is begun.
    stopping: bool,
    /// The latest time that was named.
    now: Nanos,
    wall_clock: WallClock,
    /// The time of day, in nanoseconds since 1970, once a change of this turn has asked for it.
    since_1970_ns: Option<u64>,
    /// Something was submitted since the last turn.
    turn_due: bool,
}

impl<D: Disk> DataPath<D> {
    pub(crate) fn new(
        disk_loop: DiskLoop<D>,
        (metadata, trims): (StreamId, StreamId),
        now: Nanos,
        wall_clock: WallClock,
    ) -> DataPath<D> {
        DataPath {
            io: IoQueue::new(disk_loop),
            metadata,
            trims,
            held: HeldDiscards::default(),
            status_pace: StatusPace::default(),
            vdisks: Vec::new(),
            leaving: Vec::new(),
            left: Vec::new(),
            metadata_read: None,
            metadata_reads: 0,
            requests: RequestTable::new(),
            rotation: Rotation::default(),
            replies: Vec::new(),
            done: Vec::new(),
            shared_flush: None,
            stopping: false,
            now,
            wall_clock,
            since_1970_ns: None,
            turn_due: false,
        }
    }

    /// Serves a vdisk from now on, in a slot that is free.
    pub(crate) fn add(&mut self, slot: VdiskSlot, vdisk: OpenVdisk) {
        if self.vdisks.len() <= slot.index() {
            self.vdisks.resize_with(slot.index() + 1, || None);
        }
        if vdisk.held_trims().is_some() {
            self.held.add(slot);
            self.turn_due = true;
        }
        let before = self.vdisks[slot.index()].replace(vdisk);
        assert!(before.is_none(), "the slot is free");
        self.requests.make_room(slot);
        self.rotation.make_room(slot);
        self.io.make_room(slot);
        self.repair_maps(slot);
    }

    /// Has the blocks of zero maps written again that were found damaged or behind.
    fn repair_maps(&mut self, slot: VdiskSlot) {
        if self.disk_loop().disk().is_read_only() {
            return;
        }
        let vdisk = self.vdisk_mut(slot);
        if !vdisk.is_damaged() && !vdisk.layout().maps_are_saved() {
            vdisk.commits_mut().ask();
            self.schedule(slot);
            self.turn_due = true;
        }
    }

    /// A vdisk in which nothing lay lies so from now on.
    pub(crate) fn lay_out(&mut self, slot: VdiskSlot, layout: Layout) {
        *self.vdisk_mut(slot).layout_mut() = layout;
    }

    pub(crate) fn vdisk(&self, slot: VdiskSlot) -> &OpenVdisk {
        served(&self.vdisks, slot)
    }

    fn vdisk_mut(&mut self, slot: VdiskSlot) -> &mut OpenVdisk {
        served_mut(&mut self.vdisks, slot)
    }

    pub(crate) fn disk_loop(&self) -> &DiskLoop<D> {
        self.io.disk_loop()
    }

    pub(crate) fn disk_loop_mut(&mut self) -> &mut DiskLoop<D> {
        self.io.disk_loop_mut()
    }

    /// Whether a flush failed.
    pub(crate) fn flush_failed(&self) -> bool {
        self.io.flush_failed()
    }

    /// How many requests are not answered.
    pub(crate) fn unanswered(&self) -> usize {
        self.requests.len()
    }

    /// How many of them are a vdisk's.
    pub(crate) fn unanswered_of(&self, slot: VdiskSlot) -> usize {
        self.requests.len_of(slot)
    }

    /// Whether there is nothing queued, in flight, or to be answered, and no vdisk is leaving.
    pub(crate) fn is_idle(&self) -> bool {
        let none_leave = self.leaving.is_empty() && self.left.is_empty();
        let unanswered = self.requests.len() + self.replies.len();
        unanswered == 0 && none_leave && self.io.disk_loop().is_idle()
    }

    /// The latest time that was named.
    pub(crate) fn now(&self) -> Nanos {
        self.now
    }

    /// When the next turn is due if nothing arrives.
    pub(crate) fn next_wake(&self) -> Option<Nanos> {
        match self.turn_due {
            true => Some(self.now),
            false => {
                let disk = self.io.disk_loop().next_wake();
                let wakes = [disk, self.next_held(), self.next_status()];
                wakes.into_iter().flatten().min()
            }
        }
    }

    /// The server stops: the disk is not told of held trims any more. They are held again at the
    /// next start.
    pub(crate) fn begin_stop(&mut self) {
        self.end_held();
        self.turn_due = true;
    }

    /// The server stops: what was not cut yet fails, and so does what comes from now on.
    pub(crate) fn fail_queued(&mut self) {
        self.stopping = true;
        self.turn_due = true;
        self.answer_waiting_statuses(true);
        self.requests.fail_uncut();
    }

    /// The client of these requests is gone: what was not cut yet of them is dropped, but for data
    /// that are written, which go on to their end.
    pub(crate) fn abandon_requests_of(&mut self, origin: u64) {
        self.turn_due = true;
        self.requests.abandon_uncut_of(origin);
    }

    /// One turn: sends what can be sent, and completes what the disk has done.
    pub(crate) fn turn(&mut self, now: Nanos, replies: &mut Vec<Reply>) {
        self.advance(now);
        replies.append(&mut self.replies);
    }

    /// A turn whose replies are handed out by the next.
    fn advance(&mut self, now: Nanos) {
        self.now = self.now.max(now);
        self.turn_due = false;
        self.since_1970_ns = None;
        self.answer_waiting_statuses(false);
        self.advance_leaving();
        self.send(now);
        self.send_held(now);
        loop {
            let mut done = std::mem::take(&mut self.done);
            self.io.turn(now, &mut done);
            // What has just come back did so before the clock is asked again.
            self.since_1970_ns = None;
            for io in done.drain(..) {
                self.complete(now, io);
            }
            self.done = done;
            self.advance_leaving();
            self.send(now);
            self.send_held(now);
            if !self.io.has_sent() {
                break;
            }
        }
    }
}

/// Taking requests in.
impl<D: Disk> DataPath<D> {
    /// Takes a request in, or gives it back when its vdisk has as many in flight as it may.
    pub(crate) fn submit(
        &mut self,
        now: Nanos,
        slot: VdiskSlot,
        request: Request,
    ) -> Result<(), Request> {
        self.submit_inner(now, slot, request, InnerTerms::default())
    }

    /// As [`DataPath::submit`], on other terms than those of clients.
    pub(crate) fn submit_inner(
        &mut self,
        now: Nanos,
        slot: VdiskSlot,
        mut request: Request,
        terms: InnerTerms,
    ) -> Result<(), Request> {
        self.now = self.now.max(now);
        if request.kind == RequestKind::Cache {
            // A hint; more than a vdisk's share of memory at once is more than helps.
            request.len_bytes = request.len_bytes.min(CACHE_BYTES);
        }
        if !self.requests.admits(slot, request.kind, request.len_bytes) {
            return Err(request);
        }
        if let Some(error) = self.refusal(terms.content.unwrap_or(slot), &request) {
            self.refuse(now, request, error);
            return Ok(());
        }
        self.turn_due = true;
        let id = self.requests.insert(slot, request);
        self.requests.get_mut(id).set_terms(terms);
        self.begin(id);
        Ok(())
    }

    /// Answers a request that is not taken in.
    pub(crate) fn refuse(&mut self, now: Nanos, request: Request, error: IoError) {
        self.now = self.now.max(now);
        self.turn_due = true;
        self.replies.push(Reply {
            origin: request.origin,
            handle: request.handle,
            kind: request.kind,
            result: Err(error),
            buffer: request.buffer,
            detail: ReplyDetail::Nothing,
        });
    }

    /// Why a request fails before anything is done.
    fn refusal(&self, slot: VdiskSlot, request: &Request) -> Option<IoError> {
        let vdisk = self.vdisk(slot);
        let kind = request.kind;
        if kind == RequestKind::Flush {
            // A damaged vdisk takes no writes, so there is nothing that could be lost.
            let lost = self.io.flush_failed() || self.is_cut(slot);
            return (lost && !vdisk.is_damaged()).then_some(IoError::Io);
        }
        if vdisk.is_damaged() {
            return Some(IoError::Io);
        }
        if self.stopping && request.origin != histories::ORIGIN {
            return Some(IoError::Shutdown);
        }
        if let Some(error) = range_error(request, vdisk.layout().size_bytes()) {
            return Some(error);
        }
        if !buffer_fits(request, self.io.abilities().holds_data()) {
            return Some(IoError::Invalid);
        }
        if request.fua && kind.modifies() && self.io.flush_failed() {
            return Some(IoError::Io);
        }
        if self.cannot_fit(slot, request) {
            vdisk.no_space().add_one();
            return Some(IoError::NoSpace);
        }
        let (start, end) = (
            request.offset_bytes,
            request.offset_bytes + request.len_bytes,
        );
        let fast = || self.splitter(slot).zeroes_fast(start, end);
        (kind == RequestKind::ZeroFast && !fast()).then_some(IoError::NotSupported)
    }

    /// Whether a range that is to be set aside as a whole is larger than what the file system below
    /// has left: it would be filled before the request fails, and other programs with it.
    fn cannot_fit(&self, slot: VdiskSlot, request: &Request) -> bool {
        let abilities = self.io.abilities();
        let kind = request.kind;
        let sets_aside = matches!(kind, RequestKind::ZeroKeepingSpace | RequestKind::Allocate);
        // A short one fills no file system.
        let is_short = request.len_bytes <= abilities.grain().quantum_bytes();
        if !sets_aside || is_short || !abilities.can_run_out() {
            return false;
        }
        let (start, end) = (
            request.offset_bytes,
            request.offset_bytes + request.len_bytes,
        );
        let needed_bytes = self.splitter(slot).unallocated_bytes(kind, start, end);
        // Where nothing is left, or the file system says so of files that have their space for good
        // (a FUSE directory), trying fills nothing, and the disk knows better.
        let free = self
            .disk_loop()
            .disk()
            .free_space()
            .map_or(0, FreeSpace::get);
        free > 0 && needed_bytes > free
    }

    /// Whether a part of the vdisk was cut off the disk, and with it writes that were answered.
    fn is_cut(&self, slot: VdiskSlot) -> bool {
        let mark = self.disk_loop().disk().cut_mark();
        let cut_at = mark.and_then(CutMark::cut_at);
        cut_at.is_some_and(|cut_at| self.vdisk(slot).layout().disk_end_bytes() > cut_at)
    }

    fn splitter(&self, slot: VdiskSlot) -> Splitter<'_> {
        self.vdisk(slot).splitter(self.io.abilities())
    }
}

/// Sending.
impl<D: Disk> DataPath<D> {
    /// Puts a vdisk into the rotation if it has something to send and may send it.
    fn schedule(&mut self, slot: VdiskSlot) {
        let commits = self.vdisk(slot).commits();
        let has_io = commits.can_begin() || commits.has_io() || self.requests.has_queued(slot);
        if has_io && self.io.has_room_for(slot) {
            self.rotation.join(slot);
        }
    }

    /// Sends I/Os while the loop has space: of a vdisk after the other, one at a time.
    fn send(&mut self, now: Nanos) {
        while self.io.has_room() {
            let Some(slot) = self.rotation.take_next() else {
                break;
            };
            if !self.send_commit_io(now, slot) {
                self.send_next_piece(now, slot);
            }
            self.schedule(slot);
        }
        self.send_shared_flush(now);
    }

    /// Sends the next piece of the request whose turn it is, if there is any.
    fn send_next_piece(&mut self, now: Nanos, slot: VdiskSlot) {
        while let Some(id) = self.requests.take_queued(slot) {
            if let Some(piece) = self.cut_next_piece(id) {
                let request = self.requests.get_mut(id);
                self.io.send_piece(now, id, request, piece);
                if !request.is_cut() {
                    self.requests.queue(id);
                }
                return;
            }
            self.finish_data_if_done(id);
        }
    }

    /// The next piece of a request that needs the disk. Holes are read here.
    fn cut_next_piece(&mut self, id: RequestId) -> Option<Piece> {
        let request = self.requests.get_mut(id);
        let vdisk = served(&self.vdisks, request.content_slot());
        let splitter = vdisk.splitter(self.io.abilities());
        while !request.is_cut() {
            let (cut, next) = splitter.cut(request.kind(), request.plan(), request.cursor());
            request.advance(next);
            match cut {
                Cut::Piece(piece) => return Some(piece.paid_by(request.payer())),
                Cut::Hole { start, end } if request.kind() == RequestKind::Read => {
                    request.gather_zeroes(start, end);
                }
                Cut::Hole { .. } => {}
                Cut::NotDiscarded => request.keeps_disk_content(),
            }
        }
        None
    }

    /// Sends the next I/O of the vdisk's commit, if there is one. Returns whether it did.
    fn send_commit_io(&mut self, now: Nanos, slot: VdiskSlot) -> bool {
        let (flush_failed, metadata) = (self.io.flush_failed(), self.metadata);
        let vdisk = self.vdisk_mut(slot);
        if vdisk.commits().can_begin() {
            if flush_failed {
                vdisk.refuse_commits(IoError::Io);
                self.answer_committed(slot, Err(IoError::Io));
                return false;
            }
            vdisk.begin_commit(metadata);
        }
        match self.vdisk_mut(slot).next_commit_io() {
            None => return false,
            Some(CommitIo::Flush(_)) if self.wants_shared_flush(slot) => {}
            Some(CommitIo::Flush(target)) => self.io.send_flush(now, slot, target),
            Some(CommitIo::Write {
                source: BlockSource::ZeroMap { extent, half },
                which,
                target,
            }) => {
                let layout = served_mut(&mut self.vdisks, slot).layout_mut();
                let encode =
                    |block: &mut [u8]| layout.encode_map_block((extent, half), which, block);
                self.io.send_block(now, slot, target, encode);
            }
        }
        true
    }
}

/// The vdisk in a slot that is in use.
fn served(vdisks: &[Option<OpenVdisk>], slot: VdiskSlot) -> &OpenVdisk {
    let vdisk = vdisks[slot.index()].as_ref();
    vdisk.expect("a slot with requests or a valid handle is in use")
}

fn served_mut(vdisks: &mut [Option<OpenVdisk>], slot: VdiskSlot) -> &mut OpenVdisk {
    let vdisk = vdisks[slot.index()].as_mut();
    vdisk.expect("a slot with requests or a valid handle is in use")
}
