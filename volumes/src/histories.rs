//! Histories: the vdisks whose changes go to a log, between the set and its data path.
//!
//! ```text
//!   VolumeSet ── request ──► LoggedVdisk ── Log (disktime_history, pure)
//!       ▲                        │  ▲
//!       └──────── reply ─────────┘  │ steps, look-ups
//!                                   ▼
//!   inner requests: the image (a vdisk of the data path), the log (an area, in a slot of its own)
//!                                   │
//!                               DataPath ── DiskLoop
//! ```
//!
//! The log may lie on another disk: then its inner requests go to the data path of that disk's set,
//! and [`JoinedSets`](crate::JoinedSets) carries them there and the answers back.
//!
//! Invariants: a change is answered when the log says so, and no earlier; everything a log reads or
//! writes is a request of the data path, paid by the stream of the log, and what a fold does by
//! that of the fold; a request that a client sent is answered once; one vdisk's broken log fails
//! its own requests and no other's. What waits is bounded as in the request table.
//!
//! Not known here: labels, names of moments beyond what the log resolves, and protocols.

mod changed;
mod changes;
mod clients;
mod controls;
mod cuts;
mod fold_pass;
mod fold_retry;
mod folding;
mod inner;
mod logged_vdisk;
mod notices;
mod opening;
mod reading;
mod reverting;
mod status;
mod steps;

pub use changed::{ChangedBlocks, ChangedDone};
pub use controls::{HistoryError, MomentDone, SeqDone};
pub(crate) use fold_pass::FoldLimits;
pub(crate) use inner::{Ground, ORIGIN};
pub(crate) use logged_vdisk::{LoggedVdisk, Parts};
pub(crate) use opening::{OpenedLog, is_untouched, open_log};
pub use status::HistoryReport;

use crate::data_path::DataPath;
use crate::driver::WallClock;
use crate::ids::VdiskSlot;
use disktime_disks::Disk;
use disktime_engine::{Reply, Request, VdiskId};
use disktime_history::{Moment, Seq, View, ViewId};
use disktime_units::Nanos;
use std::collections::HashMap;
use std::ops::Range;

/// Handles of moments have this bit, which no handle of the catalog has. Below are the position of
/// the vdisk, and the seq.
const MOMENT: u64 = 1 << 63;
/// Bits of the seq.
const SEQ_BITS: u32 = 48;

/// How often it is seen to what is due: folds by the window, branches that expire.
const TICK: Nanos = Nanos::from_secs(1);

/// Rounds of inner answers and what follows from them in one turn.
const ROUNDS: usize = 8;

/// The vdisks of a set that have a history.
#[derive(Debug)]
pub(crate) struct Histories {
    vdisks: Vec<LoggedVdisk>,
    /// The position of the first: positions count over all sets that are joined.
    first: usize,
    /// By the slot of the image.
    by_slot: HashMap<usize, usize>,
    /// Moments that are open, by their handles.
    moments: HashMap<u64, OpenMoment>,
    wall_clock: WallClock,
    next_tick: Nanos,
    replies: Vec<Reply>,
    inner_replies: Vec<Reply>,
}

/// A moment that is open.
#[derive(Debug, Clone, Copy)]
struct OpenMoment {
    /// Where in the set's list the vdisk is.
    at: usize,
    view: ViewId,
    /// How often it was opened and not closed.
    users: usize,
}

/// The handle of a moment of the vdisk at a position; `None` if the seq has no place in it.
fn moment_handle(at: usize, seq: Seq) -> Option<VdiskId> {
    let fits = seq < 1 << SEQ_BITS && (at as u64) < 1 << (63 - SEQ_BITS);
    fits.then_some(VdiskId(MOMENT | (at as u64) << SEQ_BITS | seq))
}

/// The position of the vdisk whose log asked for what is answered; `None` if that was a client.
pub(crate) fn log_position(reply: &Reply) -> Option<usize> {
    (reply.origin == ORIGIN).then(|| inner::position(reply.handle).0)
}

/// The position of the vdisk that a handle of a moment is of; `None` if it is no such handle.
pub(crate) fn moment_position(vdisk: VdiskId) -> Option<usize> {
    Histories::is_moment(vdisk).then_some(((vdisk.0 & !MOMENT) >> SEQ_BITS) as usize)
}

impl Histories {
    /// `first`: how many there are in the sets before this one.
    pub(crate) fn new(
        vdisks: Vec<LoggedVdisk>,
        first: usize,
        wall_clock: WallClock,
        now: Nanos,
    ) -> Histories {
        let by_slot = vdisks.iter().enumerate();
        let by_slot = by_slot.map(|(at, vdisk)| (vdisk.image_slot().index(), at));
        Histories {
            by_slot: by_slot.collect(),
            vdisks,
            first,
            moments: HashMap::new(),
            wall_clock,
            next_tick: now + TICK,
            replies: Vec::new(),
            inner_replies: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.vdisks.is_empty()
    }

    /// The positions of its vdisks.
    pub(crate) fn positions(&self) -> Range<usize> {
        self.first..self.first + self.vdisks.len()
    }

    /// The numbers of the sets that logs lie on, beside their images' own.
    pub(crate) fn log_sets(&self) -> impl Iterator<Item = usize> {
        self.vdisks.iter().filter_map(LoggedVdisk::log_set)
    }

    /// What people should know of logs that have failed, as sentences.
    pub(crate) fn notices(&self) -> impl Iterator<Item = String> {
        self.vdisks.iter().filter_map(LoggedVdisk::notice)
    }

    /// The vdisk whose image is in a slot.
    pub(crate) fn of(&self, slot: VdiskSlot) -> Option<&LoggedVdisk> {
        self.by_slot.get(&slot.index()).map(|at| &self.vdisks[*at])
    }

    pub(crate) fn of_mut(&mut self, slot: VdiskSlot) -> Option<&mut LoggedVdisk> {
        let at = self.by_slot.get(&slot.index())?;
        Some(&mut self.vdisks[*at])
    }

    /// Whether a handle is that of a moment, open or not.
    pub(crate) fn is_moment(vdisk: VdiskId) -> bool {
        vdisk.0 & MOMENT != 0
    }

    /// Takes a request for the newest content of the vdisk in a slot.
    pub(crate) fn submit<D: Disk>(
        &mut self,
        now: Nanos,
        slot: VdiskSlot,
        request: Request,
        path: &mut DataPath<D>,
    ) -> Result<(), Request> {
        let at = self.by_slot[&slot.index()];
        let since_1970_ns = self.wall_clock.since_1970_ns(now);
        let vdisk = &mut self.vdisks[at];
        vdisk.submit(request, View::Now, since_1970_ns)?;
        self.begin_statuses(now, at, path);
        self.vdisks[at].send(now, self.first + at, path);
        Ok(())
    }

    /// Takes a request for a moment that is open; gives it back as an error if it is not.
    pub(crate) fn submit_to_moment<D: Disk>(
        &mut self,
        now: Nanos,
        request: Request,
        path: &mut DataPath<D>,
    ) -> Result<Result<(), Request>, Request> {
        let Some(OpenMoment { at, view, .. }) = self.moments.get(&request.vdisk.0).copied() else {
            return Err(request);
        };
        let since_1970_ns = self.wall_clock.since_1970_ns(now);
        let vdisk = &mut self.vdisks[at];
        let taken = vdisk.submit(request, View::At(view), since_1970_ns);
        self.begin_statuses(now, at, path);
        self.vdisks[at].send(now, self.first + at, path);
        Ok(taken)
    }

    /// Sends what the data path of the set with that number takes of the logs that lie there;
    /// whether that was anything.
    pub(crate) fn send_to_logs<D: Disk>(
        &mut self,
        now: Nanos,
        set: usize,
        path: &mut DataPath<D>,
    ) -> bool {
        let mut any = false;
        for (at, vdisk) in (self.first..).zip(&mut self.vdisks) {
            if vdisk.log_set() == Some(set) {
                any |= vdisk.send_to_log(now, at, path);
            }
        }
        any
    }

    /// One turn of the set: the data path's, and what the logs make of its answers. Answers for
    /// logs whose images lie in other sets are among the replies.
    pub(crate) fn turn<D: Disk>(
        &mut self,
        now: Nanos,
        path: &mut DataPath<D>,
        replies: &mut Vec<Reply>,
    ) {
        if now >= self.next_tick {
            self.next_tick = now + TICK;
            self.tick(now, path);
        }
        self.advance(now, path);
        let mut inner = std::mem::take(&mut self.inner_replies);
        for _ in 0..ROUNDS {
            path.turn(now, &mut inner);
            for reply in inner.drain(..) {
                match log_position(&reply).filter(|at| self.positions().contains(at)) {
                    Some(_) => self.complete(reply),
                    None => replies.push(reply),
                }
            }
            self.advance(now, path);
            if path.next_wake().is_none_or(|wake| wake > now) {
                break;
            }
        }
        self.inner_replies = inner;
        replies.append(&mut self.replies);
    }

    /// An inner request of one of its vdisks was answered.
    pub(crate) fn complete(&mut self, reply: Reply) {
        let (at, key) = inner::position(reply.handle);
        self.vdisks[at - self.first].complete(key, reply);
    }

    /// Lets every log go on as far as it can without an answer.
    fn advance<D: Disk>(&mut self, now: Nanos, path: &mut DataPath<D>) {
        let since_1970_ns = self.wall_clock.since_1970_ns(now);
        for (slot, key) in path.take_granted_statuses() {
            self.answer_status(self.by_slot[&slot.index()], key, path);
        }
        for at in 0..self.vdisks.len() {
            self.vdisks[at].advance(since_1970_ns);
            self.begin_statuses(now, at, path);
            self.vdisks[at].send(now, self.first + at, path);
            self.vdisks[at].append_replies(&mut self.replies);
            self.open_moments(at);
        }
    }

    /// Answers the block status that a vdisk's clients ask for, or has it wait for its pace.
    fn begin_statuses<D: Disk>(&mut self, now: Nanos, at: usize, path: &mut DataPath<D>) {
        for key in self.vdisks[at].take_statuses() {
            let slot = self.vdisks[at].image_slot();
            if path.begin_history_status(now, slot, key) {
                self.answer_status(at, key, path);
            }
        }
    }

    fn answer_status<D: Disk>(&mut self, at: usize, key: usize, path: &mut DataPath<D>) {
        let slot = self.vdisks[at].image_slot();
        let look_ups = self.vdisks[at].answer_status(key, path.vdisk(slot).layout());
        path.note_history_status(slot, look_ups);
    }

    fn tick<D: Disk>(&mut self, now: Nanos, path: &mut DataPath<D>) {
        let since_1970_ns = self.wall_clock.since_1970_ns(now);
        for vdisk in &mut self.vdisks {
            let image = path.vdisk(vdisk.image_slot()).layout().stored().get();
            vdisk.tick(since_1970_ns, image);
        }
    }

    /// Finds the handle that a moment of the vdisk in a slot has when it is open.
    pub(crate) fn find_moment(&mut self, slot: VdiskSlot, moment: &Moment, done: MomentDone) {
        let at = self.by_slot[&slot.index()];
        let position = self.first + at;
        let done = Box::new(move |found: Result<Seq, HistoryError>| {
            let handle = |seq| moment_handle(position, seq).ok_or_else(too_great);
            done(found.and_then(|seq| Ok((handle(seq)?, seq))));
        });
        self.vdisks[at].find_moment(moment, done);
    }

    /// Opens a moment of the vdisk in a slot, or counts one more user of it.
    pub(crate) fn open_moment(&mut self, slot: VdiskSlot, moment: &Moment, done: MomentDone) {
        let at = self.by_slot[&slot.index()];
        if let Moment::Seq(seq) = moment
            && let Some(handle) = moment_handle(self.first + at, *seq)
            && let Some(open) = self.moments.get_mut(&handle.0)
        {
            open.users += 1;
            return done(Ok((handle, *seq)));
        }
        self.vdisks[at].open_moment(moment, done);
    }

    /// Moments that logs have opened get their handles.
    fn open_moments(&mut self, at: usize) {
        for (view, seq, done) in self.vdisks[at].take_opened() {
            let Some(handle) = moment_handle(self.first + at, seq) else {
                self.vdisks[at].close_view(view);
                done(Err(too_great()));
                continue;
            };
            let users = 0;
            let open = self.moments.entry(handle.0);
            let open = open.or_insert(OpenMoment { at, view, users });
            open.users += 1;
            if open.view != view {
                self.vdisks[at].close_view(view);
            }
            done(Ok((handle, seq)));
        }
    }

    /// A user of a moment is gone; with the last one it is closed, when the requests for it that
    /// were taken are answered.
    pub(crate) fn close_moment(&mut self, moment: VdiskId) {
        let Some(open) = self.moments.get_mut(&moment.0) else {
            return;
        };
        open.users -= 1;
        if open.users == 0 {
            let OpenMoment { at, view, .. } = *open;
            self.moments.remove(&moment.0);
            self.vdisks[at].close_view(view);
        }
    }

    /// When the next turn is due if nothing arrives.
    pub(crate) fn next_wake(&self, now: Nanos) -> Option<Nanos> {
        if self.vdisks.is_empty() {
            return None;
        }
        let has_work = self.vdisks.iter().any(LoggedVdisk::has_work);
        let is_due = has_work || !self.replies.is_empty();
        if is_due {
            return Some(now);
        }
        let wakes = self.vdisks.iter().filter_map(LoggedVdisk::wake_ns);
        let since_1970_ns = self.wall_clock.since_1970_ns(now);
        let wakes = wakes.map(|at| now + Nanos(at.saturating_sub(since_1970_ns)));
        wakes.chain([self.next_tick]).min()
    }

    /// The server will stop: what a fold has left to do is left to the next start.
    pub(crate) fn begin_stop(&mut self) {
        self.vdisks.iter_mut().for_each(LoggedVdisk::begin_stop);
    }

    /// The server stops: what a fold has left to do is left to the next start.
    pub(crate) fn stop(&mut self) {
        self.vdisks.iter_mut().for_each(LoggedVdisk::stop);
    }

    /// Whether no request is to be answered and no log works.
    pub(crate) fn is_idle(&self) -> bool {
        self.replies.is_empty() && self.vdisks.iter().all(LoggedVdisk::is_idle)
    }

    /// How many requests are not answered.
    pub(crate) fn unanswered(&self) -> usize {
        let waiting: usize = self.vdisks.iter().map(LoggedVdisk::unanswered).sum();
        waiting + self.replies.len()
    }

    /// Begins to close every log in good order.
    pub(crate) fn close(&mut self) {
        self.vdisks.iter_mut().for_each(LoggedVdisk::close);
    }

    /// Whether every log is closed, or cannot be.
    pub(crate) fn are_closed(&self) -> bool {
        self.vdisks.iter().all(LoggedVdisk::is_closed)
    }
}

fn too_great() -> HistoryError {
    "the seq of that moment is too great for a handle".to_owned()
}
