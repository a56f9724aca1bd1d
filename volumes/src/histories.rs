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
//! its own requests and no other's. What waits is bounded as in the request table. A turn takes
//! time for vdisks that have something to do, and none for others (`awake.rs`).
//!
//! Not known here: labels, names of moments beyond what the log resolves, and protocols.

mod awake;
mod changed;
mod changes;
mod clients;
mod controls;
mod cuts;
mod deferred;
mod ending;
mod families;
mod fetching;
mod fold_pass;
mod fold_retry;
mod folding;
mod inner;
mod lineage;
mod logged_vdisk;
mod moments;
mod notices;
mod numbering;
mod opening;
mod reading;
mod reverting;
mod status;
mod steps;
mod switching_off;
mod turns;
mod verifying;

use awake::Awake;
pub use changed::{ChangedBlocks, ChangedDone};
pub use controls::{HistoryError, MomentDone, SeqDone};
pub(crate) use fold_pass::FoldLimits;
pub(crate) use inner::{Ground, ORIGIN};
pub(crate) use lineage::Parent;
pub(crate) use logged_vdisk::{LoggedVdisk, Parts};
use moments::OpenMoment;
pub(crate) use moments::moment_position;
pub(crate) use numbering::Numbering;
pub(crate) use opening::{OpenedLog, grow_log, look_into_log, open_log, open_view};
pub use status::HistoryReport;
pub(crate) use switching_off::Ending;
pub use verifying::{VerifyDone, VerifyProgress};

use crate::data_path::DataPath;
use crate::driver::WallClock;
use crate::ids::VdiskSlot;
use disktime_disks::Disk;
use disktime_engine::{Reply, Request};
use disktime_history::View;
use disktime_units::Nanos;
use std::collections::{HashMap, HashSet, VecDeque};

/// How often it is seen to what is due: folds by the window, branches that expire.
const TICK: Nanos = Nanos::from_secs(1);

/// The vdisks of a set that have a history.
#[derive(Debug)]
pub(crate) struct Histories {
    /// Those that were dropped leave an empty place.
    vdisks: Vec<Option<LoggedVdisk>>,
    awake: Awake,
    numbering: Numbering,
    /// By the slot of the image.
    by_slot: HashMap<usize, usize>,
    /// Clones whose logs are to be made: where in the list they are.
    areas_wanted: VecDeque<usize>,
    /// Moments that are open, by their handles.
    moments: HashMap<u64, OpenMoment>,
    wall_clock: WallClock,
    /// The time of the last turn, for what is asked between two.
    since_1970_ns: u64,
    next_tick: Nanos,
    replies: Vec<Reply>,
    inner_replies: Vec<Reply>,
}

/// The position of the vdisk whose log asked for what is answered; `None` if that was a client.
pub(crate) fn log_position(reply: &Reply) -> Option<usize> {
    (reply.origin == ORIGIN).then(|| inner::position(reply.handle).0)
}

impl Histories {
    /// None yet.
    pub(crate) fn new(numbering: Numbering, wall_clock: WallClock, now: Nanos) -> Histories {
        Histories {
            by_slot: HashMap::new(),
            vdisks: Vec::new(),
            awake: Awake::default(),
            numbering,
            areas_wanted: VecDeque::new(),
            moments: HashMap::new(),
            wall_clock,
            since_1970_ns: wall_clock.since_1970_ns(now),
            next_tick: now + TICK,
            replies: Vec::new(),
            inner_replies: Vec::new(),
        }
    }

    /// Adds one; where in the list it is: behind its parent, in an empty place if there is one. Its
    /// requests are taken when it is [bound](Histories::bind).
    pub(crate) fn add(&mut self, vdisk: LoggedVdisk) -> usize {
        let from = vdisk.parent().map_or(0, |parent| parent.at + 1);
        let mut places = self.vdisks.iter().enumerate().skip(from);
        let empty = places.find_map(|(at, place)| place.is_none().then_some(at));
        let at = empty.unwrap_or_else(|| {
            self.vdisks.push(None);
            self.vdisks.len() - 1
        });
        self.vdisks[at] = Some(vdisk);
        self.awake.wake(at);
        at
    }

    /// Requests for the vdisk in the slot of its image are its from now on.
    pub(crate) fn bind(&mut self, at: usize) {
        if let Some(vdisk) = self.get(at) {
            self.by_slot.insert(vdisk.image_slot().index(), at);
        }
    }

    /// No more requests for the vdisk in a slot are taken; where in the list it is.
    pub(crate) fn unbind(&mut self, slot: VdiskSlot) -> Option<usize> {
        self.by_slot.remove(&slot.index())
    }

    /// Takes one out of the list. It is idle, no moment of it is open, and no clone begins with
    /// one. Its place is another one's from now on.
    pub(crate) fn take_out(&mut self, at: usize) -> Option<LoggedVdisk> {
        debug_assert!(self.moments_of(at).is_empty());
        let vdisk = self.vdisks.get_mut(at)?.take()?;
        self.awake.sleep(at);
        self.areas_wanted.retain(|wanted| *wanted != at);
        Some(vdisk)
    }

    /// Where in the list the vdisk is whose log records a clone of that name, and the clone's
    /// identity.
    pub(crate) fn recorded_clone(&self, name: &str) -> Option<(usize, [u8; 16])> {
        let all = self.vdisks.iter().enumerate();
        let mut recorded = all.flat_map(|(at, vdisk)| {
            let clones = vdisk.iter().flat_map(LoggedVdisk::clone_entries);
            clones.map(move |clone| (at, clone))
        });
        let found = recorded.find(|(_, clone)| clone.name == name);
        found.map(|(at, clone)| (at, clone.vdisk))
    }

    /// The names of the clones that logs record.
    pub(crate) fn recorded_names(&self) -> HashSet<&str> {
        let clones = self.iter().flat_map(|vdisk| vdisk.parts.log.cloned());
        clones.map(|clone| &*clone.name).collect()
    }

    /// Whether a log records that vdisk as a clone.
    pub(crate) fn records(&self, clone: [u8; 16]) -> bool {
        let mut recorded = self.iter().flat_map(LoggedVdisk::clone_entries);
        recorded.any(|one| one.vdisk == clone)
    }

    pub(crate) fn get(&self, at: usize) -> Option<&LoggedVdisk> {
        self.vdisks.get(at)?.as_ref()
    }

    /// One that may have something to do afterwards.
    pub(crate) fn get_mut(&mut self, at: usize) -> Option<&mut LoggedVdisk> {
        let vdisk = self.vdisks.get_mut(at)?.as_mut()?;
        self.awake.wake(at);
        // It has not heard of turns while it was quiet.
        vdisk.hear_time(self.since_1970_ns);
        Some(vdisk)
    }

    fn iter(&self) -> impl Iterator<Item = &LoggedVdisk> {
        self.vdisks.iter().flatten()
    }

    /// Each does something, and goes on with it in the next turns.
    fn each(&mut self, mut change: impl FnMut(&mut LoggedVdisk)) {
        for at in 0..self.vdisks.len() {
            if let Some(vdisk) = self.get_mut(at) {
                change(vdisk);
            }
        }
    }

    /// How many have something to do.
    pub(crate) fn busy(&self) -> usize {
        self.awake.iter().count()
    }

    /// Those that have something to do.
    fn awake(&self) -> impl Iterator<Item = &LoggedVdisk> {
        self.awake.iter().filter_map(|at| self.get(at))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.vdisks.is_empty()
    }

    /// Whether the vdisk at a position is of this set.
    pub(crate) fn has_position(&self, position: usize) -> bool {
        let at = self.numbering.at(position);
        at.is_some_and(|at| self.get(at).is_some())
    }

    /// The numbers of the sets that logs lie on, beside their images' own.
    pub(crate) fn log_sets(&self) -> impl Iterator<Item = usize> {
        self.iter().filter_map(LoggedVdisk::log_set)
    }

    /// What people should know of logs that have failed, as sentences.
    pub(crate) fn notices(&self) -> impl Iterator<Item = String> {
        self.iter().filter_map(LoggedVdisk::notice)
    }

    /// The vdisk whose image is in a slot.
    pub(crate) fn of(&self, slot: VdiskSlot) -> Option<&LoggedVdisk> {
        self.get(self.at(slot)?)
    }

    pub(crate) fn of_mut(&mut self, slot: VdiskSlot) -> Option<&mut LoggedVdisk> {
        self.get_mut(self.at(slot)?)
    }

    /// Where in the list the vdisk whose image is in a slot is.
    pub(crate) fn at(&self, slot: VdiskSlot) -> Option<usize> {
        self.by_slot.get(&slot.index()).copied()
    }

    /// Whether a clone's log is to be made; the number of the set of its disk, if that is another.
    pub(crate) fn area_wanted(&self) -> Option<Option<usize>> {
        let at = self.areas_wanted.front()?;
        Some(self.get(*at).and_then(LoggedVdisk::log_set))
    }

    /// The next clone whose log is to be made.
    pub(crate) fn take_area_wanted(&mut self) -> Option<usize> {
        self.areas_wanted.pop_front()
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
        self.submit_to(now, (at, View::Now), request, path)
    }

    fn submit_to<D: Disk>(
        &mut self,
        now: Nanos,
        (at, view): (usize, View),
        request: Request,
        path: &mut DataPath<D>,
    ) -> Result<(), Request> {
        let since_1970_ns = self.wall_clock.since_1970_ns(now);
        let position = self.numbering.position(at);
        let Some(vdisk) = self.get_mut(at) else {
            return Err(request);
        };
        let taken = vdisk.submit(request, view, since_1970_ns);
        self.ask_elders(at);
        self.begin_statuses(now, at, path);
        if let Some(vdisk) = self.get_mut(at) {
            vdisk.send(now, position, path);
        }
        taken
    }

    /// The server will stop: what a fold has left to do is left to the next start.
    pub(crate) fn begin_stop(&mut self) {
        self.each(LoggedVdisk::begin_stop);
    }

    /// The server stops: what a fold has left to do is left to the next start.
    pub(crate) fn stop(&mut self) {
        self.each(LoggedVdisk::stop);
    }

    /// Whether no request is to be answered and no log works.
    pub(crate) fn is_idle(&self) -> bool {
        self.replies.is_empty() && self.awake().all(LoggedVdisk::is_idle)
    }

    /// How many requests are not answered.
    pub(crate) fn unanswered(&self) -> usize {
        let waiting: usize = self.awake().map(LoggedVdisk::unanswered).sum();
        waiting + self.replies.len()
    }

    /// Begins to close every log in good order.
    pub(crate) fn close(&mut self) {
        self.each(LoggedVdisk::close);
    }

    /// Whether every log is closed, or cannot be.
    pub(crate) fn are_closed(&self) -> bool {
        self.iter().all(LoggedVdisk::is_closed)
    }
}
