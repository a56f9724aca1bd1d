//! Space on a disk: first-fit extents, and what has to change so that the disk holds the vdisks
//! that a configuration names. Pure; nothing here reads or writes a disk.
//!
//! Invariants: extents and maps are multiples of 1 MiB and disjoint; an extent is either wholly in
//! known-zero space (and has no map) or has a map; a plan keeps every vdisk that was there.

use crate::VolumeError;
use crate::geometry::region_bytes;
use crate::label::{EXTENT_ALIGNMENT_BYTES, Extent, Label, MAX_NAME_BYTES, Uuid, VdiskEntry};

/// What the configuration says of a vdisk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VdiskSpec {
    /// Its name.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
}

/// What has to change on the disk.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The table afterwards (its generation is the next one if anything changes).
    pub label: Label,
    /// Vdisks that are new.
    pub create: Vec<String>,
    /// Vdisks that grow: name, size before, size afterwards.
    pub grow: Vec<(String, u64, u64)>,
    /// Vdisks on the disk that the configuration does not name; kept. Name and size.
    pub orphans: Vec<(String, u64)>,
    /// Extents whose zero maps must be on the disk before the table is.
    pub new_maps: Vec<(Uuid, Extent)>,
}

impl Plan {
    /// Whether nothing has to be written.
    pub fn is_empty(&self) -> bool {
        self.create.is_empty() && self.grow.is_empty()
    }
}

/// What has to change on a disk of `label.size_bytes` so that it holds `specs`.
///
/// # Errors
/// The first vdisk that does not fit, shrinks, or has a name that the label cannot hold. Nothing
/// has changed then.
pub fn reconcile(label: &Label, specs: &[VdiskSpec]) -> Result<Plan, VolumeError> {
    let mut plan = Plan {
        label: label.clone(),
        create: Vec::new(),
        grow: Vec::new(),
        orphans: Vec::new(),
        new_maps: Vec::new(),
    };
    let named = |name: &str| specs.iter().any(|spec| spec.name == name);
    for vdisk in label.vdisks.iter().filter(|vdisk| !named(&vdisk.name)) {
        plan.orphans.push((vdisk.name.clone(), vdisk.size_bytes));
    }
    for (index, spec) in specs.iter().enumerate() {
        check_spec(spec)?;
        if specs[..index]
            .iter()
            .any(|earlier| earlier.name == spec.name)
        {
            let reason = "it is named twice; every vdisk of a disk has its own name";
            return Err(VolumeError::BadSpec {
                name: spec.name.clone(),
                reason,
            });
        }
        plan.fit(spec)?;
    }
    if !plan.is_empty() {
        plan.label.generation += 1;
    }
    plan.label.check_bounds()?;
    Ok(plan)
}

/// The table without a vdisk.
///
/// # Errors
/// When there is no such vdisk, with those that are there.
pub fn without(label: &Label, name: &str) -> Result<Label, VolumeError> {
    let mut next = label.clone();
    next.vdisks.retain(|vdisk| vdisk.name != name);
    if next.vdisks.len() == label.vdisks.len() {
        let present = label
            .vdisks
            .iter()
            .map(|vdisk| vdisk.name.clone())
            .collect();
        return Err(VolumeError::Unknown {
            name: name.to_owned(),
            present,
        });
    }
    next.generation += 1;
    Ok(next)
}

/// Bytes that are free for extents and maps.
pub fn free_bytes(label: &Label) -> u64 {
    free_ranges(label)
        .iter()
        .map(|(start, end)| end - start)
        .sum()
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

impl Plan {
    fn fit(&mut self, spec: &VdiskSpec) -> Result<(), VolumeError> {
        let position = self
            .label
            .vdisks
            .iter()
            .position(|vdisk| vdisk.name == spec.name);
        let Some(position) = position else {
            let uuid = Uuid::derive(
                0,
                &[
                    &self.label.disk_uuid.0,
                    &self.label.generation.to_le_bytes(),
                    spec.name.as_bytes(),
                ],
            );
            let extents = self.allocate(&spec.name, uuid, spec.size_bytes)?;
            let (name, size_bytes) = (spec.name.clone(), spec.size_bytes);
            self.label.vdisks.push(VdiskEntry {
                name,
                uuid,
                size_bytes,
                extents,
            });
            self.create.push(spec.name.clone());
            return Ok(());
        };
        let (uuid, has_bytes) = (
            self.label.vdisks[position].uuid,
            self.label.vdisks[position].size_bytes,
        );
        if spec.size_bytes < has_bytes {
            let (name, wanted_bytes) = (spec.name.clone(), spec.size_bytes);
            return Err(VolumeError::Shrinks {
                name,
                has_bytes,
                wanted_bytes,
            });
        }
        if spec.size_bytes == has_bytes {
            return Ok(());
        }
        let extents = &self.label.vdisks[position].extents;
        let laid_out: u64 = extents.iter().map(|extent| extent.len_bytes).sum();
        let missing = spec.size_bytes.saturating_sub(laid_out);
        let more = self.allocate(&spec.name, uuid, missing)?;
        let vdisk = &mut self.label.vdisks[position];
        vdisk.extents.extend(more);
        vdisk.size_bytes = spec.size_bytes;
        self.grow
            .push((spec.name.clone(), has_bytes, spec.size_bytes));
        Ok(())
    }

    /// Extents for `size_bytes` more of a vdisk, with their maps where they need any. They are
    /// taken from the label's free space, but not yet entered into a vdisk.
    fn allocate(
        &mut self,
        name: &str,
        uuid: Uuid,
        size_bytes: u64,
    ) -> Result<Vec<Extent>, VolumeError> {
        let len_bytes = size_bytes.next_multiple_of(EXTENT_ALIGNMENT_BYTES);
        let mut free = free_ranges(&self.label);
        let free_bytes: u64 = free.iter().map(|(start, end)| end - start).sum();
        let mut needed_bytes = len_bytes;
        let refuse = |needed_bytes| VolumeError::NoSpace {
            name: name.to_owned(),
            needed_bytes,
            free_bytes,
            orphans: self.orphans.iter().map(|orphan| orphan.0.clone()).collect(),
        };
        let zero = (self.label.known_zero_from, self.label.known_zero_to);
        let pieces = take(&mut free, len_bytes).ok_or_else(|| refuse(needed_bytes))?;
        let mut extents: Vec<Extent> = pieces
            .into_iter()
            .flat_map(|piece| split_at_known_zero(piece, zero))
            .map(|(start, end)| Extent {
                offset_bytes: start,
                len_bytes: end - start,
                map_offset_bytes: None,
            })
            .collect();
        let mut taken_end = extents.iter().map(|e| e.offset_bytes + e.len_bytes).max();
        for extent in &mut extents {
            if extent.offset_bytes >= zero.0 && extent.offset_bytes < zero.1 {
                continue;
            }
            let map_bytes = region_bytes(extent.len_bytes);
            needed_bytes += map_bytes;
            let place = take_whole(&mut free, map_bytes).ok_or_else(|| refuse(needed_bytes))?;
            taken_end = taken_end.max(Some(place + map_bytes));
            extent.map_offset_bytes = Some(place);
            self.new_maps.push((uuid, *extent));
        }
        let mark = taken_end.unwrap_or(0).min(zero.1);
        self.label.known_zero_from = zero.0.max(mark);
        Ok(extents)
    }
}

/// The free ranges in ascending order. Those of the plan's new vdisks count as used because they
/// are in its label by then.
fn free_ranges(label: &Label) -> Vec<(u64, u64)> {
    let mut used: Vec<(u64, u64)> = label.used_ranges().collect();
    used.sort_unstable();
    let end = label.size_bytes / EXTENT_ALIGNMENT_BYTES * EXTENT_ALIGNMENT_BYTES;
    let mut free = Vec::new();
    let mut at = EXTENT_ALIGNMENT_BYTES;
    for (start, used_end) in used {
        if at < start {
            free.push((at, start));
        }
        at = at.max(used_end);
    }
    if at < end {
        free.push((at, end));
    }
    free
}

/// The first range that holds all of it; else the first ranges together. `None` if they do not.
fn take(free: &mut Vec<(u64, u64)>, len_bytes: u64) -> Option<Vec<(u64, u64)>> {
    if len_bytes == 0 {
        return Some(Vec::new());
    }
    if let Some(start) = take_whole(free, len_bytes) {
        return Some(vec![(start, start + len_bytes)]);
    }
    let mut pieces = Vec::new();
    let mut missing = len_bytes;
    for range in free.iter_mut() {
        let piece = (range.1 - range.0).min(missing);
        pieces.push((range.0, range.0 + piece));
        range.0 += piece;
        missing -= piece;
        if missing == 0 {
            break;
        }
    }
    free.retain(|range| range.0 < range.1);
    (missing == 0).then_some(pieces)
}

fn take_whole(free: &mut [(u64, u64)], len_bytes: u64) -> Option<u64> {
    let range = free
        .iter_mut()
        .find(|range| range.1 - range.0 >= len_bytes)?;
    let start = range.0;
    range.0 += len_bytes;
    Some(start)
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
