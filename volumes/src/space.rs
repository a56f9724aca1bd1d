//! Space on a disk: first-fit extents and rooms, and what has to change so that the disk holds the
//! vdisks that a configuration names. Pure; nothing here reads or writes a disk.
//!
//! Invariants: extents, maps and rooms are multiples of 1 MiB and disjoint; an extent has a map, or
//! lies wholly in known-zero space; a plan keeps every vdisk that was
//! there; what a plan allocates is free in the table before it as well, so that a crash at any
//! moment finds nothing overwritten.

mod clones;
mod free;
mod histories;
mod joined;

use crate::VolumeError;
use crate::geometry::region_bytes;
use crate::label::{
    EXTENT_ALIGNMENT_BYTES, Extent, HistoryEntry, Label, MAX_NAME_BYTES, Place, Rooms, Uuid,
    VdiskEntry,
};
pub(crate) use clones::{geometry_of_clone, with_clone};
use free::FreeSpace;
pub(crate) use histories::slots_in;
pub use histories::{MAX_HISTORY_BYTES, MIN_HISTORY_BYTES};
pub use joined::{Misfit, PlannedDisk, reconcile_joined};
use std::collections::{HashMap, HashSet};

/// What the configuration says of a vdisk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VdiskSpec {
    /// Its name.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// What is made of it now gets zero maps even where the disk is zeroes, so that holes can be
    /// recorded.
    pub maps_holes: bool,
    /// The space of its history, if it has one.
    pub history_bytes: Option<u64>,
    /// It has none, and one that is there is given up.
    pub history_off: bool,
    /// The disk of its log, by its position among those that are planned together; `None`: its own.
    pub log_disk: Option<usize>,
}

/// What has to change on the disk.
#[derive(Debug, Clone)]
pub struct Plan {
    label: Label,
    create: Vec<String>,
    grow: Vec<(String, u64, u64)>,
    orphans: Vec<(String, u64)>,
    new_maps: Vec<(Uuid, Extent)>,
    new_histories: Vec<NewHistory>,
    grown_histories: Vec<(String, u64, u64)>,
    /// Vdisks whose histories are given up when they are open, with the space of their logs.
    ended_histories: Vec<(String, u64)>,
    unlinked: Vec<String>,
    /// Records of vdisks whose new logs lie on other disks: written when those are.
    links: Vec<HistoryEntry>,
    /// Logs that are there and that no image knows of.
    unknown_logs: Vec<(String, HistoryEntry)>,
    takes_rooms: bool,
}

/// A history that is made.
#[derive(Debug, Clone)]
pub(crate) struct NewHistory {
    /// The vdisk's name.
    pub vdisk: String,
    /// Where it lies.
    pub entry: HistoryEntry,
    /// What its log is.
    pub geometry: disktime_history::Geometry,
}

impl Plan {
    /// The table afterwards. Writing it counts its generation.
    pub fn label(&self) -> &Label {
        &self.label
    }

    /// Vdisks that are new.
    pub fn create(&self) -> &[String] {
        &self.create
    }

    /// Vdisks that grow: name, size before, size afterwards.
    pub fn grow(&self) -> &[(String, u64, u64)] {
        &self.grow
    }

    /// Vdisks on the disk that the configuration does not name; kept. Name and size.
    pub fn orphans(&self) -> &[(String, u64)] {
        &self.orphans
    }

    /// Extents whose zero maps must be on the disk before the table is, with their vdisks' uuids.
    pub fn new_maps(&self) -> &[(Uuid, Extent)] {
        &self.new_maps
    }

    /// Histories that are new: the vdisk's name, and the space.
    pub fn histories(&self) -> impl Iterator<Item = (&str, u64)> {
        let new = self.new_histories.iter();
        new.map(|history| (&*history.vdisk, history.entry.area_bytes()))
    }

    /// Histories whose logs here get more space: the vdisk's name, the space before and afterwards.
    pub fn grown_histories(&self) -> &[(String, u64, u64)] {
        &self.grown_histories
    }

    /// Histories that are given up once they are open, with the space of their logs: the table that
    /// is planned still has them.
    pub fn ended_histories(&self) -> &[(String, u64)] {
        &self.ended_histories
    }

    /// Vdisks whose histories were given up, but for their records: the table that is planned has
    /// none.
    pub fn unlinked(&self) -> &[String] {
        &self.unlinked
    }

    /// Those that are new, with all that is to be written.
    pub(crate) fn new_histories(&self) -> &[NewHistory] {
        &self.new_histories
    }

    /// Whether nothing has to be written.
    pub fn is_empty(&self) -> bool {
        let makes_none = self.new_histories.is_empty() && self.links.is_empty();
        let grows = !self.grow.is_empty() || !self.grown_histories.is_empty();
        self.create.is_empty() && !grows && makes_none && self.unlinked.is_empty()
    }

    /// Logs that are on the disk and that no image knows of, with their vdisks' names: left from
    /// when a history was being made, if nothing was written to them.
    pub(crate) fn unknown_logs(&self) -> &[(String, HistoryEntry)] {
        &self.unknown_logs
    }

    /// The plan without the records of logs on other disks, and the table with them, if there are
    /// any: no image says that it has a log before there is one.
    pub(crate) fn split_links(mut self) -> (Plan, Option<Label>) {
        let links = std::mem::take(&mut self.links);
        let linked = (!links.is_empty()).then(|| self.label.clone());
        for link in &links {
            self.label.take_out_history(link.vdisk());
        }
        (self, linked)
    }

    /// Whether something is written to newly allocated space before the table names it.
    pub(crate) fn writes_ahead(&self) -> bool {
        !self.new_maps.is_empty() || !self.new_histories.is_empty() || self.takes_rooms
    }

    pub(crate) fn into_label(self) -> Label {
        self.label
    }
}

/// What has to change on a disk of `label.size_bytes()` so that it holds `specs`.
///
/// # Errors
/// The first vdisk that does not fit, shrinks, or has a name that the label cannot hold. Nothing
/// has changed then.
pub fn reconcile(label: &Label, specs: &[VdiskSpec]) -> Result<Plan, VolumeError> {
    let alone = PlannedDisk {
        label,
        is_new: false,
        specs,
    };
    let mut planner = Planner::new(alone)?;
    planner.finish()?;
    Ok(planner.plan)
}

/// The table without a vdisk.
///
/// # Errors
/// When there is no such vdisk, with those that are there.
pub fn without(label: &Label, name: &str) -> Result<Label, VolumeError> {
    let mut next = label.clone();
    if !next.take_out(name) {
        let vdisks = label.vdisks().iter();
        return Err(VolumeError::Unknown {
            name: name.to_owned(),
            present: vdisks.map(|vdisk| vdisk.name().to_owned()).collect(),
        });
    }
    // A table that became shorter needs no new rooms.
    place_table(&mut next, &mut FreeSpace::of(label))?;
    Ok(next)
}

/// The table without the log of a vdisk of another disk.
pub(crate) fn without_log(label: &Label, vdisk: Uuid) -> Result<Label, VolumeError> {
    let mut next = label.clone();
    next.take_out_history(vdisk);
    place_table(&mut next, &mut FreeSpace::of(label))?;
    Ok(next)
}

/// The table of the disk of a log whose image has all of it.
pub(crate) fn with_log_given_up(label: &Label, vdisk: Uuid) -> Result<Label, VolumeError> {
    let mut next = label.clone();
    let given_up = next.history_of(vdisk).map(HistoryEntry::given_up);
    next.take_out_history(vdisk);
    given_up
        .into_iter()
        .for_each(|entry| next.add_history(entry));
    place_table(&mut next, &mut FreeSpace::of(label))?;
    Ok(next)
}

/// The table with a vdisk under another name, and whether it needs new rooms for that: what is
/// written there has to stop being called known zero first.
///
/// # Errors
/// When there is no such vdisk, the new name is taken or does not fit, or there is no room.
pub(crate) fn renamed(label: &Label, old: &str, new: &str) -> Result<(Label, bool), VolumeError> {
    let mut next = label.clone();
    check_spec(&VdiskSpec {
        name: new.to_owned(),
        size_bytes: 1,
        maps_holes: false,
        history_bytes: None,
        history_off: false,
        log_disk: None,
    })?;
    if next.find(new).is_some() {
        let (name, reason) = (new.to_owned(), "another vdisk of the disk has that name");
        return Err(VolumeError::BadSpec { name, reason });
    }
    if !next.rename(old, new) {
        let vdisks = label.vdisks().iter();
        return Err(VolumeError::Unknown {
            name: old.to_owned(),
            present: vdisks.map(|vdisk| vdisk.name().to_owned()).collect(),
        });
    }
    let takes_rooms = place_table(&mut next, &mut FreeSpace::of(label))?;
    next.check_bounds()?;
    Ok((next, takes_rooms))
}

/// Bytes that are free for extents and maps.
pub fn free_bytes(label: &Label) -> u64 {
    FreeSpace::of(label).bytes()
}

/// Vdisks on the disk that `specs` does not name, with their sizes.
pub(crate) fn orphans(label: &Label, specs: &[VdiskSpec]) -> Vec<(String, u64)> {
    let named: HashSet<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
    let vdisks = label.vdisks().iter();
    vdisks
        .filter(|vdisk| !named.contains(vdisk.name()))
        .map(|vdisk| (vdisk.name().to_owned(), vdisk.size_bytes()))
        .collect()
}

fn positions(label: &Label) -> HashMap<String, usize> {
    let vdisks = label.vdisks().iter().enumerate();
    vdisks
        .map(|(position, vdisk)| (vdisk.name().to_owned(), position))
        .collect()
}

fn check_spec(spec: &VdiskSpec) -> Result<(), VolumeError> {
    let name = spec.name.clone();
    if spec.name.is_empty() || spec.name.len() > MAX_NAME_BYTES {
        let reason = "1 to 128 bytes are accepted";
        return Err(VolumeError::Name { name, reason });
    }
    if spec.size_bytes == 0 || spec.size_bytes >= 1 << 62 {
        let reason = "its size is accepted from 1 byte to below 4 EiB";
        return Err(VolumeError::BadSpec { name, reason });
    }
    Ok(())
}

/// Has the table of vdisks lie inside if a copy has room for it, else in rooms that hold it: those
/// that it has, or new ones. Whether they are new.
fn place_table(label: &mut Label, free: &mut FreeSpace) -> Result<bool, VolumeError> {
    if label.fits_inside() {
        label.place_table(Place::Inside);
        return Ok(false);
    }
    let table_bytes = label.table_bytes();
    if matches!(label.table_place(), Place::Outside(rooms) if rooms.hold(table_bytes)) {
        return Ok(false);
    }
    let room_bytes = Rooms::bytes_for(table_bytes);
    let mut take = || {
        let taken = free.take_whole(room_bytes);
        taken.ok_or(VolumeError::NoLabelRoom { room_bytes })
    };
    let offsets = [take()?, take()?];
    let rooms = Rooms::new(offsets, room_bytes);
    label.place_table(Place::Outside(rooms));
    for (_, end) in rooms.ranges() {
        label.end_known_zero_before(end);
    }
    Ok(true)
}

/// A plan that is being made.
struct Planner {
    plan: Plan,
    /// Free in the table before and in that of the plan.
    free: FreeSpace,
    /// Of the plan's vdisks, by name.
    positions: HashMap<String, usize>,
}

impl Planner {
    /// Plans the vdisks of a disk, with those of their histories that lie there, too.
    fn new(disk: PlannedDisk<'_>) -> Result<Planner, VolumeError> {
        let (label, specs) = (disk.label, disk.specs);
        let mut planner = Planner {
            free: FreeSpace::of(label),
            positions: positions(label),
            plan: Plan {
                label: label.clone(),
                create: Vec::new(),
                grow: Vec::new(),
                orphans: orphans(label, specs),
                new_maps: Vec::new(),
                new_histories: Vec::new(),
                grown_histories: Vec::new(),
                ended_histories: Vec::new(),
                unlinked: Vec::new(),
                links: Vec::new(),
                unknown_logs: Vec::new(),
                takes_rooms: false,
            },
        };
        let mut named = HashSet::with_capacity(specs.len());
        for spec in specs {
            check_spec(spec)?;
            if !named.insert(spec.name.as_str()) {
                let reason = "it is named twice; every vdisk of a disk has its own name";
                return Err(VolumeError::BadSpec {
                    name: spec.name.clone(),
                    reason,
                });
            }
            planner.fit(spec)?;
        }
        Ok(planner)
    }

    /// Places the table, and sees whether it can be written.
    fn finish(&mut self) -> Result<(), VolumeError> {
        let plan = &mut self.plan;
        if !plan.is_empty() {
            plan.takes_rooms = place_table(&mut plan.label, &mut self.free)?;
        }
        plan.label.check_bounds()
    }

    fn fit(&mut self, spec: &VdiskSpec) -> Result<(), VolumeError> {
        match self.positions.get(&spec.name) {
            Some(position) => self.grow(*position, spec)?,
            None => self.create(spec)?,
        }
        match spec.log_disk.filter(|_| spec.history_bytes.is_some()) {
            None => self.fit_history(spec),
            Some(_) => Ok(()),
        }
    }

    fn create(&mut self, spec: &VdiskSpec) -> Result<(), VolumeError> {
        let label = &self.plan.label;
        let words: [&[u8]; 3] = [
            &label.disk_uuid().to_bytes(),
            &label.generation().to_le_bytes(),
            spec.name.as_bytes(),
        ];
        let uuid = Uuid::derive(0, &words);
        let extents = self.allocate(spec, uuid, spec.size_bytes)?;
        let (name, size_bytes) = (spec.name.clone(), spec.size_bytes);
        let position = self.plan.label.vdisks().len();
        self.positions.insert(name.clone(), position);
        let entry = VdiskEntry::new(name, uuid, size_bytes, extents);
        self.plan.label.add(entry);
        self.plan.create.push(spec.name.clone());
        Ok(())
    }

    fn grow(&mut self, position: usize, spec: &VdiskSpec) -> Result<(), VolumeError> {
        let vdisk = &self.plan.label.vdisks()[position];
        let (uuid, has_bytes) = (vdisk.uuid(), vdisk.size_bytes());
        let (name, wanted_bytes) = (spec.name.clone(), spec.size_bytes);
        if wanted_bytes < has_bytes {
            return Err(VolumeError::Shrinks {
                name,
                has_bytes,
                wanted_bytes,
            });
        }
        if wanted_bytes == has_bytes {
            return Ok(());
        }
        if self.plan.label.history_of(uuid).is_some() {
            histories::check_size(&name, wanted_bytes)?;
        }
        let laid_out: u64 = vdisk.extents().iter().map(|extent| extent.len_bytes).sum();
        let missing = wanted_bytes.saturating_sub(laid_out);
        let more = self.allocate(spec, uuid, missing)?;
        self.plan.label.vdisk_mut(position).grow(wanted_bytes, more);
        self.plan.grow.push((name, has_bytes, wanted_bytes));
        Ok(())
    }

    /// Extents for `size_bytes` more of a vdisk, with their maps where they need any. They are
    /// taken from the free space, but not yet entered into a vdisk.
    fn allocate(
        &mut self,
        spec: &VdiskSpec,
        uuid: Uuid,
        size_bytes: u64,
    ) -> Result<Vec<Extent>, VolumeError> {
        let len_bytes = size_bytes.next_multiple_of(EXTENT_ALIGNMENT_BYTES);
        let free_bytes = self.free.bytes();
        let orphans = &self.plan.orphans;
        let refuse = |needed_bytes| VolumeError::NoSpace {
            name: spec.name.clone(),
            needed_bytes,
            free_bytes,
            orphans: orphans.iter().map(|orphan| orphan.0.clone()).collect(),
        };
        let mut needed_bytes = len_bytes;
        let zero = self.plan.label.known_zero();
        let ranges = self.free.take(len_bytes);
        let ranges = ranges.ok_or_else(|| refuse(needed_bytes))?;
        let mut extents: Vec<Extent> = ranges
            .into_iter()
            .flat_map(|range| split_at_known_zero(range, zero))
            .map(|(start, end)| Extent {
                offset_bytes: start,
                len_bytes: end - start,
                map_offset_bytes: None,
            })
            .collect();
        let ends = extents.iter().map(|e| e.offset_bytes + e.len_bytes);
        let mut taken_end = ends.max().unwrap_or(0);
        for extent in &mut extents {
            let is_zero = extent.offset_bytes >= zero.0 && extent.offset_bytes < zero.1;
            if is_zero && !spec.maps_holes {
                continue;
            }
            let map_bytes = region_bytes(extent.len_bytes);
            needed_bytes += map_bytes;
            let place = self.free.take_whole(map_bytes);
            let place = place.ok_or_else(|| refuse(needed_bytes))?;
            taken_end = taken_end.max(place + map_bytes);
            extent.map_offset_bytes = Some(place);
            self.plan.new_maps.push((uuid, *extent));
        }
        self.plan.label.end_known_zero_before(taken_end);
        Ok(extents)
    }
}

/// Cuts a range where known-zero space begins and ends.
fn split_at_known_zero(range: (u64, u64), zero: (u64, u64)) -> Vec<(u64, u64)> {
    let end = zero.1 / EXTENT_ALIGNMENT_BYTES * EXTENT_ALIGNMENT_BYTES;
    let start = zero.0.next_multiple_of(EXTENT_ALIGNMENT_BYTES);
    let mut pieces = Vec::with_capacity(3);
    let mut at = range.0;
    for cut in [start, end, range.1] {
        let cut = cut.clamp(range.0, range.1);
        if cut > at {
            pieces.push((at, cut));
            at = cut;
        }
    }
    pieces
}
