//! One segment, unit by unit: what is expected at each, and whether it is there.
//!
//! Where a batch's header is damaged, the next header that verifies at its place is looked for. The
//! units in between are summed, and compared with the footer when that was read, so that the data
//! behind a damaged header is judged all the same.

use super::Target;
use super::findings::{Damage, DamagedPart, Findings, add_block_run};
use crate::format::batch::{BatchHeader, Body, EntryKind};
use crate::format::footer::{Footer, FooterEntry, PAGE_KINDS, decode_page};
use crate::format::record::{Record, SealRecord};
use crate::format::segment_header::SegmentHeader;
use crate::format::{Seq, Unit};
use crate::log::{Log, Source, View};
use std::collections::BTreeMap;

/// Whether a segment is read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    GoesOn,
    Ended,
}

/// What the next unit should be.
#[derive(Debug)]
enum Awaited {
    SegmentHeader,
    /// The header of a batch, or behind a damaged one whatever belongs to that.
    Header {
        is_behind_damage: bool,
    },
    /// The payload of a batch from this unit of it on.
    Payload(Box<BatchHeader>, usize),
}

/// A segment that is being read.
#[derive(Debug)]
pub(super) struct Walk {
    target: Target,
    /// The next unit.
    unit: Unit,
    awaited: Awaited,
    findings: Findings,
    last_seq: Seq,
    /// Units behind damaged headers, and their checksums; none: it cannot be read.
    unknown: Vec<(Unit, Option<u32>)>,
    /// Pages of the footer that verify.
    footer: Footer,
    footer_is_whole: bool,
}

impl Walk {
    pub(super) fn begin(target: Target) -> Walk {
        Walk {
            unit: target.start,
            awaited: Awaited::SegmentHeader,
            findings: Findings::default(),
            last_seq: target.first_seq.saturating_sub(1),
            unknown: Vec::new(),
            footer: Footer::default(),
            footer_is_whole: false,
            target,
        }
    }

    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    pub(super) fn units_done(&self) -> u64 {
        u64::from(self.unit - self.target.start)
    }

    /// The next unit, and the end of all that may be read.
    pub(super) fn next(&self) -> (Unit, Unit) {
        (self.unit, self.target.end)
    }

    /// Takes the next unit; none: it cannot be read.
    pub(super) fn take(&mut self, log: &Log, block: Option<&[u8]>) -> Progress {
        let unit = self.unit;
        self.unit += 1;
        let awaited = std::mem::replace(
            &mut self.awaited,
            Awaited::Header {
                is_behind_damage: false,
            },
        );
        let progress = match awaited {
            Awaited::SegmentHeader => {
                self.take_segment_header(log, unit, block);
                Progress::GoesOn
            }
            Awaited::Header { is_behind_damage } => {
                self.take_header(log, unit, block, is_behind_damage)
            }
            Awaited::Payload(batch, index) => self.take_payload(log, unit, block, batch, index),
        };
        match self.unit >= self.target.end {
            true => Progress::Ended,
            false => progress,
        }
    }

    fn find(&mut self, part: DamagedPart, unit: Unit, block: Option<&[u8]>) {
        let damage = Damage::of_part(part, unit);
        self.findings.add(damage.unreadable(block.is_none()));
    }

    fn take_segment_header(&mut self, log: &Log, unit: Unit, block: Option<&[u8]>) {
        let (id, slot) = (self.target.id, self.target.slot);
        let read = block.and_then(|block| SegmentHeader::decode(log.checks(), id, block));
        if read.is_none_or(|(header, _)| header.slot != slot) {
            self.find(DamagedPart::SegmentHeader, unit, block);
        }
    }

    fn take_header(
        &mut self,
        log: &Log,
        unit: Unit,
        block: Option<&[u8]>,
        is_behind_damage: bool,
    ) -> Progress {
        let at_seal = self.target.seal.filter(|(seal, _)| *seal == unit);
        let read =
            block.and_then(|block| BatchHeader::decode(log.checks(), self.target.id, unit, block));
        let read = read.filter(|(batch, checksum)| match at_seal {
            Some((_, expected)) => is_seal(batch) && *checksum == expected,
            // A segment that was being sealed when the verification began has one, too.
            None => !is_seal(batch) || self.target.open.is_some(),
        });
        match read {
            Some((batch, _)) => {
                self.name_seqs_before(batch.first_seq);
                self.last_seq = batch.last_seq();
                if batch.units() > 1 {
                    self.awaited = Awaited::Payload(Box::new(batch), 0);
                }
                Progress::GoesOn
            }
            // Without it the pages behind it are not read.
            None if at_seal.is_some() => {
                self.find(DamagedPart::Footer, unit, block);
                Progress::Ended
            }
            None => {
                if is_behind_damage {
                    let sum = block.map(|block| log.checks().payload(self.target.id, block));
                    self.unknown.push((unit, sum));
                } else {
                    let part = DamagedPart::BatchHeader { is_listed: false };
                    self.find(part, unit, block);
                }
                self.awaited = Awaited::Header {
                    is_behind_damage: true,
                };
                Progress::GoesOn
            }
        }
    }

    /// What lies between the last header and this seq is what a damaged header was about.
    fn name_seqs_before(&mut self, next: Seq) {
        let (first, last) = (self.last_seq + 1, next.saturating_sub(1));
        let newest = self.findings.damages_mut().last_mut();
        let is_header =
            |damage: &&mut Damage| matches!(damage.part, DamagedPart::BatchHeader { .. });
        if let Some(damage) = newest.filter(is_header)
            && damage.seqs.is_none()
            && first <= last
        {
            damage.seqs = Some((first, last));
        }
    }

    fn take_payload(
        &mut self,
        log: &Log,
        unit: Unit,
        block: Option<&[u8]>,
        batch: Box<BatchHeader>,
        index: usize,
    ) -> Progress {
        let sum = block.map(|block| log.checks().payload(self.target.id, block));
        let is_whole = sum == batch.payload_checksums.get(index).copied();
        match &batch.body {
            Body::Record(Record::Seal(seal)) => {
                self.take_page(log, unit, block, (seal, index, is_whole));
            }
            Body::Record(_) if !is_whole => {
                self.find(DamagedPart::Checkpoint, unit, block);
                if let Some(damage) = self.findings.damages_mut().last_mut() {
                    damage.seqs = Some((batch.first_seq, batch.first_seq));
                    damage.time_ns = Some(batch.time_ns);
                }
            }
            Body::Data(_) if !is_whole => {
                let (seq, lba) = block_of(&batch, index);
                let damage = Damage::of_part(DamagedPart::Data, unit).unreadable(block.is_none());
                self.findings.add(Damage {
                    seqs: Some((seq, seq)),
                    time_ns: Some(batch.time_ns),
                    blocks: vec![(lba, 1)],
                    is_newest: is_newest(log, lba, unit),
                    ..damage
                });
            }
            _ => {}
        }
        let is_last = index + 1 == batch.payload_checksums.len();
        match (is_last, is_seal(&batch)) {
            (true, true) => Progress::Ended,
            (true, false) => Progress::GoesOn,
            (false, _) => {
                self.awaited = Awaited::Payload(batch, index + 1);
                Progress::GoesOn
            }
        }
    }

    /// A page of the footer, the one with this index behind the SEAL, and whether it verifies.
    fn take_page(
        &mut self,
        log: &Log,
        unit: Unit,
        block: Option<&[u8]>,
        (seal, index, is_whole): (&SealRecord, usize, bool),
    ) {
        self.footer_is_whole |= index == 0;
        let mut ends = [0; 3];
        let mut end = 0;
        for (of, pages) in ends.iter_mut().zip(seal.pages) {
            end += pages as usize;
            *of = end;
        }
        let which = ends.iter().position(|end| index < *end);
        let page = which.zip(block).filter(|_| is_whole);
        let entries = page.and_then(|(which, block)| {
            let kind = PAGE_KINDS[which];
            let page = decode_page(log.checks(), self.target.id, unit, kind, block)?;
            Some((which, page))
        });
        match entries {
            Some((which, page)) => self.footer.entries[which].extend(page),
            None => {
                self.footer_is_whole = false;
                self.find(DamagedPart::Footer, unit, block);
            }
        }
    }

    /// The segment is read to its end: what lay behind damaged headers is judged by the footer.
    pub(super) fn end(mut self, log: &Log, into: &mut Findings) {
        if let Some(open) = self.target.open.take() {
            let end = open.entries[2].iter().map(|batch| batch.seq).max();
            self.name_seqs_before(end.map_or(0, |last| last + 1));
            // It is known, but not written yet.
            self.footer = open;
        }
        let blocks = &self.footer.entries[0];
        for damage in self.findings.damages_mut() {
            if let DamagedPart::BatchHeader { is_listed } = &mut damage.part {
                *is_listed = self.footer_is_whole;
                name_blocks(damage, &self.footer);
            }
        }
        if !self.unknown.is_empty() {
            let by_unit = |entry: &FooterEntry| (entry.unit, *entry);
            let by_unit: BTreeMap<Unit, FooterEntry> = blocks.iter().map(by_unit).collect();
            for (unit, sum) in &self.unknown {
                let Some(entry) = by_unit.get(unit).filter(|entry| Some(entry.last) != *sum) else {
                    continue;
                };
                let damage = Damage::of_part(DamagedPart::Data, *unit).unreadable(sum.is_none());
                self.findings.add(Damage {
                    seqs: Some((entry.seq, entry.seq)),
                    blocks: vec![(entry.key, 1)],
                    is_newest: is_newest(log, entry.key, *unit),
                    ..damage
                });
            }
        }
        into.append(self.findings);
    }
}

fn is_seal(batch: &BatchHeader) -> bool {
    matches!(batch.body, Body::Record(Record::Seal(_)))
}

/// Whether the newest content of a block lies in this unit.
fn is_newest(log: &Log, lba: u64, unit: Unit) -> bool {
    let run = log.look_up(View::Now, lba, 1);
    run.is_some_and(|run| matches!(run.source, Source::Log { unit: at, .. } if at == unit))
}

/// The seq and the block of a unit of a batch's payload.
fn block_of(batch: &BatchHeader, index: usize) -> (Seq, u64) {
    let mut before = 0;
    if let Body::Data(entries) = &batch.body {
        for (entry, seq) in entries.iter().zip(batch.first_seq..) {
            let here = index - before;
            if entry.kind == EntryKind::Data && here < entry.blocks as usize {
                return (seq, entry.lba + here as u64);
            }
            before += entry.payload_units();
        }
    }
    (batch.first_seq, 0)
}

/// What a footer says of the seqs of a damaged header.
fn name_blocks(damage: &mut Damage, footer: &Footer) {
    let Some((first, last)) = damage.seqs else {
        return;
    };
    let is_of = |entry: &&FooterEntry| (first..=last).contains(&entry.seq);
    let [blocks, runs, batches] = &footer.entries;
    let blocks = blocks.iter().filter(is_of).map(|entry| (entry.key, 1));
    let runs = runs.iter().filter(is_of);
    let runs = runs.map(|entry| (entry.key, u64::from(entry.last)));
    let mut all: Vec<(u64, u64)> = blocks.chain(runs).collect();
    all.sort_unstable();
    for run in all {
        add_block_run(&mut damage.blocks, run);
    }
    damage.time_ns = batches.iter().find(is_of).map(|batch| batch.key);
}
