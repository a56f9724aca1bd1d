//! What the bytes that recovery was given mean: tail or damage, and the log that they make.

use super::{OpenError, Recovery, Report, Stage};
use crate::branches::Branches;
use crate::format::batch::{BatchHeader, Body};
use crate::format::bytes::is_zero;
use crate::format::checkpoint::{SegmentRow, Tables};
use crate::format::checks::Checks;
use crate::format::record::Record;
use crate::format::segment_header::SegmentHeader;
use crate::format::superblock::{CheckpointPlace, Geometry};
use crate::format::{COUNT_LIMIT, Seq, UNIT_BYTES, Unit};
use crate::log::{Found, Log, Settings};
use crate::marks::Marks;
use crate::scan::{self, Before, Expected, Scan};
use crate::segments::{OpenSegment, Room, Segments};

/// The newest checkpoint.
#[derive(Debug)]
pub(super) struct Checkpoint {
    place: CheckpointPlace,
    tables: Tables,
    branches: Branches,
    marks: Marks,
}

impl Recovery {
    fn checks(&self) -> Checks {
        Checks::new(self.geometry().log)
    }

    /// Units of a checkpoint's payload; 0 if this is not its header.
    pub(super) fn payload_units(&self, place: &CheckpointPlace, header: &[u8]) -> u32 {
        let geometry = self.geometry();
        let slot_end = geometry.slot_start(geometry.slot_of(place.unit)) + geometry.slot_units;
        let header = BatchHeader::decode(&self.checks(), place.segment, place.unit, header);
        let units = header.map_or(0, |(header, _)| header.units() - 1);
        if place.unit + units < slot_end {
            units
        } else {
            0
        }
    }

    pub(super) fn take_checkpoint(&mut self, place: CheckpointPlace, bytes: &[u8]) {
        let geometry = self.geometry();
        let Some(checkpoint) = decode_checkpoint(&self.checks(), &geometry, place, bytes) else {
            self.fail(OpenError::Checkpoint);
            return;
        };
        self.checkpoint = Some(checkpoint);
        self.at = (geometry.slot_of(place.unit), place.segment);
        self.begin_segment();
    }

    /// Judges a slot once all of it is read.
    pub(super) fn judge_segment(&mut self) {
        let geometry = self.geometry();
        let Stage::Segment(read) = &self.stage else {
            return;
        };
        if read.len() < geometry.slot_units as usize * UNIT_BYTES {
            return;
        }
        let expected = Expected {
            id: self.at.1,
            slot: self.at.0,
            epoch_max: self
                .superblock
                .as_ref()
                .map_or(0, |superblock| superblock.epoch),
            before: self.segments.last().map(|scan| scan.reached),
            without_header: self.reached_before(),
        };
        let scan = scan::scan(&self.checks(), &geometry, &expected, read);
        self.stage = Stage::Ended;
        if let Some((header, _)) = scan.header.as_ref().filter(|_| scan.is_sealed) {
            self.at = (header.next_slot, self.at.1 + 1);
            self.begin_segment();
            self.segments.push(scan);
            return;
        }
        self.lost_durable = scan.lost_durable || self.ends_too_early(&scan);
        if scan.header.is_some() && !self.lost_durable {
            self.stage = Stage::NextHeader(Box::new(scan));
        } else {
            self.segments.push(scan);
        }
    }

    /// What is left if the segment that the checkpoint lies in has no header: the sealed ones
    /// before it, or the image.
    fn reached_before(&self) -> Before {
        let tables = self
            .checkpoint
            .as_ref()
            .map(|checkpoint| &checkpoint.tables);
        let mut sealed = tables.iter().flat_map(|tables| &tables.segments).rev();
        let row = sealed.find(|row| row.seal.is_some());
        let floor = tables.map_or(0, |tables| tables.floor);
        Before {
            last_seq: row.map_or(floor, |row| row.seqs[1]),
            time_ns: row.map_or(0, |row| row.times_ns[1]),
            ..Before::NOTHING
        }
    }

    /// Whether what the superblock knows of lies behind the end.
    fn ends_too_early(&self, scan: &Scan) -> bool {
        let closed = self
            .superblock
            .as_ref()
            .and_then(|superblock| superblock.closed);
        let place = self.checkpoint.as_ref().map(|checkpoint| checkpoint.place);
        let is_before_checkpoint = place.is_some_and(|place| {
            let mut batches = scan.batches.iter();
            place.segment == self.at.1 && !batches.any(|(batch, _)| batch.unit == place.unit)
        });
        is_before_checkpoint
            || closed.is_some_and(|last_batch| scan.reached.last_batch < last_batch)
    }

    pub(super) fn next_slot_start(&self, scan: &Scan) -> Unit {
        let next_slot = scan
            .header
            .as_ref()
            .map_or(0, |(header, _)| header.next_slot);
        self.geometry().slot_start(next_slot)
    }

    /// The header of the next segment is written only when all of this one is durable.
    pub(super) fn judge_end(&mut self, scan: Scan, next: &[u8]) {
        self.lost_durable = SegmentHeader::decode(&self.checks(), self.at.1 + 1, next).is_some();
        self.segments.push(scan);
    }

    pub(super) fn make_log(self, settings: Settings) -> Result<(Log, Report), OpenError> {
        let newest_first = self.copies.iter().flatten().map(|copy| copy.generation);
        let superblock_mended = newest_first.clone().count() < 2
            || newest_first.clone().min() != newest_first.clone().max();
        let superblock = self.superblock.ok_or(OpenError::Checkpoint)?;
        let superblock_copy = self.superblock_copy;
        let was_closed = superblock.closed.is_some();
        let geometry = superblock.geometry;
        let (mut sealed, branches, marks) = match &self.checkpoint {
            Some(checkpoint) => {
                let rows = &checkpoint.tables.segments;
                let earlier = rows[..rows.len() - 1].to_vec();
                (
                    earlier,
                    checkpoint.branches.clone(),
                    checkpoint.marks.clone(),
                )
            }
            None => Default::default(),
        };
        let mut open = None;
        for scan in &self.segments {
            if let Some(segment) = segment_of(scan) {
                match scan.seal() {
                    Some(seal) => sealed.push(segment.row(Some(seal))),
                    None => open = Some(segment),
                }
            }
        }
        let reached = self.segments.last().ok_or(OpenError::Checkpoint)?.reached;
        let reserved = open.as_ref().map_or(self.at.0, |open| open.next_slot);
        let from_number = self
            .checkpoint
            .as_ref()
            .map(|checkpoint| checkpoint.place.unit);
        let records = records_behind(&self.segments, from_number);
        let tables = self
            .checkpoint
            .map(|checkpoint| checkpoint.tables)
            .unwrap_or_default();
        let seal_before = sealed
            .last()
            .and_then(|row| row.seal)
            .map_or(0, |(_, sum)| sum);
        let lost_durable = self.lost_durable;
        let oldest_restorable = tables.oldest_restorable.max(superblock.fold_to);
        if reached.last_seq < oldest_restorable {
            return Err(OpenError::Image);
        }
        let report = Report {
            newest: reached.last_seq,
            was_closed,
            lost_from: lost_durable.then_some(reached.last_seq + 1),
            superblock_mended,
        };
        let segments = Segments::of_found(&geometry, sealed, open, reserved);
        let found = Found {
            superblock,
            superblock_copy,
            floor: tables.floor,
            oldest_restorable,
            branches,
            marks,
            segments: segments.ok_or(OpenError::Checkpoint)?,
            records,
            last_seq: reached.last_seq,
            last_batch: reached.last_batch,
            last_time_ns: reached.time_ns,
            last_seal_checksum: seal_before,
            lost_durable,
        };
        Ok((Log::of_found(found, settings), report))
    }
}

fn decode_checkpoint(
    checks: &Checks,
    geometry: &Geometry,
    place: CheckpointPlace,
    bytes: &[u8],
) -> Option<Checkpoint> {
    let block = bytes.get(..UNIT_BYTES)?;
    let (header, checksum) = BatchHeader::decode(checks, place.segment, place.unit, block)?;
    let Body::Record(Record::Checkpoint { payload_bytes }) = header.body else {
        return None;
    };
    let end = UNIT_BYTES * (1 + header.payload_checksums.len());
    let payload = bytes.get(UNIT_BYTES..end)?;
    if checksum != place.checksum || !header.payload_is_whole(checks, payload) {
        return None;
    }
    let (used, padding) = payload.split_at_checked(payload_bytes as usize)?;
    let tables = Tables::decode(used)?;
    let branches = Branches::of_rows(&tables.branches, tables.current_branch, tables.undo_branch)?;
    let marks = Marks::of_rows(&tables.marks)?;
    let slot = geometry.slot_of(place.unit);
    let is_possible = is_zero(padding)
        && tables.floor <= tables.oldest_restorable
        && tables.oldest_restorable < header.first_seq
        && rows_are_possible(&tables.segments, geometry)
        && tables
            .segments
            .last()
            .is_some_and(|row| (row.id, row.slot) == (place.segment, slot));
    is_possible.then_some(Checkpoint {
        place,
        tables,
        branches,
        marks,
    })
}

fn rows_are_possible(rows: &[SegmentRow], geometry: &Geometry) -> bool {
    let ascend = rows.windows(2).all(|pair| {
        pair[0].id.checked_add(1) == Some(pair[1].id) && pair[0].seqs[1] < pair[1].seqs[0]
    });
    let last = rows.len().saturating_sub(1);
    let fit = rows.iter().enumerate().all(|(index, row)| {
        let is_inside = row.slot < geometry.slots
            && row.seal.is_none_or(|(unit, _)| {
                let start = geometry.slot_start(row.slot);
                (start + 1..start + geometry.slot_units).contains(&unit)
            });
        let counts = row.seqs.iter().chain(&row.times_ns).chain([&row.id]);
        let are_counted = counts.into_iter().all(|count| *count < COUNT_LIMIT);
        row.seal.is_some() == (index < last) && is_inside && are_counted
    });
    ascend && fit
}

/// The segment that was scanned, as if it had been written just now.
fn segment_of(scan: &Scan) -> Option<OpenSegment> {
    let (header, checksum) = scan.header.as_ref()?;
    let mut open = OpenSegment::found(header, *checksum);
    for (batch, checksum) in &scan.batches {
        let before = open.footer.entries.each_ref().map(Vec::len);
        open.publish(batch);
        let after = open.footer.entries.each_ref().map(Vec::len);
        open.place(Room {
            units: batch.units(),
            entries: std::array::from_fn(|kind| after[kind] - before[kind]),
        });
        open.last_checksum = *checksum;
    }
    Some(open)
}

/// Records behind the checkpoint, each with what was before it.
fn records_behind(
    segments: &[Scan],
    checkpoint: Option<Unit>,
) -> Vec<(Record, Seq, (Seq, u64), u64)> {
    let mut records = Vec::new();
    let mut is_behind = checkpoint.is_none();
    let mut before = (0, 0);
    for (batch, _) in segments.iter().flat_map(|scan| &scan.batches) {
        if is_behind && let Body::Record(record) = &batch.body {
            records.push((record.clone(), batch.first_seq, before, batch.time_ns));
        }
        is_behind |= checkpoint == Some(batch.unit);
        before = (batch.last_seq(), batch.time_ns);
    }
    records
}
