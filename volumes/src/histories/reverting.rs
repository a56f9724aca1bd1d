//! Reverts: from the time at which one is accepted until it is done, what is asked of the newest
//! content waits; what was asked before is answered first, from the content before.
//!
//! ```text
//!   accepted ─► requests that were taken are answered ─► moment resolved ─► log ─► those that wait
//! ```
//!
//! Invariants: one revert at a time; a request is answered either from the content before a revert
//! or from that behind it; moments that are open are read meanwhile.
//!
//! Not known here: who may ask, and which clients have cached the content before.

use super::controls::{SeqDone, Then};
use super::logged_vdisk::{LogPurpose, LoggedVdisk};
use disktime_history::{Failure, Log, Moment, RequestId, Seq};

/// A revert that was accepted and is not done.
pub(super) struct PendingRevert {
    to: RevertTo,
    has_begun: bool,
    done: SeqDone,
}

impl PendingRevert {
    /// It is not done.
    pub(super) fn refuse(self, why: &str) {
        (self.done)(Err(why.to_owned()));
    }
}

/// What becomes the newest content.
enum RevertTo {
    Moment(Moment),
    /// What was there before the last revert.
    Before,
}

impl LoggedVdisk {
    /// The newest content becomes that of a moment.
    pub(crate) fn revert(&mut self, moment: &Moment, done: SeqDone) {
        self.accept_revert(RevertTo::Moment(moment.clone()), done);
    }

    /// What the last revert left becomes the newest content.
    pub(crate) fn undo_revert(&mut self, done: SeqDone) {
        self.accept_revert(RevertTo::Before, done);
    }

    fn accept_revert(&mut self, to: RevertTo, done: SeqDone) {
        if self.revert.is_some() {
            let name = &self.parts.name;
            return done(Err(format!("`{name}`: another revert is being done")));
        }
        self.revert = Some(PendingRevert {
            to,
            has_begun: false,
            done,
        });
        self.begin_revert();
    }

    /// Begins the revert when nothing that came before it is in flight.
    fn begin_revert(&mut self) {
        let is_quiet = !self.clients.any_before_revert();
        let waits = self.deferred.has_revert();
        let Some(revert) = self
            .revert
            .as_mut()
            .filter(|one| is_quiet && !one.has_begun && !waits)
        else {
            return;
        };
        revert.has_begun = true;
        match &revert.to {
            RevertTo::Before => self.ask_for_branch(Log::undo_revert),
            RevertTo::Moment(moment) => {
                let moment = moment.clone();
                self.resolve(&moment, Then::Revert);
            }
        }
    }

    /// It is known which seq the moment is.
    pub(super) fn revert_to(&mut self, seq: Seq) {
        // A revert that is tried again is one to the same moment, and does not look for it again.
        if let Some(revert) = &mut self.revert {
            revert.to = RevertTo::Moment(Moment::Seq(seq));
        }
        self.ask_for_branch(|log, request| log.revert(request, seq));
    }

    fn ask_for_branch(&mut self, ask: impl FnOnce(&mut Log, RequestId) -> Result<(), Failure>) {
        let entry = self.asked.vacant_entry();
        match ask(&mut self.parts.log, RequestId(entry.key() as u64)) {
            Ok(()) => {
                entry.insert(LogPurpose::Revert);
                self.pump();
            }
            // A cut through several vdisks is being made: tried again.
            Err(Failure::Busy) => {
                if let Some(revert) = &mut self.revert {
                    revert.has_begun = false;
                }
            }
            Err(Failure::Unwritten | Failure::NotOpen) if !self.deferred.is_there() => {
                if let Some(revert) = &mut self.revert {
                    revert.has_begun = false;
                }
                self.revert_waits_for_area();
            }
            Err(why) => self.revert_is_done(Err(why)),
        }
    }

    /// It is not done.
    pub(super) fn refuse_revert(&mut self, why: &str) {
        if let Some(revert) = self.revert.take() {
            revert.refuse(why);
        }
    }

    /// What waits for it goes on with [`LoggedVdisk::advance_revert`].
    pub(super) fn revert_is_done(&mut self, result: Result<Seq, Failure>) {
        if let Some(revert) = self.revert.take() {
            (revert.done)(result.map_err(|why| self.sentence(why)));
        }
    }

    /// Whether a request waits until the revert is done; then it is begun again later.
    pub(super) fn waits_for_revert(&mut self, key: usize) -> bool {
        let waits = self.clients.get(key).waits_for_revert;
        if waits {
            self.behind_revert.push_back(key);
        }
        waits
    }

    /// Begins a revert that waits, or what waited for one.
    pub(super) fn advance_revert(&mut self) {
        self.begin_revert();
        if self.revert.is_some() {
            return;
        }
        for key in std::mem::take(&mut self.behind_revert) {
            self.clients.get_mut(key).waits_for_revert = false;
            self.begin(key);
        }
        self.pump();
    }

    /// Whether what waited for a revert can begin.
    pub(super) fn has_revert_work(&self) -> bool {
        self.revert.is_none() && !self.behind_revert.is_empty()
    }
}
