//! Opening: from a disk's label and a configuration to a set that serves.

use super::VolumeSet;
use crate::VolumeError;
use crate::allocation_map::{AllocationMap, SEARCHES_MAX};
use crate::data_path::DataPath;
use crate::driver::Driver;
use crate::geometry::pairs_bytes;
use crate::label::{Extent, VdiskEntry};
use crate::labelled::{LabelledDisk, OpenOptions};
use crate::layout::{Known, Layout, MappedExtent};
use crate::space::{VdiskSpec, reconcile};
use crate::target::{DiskIndex, Target};
use crate::vdisk::OpenVdisk;
use crate::zero_map::{MapKey, ZeroMap};
use disktime_disks::Disk;
use disktime_engine::{DiskLoop, StreamConfig, StreamId};
use disktime_units::Nanos;

/// A vdisk to be served.
#[derive(Debug, Clone)]
pub struct VdiskConfig {
    /// Name and size.
    pub spec: VdiskSpec,
    /// What its stream gets; in a group only its weight counts.
    pub stream: StreamConfig,
    /// The group whose account pays for it.
    pub group: Option<GroupConfig>,
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
        let specs: Vec<VdiskSpec> = vdisks.iter().map(|vdisk| vdisk.spec.clone()).collect();
        let plan = reconcile(disk.label(), &specs)?;
        let mut report = OpenReport {
            created: plan.create().to_vec(),
            grown: plan.grow().to_vec(),
            orphans: plan.orphans().to_vec(),
            messages: Vec::new(),
        };
        disk.apply(driver, plan)?;
        disk.settle(driver)?;
        let label = disk.label().clone();
        let entries = label.by_name();
        let mut open = Vec::with_capacity(vdisks.len());
        let mut groups = Vec::new();
        for vdisk in vdisks {
            let name = vdisk.spec.name.clone();
            let entry = entries.get(name.as_str());
            let entry = entry.ok_or(VolumeError::Unknown {
                name: name.clone(),
                present: Vec::new(),
            })?;
            let (known, is_damaged) = read_known(&mut disk, driver, entry)?;
            let stream = add_stream(disk.disk_loop_mut(), driver.now(), vdisk, &mut groups);
            let layout = layout_of(entry, known, stream);
            if is_damaged {
                report.messages.push(format!(
                    "the zero map of vdisk `{name}` is damaged, so what it holds cannot be told \
                     from what the disk held before; every request for it fails until it is \
                     restored, or freed with `disktime remove CONFIG {name}`"
                ));
            }
            open.push(OpenVdisk::new(name, stream, layout, is_damaged));
        }
        report.messages.append(&mut disk.take_messages());
        drop(entries);
        let (disk_loop, system) = disk.into_parts();
        let mut data_path = DataPath::new(disk_loop, system, driver.now());
        for vdisk in open {
            data_path.add(vdisk);
        }
        let set = VolumeSet {
            data_path,
            groups,
            system,
            label,
            abandoned: false,
        };
        Ok((set, report))
    }
}

/// The stream of a vdisk; its group is added before the first of its members.
fn add_stream<D: Disk>(
    disk_loop: &mut DiskLoop<D>,
    now: Nanos,
    vdisk: &VdiskConfig,
    groups: &mut Vec<(String, StreamId)>,
) -> StreamId {
    let Some(group) = &vdisk.group else {
        return disk_loop.add_stream(now, vdisk.stream);
    };
    let known = groups.iter().find(|(name, _)| *name == group.name);
    let account = match known {
        Some((_, account)) => *account,
        None => {
            let account = disk_loop.add_group(now, group.stream);
            groups.push((group.name.clone(), account));
            account
        }
    };
    disk_loop.add_member(now, account, vdisk.stream.weight)
}

/// The layout of a vdisk from its entry and from what is known of each extent.
fn layout_of(entry: &VdiskEntry, known: Vec<Known>, stream: StreamId) -> Layout {
    let mut start_bytes = 0;
    let map = |(extent, known): (&Extent, Known)| {
        let range = (start_bytes, start_bytes + extent.len_bytes);
        start_bytes = range.1;
        let target = Target::new(DiskIndex::FIRST, extent.offset_bytes, stream);
        MappedExtent::new(range, target, known)
    };
    let extents = entry.extents().iter().zip(known).map(map).collect();
    Layout::new(extents, entry.size_bytes())
}

/// What is known of each extent of a vdisk, and whether a zero map is damaged.
fn read_known<D: Disk, R: Driver>(
    disk: &mut LabelledDisk<D>,
    driver: &mut R,
    entry: &VdiskEntry,
) -> Result<(Vec<Known>, bool), VolumeError> {
    let mut known = Vec::with_capacity(entry.extents().len());
    let mut is_damaged = false;
    let mut searches_left = SEARCHES_MAX;
    for extent in entry.extents() {
        known.push(match extent.map_offset_bytes {
            Some(map_offset_bytes) => {
                let key = MapKey::new(entry.uuid(), disk.label().disk_uuid(), map_offset_bytes);
                let found = read_map(disk, driver, key, extent, map_offset_bytes)?;
                is_damaged |= found.is_none();
                Known::Written(found.unwrap_or_else(|| ZeroMap::fresh(key, extent.len_bytes)))
            }
            None if disk.holds_data() => {
                let range = (extent.offset_bytes, extent.offset_bytes + extent.len_bytes);
                let content = disk.disk_loop().disk().content_map();
                let data_after = |from, to| match content {
                    Some(map) => map.data_after(from, to),
                    None => Some((from, to)),
                };
                Known::Allocated(AllocationMap::read(range, &mut searches_left, data_after))
            }
            None => Known::Nothing,
        });
    }
    Ok((known, is_damaged))
}

/// The zero map of an extent; `None` if it is damaged.
fn read_map<D: Disk, R: Driver>(
    disk: &mut LabelledDisk<D>,
    driver: &mut R,
    key: MapKey,
    extent: &Extent,
    map_offset_bytes: u64,
) -> Result<Option<ZeroMap>, VolumeError> {
    if !disk.holds_data() {
        return Ok(Some(ZeroMap::fresh(key, extent.len_bytes)));
    }
    let len_bytes = pairs_bytes(extent.len_bytes);
    let mut blocking = disk.blocking(driver);
    let bytes = blocking.read("reading a zero map", map_offset_bytes, len_bytes)?;
    Ok(ZeroMap::decode(key, extent.len_bytes, &bytes))
}
