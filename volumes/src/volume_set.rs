//! The vdisks of one disk, as a service: what is served, and who pays for it.
//!
//! Invariants: every byte to or from the disk goes through its loop; each request is answered
//! exactly once (a debug build panics when a set with unanswered requests is dropped); memory is
//! bounded by the number of vdisks and by what each may have in flight; an error fails the request
//! that met it, and no other. Nothing is allocated per request once the tables have grown.
//!
//! How a request goes is the data path's (`data_path.rs`); opening is in `open.rs` and `logs.rs`,
//! adding and removing vdisks in `changes.rs`.

use crate::catalog::Catalog;
use crate::data_path::DataPath;
use crate::histories::Histories;
use crate::ids::VdiskSlot;
use crate::label::{Label, Uuid};
use crate::vdisk::OpenVdisk;
use disktime_disks::Disk;
use disktime_engine::{
    DiskLoop, IoError, LastChange, LoopReport, NoSpaceCount, Reply, Request, Service, StoredBytes,
    StreamId, VdiskId,
};
use disktime_history::Seq;
use disktime_units::{BackgroundWork, ByBackgroundWork, Nanos};
use std::os::fd::RawFd;

mod changes;
mod clones;
mod ending;
mod groups;
mod history;
mod known;
mod known_clones;
mod last_changes;
mod logs;
mod open;
mod others;

use clones::CloneWorks;
pub use clones::{CloneConfig, ClonesDone, DropDone};
use groups::Groups;
pub(crate) use history::wait_until_closed;
pub(crate) use known_clones::FoundClones;
pub use known_clones::{CloneConfigs, CloneDisks};
use last_changes::LastChanges;
pub use logs::require_endable_log;
pub use logs::{HistoryConfig, HistoryStreams};
pub(crate) use logs::{
    add_logs, area_layout, check_history, log_settings, require_endable, require_untouched,
};
pub(crate) use open::SetOpening;
pub use open::{GroupConfig, OpenReport, VdiskConfig};
pub(crate) use others::OtherSets;

/// The vdisks of one disk.
pub struct VolumeSet<D: Disk> {
    catalog: Catalog,
    data_path: DataPath<D>,
    histories: Histories,
    history_streams: Vec<HistoryStreams>,
    groups: Groups,
    background: ByBackgroundWork<StreamId>,
    label: Label,
    /// What people should know of how the label was found.
    label_notices: Vec<String>,
    /// An update of the label failed: what is on the disk is not known.
    label_is_stuck: bool,
    last_changes: LastChanges,
    clone_works: CloneWorks,
    /// It was given up with requests in flight.
    abandoned: bool,
}

impl<D: Disk> VolumeSet<D> {
    fn vdisk(&self, vdisk: VdiskId) -> Option<&OpenVdisk> {
        let slot = self.catalog.resolve(vdisk)?;
        Some(self.data_path.vdisk(slot))
    }

    /// The handle of the vdisk with that name.
    pub fn vdisk_id(&self, name: &str) -> Option<VdiskId> {
        self.catalog.by_name(name)
    }

    /// The handle of the vdisk with that identity.
    pub fn vdisk_by_uuid(&self, uuid: Uuid) -> Option<VdiskId> {
        self.catalog.by_uuid(uuid)
    }

    /// The identity of a vdisk, which its label keeps for ever.
    pub fn uuid(&self, vdisk: VdiskId) -> Option<Uuid> {
        self.catalog.uuid(vdisk)
    }

    /// The handles of the vdisks that are served; at first in the order of the configuration.
    pub fn vdisk_ids(&self) -> impl Iterator<Item = VdiskId> {
        self.catalog.served_vdisks().map(|(vdisk, ..)| vdisk)
    }

    /// The vdisks of which a FLUSH each makes everything durable that was completed before: those
    /// whose zero maps changed, and one in any case, because a flush is for the whole disk.
    pub fn vdisks_to_flush(&self) -> Vec<VdiskId> {
        let mut served = self.catalog.served_vdisks();
        let first = served.next();
        let others = served.filter(|(_, slot, _)| {
            let layout = self.data_path.vdisk(*slot).layout();
            !layout.maps_are_saved() || self.histories.of(*slot).is_some()
        });
        let all = first.into_iter().chain(others);
        all.map(|(vdisk, ..)| vdisk).collect()
    }

    /// From now on the vdisks' flushes are made together. For the end of the disk: who waits for
    /// whose flush, and who pays, is not told apart any more.
    pub fn share_flushes(&mut self) {
        self.data_path.share_flushes();
    }

    /// Their names and sizes, in the same order.
    pub fn vdisks(&self) -> impl Iterator<Item = (&str, u64)> {
        self.catalog
            .served_vdisks()
            .map(|(_, slot, name)| (name, self.size_of(slot)))
    }

    /// The name of a vdisk.
    pub fn name(&self, vdisk: VdiskId) -> Option<&str> {
        Some(self.vdisk(vdisk)?.name())
    }

    /// The size of a vdisk.
    pub fn size_bytes(&self, vdisk: VdiskId) -> Option<u64> {
        Some(self.size_of(self.catalog.resolve(vdisk)?))
    }

    /// The size that a vdisk with a history had at a moment.
    pub fn size_bytes_at(&self, vdisk: VdiskId, moment: Seq) -> Option<u64> {
        let logged = self.histories.of(self.catalog.resolve(vdisk)?)?;
        Some(logged.size_bytes_at(moment))
    }

    fn size_of(&self, slot: VdiskSlot) -> u64 {
        match self.histories.of(slot) {
            Some(logged) => logged.size_bytes(),
            None => self.data_path.vdisk(slot).layout().size_bytes(),
        }
    }

    /// How much of a vdisk is stored: what it does not know to be a hole.
    pub fn stored(&self, vdisk: VdiskId) -> Option<StoredBytes> {
        let slot = self.catalog.resolve(vdisk)?;
        let stored = match self.histories.of(slot) {
            Some(logged) => logged.stored(),
            None => self.data_path.vdisk(slot).layout().stored(),
        };
        Some(stored.clone())
    }

    /// How much of a vdisk was trimmed and is not given back to the disk yet, if trims are held.
    pub fn held_trims(&self, vdisk: VdiskId) -> Option<StoredBytes> {
        let held = self.vdisk(vdisk)?.held_trims()?;
        Some(held.held().clone())
    }

    /// When the content of a vdisk changed last.
    pub fn last_change(&self, vdisk: VdiskId) -> Option<LastChange> {
        let vdisk = self.vdisk(vdisk)?;
        Some(vdisk.last_change().clone())
    }

    /// How many requests for a vdisk found no space below.
    pub fn no_space(&self, vdisk: VdiskId) -> Option<NoSpaceCount> {
        let vdisk = self.vdisk(vdisk)?;
        Some(vdisk.no_space().clone())
    }

    /// The stream that pays for a vdisk.
    pub fn stream(&self, vdisk: VdiskId) -> Option<StreamId> {
        self.vdisk(vdisk).map(OpenVdisk::stream)
    }

    /// The stream that is a group's account.
    pub fn group_stream(&self, name: &str) -> Option<StreamId> {
        self.groups.account(name)
    }

    /// The stream that pays for a kind of background work.
    pub fn background_stream(&self, work: BackgroundWork) -> StreamId {
        *self.background.get(work)
    }

    /// Whether a flush failed, after which no FLUSH and no FUA succeeds until a restart.
    pub fn flush_failed(&self) -> bool {
        self.data_path.flush_failed()
    }

    /// The table on the disk.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// What people should know of how the label and the zero maps of the served vdisks were found,
    /// and of histories that have failed since, as sentences.
    pub fn notices(&self) -> Vec<String> {
        let served = self.catalog.served_vdisks();
        let of_maps = served.flat_map(|(_, slot, _)| self.data_path.vdisk(slot).notices());
        let of_set = self.label_notices.iter().chain(of_maps).cloned();
        of_set.chain(self.histories.notices()).collect()
    }

    /// What the disk's loop counted.
    pub fn report(&self, now: Nanos) -> LoopReport {
        self.disk_loop().report(now)
    }

    /// The disk's loop, for its properties and counters.
    pub fn disk_loop(&self) -> &DiskLoop<D> {
        self.data_path.disk_loop()
    }

    /// The disk's loop, for tests that break the disk. Requests submitted there get lost.
    pub fn disk_loop_mut(&mut self) -> &mut DiskLoop<D> {
        self.data_path.disk_loop_mut()
    }

    /// How many requests of each vdisk are not answered, by its name; vdisks without any are left
    /// out.
    pub fn unanswered(&self) -> Vec<(&str, usize)> {
        let served = self.catalog.served_vdisks();
        let counted = served.map(|(_, slot, name)| {
            let count = match self.histories.of(slot) {
                Some(logged) => logged.unanswered(),
                None => self.data_path.unanswered_of(slot),
            };
            (name, count)
        });
        counted.filter(|(_, count)| *count > 0).collect()
    }

    /// The set stops here with whatever is in flight, as at a crash; its requests are never
    /// answered.
    pub fn abandon(mut self) {
        self.abandoned = true;
    }
}

impl<D: Disk> Service for VolumeSet<D> {
    fn submit(&mut self, now: Nanos, request: Request) -> Result<(), Request> {
        if Histories::is_moment(request.vdisk) {
            return self.submit_to_moment(now, request);
        }
        match self.catalog.resolve(request.vdisk) {
            Some(slot) if self.histories.of(slot).is_some() => {
                self.histories
                    .submit(now, slot, request, &mut self.data_path)
            }
            Some(slot) => self.data_path.submit(now, slot, request),
            None => {
                let error = match self.catalog.was_valid(request.vdisk) {
                    true => IoError::Shutdown,
                    false => IoError::Invalid,
                };
                self.data_path.refuse(now, request, error);
                Ok(())
            }
        }
    }

    fn turn(&mut self, now: Nanos, replies: &mut Vec<Reply>) {
        self.turn_beside(now, replies, &mut OtherSets::none());
    }

    fn next_wake(&self) -> Option<Nanos> {
        self.next_wake_beside(&[])
    }

    fn wake_fds(&self) -> Vec<RawFd> {
        self.disk_loop().wake_fd().into_iter().collect()
    }

    fn is_punctual(&self) -> bool {
        self.disk_loop().is_paced()
    }

    fn paused(&mut self, gap: Nanos) {
        self.data_path.disk_loop_mut().paused(gap);
    }

    fn begin_stop(&mut self) {
        self.refuse_clones();
        self.histories.begin_stop();
        self.data_path.begin_stop();
    }

    fn fail_queued(&mut self) {
        self.histories.stop();
        self.data_path.fail_queued();
    }

    fn client_gone(&mut self, origin: u64) {
        self.data_path.abandon_requests_of(origin);
    }

    fn is_idle(&self) -> bool {
        self.data_path.is_idle() && self.histories.is_idle() && self.clone_works.is_idle()
    }
}

/// As a service, beside others that are served with it.
impl<D: Disk> VolumeSet<D> {
    pub(crate) fn turn_beside(
        &mut self,
        now: Nanos,
        replies: &mut Vec<Reply>,
        others: &mut OtherSets<'_, D>,
    ) {
        if self.histories.is_empty() {
            self.data_path.turn(now, replies);
        } else {
            self.histories.turn(now, &mut self.data_path, replies);
        }
        if !self.clone_works.is_idle() || self.histories.area_wanted().is_some() {
            replies.retain(|reply| !self.clone_works.take_reply(reply));
            self.advance_clones(now, others);
        }
        self.finish_removals(now);
    }

    /// `sets`: all that are served together, or none if it is alone.
    pub(crate) fn next_wake_beside(&self, sets: &[VolumeSet<D>]) -> Option<Nanos> {
        if self.has_clone_work(sets) {
            return Some(self.data_path.now());
        }
        let wakes = [
            self.data_path.next_wake(),
            self.histories.next_wake(self.data_path.now()),
        ];
        wakes.into_iter().flatten().min()
    }
}

impl<D: Disk> Drop for VolumeSet<D> {
    fn drop(&mut self) {
        let unanswered = self.data_path.unanswered() + self.histories.unanswered();
        debug_assert!(
            self.abandoned || std::thread::panicking() || unanswered == 0,
            "{unanswered} requests were never answered"
        );
    }
}
