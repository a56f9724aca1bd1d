//! Opening: from a disk's label and a configuration to a set that serves.

use super::VolumeSet;
use super::groups::Groups;
use super::history::{HistoryConfig, add_logs, check_history, open_history};
use super::known::{MetadataSource, enter, handle_trims, open_vdisk, read_known, unknown};
use super::last_changes::LastChanges;
use crate::VolumeError;
use crate::catalog::Catalog;
use crate::data_path::DataPath;
use crate::driver::Driver;
use crate::labelled::{LabelledDisk, OpenOptions};
use crate::space::{VdiskSpec, reconcile};
use disktime_disks::{ContentMap, Disk};
use disktime_engine::{DiskLoop, StreamConfig};
use disktime_units::{BackgroundWork, TrimHandling};

/// A vdisk to be served.
#[derive(Debug, Clone)]
pub struct VdiskConfig {
    /// Name and size.
    pub spec: VdiskSpec,
    /// What its stream gets; in a group only its weight counts.
    pub stream: StreamConfig,
    /// The group whose account pays for it.
    pub group: Option<GroupConfig>,
    /// What becomes of its trims.
    pub trims: TrimHandling,
    /// How its history is kept, if its spec has one.
    pub history: Option<HistoryConfig>,
}

/// A group: one account for several vdisks. Those that name the same group mean the same account.
#[derive(Debug, Clone)]
pub struct GroupConfig {
    /// Its name.
    pub name: String,
    /// What its members get together.
    pub stream: StreamConfig,
}

/// What opening did.
#[derive(Debug, Clone, Default)]
pub struct OpenReport {
    /// Vdisks that were made.
    pub created: Vec<String>,
    /// Histories that were made: the vdisk's name, and the space.
    pub histories: Vec<(String, u64)>,
    /// Vdisks that grew: name, size before, size now.
    pub grown: Vec<(String, u64, u64)>,
    /// Vdisks on the disk that are not configured: name and size. They are kept.
    pub orphans: Vec<(String, u64)>,
    /// What people should be told, as sentences.
    pub messages: Vec<String>,
}

impl<D: Disk> VolumeSet<D> {
    /// Opens a disk's label, brings it to what is configured, and serves the vdisks, numbered as
    /// in `vdisks`. Nothing is written if anything is refused.
    ///
    /// # Errors
    /// A foreign or damaged disk, sizes that do not fit, the disk's failures.
    pub fn open<R: Driver>(
        disk_loop: DiskLoop<D>,
        driver: &mut R,
        vdisks: &[VdiskConfig],
        options: OpenOptions,
    ) -> Result<(VolumeSet<D>, OpenReport), VolumeError> {
        let disk = LabelledDisk::open(disk_loop, driver, options)?;
        Self::from_labelled(disk, driver, vdisks)
    }

    /// As [`VolumeSet::open`], with a disk whose label is known.
    ///
    /// # Errors
    /// As there.
    pub fn from_labelled<R: Driver>(
        mut disk: LabelledDisk<D>,
        driver: &mut R,
        vdisks: &[VdiskConfig],
    ) -> Result<(VolumeSet<D>, OpenReport), VolumeError> {
        for vdisk in vdisks {
            check_history(vdisk, disk.holds_data())?;
        }
        let specs: Vec<VdiskSpec> = vdisks.iter().map(|vdisk| vdisk.spec.clone()).collect();
        let plan = reconcile(disk.label(), &specs)?;
        let mut report = OpenReport {
            created: plan.create().to_vec(),
            histories: plan
                .histories()
                .map(|(vdisk, bytes)| (vdisk.to_owned(), bytes))
                .collect(),
            grown: plan.grow().to_vec(),
            orphans: plan.orphans().to_vec(),
            messages: Vec::new(),
        };
        let times = disk.times();
        disk.apply(driver, plan)?;
        disk.settle(driver)?;
        disk.open_times(driver)?;
        let opened_ns = driver.wall_clock().since_1970_ns(driver.now());
        let last_changes = LastChanges::opened(disk.label(), times.as_ref(), opened_ns);
        let label = disk.label().clone();
        let entries = label.by_name();
        let mut groups = Groups::default();
        let (mut catalog, mut open) = (Catalog::default(), Vec::with_capacity(vdisks.len()));
        let mut logged = Vec::new();
        for vdisk in vdisks {
            let name = &vdisk.spec.name;
            let entry = entries.get(name.as_str()).copied();
            let entry = entry.ok_or_else(|| unknown(&label, name))?;
            let known = read_known(entry, label.disk_uuid(), &mut (&mut disk, &mut *driver))?;
            let stream = groups.add_stream(disk.disk_loop_mut(), driver.now(), vdisk);
            let slot = enter(&mut catalog, entry)?;
            let last_change = last_changes.of(entry.uuid());
            let opened = open_vdisk(entry, known, stream, last_change);
            let opened = handle_trims(opened, vdisk.trims, disk.holds_data());
            let opened = match label.history_of(entry.uuid()) {
                Some(history) => {
                    let of = (vdisk, history);
                    open_history(&mut disk, driver, of, (entry, slot), opened, &mut logged)?
                }
                None => opened,
            };
            report.messages.extend_from_slice(opened.notices());
            open.push((slot, opened));
        }
        let label_notices = disk.take_messages();
        report.messages.extend(label_notices.iter().cloned());
        drop(entries);
        let label_is_stuck = disk.is_stuck();
        let (disk_loop, background) = disk.into_parts();
        let metadata = *background.get(BackgroundWork::Metadata);
        let trims = *background.get(BackgroundWork::Trims);
        let paid_by = (metadata, trims);
        let mut data_path = DataPath::new(disk_loop, paid_by, driver.now(), driver.wall_clock());
        for (slot, vdisk) in open {
            data_path.add(slot, vdisk);
        }
        let histories = add_logs(logged, &mut catalog, &mut data_path, driver);
        let set = VolumeSet {
            catalog,
            data_path,
            histories,
            groups,
            background,
            label,
            label_notices,
            label_is_stuck,
            last_changes,
            abandoned: false,
        };
        Ok((set, report))
    }
}

/// Where metadata is read from: a disk that is being opened, or one that is served.
impl<D: Disk, R: Driver> MetadataSource for (&mut LabelledDisk<D>, &mut R) {
    fn holds_data(&self) -> bool {
        self.0.holds_data()
    }

    fn is_read_only(&self) -> bool {
        self.0.is_read_only()
    }

    fn read(&mut self, doing: &'static str, at: u64, len: u64) -> Result<Vec<u8>, VolumeError> {
        self.0.blocking(&mut *self.1).read(doing, at, len)
    }

    fn content_map(&self) -> Option<&dyn ContentMap> {
        self.0.disk_loop().disk().content_map()
    }

    fn block_bytes(&self) -> u64 {
        u64::from(self.0.disk_loop().properties().block_bytes)
    }
}
