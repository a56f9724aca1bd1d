//! What a label says, whatever its version: the disk, its vdisks, and what is kept for other
//! programs.
//!
//! Invariants, which hold for every label that was decoded or planned: extents, zero maps and rooms
//! are multiples of 1 MiB, disjoint, and between the first MiB and the end of the disk; nothing of
//! them lies in known-zero space; a vdisk is no larger than its extents; names and uuids are
//! unique.

use super::directory::{KIND_HISTORIES, KIND_VDISKS, KeptSection, Place};
use super::features::{Features, ProgramVersion};
use super::histories::HistoryEntry;
use super::{EXTENT_ALIGNMENT_BYTES, MAX_SECTION_BYTES, MAX_VDISKS, VERSION, vdisks};
use crate::VolumeError;
use crate::uuid::Uuid;
use std::collections::{HashMap, HashSet};

/// A part of a vdisk on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Where on the disk.
    pub offset_bytes: u64,
    /// How long.
    pub len_bytes: u64,
    /// Where its zero map lies; `None` when the extent was zero on the disk from the start.
    pub map_offset_bytes: Option<u64>,
}

/// A vdisk as the label has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VdiskEntry {
    name: String,
    uuid: Uuid,
    size_bytes: u64,
    extents: Vec<Extent>,
}

/// The whole table of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    pub(super) version: u32,
    pub(super) generation: u64,
    pub(super) disk_uuid: Uuid,
    pub(super) size_bytes: u64,
    pub(super) known_zero_from: u64,
    pub(super) known_zero_to: u64,
    pub(super) features: Features,
    pub(super) written_by: ProgramVersion,
    /// In the order of their creation.
    pub(super) vdisks: Vec<VdiskEntry>,
    /// In the order of their creation.
    pub(super) histories: Vec<HistoryEntry>,
    /// Where the section of the vdisks lies.
    pub(super) table_place: Place,
    /// Sections that a program may skip, by ascending kind: the times, and unknown ones.
    pub(super) kept: Vec<KeptSection>,
}

impl VdiskEntry {
    pub(crate) fn new(name: String, uuid: Uuid, size_bytes: u64, extents: Vec<Extent>) -> Self {
        VdiskEntry {
            name,
            uuid,
            size_bytes,
            extents,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its own for ever; part of every block of its zero maps.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// Its size; at most the sum of its extents.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Its extents, in the order of its address space.
    pub fn extents(&self) -> &[Extent] {
        &self.extents
    }

    /// Makes it `size_bytes` large, with `more` extents at its end.
    pub(crate) fn grow(&mut self, size_bytes: u64, more: Vec<Extent>) {
        self.extents.extend(more);
        self.size_bytes = size_bytes;
    }
}

impl Label {
    /// An empty table for a disk; all of it is known zero if `known_zero`.
    pub fn empty(disk_uuid: Uuid, size_bytes: u64, known_zero: bool) -> Label {
        let known_zero_to = if known_zero {
            size_bytes
        } else {
            EXTENT_ALIGNMENT_BYTES
        };
        Label {
            version: VERSION,
            generation: 0,
            disk_uuid,
            size_bytes,
            known_zero_from: EXTENT_ALIGNMENT_BYTES,
            known_zero_to,
            features: Features::default(),
            written_by: ProgramVersion::this(),
            vdisks: Vec::new(),
            histories: Vec::new(),
            table_place: Place::Inside,
            kept: Vec::new(),
        }
    }

    /// The version that was found on the disk. What is written has the newest one.
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Counts the updates.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The disk's uuid.
    pub fn disk_uuid(&self) -> Uuid {
        self.disk_uuid
    }

    /// The disk's size when this was written.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The space that was zero at formatting and was never given to anything since: from, to.
    pub fn known_zero(&self) -> (u64, u64) {
        (self.known_zero_from, self.known_zero_to)
    }

    /// What the disk uses that not every program understands.
    pub fn features(&self) -> Features {
        self.features
    }

    /// The program that wrote it.
    pub fn written_by(&self) -> ProgramVersion {
        self.written_by
    }

    /// The vdisks in the order of their creation.
    pub fn vdisks(&self) -> &[VdiskEntry] {
        &self.vdisks
    }

    /// The vdisk of that name. For many names, [`Label::by_name`].
    pub fn find(&self, name: &str) -> Option<&VdiskEntry> {
        self.vdisks.iter().find(|vdisk| vdisk.name == name)
    }

    /// All vdisks by name.
    pub fn by_name(&self) -> HashMap<&str, &VdiskEntry> {
        let vdisks = self.vdisks.iter();
        vdisks.map(|vdisk| (vdisk.name(), vdisk)).collect()
    }

    /// Where the table of vdisks lies.
    pub fn table_place(&self) -> Place {
        self.table_place
    }

    /// Bytes of the table of vdisks.
    pub(crate) fn table_bytes(&self) -> u64 {
        vdisks::table_bytes(&self.vdisks) as u64
    }

    /// Every range that is in use, the first MiB excepted, in no order.
    pub fn used_ranges(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let of_extent = |extent: &Extent| {
            let data = (extent.offset_bytes, extent.offset_bytes + extent.len_bytes);
            let map = extent.map_offset_bytes.map(|start| {
                let len_bytes = crate::geometry::region_bytes(extent.len_bytes);
                (start, start + len_bytes)
            });
            std::iter::once(data).chain(map)
        };
        let extents = self.vdisks.iter().flat_map(|vdisk| &vdisk.extents);
        let of_vdisks = extents.flat_map(of_extent);
        of_vdisks
            .chain(self.area_ranges())
            .chain(self.room_ranges())
    }

    /// End of the last range in use.
    pub(crate) fn used_end(&self) -> u64 {
        let ends = self.used_ranges().map(|range| range.1);
        ends.max().unwrap_or(EXTENT_ALIGNMENT_BYTES)
    }

    fn room_ranges(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let kept = self.kept.iter().map(|section| section.place);
        let places = std::iter::once(self.table_place).chain(kept);
        places.flat_map(|place| match place {
            Place::Inside => Vec::new(),
            Place::Outside(rooms) => rooms.ranges().to_vec(),
        })
    }

    /// What a label written by this program always is; a foreign or damaged one might not be.
    pub(super) fn is_consistent(&self) -> bool {
        self.generation < u64::MAX
            && self.numbers_fit()
            && self.ranges_are_apart()
            && self.vdisks.iter().all(VdiskEntry::is_consistent)
            && self.identities_are_unique()
            && self.histories_are_consistent()
            && self
                .kept
                .iter()
                .all(|section| section.kind > KIND_VDISKS && section.kind != KIND_HISTORIES)
    }

    /// Whether no sum of offset and length overflows, so that the other checks may add.
    fn numbers_fit(&self) -> bool {
        let bound = 1u64 << 62;
        self.vdisks.iter().all(|vdisk| {
            vdisk.extents.iter().all(|extent| {
                extent.offset_bytes < bound
                    && extent.len_bytes < bound
                    && extent.map_offset_bytes.unwrap_or(0) < bound
            })
        }) && self.histories.iter().all(|history| {
            let mut extents = history.extents().iter();
            extents.all(|(start, len)| *start < bound && *len < bound)
        })
    }

    fn ranges_are_apart(&self) -> bool {
        let mut ranges: Vec<(u64, u64)> = self.used_ranges().collect();
        ranges.sort_unstable();
        let (zero_from, zero_to) = self.known_zero();
        let apart = ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0);
        apart
            && ranges.iter().all(|(start, end)| {
                let is_known_zero = *start < zero_to && zero_from < *end && zero_from < zero_to;
                start.is_multiple_of(EXTENT_ALIGNMENT_BYTES)
                    && *start >= EXTENT_ALIGNMENT_BYTES
                    && start < end
                    && *end <= self.size_bytes
                    && !is_known_zero
            })
    }

    fn identities_are_unique(&self) -> bool {
        let (mut names, mut uuids) = (HashSet::new(), HashSet::new());
        self.vdisks
            .iter()
            .all(|vdisk| names.insert(vdisk.name()) && uuids.insert(vdisk.uuid))
    }
}

impl VdiskEntry {
    fn is_consistent(&self) -> bool {
        let mut lengths = self.extents.iter().map(|extent| extent.len_bytes);
        let total = lengths.clone().try_fold(0u64, u64::checked_add);
        total.is_some_and(|total| self.size_bytes <= total)
            && lengths.all(|len| len.is_multiple_of(EXTENT_ALIGNMENT_BYTES))
    }
}

/// Changes. They keep the generation; an update counts it up when it is written.
impl Label {
    /// Adds a vdisk.
    pub(crate) fn add(&mut self, vdisk: VdiskEntry) {
        self.vdisks.push(vdisk);
    }

    /// The vdisk at a position, to grow it.
    pub(crate) fn vdisk_mut(&mut self, position: usize) -> &mut VdiskEntry {
        &mut self.vdisks[position]
    }

    /// Takes the vdisk of that name out, with its history; whether there was one.
    pub(crate) fn take_out(&mut self, name: &str) -> bool {
        let Some(at) = self.vdisks.iter().position(|vdisk| vdisk.name == name) else {
            return false;
        };
        let vdisk = self.vdisks.remove(at);
        self.take_out_history(vdisk.uuid);
        true
    }

    /// Gives the vdisk of that name another one; whether there was one.
    pub(crate) fn rename(&mut self, old: &str, new: &str) -> bool {
        let found = self.vdisks.iter_mut().find(|vdisk| vdisk.name == old);
        found.map(|vdisk| new.clone_into(&mut vdisk.name)).is_some()
    }

    /// Space up to `end` may hold something from now on.
    pub(crate) fn end_known_zero_before(&mut self, end: u64) {
        let mark = end.min(self.known_zero_to);
        self.known_zero_from = self.known_zero_from.max(mark);
    }

    /// Where the table of vdisks is to lie.
    pub(crate) fn place_table(&mut self, place: Place) {
        self.table_place = place;
    }

    /// The disk has this size now; nothing is known of what it grew by.
    pub(crate) fn adopt_size(&mut self, size_bytes: u64) {
        self.known_zero_to = self.known_zero_to.min(size_bytes);
        self.size_bytes = size_bytes;
    }

    /// Counts on from a label that was found.
    pub(crate) fn count_on_from(&mut self, generation: u64) {
        self.generation = generation;
    }

    /// What follows `before` on the disk: the next generation, by this program, with the table in
    /// the halves of its rooms that `before` does not use.
    pub(crate) fn following(mut self, before: &Label) -> Label {
        self.version = VERSION;
        self.generation = before.generation + 1;
        self.written_by = ProgramVersion::this();
        if let (Place::Outside(rooms), Place::Outside(used)) =
            (self.table_place, before.table_place)
            && rooms.are_where(&used)
        {
            self.table_place = Place::Outside(used.turned());
        }
        self.drop_times_without_room();
        self
    }

    /// Whether the table can be written.
    ///
    /// # Errors
    /// The bound that it exceeds.
    pub(crate) fn check_bounds(&self) -> Result<(), VolumeError> {
        if self.vdisks.len() > MAX_VDISKS {
            return Err(VolumeError::TooManyVdisks {
                limit: MAX_VDISKS,
                wanted: self.vdisks.len(),
            });
        }
        let (limit, wanted) = match self.table_place {
            Place::Inside => (super::COPY_CAPACITY_BYTES as u64, self.inside_bytes()),
            Place::Outside(_) => (MAX_SECTION_BYTES, self.table_bytes()),
        };
        if wanted > limit {
            return Err(VolumeError::LabelFull { limit, wanted });
        }
        Ok(())
    }
}
