//! How a vdisk with a history ends: it is stopped, what was asked is answered, the log is closed.
//!
//! Invariant: when it is closed, or broken, its log writes nothing any more.

use super::logged_vdisk::LoggedVdisk;

impl LoggedVdisk {
    /// The server will stop: a fold is left to the next start.
    pub(super) fn begin_stop(&mut self) {
        self.leaves_folds = true;
        if let Some(fold) = &mut self.fold {
            fold.give_up();
        }
    }

    /// The server stops: changes are refused, too.
    pub(crate) fn stop(&mut self) {
        self.stopping = true;
        self.stop_deferred();
        self.begin_stop();
    }

    pub(crate) fn is_idle(&self) -> bool {
        let is_answered = self.clients.len() == 0 && self.replies.is_empty();
        is_answered && self.inner.is_empty() && self.fold.is_none()
    }

    /// Nothing of it is in flight and nothing waits: a turn has nothing to do for it until it is
    /// asked something, or a tick has.
    pub(super) fn is_quiet(&self) -> bool {
        let log = &self.parts.log;
        let asks_nothing = self.asked.is_empty() && self.opened.is_empty() && !self.has_work();
        let does_nothing = self.verify.is_none() && self.revert.is_none() && self.hold.is_free();
        let waits_for_nothing = self.stalled.is_empty() && self.deferred.is_quiet();
        self.is_idle()
            && asks_nothing
            && does_nothing
            && waits_for_nothing
            && log.is_idle()
            && log.wake_ns().is_none()
    }

    pub(crate) fn unanswered(&self) -> usize {
        self.clients.len() + self.replies.len()
    }

    /// The image has ended: nothing is taken any more, and the log is closed in good order.
    pub(super) fn close(&mut self) {
        self.stop();
        self.parts.log.close();
        self.pump();
    }

    /// Whether a write or a flush of the log failed: changes fail.
    pub(crate) fn is_broken(&self) -> bool {
        self.parts.log.broken().is_some()
    }

    /// Whether it is closed, or never will be.
    pub(super) fn is_closed(&self) -> bool {
        let status_is_final = self.is_broken() || self.parts.log.is_read_only();
        self.is_closed || (status_is_final && self.inner.is_empty())
    }
}
