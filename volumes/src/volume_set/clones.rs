//! Clones: vdisks that begin with a moment of another one, made and dropped while others are
//! served.
//!
//! ```text
//!   make:   moment opened ─► CLONE in the parent's log ─► served
//!   write:  superblocks of its log ─► label ─► the log goes on
//!   drop:   DROP_CLONE in the parent's log ─► requests answered ─► slots and stream free ─► label
//! ```
//!
//! Invariants: what is refused has changed nothing; the label names the log of a clone only after
//! the parent's log has recorded the clone; works are done one after the other, and one changes
//! the label at a time; nothing waits here: all I/O are inner requests.
//!
//! Not known here: what a clone may get of the disk's time, and who may ask.

mod areas;
mod dropping;
mod making;
mod script;
mod serving;

use super::VolumeSet;
use super::known_clones::UnservedClones;
use super::others::OtherSets;
use crate::histories::{HistoryError, MomentDone, ORIGIN};
use crate::ids::VdiskSlot;
use areas::MakingArea;
use disktime_disks::Disk;
use disktime_engine::{Reply, StreamConfig, VdiskId};
use disktime_history::{Moment, Seq};
use disktime_units::Nanos;
use dropping::{DropStage, Dropped, Dropping};
pub(super) use making::deferred_log;
use making::{Making, MakingStage};
use script::{SCRIPT_HANDLE, Script};
pub(super) use serving::{LogElsewhere, ServedClone};
use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex};

/// How a clone is served.
#[derive(Debug, Clone)]
pub struct CloneConfig {
    /// Its name.
    pub name: String,
    /// What its stream gets, which pays for all that it asks and writes; where its log lies on
    /// another disk than its image, what its stream on each of the two gets.
    pub stream: StreamConfig,
    /// The space of all that is written to it.
    pub max_bytes: u64,
    /// Kept with it, and given back when it is found at a start.
    pub settings: String,
}

/// Hears that a clone is dropped, or why not.
pub type DropDone = Box<dyn FnOnce(Result<(), HistoryError>) + Send>;

/// Hears of the handles of clones, in the order in which they were asked for, and of the seq of the
/// moment that they begin with.
pub type ClonesDone = Box<dyn FnOnce(Result<(Vec<VdiskId>, Seq), HistoryError>) + Send>;

/// Clones that wait to be made or dropped.
const WAITING_MAX: usize = 1024;

/// What is to be done for clones of a set.
#[derive(Default)]
pub(super) struct CloneWorks {
    waiting: VecDeque<Work>,
    current: Option<Work>,
    /// The log of a clone that is made beside it: a clone of that clone may wait for it.
    area: Option<MakingArea>,
    /// Where labels are written, once one was.
    label_slot: Option<VdiskSlot>,
    script: Option<Script>,
    /// What is known of the clones of clones that are not served.
    pub(super) unserved: UnservedClones,
}

/// Clones that are made, or one that is dropped.
enum Work {
    Make(Box<Making>),
    Drop(Box<Dropping>),
}

/// What a callback was given.
type Heard<T> = Arc<Mutex<Option<Result<T, HistoryError>>>>;

/// The callback.
type Done<T> = Box<dyn FnOnce(Result<T, HistoryError>) + Send>;

/// A callback, and where what it is given can be taken.
fn listener<T: Send + 'static>() -> (Heard<T>, Done<T>) {
    let heard = Heard::<T>::default();
    let of_callback = Arc::clone(&heard);
    let done = move |result| {
        if let Ok(mut cell) = of_callback.lock() {
            *cell = Some(result);
        }
    };
    (heard, Box::new(done))
}

fn take<T>(heard: &Heard<T>) -> Option<Result<T, HistoryError>> {
    heard.lock().ok()?.take()
}

impl Work {
    fn dropping(what: Dropped, done: DropDone) -> Work {
        Work::Drop(Box::new(Dropping {
            what,
            done: Some(done),
            log_set: None,
            stage: DropStage::New,
        }))
    }

    /// The caller that waits hears why it is not done.
    fn refuse(self, why: &str) {
        match self {
            Work::Make(making) => (making.done)(Err(why.to_owned())),
            Work::Drop(dropping) => dropping.done.into_iter().for_each(|done| {
                done(Err(why.to_owned()));
            }),
        }
    }
}

impl CloneWorks {
    /// To be done when what came before is.
    fn add(&mut self, work: Work) {
        if self.waiting.len() < WAITING_MAX {
            return self.waiting.push_back(work);
        }
        work.refuse("too many clones are being made and dropped on this disk; try again");
    }

    pub(super) fn is_idle(&self) -> bool {
        let has_work = self.current.is_some() || !self.waiting.is_empty() || self.area.is_some();
        !has_work && self.script.is_none()
    }

    /// Whether the label can be written further without an answer, or its writing has ended.
    fn can_write(&self) -> bool {
        self.script.as_ref().is_none_or(Script::can_go_on)
    }

    /// The answer of a script, if it is one.
    pub(super) fn take_reply(&mut self, reply: &Reply) -> bool {
        let is_of_script = reply.origin == ORIGIN && reply.handle == SCRIPT_HANDLE;
        if let Some(script) = self.script.as_mut().filter(|_| is_of_script) {
            script.waits = false;
            if let Err(error) = reply.result {
                script.result = Some(Err(error));
            }
        }
        is_of_script
    }
}

fn has_heard<T>(heard: &Heard<T>) -> bool {
    heard.lock().is_ok_and(|cell| cell.is_some())
}

/// What a work did.
enum Progress {
    Waits(Work),
    Went(Work),
    Ended,
}

impl<D: Disk> VolumeSet<D> {
    /// Makes a vdisk that begins with a moment of another one; `done` hears of its handle and of
    /// the seq of the moment when it is served, from within a turn.
    pub fn clone_vdisk(
        &mut self,
        parent: VdiskId,
        moment: &Moment,
        config: CloneConfig,
        done: MomentDone,
    ) {
        let of_one = |made: Result<(Vec<VdiskId>, Seq), HistoryError>| {
            let one = |(all, seq): (Vec<VdiskId>, Seq)| Some((all.first().copied()?, seq));
            done(made.and_then(|made| one(made).ok_or_else(|| "nothing was asked for".to_owned())));
        };
        self.clone_vdisks(parent, moment, vec![config], Box::new(of_one));
    }

    /// Makes vdisks that begin with one moment of another one, all of them or none.
    pub fn clone_vdisks(
        &mut self,
        parent: VdiskId,
        moment: &Moment,
        configs: Vec<CloneConfig>,
        done: ClonesDone,
    ) {
        if let Err(why) = self.check_clones(parent, &configs) {
            return done(Err(why));
        }
        let making = Making {
            parent,
            moment: moment.clone(),
            configs,
            done,
            stage: MakingStage::New,
        };
        self.clone_works.add(Work::Make(Box::new(making)));
    }

    /// Drops a clone, with all that was written to it; `done` hears when that is recorded: then it
    /// is served no more. Its space is free a little later. The caller has made sure that no client
    /// uses it.
    pub fn drop_clone(&mut self, vdisk: VdiskId, done: DropDone) {
        self.clone_works
            .add(Work::dropping(Dropped::Served(vdisk), done));
    }

    /// Drops a clone that a log of this set records and that is not served.
    pub fn drop_recorded_clone(&mut self, name: &str, done: DropDone) {
        let name = Dropped::Recorded(name.to_owned());
        self.clone_works.add(Work::dropping(name, done));
    }

    /// Whether a log of this set records a clone of that name, served or not.
    pub fn records_clone(&self, name: &str) -> bool {
        self.histories.recorded_clone(name).is_some()
    }

    /// The first of these names that a log of this set records as a clone's, served or not.
    pub fn first_recorded<'n>(&self, names: &'n [String]) -> Option<&'n str> {
        let recorded = self.histories.recorded_names();
        let mut names = names.iter().map(String::as_str);
        names.find(|name| recorded.contains(name))
    }

    /// The vdisk that a clone begins with, and the moment; `None` if it is no clone.
    pub fn origin(&self, vdisk: VdiskId) -> Option<(&str, Seq)> {
        let slot = self.catalog.resolve(vdisk)?;
        let parent = self.histories.of(slot)?.parent()?;
        let parent_vdisk = self.histories.get(parent.at)?;
        Some((parent_vdisk.name(), parent_vdisk.moment_of(parent.view)?))
    }

    /// The handles of the moments of a vdisk that are open.
    pub fn open_moments(&self, vdisk: VdiskId) -> Vec<VdiskId> {
        let slot = self.catalog.resolve(vdisk);
        let at = slot.and_then(|slot| self.histories.at(slot));
        at.map_or_else(Vec::new, |at| self.histories.moments_of(at))
    }

    /// Whether something of its clones can go on without an answer. `sets`: all that are served
    /// together, or none if it is alone.
    pub(super) fn has_clone_work(&self, sets: &[VolumeSet<D>]) -> bool {
        let works = &self.clone_works;
        let log_set = |number: Option<usize>| number.map_or(self, |number| &sets[number]);
        let of_area = match (&works.area, self.histories.area_wanted()) {
            (Some(area), _) => log_set(area.log_set).clone_works.can_write(),
            (None, Some(wanted)) => log_set(wanted).clone_works.script.is_none(),
            (None, None) => false,
        };
        let of_current = match &works.current {
            None => !works.waiting.is_empty(),
            Some(Work::Make(making)) => making.stage.can_go_on(),
            Some(Work::Drop(dropping)) => {
                self.drop_can_go_on(&dropping.stage, log_set(dropping.log_set))
            }
        };
        // Who has begun a script takes its result.
        let of_script = works.script.as_ref().is_some_and(Script::can_go_on);
        of_area || of_current || of_script
    }

    fn check_clones(&self, parent: VdiskId, configs: &[CloneConfig]) -> Result<(), HistoryError> {
        let recorded = self.histories.recorded_names();
        let mut names = HashSet::new();
        for name in configs.iter().map(|config| &*config.name) {
            let is_served = self.catalog.by_name(name).is_some();
            if is_served || self.label.find(name).is_some() || !names.insert(name) {
                return Err(format!(
                    "there is a vdisk `{name}` on this disk; give the clone another name"
                ));
            }
            if recorded.contains(name) {
                return Err(format!(
                    "there is a clone `{name}` that is not served; give the clone another name, or \
                     give that one up (`disktime drop {name}`)"
                ));
            }
        }
        self.logged_slot(parent).map(|_| ())
    }

    /// Goes on with what is to be done for clones, as far as it can.
    pub(super) fn advance_clones(&mut self, now: Nanos, others: &mut OtherSets<'_, D>) {
        loop {
            self.advance_script(now);
            if self.advance_areas(others) {
                self.data_path.want_turn();
            }
            self.advance_script(now);
            let works = &mut self.clone_works;
            let current = works.current.take().or_else(|| works.waiting.pop_front());
            let progress = match current {
                None => return,
                Some(Work::Make(making)) => self.advance_making(now, *making, others),
                Some(Work::Drop(dropping)) => self.advance_dropping(now, *dropping, others),
            };
            match progress {
                Progress::Ended => {}
                Progress::Went(work) => self.clone_works.current = Some(work),
                Progress::Waits(work) => {
                    self.clone_works.current = Some(work);
                    return;
                }
            }
            // What logs were asked is sent by the next turn.
            self.data_path.want_turn();
        }
    }

    /// The server stops: what has not begun is not done any more.
    pub(super) fn refuse_clones(&mut self) {
        for work in std::mem::take(&mut self.clone_works.waiting) {
            work.refuse("the server is stopping");
        }
    }
}
