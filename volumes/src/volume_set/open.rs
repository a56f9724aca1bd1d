//! Opening: from a disk's label and a configuration to a set that serves.

use super::VolumeSet;
use super::clones::CloneWorks;
use super::groups::Groups;
use super::known::{MetadataSource, enter, handle_trims, open_vdisk, read_known, unknown};
use super::known_clones::{CloneConfigs, FoundClones};
use super::last_changes::LastChanges;
use super::logs::{HistoryConfig, NewLog, open_history};
use crate::VolumeError;
use crate::catalog::Catalog;
use crate::data_path::DataPath;
use crate::driver::Driver;
use crate::histories::{Histories, Numbering};
use crate::ids::VdiskSlot;
use crate::joined::JoinedSets;
use crate::label::{ChangeTimes, Label};
use crate::labelled::{LabelledDisk, OpenOptions};
use crate::space::{Plan, VdiskSpec};
use crate::vdisk::OpenVdisk;
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
    /// Histories whose logs here got more space: the vdisk's name, the space before and now.
    pub grown_histories: Vec<(String, u64, u64)>,
    /// Histories that were given up: the vdisk's name, and the space of the log.
    pub ended_histories: Vec<(String, u64)>,
    /// Vdisks that grew: name, size before, size now.
    pub grown: Vec<(String, u64, u64)>,
    /// Vdisks on the disk that are not configured: name and size. They are kept.
    pub orphans: Vec<(String, u64)>,
    /// What people should be told, as sentences.
    pub messages: Vec<String>,
}

impl<D: Disk> VolumeSet<D> {
    /// Opens a disk's label, brings it to what is configured, and serves the vdisks, numbered as
    /// in `vdisks`, with their logs on the same disk. Nothing is written if anything is refused.
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
        disk: LabelledDisk<D>,
        driver: &mut R,
        vdisks: &[VdiskConfig],
    ) -> Result<(VolumeSet<D>, OpenReport), VolumeError> {
        let opened = JoinedSets::from_labelled(vec![disk], driver, &[vdisks.to_vec()]);
        let (joined, mut reports) = opened.map_err(|misfit| misfit.error)?;
        Ok((joined.into_single(), reports.remove(0)))
    }
}

impl OpenReport {
    /// What carrying out a plan does.
    pub(crate) fn of(plan: &Plan) -> OpenReport {
        let histories = plan.histories();
        OpenReport {
            created: plan.create().to_vec(),
            histories: histories
                .map(|(vdisk, bytes)| (vdisk.to_owned(), bytes))
                .collect(),
            grown_histories: plan.grown_histories().to_vec(),
            ended_histories: Vec::new(),
            grown: plan.grow().to_vec(),
            orphans: plan.orphans().to_vec(),
            messages: Vec::new(),
        }
    }
}

/// A set whose label is in order, until it is served.
pub(crate) struct SetOpening {
    catalog: Catalog,
    groups: Groups,
    open: Vec<(VdiskSlot, OpenVdisk)>,
    last_changes: LastChanges,
    label: Label,
}

impl SetOpening {
    /// Opens the vdisks of a disk, without their logs. `number`: that of the set; `times`: what the
    /// label said of them before.
    pub(crate) fn begin<D: Disk, R: Driver>(
        number: u8,
        disk: &mut LabelledDisk<D>,
        driver: &mut R,
        times: Option<&ChangeTimes>,
        vdisks: &[VdiskConfig],
    ) -> Result<SetOpening, VolumeError> {
        let opened_ns = driver.wall_clock().since_1970_ns(driver.now());
        let label = disk.label().clone();
        let mut opening = SetOpening {
            catalog: Catalog::of_set(number),
            groups: Groups::default(),
            open: Vec::with_capacity(vdisks.len()),
            last_changes: LastChanges::opened(&label, times, opened_ns),
            label,
        };
        let entries = opening.label.by_name();
        for vdisk in vdisks {
            let name = &vdisk.spec.name;
            let entry = entries.get(name.as_str()).copied();
            let entry = entry.ok_or_else(|| unknown(&opening.label, name))?;
            let disk_uuid = opening.label.disk_uuid();
            let known = read_known(entry, disk_uuid, &mut (&mut *disk, &mut *driver))?;
            let groups = &mut opening.groups;
            let stream = groups.add_stream(disk.disk_loop_mut(), driver.now(), vdisk);
            let slot = enter(&mut opening.catalog, entry)?;
            let last_change = opening.last_changes.of(entry.uuid());
            let opened = open_vdisk(entry, known, stream, last_change);
            let opened = handle_trims(opened, vdisk.trims, disk.holds_data());
            opening.open.push((slot, opened));
        }
        Ok(opening)
    }

    /// Opens the logs of its vdisks, which are in the order of `vdisks`.
    pub(crate) fn open_histories<D: Disk, R: Driver>(
        &mut self,
        number: usize,
        disks: &mut [LabelledDisk<D>],
        driver: &mut R,
        vdisks: &[VdiskConfig],
    ) -> Result<Vec<NewLog>, VolumeError> {
        let entries = self.label.by_name();
        let mut logged = Vec::new();
        let open = std::mem::take(&mut self.open);
        for ((slot, opened), vdisk) in open.into_iter().zip(vdisks) {
            let log = vdisk.spec.log_disk.unwrap_or(number);
            let opened = match entries.get(vdisk.spec.name.as_str()) {
                Some(entry) => {
                    let of = (vdisk, *entry, slot);
                    open_history(disks, driver, (number, log), of, opened, &mut logged)?
                }
                None => opened,
            };
            self.open.push((slot, opened));
        }
        Ok(logged)
    }

    /// Opens the clones that the logs of its vdisks record.
    pub(crate) fn open_clones<D: Disk, R: Driver>(
        &self,
        number: usize,
        disks: &mut [LabelledDisk<D>],
        driver: &mut R,
        (logged, vdisks): (&mut [NewLog], &[VdiskConfig]),
        configs: &mut CloneConfigs<'_>,
    ) -> Result<FoundClones, VolumeError> {
        let names: Vec<&str> = vdisks.iter().map(|vdisk| &*vdisk.spec.name).collect();
        let logged = (logged, &*names);
        FoundClones::open(number, disks, driver, logged, configs)
    }

    /// The set that serves them, and what people should be told of it.
    pub(crate) fn finish<D: Disk, R: Driver>(
        self,
        mut disk: LabelledDisk<D>,
        driver: &mut R,
    ) -> (VolumeSet<D>, Vec<String>) {
        let notices = self.open.iter().flat_map(|(_, vdisk)| vdisk.notices());
        let mut messages: Vec<String> = notices.cloned().collect();
        let label_notices = disk.take_messages();
        messages.extend(label_notices.iter().cloned());
        let label_is_stuck = disk.is_stuck();
        // Logs of clones that were dropped may have been freed since it was read.
        let label = disk.label().clone();
        let (disk_loop, background) = disk.into_parts();
        let metadata = *background.get(BackgroundWork::Metadata);
        let trims = *background.get(BackgroundWork::Trims);
        let (now, wall_clock) = (driver.now(), driver.wall_clock());
        let mut data_path = DataPath::new(disk_loop, (metadata, trims), now, wall_clock);
        for (slot, vdisk) in self.open {
            data_path.add(slot, vdisk);
        }
        let set = VolumeSet {
            catalog: self.catalog,
            data_path,
            histories: Histories::new(Numbering::ALONE, wall_clock, now),
            history_streams: Vec::new(),
            groups: self.groups,
            background,
            label,
            label_notices,
            label_is_stuck,
            last_changes: self.last_changes,
            clone_works: CloneWorks::default(),
            abandoned: false,
        };
        (set, messages)
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
