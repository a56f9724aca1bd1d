//! One cut through several vdisks: the changes of each are held until all have their marks.
//!
//! ```text
//!   hold ─► held: nothing is in flight ─► mark ─► release      of each vdisk; a coordinator does
//!                                                              each step of all before the next
//! ```
//!
//! Invariants: no change is answered from the time at which a vdisk is held until it is released,
//! so no client has seen a change behind the cut of one vdisk before it asked for one before the
//! cut of another; one cut at a time, and only its end releases the vdisk.
//!
//! Not known here: which other vdisks the cut has.

use super::controls::SeqDone;
use super::logged_vdisk::LoggedVdisk;
use disktime_history::{Failure, Uuid};

/// Whether the changes of a vdisk are held.
#[derive(Default)]
pub(super) enum Hold {
    #[default]
    Free,
    /// For this cut; what is in flight ends first.
    Beginning(Uuid, SeqDone),
    Held(Uuid),
}

impl Hold {
    pub(super) fn is_free(&self) -> bool {
        matches!(self, Hold::Free)
    }
}

impl LoggedVdisk {
    /// Holds changes for a cut in which the vdisk gets a mark of that name; `done` hears of the
    /// newest seq when none is in flight.
    pub(crate) fn hold(&mut self, cut: Uuid, mark: &str, done: SeqDone) {
        let name = &self.parts.name;
        if !self.hold.is_free() {
            return done(Err(format!("`{name}`: another cut is being made")));
        }
        let status = self.parts.log.status();
        if status.marks.iter().any(|known| known.name == mark) {
            return done(Err(self.sentence(Failure::MarkExists)));
        }
        self.parts.log.hold();
        self.hold = Hold::Beginning(cut, done);
        self.advance_hold();
    }

    /// The vdisk goes: the caller that waits for its changes to be held hears why.
    pub(super) fn refuse_hold(&mut self, why: &str) {
        if let Hold::Beginning(_, done) = std::mem::take(&mut self.hold) {
            done(Err(why.to_owned()));
        }
    }

    /// Tells who waits for it that the changes are held.
    pub(super) fn advance_hold(&mut self) {
        let Hold::Beginning(cut, _) = self.hold else {
            return;
        };
        if self.parts.log.is_held()
            && let Hold::Beginning(_, done) = std::mem::replace(&mut self.hold, Hold::Held(cut))
        {
            done(Ok(self.parts.log.status().newest));
        }
    }

    /// The content that is held gets a name. `cut`: what the marks of the cut share, and how many
    /// they are.
    pub(crate) fn mark_cut(&mut self, name: &str, cut: (Uuid, u32), done: SeqDone) {
        match self.hold {
            Hold::Held(held) if held == cut.0 => {
                let name = name.to_owned();
                self.control(
                    done,
                    Box::new(move |log, of| log.mark(of, &name, Some(cut))),
                )
            }
            _ => done(Err(format!("`{}` is not held", self.parts.name))),
        }
    }

    /// Changes that were held for this cut go on.
    pub(crate) fn release(&mut self, cut: Uuid) {
        match &self.hold {
            Hold::Beginning(held, _) | Hold::Held(held) if *held == cut => {}
            _ => return,
        }
        self.parts.log.release();
        if let Hold::Beginning(_, done) = std::mem::take(&mut self.hold) {
            done(Err(format!("`{}`: the cut was given up", self.parts.name)));
        }
        self.pump();
    }
}
