//! A turn of the histories of a set: logs that have something to do go on, what they ask goes to
//! the data path, and its answers come back to them; and what is due from time to time.
//!
//! Invariant: a vdisk that is quiet takes no time of a turn, but for the tick once a second.

use super::lineage::Elders;
use super::{Histories, LoggedVdisk, TICK, inner, log_position};
use crate::data_path::DataPath;
use disktime_disks::Disk;
use disktime_engine::Reply;
use disktime_units::Nanos;

/// Rounds of inner answers and what follows from them in one turn.
const ROUNDS: usize = 8;

impl Histories {
    /// Sends what the data path of the set with that number takes of the logs that lie there;
    /// whether that was anything.
    pub(crate) fn send_to_logs<D: Disk>(
        &mut self,
        now: Nanos,
        set: usize,
        path: &mut DataPath<D>,
    ) -> bool {
        let mut any = false;
        let numbering = self.numbering;
        for at in self.awake.iter() {
            let vdisk = self.vdisks[at].as_mut();
            if let Some(vdisk) = vdisk.filter(|vdisk| vdisk.log_set() == Some(set)) {
                any |= vdisk.send_to_log(now, numbering.position(at), path);
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
                match log_position(&reply).filter(|at| self.has_position(*at)) {
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
        let (position, key) = inner::position(reply.handle);
        let at = self.numbering.at(position).expect("an answer has its log");
        self.awake.wake(at);
        let (before, rest) = self.vdisks.split_at_mut(at);
        let vdisk = rest.first_mut().and_then(Option::as_mut);
        let vdisk = vdisk.expect("an answer has its log");
        vdisk.complete(key, reply, Elders::new(before));
    }

    /// Lets every log that has something to do go on as far as it can without an answer.
    fn advance<D: Disk>(&mut self, now: Nanos, path: &mut DataPath<D>) {
        self.since_1970_ns = self.wall_clock.since_1970_ns(now);
        for (slot, key) in path.take_granted_statuses() {
            // A clone that is being dropped is not bound any more.
            let is_it = |one: &Option<LoggedVdisk>| {
                let one = one.as_ref().map(LoggedVdisk::image_slot);
                one.is_some_and(|one| one.index() == slot.index())
            };
            let bound = self.at(slot);
            if let Some(at) = bound.or_else(|| self.vdisks.iter().position(is_it)) {
                self.answer_status(at, key, path);
            }
        }
        let mut from = 0;
        while let Some(at) = self.awake.next(from) {
            from = at + 1;
            self.advance_one(now, at, path);
            if self.get(at).is_none_or(LoggedVdisk::is_quiet) {
                self.awake.sleep(at);
            }
        }
    }

    fn advance_one<D: Disk>(&mut self, now: Nanos, at: usize, path: &mut DataPath<D>) {
        let since_1970_ns = self.since_1970_ns;
        let Some(vdisk) = self.get_mut(at) else {
            return;
        };
        vdisk.advance(since_1970_ns);
        self.ask_elders(at);
        self.begin_statuses(now, at, path);
        let position = self.numbering.position(at);
        if let Some(vdisk) = self.vdisks[at].as_mut() {
            vdisk.send(now, position, path);
            vdisk.append_replies(&mut self.replies);
            if vdisk.take_area_wish() {
                self.areas_wanted.push_back(at);
            }
        }
        self.open_moments(at);
    }

    /// Answers the block status that a vdisk's clients ask for, or has it wait for its pace.
    pub(super) fn begin_statuses<D: Disk>(
        &mut self,
        now: Nanos,
        at: usize,
        path: &mut DataPath<D>,
    ) {
        let asked = self
            .get_mut(at)
            .map(|vdisk| (vdisk.image_slot(), vdisk.take_statuses()));
        let Some((slot, keys)) = asked else { return };
        for key in keys {
            if path.begin_history_status(now, slot, key) {
                self.answer_status(at, key, path);
            }
        }
    }

    fn tick<D: Disk>(&mut self, now: Nanos, path: &mut DataPath<D>) {
        let since_1970_ns = self.wall_clock.since_1970_ns(now);
        for at in 0..self.vdisks.len() {
            let below = self.stored_below(at, path);
            let Some(vdisk) = self.vdisks[at].as_mut() else {
                continue;
            };
            vdisk.tick(since_1970_ns, below);
            if !vdisk.is_quiet() {
                self.awake.wake(at);
            }
        }
    }

    /// When the next turn is due if nothing arrives.
    pub(crate) fn next_wake(&self, now: Nanos) -> Option<Nanos> {
        if self.vdisks.is_empty() {
            return None;
        }
        let has_work = self.awake().any(LoggedVdisk::has_work);
        let is_due = has_work || !self.replies.is_empty();
        if is_due {
            return Some(now);
        }
        let wakes = self.awake().filter_map(LoggedVdisk::wake_ns);
        let since_1970_ns = self.wall_clock.since_1970_ns(now);
        let wakes = wakes.map(|at| now + Nanos(at.saturating_sub(since_1970_ns)));
        wakes.chain([self.next_tick]).min()
    }
}
