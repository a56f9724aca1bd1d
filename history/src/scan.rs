//! Reads a segment batch by batch, and says where it ends and what that end means.
//!
//! Invariants: the batches that are returned follow each other and the segment's header without a
//! gap, and their payload is whole. Bytes of any kind are judged, none is trusted.
//!
//! What is not known here: I/O, other segments, what records mean.

use crate::format::batch::{BatchHeader, Body};
use crate::format::checks::Checks;
use crate::format::record::Record;
use crate::format::segment_header::SegmentHeader;
use crate::format::superblock::Geometry;
use crate::format::{Seq, UNIT_BYTES, Unit};

/// What is known of a segment before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) id: u64,
    pub(crate) slot: u32,
    /// That of the superblock: no batch has a greater one.
    pub(crate) epoch_max: u64,
    /// What comes before it, where that was read.
    pub(crate) before: Option<Before>,
    /// What is left before it if neither that nor its own header was read.
    pub(crate) without_header: Before,
}

/// What the segment before ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Before {
    pub(crate) epoch: u64,
    pub(crate) last_batch: u64,
    pub(crate) last_seq: Seq,
    pub(crate) time_ns: u64,
    pub(crate) seal_checksum: u32,
}

impl Before {
    /// Before the first segment.
    pub(crate) const NOTHING: Before = Before {
        epoch: 1,
        last_batch: 0,
        last_seq: 0,
        time_ns: 0,
        seal_checksum: 0,
    };
}

/// A segment as far as it is whole.
#[derive(Debug, Clone)]
pub(crate) struct Scan {
    /// Its header and the header's checksum, if that is whole.
    pub(crate) header: Option<(SegmentHeader, u32)>,
    /// Whole batches, and the checksums of their headers.
    pub(crate) batches: Vec<(BatchHeader, u32)>,
    /// Whether the last of them is a SEAL.
    pub(crate) is_sealed: bool,
    /// Units from the slot's beginning to the end of the last whole batch.
    pub(crate) end_units: u32,
    /// Whether a later header says that what is missing was durable.
    pub(crate) lost_durable: bool,
    /// Epoch, number, seq, time that the last whole batch had.
    pub(crate) reached: Before,
}

/// Reads the segment that should lie in `bytes`, a whole slot.
pub(crate) fn scan(
    checks: &Checks,
    geometry: &Geometry,
    expected: &Expected,
    bytes: &[u8],
) -> Scan {
    let start = geometry.slot_start(expected.slot);
    let unit_at = |at: u32| bytes.get(at as usize * UNIT_BYTES..(at as usize + 1) * UNIT_BYTES);
    let header = unit_at(0)
        .and_then(|block| SegmentHeader::decode(checks, expected.id, block))
        .filter(|(header, _)| fits(header, expected, geometry));
    let mut scan = Scan {
        header: None,
        batches: Vec::new(),
        is_sealed: false,
        end_units: 0,
        lost_durable: false,
        reached: expected.before.unwrap_or(expected.without_header),
    };
    if let Some((header, checksum)) = header {
        if expected.before.is_none() {
            scan.reached = Before {
                epoch: header.epoch,
                last_batch: header.first_batch.saturating_sub(1),
                last_seq: header.first_seq.saturating_sub(1),
                time_ns: header.time_ns,
                ..Before::NOTHING
            };
        }
        // Whatever comes next is written after the header, even if a crash lost its first batch.
        scan.reached.time_ns = header.time_ns;
        scan.end_units = 1;
        let mut previous = checksum;
        scan.header = Some((header, checksum));
        while let Some(block) = unit_at(scan.end_units).filter(|_| !scan.is_sealed) {
            let at = start + scan.end_units;
            let Some((batch, checksum)) = BatchHeader::decode(checks, expected.id, at, block)
            else {
                break;
            };
            let from = (scan.end_units as usize + 1) * UNIT_BYTES;
            let payload = bytes.get(from..from + batch.payload_checksums.len() * UNIT_BYTES);
            let is_whole = payload.is_some_and(|payload| batch.payload_is_whole(checks, payload));
            let is_inside = lies_inside(&batch, geometry.vdisk_blocks);
            if !is_whole || !is_inside || !scan.follows(&batch, previous, expected.epoch_max) {
                break;
            }
            previous = checksum;
            scan.take(batch, checksum);
        }
    }
    if !scan.is_sealed {
        let behind = scan.end_units..geometry.slot_units;
        scan.lost_durable = behind.into_iter().any(|at| {
            let block = unit_at(at).unwrap_or_default();
            BatchHeader::decode(checks, expected.id, start + at, block).is_some_and(|(batch, _)| {
                batch.epoch <= expected.epoch_max && batch.durable_seq > scan.reached.last_seq
            })
        });
    }
    scan
}

/// Whether a segment header is the one that was expected.
fn fits(header: &SegmentHeader, expected: &Expected, geometry: &Geometry) -> bool {
    let follows = expected.before.is_none_or(|before| {
        (before.epoch..=expected.epoch_max).contains(&header.epoch)
            && header.first_batch == before.last_batch + 1
            && header.first_seq > before.last_seq
            && header.time_ns > before.time_ns
            && header.previous_seal_checksum == before.seal_checksum
    });
    header.slot == expected.slot
        && header.next_slot != header.slot
        && header.next_slot < geometry.slots
        && header.previous + 1 == expected.id
        && follows
}

fn lies_inside(batch: &BatchHeader, vdisk_blocks: u64) -> bool {
    match &batch.body {
        Body::Data(entries) => entries
            .iter()
            .all(|entry| entry.lba + u64::from(entry.blocks) <= vdisk_blocks),
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
            && batch.durable_seq <= reached.last_seq
    }

    fn take(&mut self, batch: BatchHeader, checksum: u32) {
        self.is_sealed = matches!(batch.body, Body::Record(Record::Seal(_)));
        self.end_units += batch.units();
        self.reached = Before {
            epoch: batch.epoch,
            last_batch: batch.number,
            last_seq: batch.last_seq(),
            time_ns: batch.time_ns,
            seal_checksum: checksum,
        };
        self.batches.push((batch, checksum));
    }

    /// The place of its SEAL, and the checksum of that header.
    pub(crate) fn seal(&self) -> Option<(Unit, u32)> {
        let (batch, checksum) = self.batches.last().filter(|_| self.is_sealed)?;
        Some((batch.unit, *checksum))
    }
}
