//! The vdisks of one disk, as a service: what is served, and who pays for it.
//!
//! Invariants: every byte to or from the disk goes through its loop; each request is answered
//! exactly once (a debug build panics when a set with unanswered requests is dropped); memory is
//! bounded by the number of vdisks and by what each may have in flight; an error fails the request
//! that met it, and no other. Nothing is allocated per request once the tables have grown.
//!
//! How a request goes is the data path's (`data_path.rs`); opening is in `open.rs`.

use crate::data_path::DataPath;
use crate::ids::VdiskSlot;
use crate::label::Label;
use crate::vdisk::OpenVdisk;
use disktime_disks::Disk;
use disktime_engine::{
    DiskLoop, LoopReport, Reply, Request, Service, StoredBytes, StreamId, VdiskId,
};
use disktime_units::Nanos;
use std::os::fd::RawFd;

mod open;

pub use open::{GroupConfig, OpenReport, VdiskConfig};

/// The vdisks of one disk.
pub struct VolumeSet<D: Disk> {
    data_path: DataPath<D>,
    groups: Vec<(String, StreamId)>,
    system: StreamId,
    label: Label,
    /// It was given up with requests in flight.
    abandoned: bool,
}

impl<D: Disk> VolumeSet<D> {
    fn slot(&self, vdisk: VdiskId) -> Option<VdiskSlot> {
        let count = self.data_path.vdisks().len();
        ((vdisk.0 as usize) < count).then(|| VdiskSlot::new(vdisk.0))
    }

    fn vdisk(&self, vdisk: VdiskId) -> Option<&OpenVdisk> {
        self.slot(vdisk).map(|slot| self.data_path.vdisk(slot))
    }

    /// The number of a vdisk.
    pub fn vdisk_id(&self, name: &str) -> Option<VdiskId> {
        let mut vdisks = self.data_path.vdisks().iter();
        let position = vdisks.position(|vdisk| vdisk.name() == name)?;
        Some(VdiskId(position as u32))
    }

    /// Names and sizes, in the order of their numbers.
    pub fn vdisks(&self) -> impl Iterator<Item = (&str, u64)> {
        let vdisks = self.data_path.vdisks().iter();
        vdisks.map(|vdisk| (vdisk.name(), vdisk.layout().size_bytes()))
    }

    /// How much of a vdisk is stored: what it does not know to be a hole.
    pub fn stored(&self, vdisk: VdiskId) -> Option<StoredBytes> {
        let vdisk = self.vdisk(vdisk)?;
        Some(vdisk.layout().stored().clone())
    }

    /// The stream that pays for a vdisk.
    pub fn stream(&self, vdisk: VdiskId) -> Option<StreamId> {
        self.vdisk(vdisk).map(OpenVdisk::stream)
    }

    /// The stream that is a group's account.
    pub fn group_stream(&self, name: &str) -> Option<StreamId> {
        let group = self.groups.iter().find(|(group, _)| group == name);
        group.map(|(_, stream)| *stream)
    }

    /// The stream that pays for label and zero maps.
    pub fn system_stream(&self) -> StreamId {
        self.system
    }

    /// Whether a flush failed, after which no FLUSH and no FUA succeeds until a restart.
    pub fn flush_failed(&self) -> bool {
        self.data_path.flush_failed()
    }

    /// The table on the disk.
    pub fn label(&self) -> &Label {
        &self.label
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

    /// The set stops here with whatever is in flight, as at a crash; its requests are never
    /// answered.
    pub fn abandon(mut self) {
        self.abandoned = true;
    }
}

impl<D: Disk> Service for VolumeSet<D> {
    fn submit(&mut self, now: Nanos, request: Request) -> Result<(), Request> {
        let slot = self.slot(request.vdisk);
        self.data_path.submit(now, slot, request)
    }

    fn turn(&mut self, now: Nanos, replies: &mut Vec<Reply>) {
        self.data_path.turn(now, replies);
    }

    fn next_wake(&self) -> Option<Nanos> {
        self.data_path.next_wake()
    }

    fn wake_fd(&self) -> Option<RawFd> {
        self.disk_loop().wake_fd()
    }

    fn is_punctual(&self) -> bool {
        self.disk_loop().is_paced()
    }

    fn give_up(&mut self) {
        self.data_path.give_up();
    }

    fn is_idle(&self) -> bool {
        self.data_path.is_idle()
    }
}

impl<D: Disk> Drop for VolumeSet<D> {
    fn drop(&mut self) {
        let unanswered = self.data_path.unanswered();
        debug_assert!(
            self.abandoned || std::thread::panicking() || unanswered == 0,
            "{unanswered} requests were never answered"
        );
    }
}
