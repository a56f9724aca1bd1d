//! A history ends: everything up to the newest content moves into the image, whatever marks and
//! branches hold, so that the image alone is the vdisk and the log can be given up.
//!
//! Invariants: nothing is given up as long as a clone begins with a moment of it, a moment is open,
//! or the image lacks blocks that the log has lost; a crash on the way leaves a log that has the
//! newest content, and a fold that the next opening repeats.
//!
//! What is not known here: who gives the log's space up.

use super::Log;
use super::folding::Fold;
use crate::format::Seq;
use crate::steps::Failure;

impl Log {
    /// Begins to fold everything up to the newest content; marks of older moments, and all branches
    /// but the current one, are given up with it. It has ended when [`Log::is_all_folded`] says so.
    ///
    /// # Errors
    /// [`Failure::BranchIsCloned`], [`Failure::ImageLacks`]; [`Failure::FloorIsHeld`] while a fold
    /// is in flight or a moment is open.
    pub fn fold_all(&mut self) -> Result<(), Failure> {
        self.check_writable()?;
        if self.clone_entries().next().is_some() {
            return Err(Failure::BranchIsCloned);
        }
        if self.image_lacks_blocks() {
            return Err(Failure::ImageLacks);
        }
        let is_used = self.moments_in_use().next().is_some() || self.is_clone();
        if self.fold.is_some() || is_used {
            return Err(Failure::FloorIsHeld);
        }
        if !self.is_all_folded() {
            self.begin_fold(self.published_seq);
            self.give_up_marks_before(self.oldest_restorable);
        }
        Ok(())
    }

    /// Whether the image has the newest content, and needs nothing of the log.
    pub fn is_all_folded(&self) -> bool {
        let is_quiet =
            self.staged.is_empty() && self.flight.iter().all(|flight| flight.is_record());
        self.fold.is_none()
            && is_quiet
            && self.check_writable().is_ok()
            && self.index_blocks() == 0
            && !self.image_lacks_blocks()
    }

    /// How much of the step of a fold in flight is done, in millionths.
    pub fn fold_progress_ppm(&self) -> u32 {
        self.fold.as_ref().map_or(0, Fold::progress_ppm)
    }

    /// Whether blocks of the image do not hold the floor, as the log had rotted when they were
    /// folded.
    pub fn image_lacks_blocks(&self) -> bool {
        self.lost_blocks.len() > 0
    }

    /// A fold beyond a mark gives it up, also one that is repeated.
    pub(super) fn give_up_marks_before(&mut self, oldest: Seq) {
        let gone: Vec<Seq> = self
            .marks
            .rows()
            .map(|mark| mark.moment)
            .take_while(|moment| *moment < oldest)
            .collect();
        gone.into_iter()
            .for_each(|moment| self.marks.remove(moment));
    }
}
