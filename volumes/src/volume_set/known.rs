//! From a vdisk's entry in the label to an open vdisk: what is known of its extents is read.

use crate::VolumeError;
use crate::allocation_map::{AllocationMap, SEARCHES_MAX};
use crate::catalog::{Catalog, Taken};
use crate::geometry::{UNIT_BYTES, pairs_bytes};
use crate::held_trims::HeldTrims;
use crate::ids::VdiskSlot;
use crate::label::{Extent, Label, Uuid, VdiskEntry};
use crate::layout::{Known, Layout, MappedExtent};
use crate::space_map::SpaceMap;
use crate::target::{DiskIndex, Target};
use crate::vdisk::OpenVdisk;
use crate::zero_map::{FoundMap, MapDefect, MapKey, Repairs, ZeroMap};
use disktime_disks::ContentMap;
use disktime_engine::{LastChange, StreamId};
use disktime_units::TrimHandling;
use std::ops::Range;

const READING_MAP: &str = "reading a zero map";

/// Where metadata is read from.
pub(super) trait MetadataSource {
    /// Whether there are bytes to read; a pure model of a disk has none.
    fn holds_data(&self) -> bool;

    /// Whether what is found damaged can only be read.
    fn is_read_only(&self) -> bool;

    /// Reads a range of the disk; `doing` is for the error.
    fn read(&mut self, doing: &'static str, at: u64, len: u64) -> Result<Vec<u8>, VolumeError>;

    /// Where the disk's content lies, for a disk that knows.
    fn content_map(&self) -> Option<&dyn ContentMap>;

    /// I/O begins and ends at multiples of this.
    fn block_bytes(&self) -> u64;
}

/// What is known of the extents of a vdisk.
pub(super) struct KnownExtents {
    extents: Vec<(Known, Option<SpaceMap>)>,
    /// The first zero map that is of no use.
    defect: Option<MapDefect>,
    /// Of the others.
    repairs: Repairs,
    /// What is to be repaired cannot be written.
    is_read_only: bool,
}

impl KnownExtents {
    /// What people should be told of the zero maps of vdisk `name`.
    pub(super) fn notice(&self, name: &str) -> Option<String> {
        match self.defect {
            Some(defect) => Some(defect_notice(name, defect)),
            None if self.repairs.is_empty() => None,
            None if self.is_read_only => Some(format!(
                "of the zero map of vdisk `{name}` {}; the other block of its pair has the newest \
                 state, so nothing is lost, and it is written again at a start that can write to \
                 the disk",
                self.repairs
            )),
            None => Some(format!(
                "of the zero map of vdisk `{name}` {}; it is written again from the other block of \
                 its pair, which has the newest state: nothing is lost",
                self.repairs
            )),
        }
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

/// What people are told of a vdisk with a zero map that is of no use.
fn defect_notice(name: &str, defect: MapDefect) -> String {
    let (found, unknown) = match defect {
        MapDefect::Both => (
            "neither block of a pair is whole",
            "so it is not known what of the vdisk was written",
        ),
        MapDefect::NewerInTurn => (
            "a block is not whole",
            "and the other block of its pair, which an earlier build of disktime wrote, may be \
             older, so it is not known what was written last",
        ),
    };
    format!(
        "the zero map of vdisk `{name}` is damaged or unreadable: {found}, {unknown}. \
         Every request for the vdisk fails until it is restored, or freed with \
         `disktime remove CONFIG {name}`; the other vdisks are served"
    )
}

/// What people are told of a vdisk whose trims are to be held and which has no zero map.
fn cannot_hold(name: &str) -> String {
    format!(
        "vdisk `{name}` has space without a zero map, as it was made without \"trim\": \"hold\", so \
         its trims there are sent on to the disk; a vdisk that is made with it has a map for all \
         of its space"
    )
}

/// Reads what is known of each extent.
pub(super) fn read_known(
    entry: &VdiskEntry,
    disk_uuid: Uuid,
    source: &mut impl MetadataSource,
) -> Result<KnownExtents, VolumeError> {
    let mut extents = Vec::with_capacity(entry.extents().len());
    let (mut defect, mut repairs) = (None, Repairs::default());
    let mut searches_left = SEARCHES_MAX;
    let mut space_calls_left = SEARCHES_MAX;
    for extent in entry.extents() {
        let range = (extent.offset_bytes, extent.offset_bytes + extent.len_bytes);
        let (space, hides_space) = read_space(source, range, &mut space_calls_left);
        let known = match extent.map_offset_bytes {
            Some(map_offset_bytes) => {
                let key = MapKey::new(entry.uuid(), disk_uuid, map_offset_bytes);
                let found = read_map(source, key, map_offset_bytes, extent.len_bytes)?;
                Known::Written(match found {
                    Ok(found) => {
                        repairs.add(found.repairs);
                        found.map
                    }
                    Err(found) => {
                        defect.get_or_insert(found);
                        ZeroMap::fresh(key, extent.len_bytes)
                    }
                })
            }
            // Whatever is set aside there is given back by the first trim, as data is.
            None if hides_space => Known::Allocated(AllocationMap::new(extent.len_bytes, true)),
            None if source.holds_data() => {
                let map = source.content_map();
                let data_after = |from, to| match map {
                    Some(map) => map.data_after(from, to),
                    None => Some((from, to)),
                };
                Known::Allocated(AllocationMap::read(range, &mut searches_left, data_after))
            }
            None => Known::Nothing,
        };
        extents.push((known, space));
    }
    Ok(KnownExtents {
        extents,
        defect,
        repairs,
        is_read_only: source.is_read_only(),
    })
}

/// What of a range of the disk has its space on the file system below, where that counts; and
/// whether more of it may have been set aside.
fn read_space(
    source: &impl MetadataSource,
    range: (u64, u64),
    calls_left: &mut u32,
) -> (Option<SpaceMap>, bool) {
    let below = source.content_map().and_then(ContentMap::space_below);
    let Some(below) = below.filter(|_| source.holds_data()) else {
        return (None, false);
    };
    let unit_bytes = below.unit_bytes().max(source.block_bytes());
    let mut space = SpaceMap::free(range.1 - range.0, unit_bytes);
    below.each(range, calls_left, &mut |from, to| {
        space.hold(from - range.0, to - range.0);
    });
    (Some(space), !below.is_exact())
}

/// The zero map of an extent, or why it is of no use.
fn read_map(
    source: &mut impl MetadataSource,
    key: MapKey,
    map_offset_bytes: u64,
    extent_bytes: u64,
) -> Result<Result<FoundMap, MapDefect>, VolumeError> {
    if !source.holds_data() {
        let map = ZeroMap::fresh(key, extent_bytes);
        let repairs = Repairs::default();
        return Ok(Ok(FoundMap { map, repairs }));
    }
    let len_bytes = pairs_bytes(extent_bytes);
    let bytes = match source.read(READING_MAP, map_offset_bytes, len_bytes) {
        Err(error) if error.is_bad_sector() => {
            read_blocks(source, map_offset_bytes..map_offset_bytes + len_bytes)?
        }
        read => read?,
    };
    let mut found = ZeroMap::decode(key, extent_bytes, &bytes);
    if let (true, Ok(found)) = (source.is_read_only(), &mut found) {
        // Else each flush would try to write it, and fail.
        found.map.leave_unrepaired();
    }
    Ok(found)
}

/// Reads block by block; those that the disk fails to read are neither whole nor blank.
fn read_blocks(
    source: &mut impl MetadataSource,
    range: Range<u64>,
) -> Result<Vec<u8>, VolumeError> {
    let mut bytes = Vec::with_capacity((range.end - range.start) as usize);
    for at in range.step_by(UNIT_BYTES) {
        match source.read(READING_MAP, at, UNIT_BYTES as u64) {
            Ok(block) => bytes.extend(block),
            Err(error) if error.is_bad_sector() => {
                tracing::warn!("{error}");
                bytes.resize(bytes.len() + UNIT_BYTES, 0xFF);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// A vdisk from its entry and from what is known of its extents; `stream` pays.
pub(super) fn open_vdisk(
    entry: &VdiskEntry,
    known: KnownExtents,
    stream: StreamId,
    last_change: LastChange,
) -> OpenVdisk {
    let (notice, is_damaged) = (known.notice(entry.name()), known.defect.is_some());
    let mut start_bytes = 0;
    let map = |(extent, (known, space)): (&Extent, (Known, Option<SpaceMap>))| {
        let range = (start_bytes, start_bytes + extent.len_bytes);
        start_bytes = range.1;
        let target = Target::new(DiskIndex::FIRST, extent.offset_bytes, stream);
        MappedExtent::new(range, target, known).with_space(space)
    };
    let extents = entry.extents().iter().zip(known.extents).map(map).collect();
    let layout = Layout::new(extents, entry.size_bytes());
    let name = entry.name().to_owned();
    OpenVdisk::new(name, stream, layout, is_damaged, last_change).with_notice(notice)
}

/// The same vdisk with what becomes of its trims. Where they are held, every hole of a zero map
/// whose space was not given back is held, and where that is not known every hole: among them is
/// what was held when the last server ended.
pub(super) fn handle_trims(vdisk: OpenVdisk, trims: TrimHandling, holds_data: bool) -> OpenVdisk {
    if trims != TrimHandling::Hold || vdisk.is_damaged() || !holds_data {
        return vdisk.with_trims(trims, None);
    }
    let layout = vdisk.layout();
    let mut held = HeldTrims::new(layout.end_bytes());
    let mut at = 0;
    while at < layout.end_bytes() {
        let (is_hole, mut stop) = layout.hole_run(at, layout.end_bytes());
        if is_hole && layout.has_map(at) {
            let (is_returned, end) = layout.returned_run(at, stop);
            stop = end;
            if !is_returned || !layout.knows_space(at) {
                held.hold(at, stop);
            }
        }
        at = stop;
    }
    let notice = (!layout.has_maps()).then(|| cannot_hold(vdisk.name()));
    vdisk.with_trims(trims, Some(held)).with_notice(notice)
}
