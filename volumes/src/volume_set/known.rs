//! From a vdisk's entry in the label to an open vdisk: what is known of its extents is read.

use crate::VolumeError;
use crate::allocation_map::{AllocationMap, SEARCHES_MAX};
use crate::catalog::{Catalog, Taken};
use crate::geometry::pairs_bytes;
use crate::ids::VdiskSlot;
use crate::label::{Extent, Label, Uuid, VdiskEntry};
use crate::layout::{Known, Layout, MappedExtent};
use crate::target::{DiskIndex, Target};
use crate::vdisk::OpenVdisk;
use crate::zero_map::{MapKey, ZeroMap};
use disktime_disks::Disk;
use disktime_engine::StreamId;

/// Where metadata is read from.
pub(super) trait MetadataSource {
    /// Whether there are bytes to read; a pure model of a disk has none.
    fn holds_data(&self) -> bool;

    /// Reads a range of the disk; `doing` is for the error.
    fn read(&mut self, doing: &'static str, at: u64, len: u64) -> Result<Vec<u8>, VolumeError>;

    /// The first range in `from..to` of the disk that may hold anything but zeroes.
    fn data_after(&self, from: u64, to: u64) -> Option<(u64, u64)>;
}

/// As [`MetadataSource::data_after`]; all of it where the disk cannot tell.
pub(super) fn data_after<D: Disk>(disk: &D, from: u64, to: u64) -> Option<(u64, u64)> {
    match disk.content_map() {
        Some(map) => map.data_after(from, to),
        None => Some((from, to)),
    }
}

/// What is known of the extents of a vdisk.
pub(super) struct KnownExtents {
    extents: Vec<Known>,
    is_damaged: bool,
}

impl KnownExtents {
    /// Whether a zero map is damaged.
    pub(super) fn is_damaged(&self) -> bool {
        self.is_damaged
    }
}

/// A name that the label does not have.
pub(super) fn unknown(label: &Label, name: &str) -> VolumeError {
    let names = label.vdisks().iter().map(|vdisk| vdisk.name().to_owned());
    VolumeError::Unknown {
        name: name.to_owned(),
        present: names.collect(),
    }
}

/// Refuses a vdisk that the catalog has already.
pub(super) fn refuse_taken(catalog: &Catalog, entry: &VdiskEntry) -> Result<(), VolumeError> {
    catalog.admits(entry.uuid(), entry.name()).map_err(|taken| {
        let reason = match taken {
            Taken::Served => "it is served already, under this name or with the same uuid",
            Taken::Leaving => "its last requests are in flight; add it again when they are done",
        };
        let name = entry.name().to_owned();
        VolumeError::BadSpec { name, reason }
    })
}

/// Enters a vdisk into the catalog.
pub(super) fn enter(catalog: &mut Catalog, entry: &VdiskEntry) -> Result<VdiskSlot, VolumeError> {
    refuse_taken(catalog, entry)?;
    Ok(catalog.insert(entry.uuid(), entry.name()))
}

/// What people are told of a vdisk whose zero map is damaged.
pub(super) fn damaged_message(name: &str) -> String {
    format!(
        "the zero map of vdisk `{name}` is damaged or unreadable, so it is not known what of it was \
         written; every request for it fails until it is restored, or freed with \
         `disktime remove CONFIG {name}`"
    )
}

/// Reads what is known of each extent.
pub(super) fn read_known(
    entry: &VdiskEntry,
    disk_uuid: Uuid,
    source: &mut impl MetadataSource,
) -> Result<KnownExtents, VolumeError> {
    let mut extents = Vec::with_capacity(entry.extents().len());
    let mut is_damaged = false;
    let mut searches_left = SEARCHES_MAX;
    for extent in entry.extents() {
        extents.push(match extent.map_offset_bytes {
            Some(map_offset_bytes) => {
                let key = MapKey::new(entry.uuid(), disk_uuid, map_offset_bytes);
                let found = read_map(source, key, map_offset_bytes, extent.len_bytes)?;
                is_damaged |= found.is_none();
                Known::Written(found.unwrap_or_else(|| ZeroMap::fresh(key, extent.len_bytes)))
            }
            None if source.holds_data() => {
                let range = (extent.offset_bytes, extent.offset_bytes + extent.len_bytes);
                let data_after = |from, to| source.data_after(from, to);
                Known::Allocated(AllocationMap::read(range, &mut searches_left, data_after))
            }
            None => Known::Nothing,
        });
    }
    Ok(KnownExtents {
        extents,
        is_damaged,
    })
}

/// The zero map of an extent; `None` if it is damaged or the disk cannot read it.
fn read_map(
    source: &mut impl MetadataSource,
    key: MapKey,
    map_offset_bytes: u64,
    extent_bytes: u64,
) -> Result<Option<ZeroMap>, VolumeError> {
    if !source.holds_data() {
        return Ok(Some(ZeroMap::fresh(key, extent_bytes)));
    }
    let len_bytes = pairs_bytes(extent_bytes);
    match source.read("reading a zero map", map_offset_bytes, len_bytes) {
        Ok(bytes) => Ok(ZeroMap::decode(key, extent_bytes, &bytes)),
        // Not the other block of the pair instead: it may be older.
        Err(error) if error.is_bad_sector() => {
            tracing::warn!("{error}");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// A vdisk from its entry and from what is known of its extents; `stream` pays.
pub(super) fn open_vdisk(entry: &VdiskEntry, known: KnownExtents, stream: StreamId) -> OpenVdisk {
    let mut start_bytes = 0;
    let map = |(extent, known): (&Extent, Known)| {
        let range = (start_bytes, start_bytes + extent.len_bytes);
        start_bytes = range.1;
        let target = Target::new(DiskIndex::FIRST, extent.offset_bytes, stream);
        MappedExtent::new(range, target, known)
    };
    let extents = entry.extents().iter().zip(known.extents).map(map).collect();
    let layout = Layout::new(extents, entry.size_bytes());
    OpenVdisk::new(entry.name().to_owned(), stream, layout, known.is_damaged)
}
