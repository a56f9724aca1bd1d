//! What the bytes that recovery was given mean: tail or damage, and the log that they make.

use super::{OpenError, Recovery, Report, Stage};
use crate::branches::Branches;
use crate::clones::Clones;
use crate::format::batch::{BatchHeader, Body};
use crate::format::checkpoint::{SegmentRow, Tables};
use crate::format::checks::Checks;
use crate::format::record::Record;
use crate::format::segment_header::SegmentHeader;
use crate::format::superblock::{CheckpointPlace, Geometry};
use crate::format::{COUNT_LIMIT, COUNT_OPEN_LIMIT, Seq, UNIT_BYTES};
use crate::log::{Found, Log, Settings};
use crate::lost::LostBlocks;
use crate::marks::Marks;
use crate::scan::{self, Before, Durable, End, Expected, Listed, Scan};
use crate::segments::{OpenSegment, Room, Segments};
use crate::sizes::Sizes;
use disktime_units::little_endian::is_zero;

/// The newest checkpoint.
#[derive(Debug)]
pub(super) struct Checkpoint {
    place: CheckpointPlace,
    tables: Tables,
    branches: Branches,
    marks: Marks,
    clones: Clones,
    sizes: Sizes,
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
            self.checkpoint_is_damaged(&place);
            return;
        };
        self.checkpoint = Some(checkpoint);
        self.at = (geometry.slot_of(place.unit), Some(place.segment));
        self.begin_segment();
    }

    /// The one before it takes its place, if there is one.
    pub(super) fn checkpoint_is_damaged(&mut self, place: &CheckpointPlace) {
        let superblock = self.superblock.as_ref();
        let before = superblock.and_then(|superblock| superblock.checkpoint_before);
        match before.filter(|before| before != place && !self.checkpoint_mended) {
            Some(before) => {
                self.checkpoint_mended = true;
                self.stage = Stage::Checkpoint(before, Vec::new());
            }
            None => self.fail(OpenError::Checkpoint),
        }
    }

    /// The header of the next segment is read first: it says whether all of this one was durable.
    pub(super) fn segment_is_read(&mut self, read: Vec<u8>) {
        let geometry = self.geometry();
        if read.len() < geometry.slot_units as usize * UNIT_BYTES {
            self.stage = Stage::Segment(read);
            return;
        }
        if self.checkpoint.is_none() && self.segments.is_empty() {
            // A log that has no checkpoint yet begins in slot 0.
            let first = SegmentHeader::decode_any(&self.checks(), &read[..UNIT_BYTES]);
            let first = first.filter(|(header, _)| header.previous == 0);
            self.at.1 = first.map(|(header, _)| header.id);
        }
        let (slot, id) = self.at;
        let header = id.and_then(|id| {
            let block = &read[..UNIT_BYTES];
            SegmentHeader::decode(&self.checks(), id, block)
        });
        let named = header.map(|(header, _)| header.next_slot);
        let listed = self.listed().map(|listed| listed.next_slot);
        let next = named.or(listed);
        match next.filter(|next| *next < geometry.slots && *next != slot) {
            Some(next) => self.stage = Stage::NextHeader(read, next),
            None => self.judge_segment(&read, None),
        }
    }

    /// The header of the segment that follows the one that is read, if the unit holds it.
    pub(super) fn next_header(&self, slot: u32, block: &[u8]) -> Option<SegmentHeader> {
        let (header, _) = SegmentHeader::decode_any(&self.checks(), block)?;
        let follows = Some(header.previous) == self.at.1
            && header.id > header.previous
            && header.slot == slot
            && header.epoch <= self.epoch();
        follows.then_some(header)
    }

    fn epoch(&self) -> u64 {
        let superblock = self.superblock.as_ref();
        superblock.map_or(0, |superblock| superblock.epoch)
    }

    /// What the checkpoint says of the segment that is read, if it lies in that.
    fn listed(&self) -> Option<Listed> {
        let row = self.checkpoint_row()?;
        Some(Listed {
            first_seq: row.seqs[0],
            time_ns: row.times_ns[0],
            next_slot: row.next_slot,
        })
    }

    /// The row of the segment that is read, if the checkpoint lies in that.
    fn checkpoint_row(&self) -> Option<&SegmentRow> {
        let checkpoint = self.checkpoint.as_ref();
        let checkpoint = checkpoint.filter(|_| self.segments.is_empty())?;
        checkpoint.tables.segments.last()
    }

    /// What is known to have been durable of the segment that is read.
    fn durable(&self, next: Option<SegmentHeader>) -> Durable {
        let superblock = self.superblock.as_ref();
        let newest = superblock.and_then(|superblock| superblock.checkpoint);
        let before = superblock.and_then(|superblock| superblock.checkpoint_before);
        let is_here = |place: &CheckpointPlace| Some(place.segment) == self.at.1;
        Durable {
            next,
            is_sealed: false,
            batch: superblock
                .and_then(|superblock| superblock.closed)
                .unwrap_or(0),
            checkpoint: newest.filter(is_here),
            checkpoint_is_damaged: self.checkpoint_mended,
            checkpoint_before: before.filter(is_here),
            hole: self.checkpoint_row().and_then(|row| row.hole),
        }
    }

    /// Judges a slot once all of it is read.
    pub(super) fn judge_segment(&mut self, read: &[u8], next: Option<SegmentHeader>) {
        let expected = Expected {
            id: self.at.1,
            slot: self.at.0,
            epoch_max: self.epoch(),
            before: self.segments.last().map(|scan| scan.reached),
            without_header: self.reached_before(),
            listed: self.listed(),
            durable: self.durable(next.clone()),
        };
        let scan = scan::scan(&self.checks(), &self.geometry(), &expected, read);
        self.stage = Stage::Ended;
        let goes_on = matches!(scan.end, End::Sealed(..) | End::SealIsLost(_));
        if let Some((header, _)) = scan.header.as_ref().filter(|_| goes_on) {
            self.at = (header.next_slot, next.map(|next| next.id));
            self.begin_segment();
        } else {
            let superblock = self.superblock.as_ref();
            let newest = superblock.and_then(|superblock| superblock.checkpoint);
            let is_behind = |place: CheckpointPlace| place.segment > scan.reached.segment;
            self.lost_durable = scan.end == End::Lost || newest.is_some_and(is_behind);
        }
        self.segments.push(scan);
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
            segment: row.map_or(0, |row| row.id),
            last_seq: row.map_or(floor, |row| row.seqs[1]),
            time_ns: row.map_or(0, |row| row.times_ns[1]),
            ..Before::NOTHING
        }
    }

    pub(super) fn make_log(self, settings: Settings) -> Result<(Log, Report), OpenError> {
        let newest_first = self.copies.iter().flatten().map(|copy| copy.generation);
        let superblock_mended = newest_first.clone().count() < 2
            || newest_first.clone().min() != newest_first.clone().max();
        let superblock = self.superblock.ok_or(OpenError::Checkpoint)?;
        let geometry = superblock.geometry;
        let place = self.checkpoint.as_ref().map(|checkpoint| checkpoint.place);
        let (tables, branches, marks, clones, sizes) = match self.checkpoint {
            Some(checkpoint) => (
                checkpoint.tables,
                checkpoint.branches,
                checkpoint.marks,
                checkpoint.clones,
                checkpoint.sizes,
            ),
            None => (
                Tables::default(),
                Branches::default(),
                Marks::default(),
                Clones::default(),
                Sizes::of_one(geometry.vdisk_blocks),
            ),
        };
        // Below the floor of a newer checkpoint, slots may have been used again.
        let floor = tables.floor.max(superblock.floor);
        if floor > superblock.fold_to {
            return Err(OpenError::Checkpoint);
        }
        let rows = tables.segments.iter();
        let mut sealed: Vec<SegmentRow> = rows
            .filter(|row| row.seal.is_some() && row.seqs[1] > floor)
            .cloned()
            .collect();
        let mut open = None;
        for scan in &self.segments {
            let Some(segment) = segment_of(scan) else {
                continue;
            };
            match scan.end {
                End::Sealed(unit, checksum) => sealed.push(segment.row(Some((unit, checksum)))),
                End::SealIsLost(unit) => {
                    let row = segment.row(Some((unit, 0)));
                    sealed.push(SegmentRow {
                        is_cut: true,
                        hole: scan.hole,
                        ..row
                    });
                }
                End::Open | End::Lost => open = Some(segment),
            }
        }
        let reached = self.segments.last().ok_or(OpenError::Checkpoint)?.reached;
        let reserved = open.as_ref().map_or(self.at.0, |open| open.next_slot);
        let records = records_behind(&self.segments, place);
        let oldest_restorable = tables.oldest_restorable.max(superblock.fold_to).max(floor);
        if reached.last_seq < oldest_restorable {
            return Err(OpenError::Image);
        }
        // A crash may have lost the first write of the newest segment with its header: its id is
        // not given out again. Of those before it, nothing is lost.
        let newest_id = open.as_ref().map(|open| open.id);
        let newest_id = newest_id.or(sealed.last().map(|row| row.id)).unwrap_or(0);
        let is_new = superblock.epoch == 1;
        let skipped = u64::from(superblock.closed.is_none() && !is_new);
        let next_id = superblock.next_segment.max(newest_id + 1) + skipped;
        let segments = Segments::of_found(&geometry, sealed, open, reserved, next_id)
            .ok_or(OpenError::Checkpoint)?;
        let numbers = [
            superblock.generation,
            superblock.epoch,
            superblock.next_seq,
            reached.last_seq,
            reached.last_batch,
            segments.next_id(),
        ];
        if numbers.iter().any(|number| *number >= COUNT_OPEN_LIMIT) {
            return Err(OpenError::Numbers);
        }
        let report = Report {
            newest: reached.last_seq,
            was_closed: superblock.closed.is_some(),
            lost_from: self.lost_durable.then_some(reached.last_seq + 1),
            superblock_mended,
            checkpoint_mended: self.checkpoint_mended,
            read_only_features: superblock.read_only_names(),
        };
        let found = Found {
            superblock,
            superblock_copy: self.superblock_copy,
            floor,
            oldest_restorable,
            branches,
            marks,
            clones,
            sizes,
            lost_runs: tables.lost_runs,
            losses: tables.losses,
            segments,
            records,
            last_seq: reached.last_seq,
            last_batch: reached.last_batch,
            last_time_ns: reached.time_ns,
            last_seal_checksum: reached.seal_checksum.unwrap_or(0),
            hole: self
                .segments
                .iter()
                .rev()
                .find_map(|scan| Some((scan.reached.segment, scan.hole?))),
            report: report.clone(),
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
    let clones = Clones::of_rows(&tables.clones)?;
    let (present, most) = (tables.vdisk_blocks, geometry.vdisk_blocks);
    let sizes = Sizes::of_rows(&tables.sizes, present, most)?;
    let slot = geometry.slot_of(place.unit);
    let is_possible = is_zero(padding)
        && tables.floor <= tables.oldest_restorable
        && tables.oldest_restorable < header.first_seq
        && rows_are_possible(&tables.segments, geometry)
        && losses_are_possible(&tables, geometry)
        && tables
            .segments
            .last()
            .is_some_and(|row| (row.id, row.slot) == (place.segment, slot));
    is_possible.then_some(Checkpoint {
        place,
        tables,
        branches,
        marks,
        clones,
        sizes,
    })
}

fn rows_are_possible(rows: &[SegmentRow], geometry: &Geometry) -> bool {
    let ascend = rows.windows(2).all(|pair| {
        let by_id = pair[0].id < pair[1].id;
        by_id && pair[0].seqs[1] < pair[1].seqs[0]
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

fn losses_are_possible(tables: &Tables, geometry: &Geometry) -> bool {
    let mut losses = tables.losses.iter();
    LostBlocks::of_rows(&tables.lost_runs, geometry.vdisk_blocks).is_some()
        && losses.all(|row| row.first <= row.last && row.last < COUNT_LIMIT)
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
    open.ends_at(scan.end_units);
    Some(open)
}

/// Records behind the checkpoint, each with what was before it.
fn records_behind(
    segments: &[Scan],
    checkpoint: Option<CheckpointPlace>,
) -> Vec<(Record, Seq, (Seq, u64), u64)> {
    let mut records = Vec::new();
    let mut before = (0, 0);
    let at = checkpoint.map_or((0, 0), |place| (place.segment, place.unit));
    for (batch, _) in segments.iter().flat_map(|scan| &scan.batches) {
        if batch.first_seq == before.0 + 2 {
            // The seq of a CHECKPOINT without a header, which is a moment as every other.
            before.0 += 1;
        }
        let is_behind = (batch.segment, batch.unit) > at;
        if is_behind && let Body::Record(record) = &batch.body {
            records.push((record.clone(), batch.first_seq, before, batch.time_ns));
        }
        before = (batch.last_seq(), batch.time_ns);
    }
    records
}
