//! The sets of disks that histories join, as one service that one thread drives: an image lies on
//! one disk and its log on another, and no request between the two crosses a thread.
//!
//! ```text
//!   client ─► set of the image ─► LoggedVdisk ─► inner requests for the log
//!                    ▲                                   │ carried to
//!                    └──────── answers ◄──── data path of the log's set
//! ```
//!
//! Invariants: each disk has its own data path, loop and scheduler, and each request is paid on the
//! disk that does it; what one set waits for reaches it in the same turn; one that is alone is
//! served as if it were not joined. Nothing is allocated per request once the tables have grown.
//!
//! Opening is in `joined/open.rs`, and in `joined/ending.rs` what gives histories up. Not known
//! here: labels, logs, and why disks are joined.

mod ending;
mod open;

use crate::VolumeError;
use crate::catalog::set_number;
use crate::driver::Driver;
use crate::histories::{log_position, moment_position};
use crate::volume_set::{OtherSets, VolumeSet, wait_until_closed};
use disktime_disks::Disk;
use disktime_engine::{Reply, Request, Service, VdiskId};
use disktime_units::Nanos;
use std::os::fd::RawFd;

/// Rounds of answers between the sets in one turn.
const ROUNDS: usize = 8;

/// Volume sets that are served by one loop.
pub struct JoinedSets<D: Disk> {
    sets: Vec<VolumeSet<D>>,
    /// Where logs lie on another disk: the set of the image, and that of the log; each pair once.
    links: Vec<(usize, usize)>,
    came: Vec<Reply>,
    /// When the last turn ended before everything was heard, if it did.
    unfinished: Option<Nanos>,
}

impl<D: Disk> JoinedSets<D> {
    fn new(sets: Vec<VolumeSet<D>>) -> JoinedSets<D> {
        let numbered = sets.iter().enumerate();
        let mut links: Vec<(usize, usize)> = numbered
            .flat_map(|(image, set)| set.histories().log_sets().map(move |log| (image, log)))
            .collect();
        links.sort_unstable();
        links.dedup();
        JoinedSets {
            sets,
            links,
            came: Vec::new(),
            unfinished: None,
        }
    }

    /// The sets, in the order in which their disks were given.
    pub fn sets(&self) -> &[VolumeSet<D>] {
        &self.sets
    }

    /// The same, for tests that break a disk, and for the end.
    pub fn sets_mut(&mut self) -> &mut [VolumeSet<D>] {
        &mut self.sets
    }

    /// The set that a vdisk or one of its moments belongs to. A handle of none is refused by any.
    pub fn set_of_mut(&mut self, vdisk: VdiskId) -> &mut VolumeSet<D> {
        let number = self.number_of(vdisk);
        &mut self.sets[number]
    }

    fn number_of(&self, vdisk: VdiskId) -> usize {
        let number = match moment_position(vdisk) {
            Some(position) => self.set_of_log(position).unwrap_or(0),
            None => set_number(vdisk),
        };
        if number < self.sets.len() { number } else { 0 }
    }

    /// The set that has the image of the logged vdisk at a position.
    fn set_of_log(&self, position: usize) -> Option<usize> {
        let mut sets = self.sets.iter();
        sets.position(|set| set.histories().has_position(position))
    }

    /// How many requests of each vdisk are not answered, by its name; vdisks without any are left
    /// out.
    pub fn unanswered(&self) -> Vec<(&str, usize)> {
        self.sets.iter().flat_map(VolumeSet::unanswered).collect()
    }

    /// Takes what logs ask of other sets there; whether that was anything.
    fn carry(&mut self, now: Nanos) -> bool {
        let mut any = false;
        for (image, log) in &self.links {
            let Ok([of_image, of_log]) = self.sets.get_disjoint_mut([*image, *log]) else {
                continue;
            };
            any |= of_image.send_to_logs(now, *log, of_log);
        }
        any
    }

    /// One turn of each set; whether logs of other sets were answered.
    fn turn_each(&mut self, now: Nanos, replies: &mut Vec<Reply>) -> bool {
        let mut any = false;
        let mut came = std::mem::take(&mut self.came);
        for at in 0..self.sets.len() {
            let (set, mut others) = OtherSets::split(&mut self.sets, at);
            set.turn_beside(now, &mut came, &mut others);
            for reply in came.drain(..) {
                let owner = log_position(&reply).and_then(|position| self.set_of_log(position));
                match owner {
                    Some(owner) => {
                        self.sets[owner].complete_log_io(reply);
                        any = true;
                    }
                    None => replies.push(reply),
                }
            }
        }
        self.came = came;
        any
    }

    /// Closes every log in good order, so that the next opening finds nothing to repeat. No request
    /// is in flight any more.
    ///
    /// # Errors
    /// When the disks give nothing to wait for.
    pub fn close_histories<R: Driver>(&mut self, driver: &mut R) -> Result<(), VolumeError> {
        self.sets.iter_mut().for_each(VolumeSet::begin_close);
        let is_closed = |joined: &Self| joined.sets.iter().all(VolumeSet::is_closed);
        wait_until_closed(self, is_closed, driver)
    }

    /// The sets stop here with whatever is in flight, as at a crash; their requests are never
    /// answered.
    pub fn abandon(self) {
        self.sets.into_iter().for_each(VolumeSet::abandon);
    }

    /// The set of the only disk.
    ///
    /// # Panics
    /// If there are several.
    pub(crate) fn into_single(mut self) -> VolumeSet<D> {
        assert!(self.sets.len() == 1, "one disk");
        self.sets.remove(0)
    }
}

impl<D: Disk> Service for JoinedSets<D> {
    fn submit(&mut self, now: Nanos, request: Request) -> Result<(), Request> {
        self.set_of_mut(request.vdisk).submit(now, request)
    }

    fn turn(&mut self, now: Nanos, replies: &mut Vec<Reply>) {
        if self.links.is_empty() {
            return self.sets.iter_mut().for_each(|set| set.turn(now, replies));
        }
        self.unfinished = None;
        self.carry(now);
        for _ in 0..ROUNDS {
            let answered = self.turn_each(now, replies);
            if !self.carry(now) && !answered {
                return;
            }
        }
        // Answers of the last round are still to be heard.
        self.unfinished = Some(now);
    }

    fn next_wake(&self) -> Option<Nanos> {
        let sets = self.sets.iter();
        let wakes = sets.filter_map(|set| set.next_wake_beside(&self.sets));
        wakes.chain(self.unfinished).min()
    }

    fn wake_fds(&self) -> Vec<RawFd> {
        self.sets.iter().flat_map(Service::wake_fds).collect()
    }

    fn is_punctual(&self) -> bool {
        self.sets.iter().any(Service::is_punctual)
    }

    fn paused(&mut self, gap: Nanos) {
        self.sets.iter_mut().for_each(|set| set.paused(gap));
    }

    fn begin_stop(&mut self) {
        self.sets.iter_mut().for_each(Service::begin_stop);
    }

    fn fail_queued(&mut self) {
        self.sets.iter_mut().for_each(Service::fail_queued);
    }

    fn client_gone(&mut self, origin: u64) {
        self.sets.iter_mut().for_each(|set| set.client_gone(origin));
    }

    fn is_idle(&self) -> bool {
        self.sets.iter().all(Service::is_idle)
    }
}
