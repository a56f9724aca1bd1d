//! Reads a segment batch by batch, and says where it ends and what that end means.
//!
//! Invariants: the batches that are returned follow each other and the segment's header; between
//! them may lie a CHECKPOINT that the superblocks name, if it is damaged. The payload of each is
//! whole, or something says that it was durable: then its blocks fail one by one when they are
//! read. Bytes of any kind are judged, none is trusted.
//!
//! What is not known here: I/O, other segments, what records mean.

use crate::format::batch::{BatchHeader, Body};
use crate::format::checks::Checks;
use crate::format::record::Record;
use crate::format::segment_header::SegmentHeader;
use crate::format::superblock::{CheckpointPlace, Geometry};
use crate::format::{Seq, UNIT_BYTES, Unit};
use std::cell::OnceCell;

/// What is known of a segment before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    /// `None`: what comes next was never read.
    pub(crate) id: Option<u64>,
    pub(crate) slot: u32,
    /// That of the superblock: no batch has a greater one.
    pub(crate) epoch_max: u64,
    /// What comes before it, where that was read.
    pub(crate) before: Option<Before>,
    /// What is left before it if neither that nor its own header was read.
    pub(crate) without_header: Before,
    /// What a checkpoint says of it: enough to do without its header.
    pub(crate) listed: Option<Listed>,
    pub(crate) durable: Durable,
}

/// A segment as a checkpoint lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) first_seq: Seq,
    pub(crate) time_ns: u64,
    pub(crate) next_slot: u32,
}

/// What is known to have been durable before the segment is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Durable {
    /// The header of the next segment: all of this one was durable before it was written.
    pub(crate) next: Option<SegmentHeader>,
    /// All of it, though the next one is not known.
    pub(crate) is_sealed: bool,
    /// The log was closed in good order with this batch.
    pub(crate) batch: u64,
    /// The CHECKPOINT in this segment that the superblocks name.
    pub(crate) checkpoint: Option<CheckpointPlace>,
    /// It could not be read.
    pub(crate) checkpoint_is_damaged: bool,
    /// The one before it, if that lies in this segment too.
    pub(crate) checkpoint_before: Option<CheckpointPlace>,
    /// The checksum of a CHECKPOINT that was without a header when the segment was cut.
    pub(crate) hole: Option<u32>,
}

/// What the segment before ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) segment: u64,
    pub(crate) epoch: u64,
    pub(crate) last_batch: u64,
    pub(crate) last_seq: Seq,
    pub(crate) time_ns: u64,
    /// `None`: its SEAL was not read.
    pub(crate) seal_checksum: Option<u32>,
}

impl Before {
    /// Before the first segment.
    pub(crate) const NOTHING: Before = Before {
        segment: 0,
        epoch: 1,
        last_batch: 0,
        last_seq: 0,
        time_ns: 0,
        seal_checksum: Some(0),
    };
}

/// How a segment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It goes on, or ends with a torn tail.
    Open,
    /// With a SEAL at this unit, whose header has this checksum.
    Sealed(Unit, u32),
    /// The SEAL at this unit is damaged; the batches before it are all there.
    SealIsLost(Unit),
    /// What is missing was durable.
    Lost,
}

/// A segment as far as it is whole.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    /// Its header and the header's checksum, if that is whole or can be told.
    pub(crate) header: Option<(SegmentHeader, u32)>,
    /// Batches, and the checksums of their headers.
    pub(crate) batches: Vec<(BatchHeader, u32)>,
    pub(crate) end: End,
    /// The checksum of the CHECKPOINT without a header that lies between the batches, if one does.
    pub(crate) hole: Option<u32>,
    /// Units from the slot's beginning to the end of the last of them.
    pub(crate) end_units: u32,
    /// Epoch, number, seq, time that the last of them had.
    pub(crate) reached: Before,
}

/// Reads the segment that should lie in `bytes`, a whole slot or its beginning.
pub(crate) fn scan(
    checks: &Checks,
    geometry: &Geometry,
    expected: &Expected,
    bytes: &[u8],
) -> Scan {
    let reader = Reader {
        checks,
        geometry,
        expected,
        bytes,
        durable_behind: OnceCell::new(),
    };
    let mut scan = Scan {
        header: None,
        batches: Vec::new(),
        end: End::Open,
        hole: None,
        end_units: 0,
        reached: expected.before.unwrap_or(expected.without_header),
    };
    if let Some((header, checksum)) = reader.header() {
        if expected.before.is_none() {
            scan.reached = Before {
                segment: header.previous,
                epoch: header.epoch,
                last_batch: header.first_batch.saturating_sub(1),
                last_seq: header.first_seq.saturating_sub(1),
                time_ns: header.time_ns,
                seal_checksum: None,
            };
        }
        // Whatever comes next is written after the header, even if a crash lost its first batch.
        scan.reached.time_ns = header.time_ns;
        scan.reached.segment = header.id;
        scan.end_units = 1;
        scan.header = Some((header, checksum));
        let mut previous = checksum;
        while scan.end == End::Open
            && let Some((batch, checksum)) = reader.next(&mut scan, previous)
        {
            previous = checksum;
            scan.take(batch, checksum);
        }
    }
    if scan.end == End::Open {
        let last = reader.checkpoint_at_end(&scan);
        scan.end = reader.judge_end(&scan, last);
        if scan.end == End::Open {
            // Its number was given out, and may be known as a moment.
            scan.reached.last_seq += last;
        }
    }
    if let End::SealIsLost(_) = scan.end {
        scan.reached.last_batch += 1;
        scan.reached.last_seq += 1;
        scan.reached.seal_checksum = None;
    }
    scan
}

/// Looks into the bytes of a slot.
struct Reader<'a> {
    checks: &'a Checks,
    geometry: &'a Geometry,
    expected: &'a Expected,
    bytes: &'a [u8],
    /// For each unit, the greatest durable seq that a header at it or behind it holds.
    durable_behind: OnceCell<Vec<Seq>>,
}

impl Reader<'_> {
    fn unit(&self, at: u32) -> Option<&[u8]> {
        let from = at as usize * UNIT_BYTES;
        self.bytes.get(from..from + UNIT_BYTES)
    }

    fn start(&self) -> Unit {
        self.geometry.slot_start(self.expected.slot)
    }

    /// The batch of this segment at a unit, counted from the slot's beginning.
    fn batch(&self, id: u64, at: u32) -> Option<(BatchHeader, u32)> {
        let block = self.unit(at)?;
        BatchHeader::decode(self.checks, id, self.start() + at, block)
    }

    fn header(&self) -> Option<(SegmentHeader, u32)> {
        let id = self.expected.id?;
        let read = SegmentHeader::decode(self.checks, id, self.unit(0)?);
        let fits = |header: &SegmentHeader| fits(header, self.expected, self.geometry);
        read.filter(|(header, _)| fits(header))
            .or_else(|| self.header_by_first_batch(id))
    }

    /// The header of a segment that a checkpoint lists, without the header: the first batch has its
    /// checksum and what else is not listed.
    fn header_by_first_batch(&self, id: u64) -> Option<(SegmentHeader, u32)> {
        let listed = self.expected.listed?;
        let (first, _) = self.batch(id, 1)?;
        let header = SegmentHeader {
            id,
            epoch: first.epoch,
            first_seq: listed.first_seq,
            first_batch: first.number,
            previous: id - 1,
            previous_seal_checksum: 0,
            slot: self.expected.slot,
            next_slot: listed.next_slot,
            time_ns: listed.time_ns,
        };
        let is_possible = first.epoch <= self.expected.epoch_max
            && listed.first_seq <= first.first_seq
            && listed.time_ns < first.time_ns
            && listed.next_slot != self.expected.slot
            && listed.next_slot < self.geometry.slots;
        is_possible.then_some((header, first.previous_checksum))
    }

    /// The batch that follows, and the checksum of its header.
    fn next(&self, scan: &mut Scan, previous: u32) -> Option<(BatchHeader, u32)> {
        let id = scan.reached.segment;
        let epoch_max = self.expected.epoch_max;
        let follows = |batch: &BatchHeader| {
            lies_inside(batch, self.geometry.vdisk_blocks)
                && scan.follows(batch, previous, epoch_max)
        };
        let found = self.batch(id, scan.end_units);
        let Some((batch, checksum)) = found.filter(|(batch, _)| follows(batch)) else {
            return self.behind_checkpoint(scan);
        };
        let from = (scan.end_units as usize + 1) * UNIT_BYTES;
        let payload = self
            .bytes
            .get(from..from + batch.payload_checksums.len() * UNIT_BYTES)?;
        let is_taken = batch.payload_is_whole(self.checks, payload) || self.was_durable(&batch);
        is_taken.then_some((batch, checksum))
    }

    /// The batch behind a CHECKPOINT that the superblocks name, or named when the segment was cut,
    /// of which the header is damaged: nothing of the history is lost with it, and the batch behind
    /// it has its checksum.
    fn behind_checkpoint(&self, scan: &mut Scan) -> Option<(BatchHeader, u32)> {
        let durable = &self.expected.durable;
        let is_here = |place: &CheckpointPlace| place.unit == self.start() + scan.end_units;
        let places = [durable.checkpoint, durable.checkpoint_before];
        let named = places.into_iter().flatten().find(is_here);
        let missing = named.map(|place| place.checksum).or(durable.hole)?;
        let slot_units = self.geometry.slot_units;
        let mut units = scan.end_units + 1..slot_units;
        let (batch, checksum) = units.find_map(|at| {
            let found = self.batch(scan.reached.segment, at);
            found.filter(|(batch, _)| batch.previous_checksum == missing)
        })?;
        let mut behind = scan.clone();
        behind.hole = Some(missing);
        behind.end_units = batch.unit - self.start();
        behind.reached.last_batch += 1;
        behind.reached.last_seq += 1;
        let (batch, checksum) = self
            .next(&mut behind, missing)
            .filter(|found| *found == (batch, checksum))?;
        *scan = behind;
        Some((batch, checksum))
    }

    /// Whether something that was written later says that a batch was durable.
    fn was_durable(&self, batch: &BatchHeader) -> bool {
        let durable = &self.expected.durable;
        let behind = batch.unit - self.start() + batch.units();
        durable.is_sealed
            || durable.next.is_some()
            || batch.number <= durable.batch
            || durable
                .checkpoint
                .is_some_and(|place| batch.unit <= place.unit)
            || self.durable_behind(behind) >= batch.last_seq()
    }

    /// The greatest durable seq that headers at and behind a unit hold.
    fn durable_behind(&self, at: u32) -> Seq {
        let all = self.durable_behind.get_or_init(|| {
            let mut greatest = 0;
            let mut all: Vec<Seq> = (0..self.geometry.slot_units)
                .rev()
                .map(|at| {
                    greatest = greatest.max(self.durable_at(at));
                    greatest
                })
                .collect();
            all.reverse();
            all
        });
        all.get(at as usize).copied().unwrap_or(0)
    }

    /// The durable seq that the header at a unit holds; of a segment that is not known, any that
    /// comes later than what was read.
    fn durable_at(&self, at: u32) -> Seq {
        let Some(id) = self.unit(at).and_then(BatchHeader::claimed_segment) else {
            return 0;
        };
        let before = self.expected.before.map_or(0, |before| before.segment);
        if self.expected.id.map_or(id <= before, |known| known != id) {
            return 0;
        }
        let batch = self.batch(id, at).map(|(batch, _)| batch);
        let ours = batch.filter(|batch| batch.epoch <= self.expected.epoch_max);
        ours.map_or(0, |batch| batch.durable_seq)
    }

    /// 1 if the CHECKPOINT that the superblocks name should be at the end, and is damaged: it is
    /// nothing to lose if it is the last of all.
    fn checkpoint_at_end(&self, scan: &Scan) -> u64 {
        let at = self.start() + scan.end_units;
        let durable = &self.expected.durable;
        let is_there = durable.checkpoint.is_some_and(|place| place.unit == at);
        u64::from(is_there && durable.checkpoint_is_damaged && scan.header.is_some())
    }

    /// What the end means at which no batch follows, beside such a CHECKPOINT.
    fn judge_end(&self, scan: &Scan, checkpoint: u64) -> End {
        let durable = &self.expected.durable;
        let at = self.start() + scan.end_units;
        if let Some(next) = durable.next.as_ref().filter(|_| scan.header.is_some()) {
            let reached = &scan.reached;
            let is_all_but_seal = next.first_batch == reached.last_batch + 2
                && next.first_seq > reached.last_seq + 1
                && next.time_ns > reached.time_ns;
            return if is_all_but_seal {
                End::SealIsLost(at)
            } else {
                End::Lost
            };
        }
        let is_lost = durable.is_sealed
            || scan.reached.last_batch + checkpoint < durable.batch
            || durable
                .checkpoint
                .is_some_and(|place| place.unit >= at + checkpoint as Unit)
            || self.durable_behind(scan.end_units) > scan.reached.last_seq + checkpoint;
        if is_lost { End::Lost } else { End::Open }
    }
}

/// Whether a segment header is the one that was expected.
fn fits(header: &SegmentHeader, expected: &Expected, geometry: &Geometry) -> bool {
    let follows = expected.before.is_none_or(|before| {
        let seal = before.seal_checksum;
        before.epoch <= header.epoch
            && header.previous == before.segment
            && header.first_batch == before.last_batch + 1
            && header.first_seq > before.last_seq
            && header.time_ns > before.time_ns
            && seal.is_none_or(|seal| seal == header.previous_seal_checksum)
    });
    header.slot == expected.slot
        && header.next_slot != header.slot
        && header.next_slot < geometry.slots
        && header.previous < header.id
        && header.epoch <= expected.epoch_max
        && follows
}

fn lies_inside(batch: &BatchHeader, vdisk_blocks: u64) -> bool {
    match &batch.body {
        Body::Data(entries) => entries
            .iter()
            .all(|entry| entry.lba + u64::from(entry.blocks) <= vdisk_blocks),
        Body::Record(Record::Resize(blocks)) => *blocks <= vdisk_blocks,
        Body::Record(_) => true,
    }
}

impl Scan {
    fn follows(&self, batch: &BatchHeader, previous: u32, epoch_max: u64) -> bool {
        let reached = &self.reached;
        let begins_epoch = match &batch.body {
            Body::Record(Record::Epoch { before, .. }) => *before < batch.epoch,
            // Of a segment in which the EPOCH has no room.
            Body::Record(Record::Seal(_)) => batch.epoch > reached.epoch,
            _ => false,
        };
        let epoch_fits = if batch.epoch == reached.epoch {
            // A segment that was begun after opening has the new epoch itself.
            !begins_epoch || self.batches.is_empty()
        } else {
            (reached.epoch..=epoch_max).contains(&batch.epoch) && begins_epoch
        };
        let seq_fits = if begins_epoch {
            batch.first_seq > reached.last_seq
        } else {
            batch.first_seq == reached.last_seq + 1
        };
        epoch_fits
            && seq_fits
            && batch.previous_checksum == previous
            && batch.number == reached.last_batch + 1
            && batch.time_ns > reached.time_ns
            && (begins_epoch || batch.durable_seq <= reached.last_seq)
    }

    fn take(&mut self, batch: BatchHeader, checksum: u32) {
        let is_seal = matches!(batch.body, Body::Record(Record::Seal(_)));
        self.end_units += batch.units();
        self.reached = Before {
            segment: self.reached.segment,
            epoch: batch.epoch,
            last_batch: batch.number,
            last_seq: batch.last_seq(),
            time_ns: batch.time_ns,
            seal_checksum: is_seal.then_some(checksum),
        };
        if is_seal {
            self.end = End::Sealed(batch.unit, checksum);
        }
        self.batches.push((batch, checksum));
    }
}
