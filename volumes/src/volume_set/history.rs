//! The histories of a set: how they are asked, and closed.

use super::{HistoryStreams, VolumeSet};
use crate::VolumeError;
use crate::data_path::DataPath;
use crate::driver::Driver;
use crate::histories::{
    ChangedDone, Histories, HistoryReport, LoggedVdisk, MomentDone, SeqDone, VerifyDone,
    VerifyProgress,
};
use crate::ids::VdiskSlot;
use crate::uuid::Uuid;
use disktime_disks::Disk;
use disktime_engine::{IoError, Reply, Request, Service, VdiskId};
use disktime_history::Moment;
use disktime_units::Nanos;
use std::sync::Arc;

const NO_HISTORY: &str = "the vdisk has no history, or it could not be opened (`disktime status` \
    says why); give it a `history` in the file and start the server again";

/// How long closing may take; a log that is not closed is opened as after a crash.
const CLOSE_TIME: Nanos = Nanos::from_secs(10);

/// Turns a service until its logs are closed, for a bounded time.
///
/// # Errors
/// When its disks give nothing to wait for.
pub(crate) fn wait_until_closed<S: Service, R: Driver>(
    service: &mut S,
    is_closed: impl Fn(&S) -> bool,
    driver: &mut R,
) -> Result<(), VolumeError> {
    let mut replies: Vec<Reply> = Vec::new();
    let until = driver.now() + CLOSE_TIME;
    loop {
        let now = driver.now();
        service.turn(now, &mut replies);
        if is_closed(service) {
            return Ok(());
        }
        if now > until {
            tracing::warn!("a history was not closed in time; the next start repairs that");
            return Ok(());
        }
        driver.wait(service.next_wake(), &service.wake_fds())?;
    }
}

impl<D: Disk> VolumeSet<D> {
    /// How the history of a vdisk stands; `None` if it has none.
    pub fn history(&self, vdisk: VdiskId) -> Option<HistoryReport> {
        let slot = self.catalog.resolve(vdisk)?;
        Some(self.histories.of(slot)?.report())
    }

    /// The streams of histories on this disk: of its vdisks, and of logs of others that lie here.
    pub fn history_streams(&self) -> &[HistoryStreams] {
        &self.history_streams
    }

    /// How many vdisks with a history have something in flight or waiting, as far as is known: a
    /// turn looks at no others.
    pub fn busy_histories(&self) -> usize {
        self.histories.busy()
    }

    pub(crate) fn histories(&self) -> &Histories {
        &self.histories
    }

    /// Has the data path of another set take what the logs that lie there ask for; whether that was
    /// anything. `number`: that of the other set.
    pub(crate) fn send_to_logs(
        &mut self,
        now: Nanos,
        number: usize,
        of_log: &mut VolumeSet<D>,
    ) -> bool {
        let path: &mut DataPath<D> = &mut of_log.data_path;
        self.histories.send_to_logs(now, number, path)
    }

    /// What a log of this set asked of another set was answered.
    pub(crate) fn complete_log_io(&mut self, reply: Reply) {
        self.histories.complete(reply);
    }

    /// Begins to close every log in good order.
    pub(crate) fn begin_close(&mut self) {
        self.histories.close();
    }

    /// Whether every log is closed, or cannot be.
    pub(crate) fn is_closed(&self) -> bool {
        self.histories.are_closed()
    }

    /// Gives the newest content a name; `done` hears of the moment when the mark is durable.
    pub fn mark(&mut self, vdisk: VdiskId, name: &str, done: SeqDone) {
        match self.logged(vdisk) {
            Ok(logged) => logged.mark(name, done),
            Err(why) => done(Err(why)),
        }
    }

    /// Holds the changes of a vdisk for a cut through several ones in which it gets a mark of that
    /// name; `done` hears when none is in flight. [`VolumeSet::release`] lets them go on.
    pub fn hold(&mut self, vdisk: VdiskId, cut: Uuid, mark: &str, done: SeqDone) {
        match self.logged(vdisk) {
            Ok(logged) => logged.hold(cut.to_bytes(), mark, done),
            Err(why) => done(Err(why)),
        }
    }

    /// Gives the content of a vdisk that is held for a cut a name; `done` hears when the mark is
    /// durable. `vdisks`: how many the cut has.
    pub fn mark_cut(
        &mut self,
        vdisk: VdiskId,
        name: &str,
        (cut, vdisks): (Uuid, u32),
        done: SeqDone,
    ) {
        match self.logged(vdisk) {
            Ok(logged) => logged.mark_cut(name, (cut.to_bytes(), vdisks), done),
            Err(why) => done(Err(why)),
        }
    }

    /// The changes of a vdisk that was held for this cut go on.
    pub fn release(&mut self, vdisk: VdiskId, cut: Uuid) {
        if let Ok(logged) = self.logged(vdisk) {
            logged.release(cut.to_bytes());
        }
    }

    /// Gives up durable data that a log has lost, so that it can be written again; `done` hears
    /// when it can.
    pub fn accept_loss(&mut self, vdisk: VdiskId, done: SeqDone) {
        match self.logged(vdisk) {
            Ok(logged) => logged.accept_loss(done),
            Err(why) => done(Err(why)),
        }
    }

    /// Gives a mark up; `done` hears when that is durable. What only the mark kept can be folded.
    pub fn drop_mark(&mut self, vdisk: VdiskId, name: &str, done: SeqDone) {
        match self.logged(vdisk) {
            Ok(logged) => logged.drop_mark(name, done),
            Err(why) => done(Err(why)),
        }
    }

    /// Gives up what a revert left behind; `done` hears when that is durable.
    pub fn drop_branch(&mut self, vdisk: VdiskId, branch: u64, done: SeqDone) {
        match self.logged(vdisk) {
            Ok(logged) => logged.drop_branch(branch, done),
            Err(why) => done(Err(why)),
        }
    }

    /// Makes the content of a moment the newest; `done` hears when that is durable. The caller has
    /// made sure that no client uses the vdisk.
    pub fn revert(&mut self, vdisk: VdiskId, moment: &Moment, done: SeqDone) {
        match self.logged(vdisk) {
            Ok(logged) => logged.revert(moment, done),
            Err(why) => done(Err(why)),
        }
    }

    /// Makes what was the newest content before the last revert the newest again.
    pub fn undo_revert(&mut self, vdisk: VdiskId, done: SeqDone) {
        match self.logged(vdisk) {
            Ok(logged) => logged.undo_revert(done),
            Err(why) => done(Err(why)),
        }
    }

    /// Opens a moment for reading; `done` hears of the handle that requests for it carry, from
    /// within a turn.
    pub fn open_moment(&mut self, vdisk: VdiskId, moment: &Moment, done: MomentDone) {
        match self.logged_slot(vdisk) {
            Ok(slot) => self.histories.open_moment_lazily(slot, moment, done),
            Err(why) => done(Err(why)),
        }
    }

    /// Finds the handle and the seq that a moment has when it is open; `done` hears of them.
    pub fn find_moment(&mut self, vdisk: VdiskId, moment: &Moment, done: MomentDone) {
        match self.logged_slot(vdisk) {
            Ok(slot) => self.histories.find_moment(slot, moment, done),
            Err(why) => done(Err(why)),
        }
    }

    /// Lists what was written between two moments; without the second one, up to now. `done` hears
    /// of it.
    pub fn changed(
        &mut self,
        vdisk: VdiskId,
        since: &Moment,
        until: Option<Moment>,
        done: ChangedDone,
    ) {
        match self.logged(vdisk) {
            Ok(logged) => logged.changed(since, until, done),
            Err(why) => done(Err(why)),
        }
    }

    /// Reads all that the log of a vdisk holds again and judges it; `done` hears what is damaged.
    /// It ends early, without a word, when the caller drops `progress`.
    pub fn verify(&mut self, vdisk: VdiskId, progress: &Arc<VerifyProgress>, done: VerifyDone) {
        match self.logged(vdisk) {
            Ok(logged) => logged.verify(progress, done),
            Err(why) => done(Err(why)),
        }
    }

    /// Closes a moment as often as it was opened; then requests with its handle fail.
    pub fn close_moment(&mut self, moment: VdiskId) {
        self.histories.close_moment(moment);
    }

    pub(super) fn logged(&mut self, vdisk: VdiskId) -> Result<&mut LoggedVdisk, String> {
        let slot = self.catalog.resolve(vdisk);
        let logged = slot.and_then(|slot| self.histories.of_mut(slot));
        logged.ok_or_else(|| NO_HISTORY.to_owned())
    }

    pub(super) fn logged_slot(&self, vdisk: VdiskId) -> Result<VdiskSlot, String> {
        let slot = self.catalog.resolve(vdisk);
        let logged = slot.filter(|slot| self.histories.of(*slot).is_some());
        logged.ok_or_else(|| NO_HISTORY.to_owned())
    }

    pub(super) fn submit_to_moment(&mut self, now: Nanos, request: Request) -> Result<(), Request> {
        let path = &mut self.data_path;
        match self.histories.submit_to_moment(now, request, path) {
            Ok(taken) => taken,
            Err(request) => {
                self.data_path.refuse(now, request, IoError::Shutdown);
                Ok(())
            }
        }
    }

    /// Closes every log in good order, so that the next opening finds nothing to repeat. No request
    /// is in flight any more.
    ///
    /// # Errors
    /// When the disk gives nothing to wait for.
    pub fn close_histories<R: Driver>(&mut self, driver: &mut R) -> Result<(), VolumeError> {
        if self.histories.is_empty() {
            return Ok(());
        }
        self.begin_close();
        wait_until_closed(self, VolumeSet::is_closed, driver)
    }
}
