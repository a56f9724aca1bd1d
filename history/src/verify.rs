//! Whether a log still holds what was written to it: all of it is read again, and every checksum is
//! compared.
//!
//! ```text
//!   lost blocks that are known ─► sealed segments, oldest first ─► the open one ─► superblocks
//! ```
//!
//! A driver asks for the next read ([`Verify::next`]), does it, and hands the bytes in
//! ([`Verify::take`]) until nothing is left; the report says what is damaged. The log goes on
//! meanwhile: what it writes after the beginning is not read, and a segment that is retired is
//! left out, as it is no part of the history any more.
//!
//! Invariants: one read at a time, of a MiB at most; the memory is that of one segment's tables and
//! of a thousand findings; the log is only read. Bytes of any kind are judged, none is
//! trusted.
//!
//! What is not known here: disks, who pays, sentences.

mod findings;
mod walk;

pub use findings::{Damage, DamagedPart, Verified};

use crate::format::footer::Footer;
use crate::format::superblock::Superblock;
use crate::format::{UNIT_BYTES, Unit};
use crate::log::Log;
use crate::steps::IoFailed;
pub(crate) use findings::Findings;
use std::collections::VecDeque;
use walk::{Progress, Walk};

/// Units of a read, at most.
const READ_UNITS: u32 = 256;

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyNext {
    /// These units of the log are read, and handed in by [`Verify::take`].
    Read {
        /// The first one.
        unit: Unit,
        /// How many.
        units: u32,
    },
    /// The log writes what comes next: to be asked again.
    Wait,
    /// All is read.
    Done,
}

/// A segment as it was when the verification began.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) id: u64,
    pub(crate) slot: u32,
    /// Of the slot.
    pub(crate) start: Unit,
    /// Where the SEAL lies, and its checksum.
    pub(crate) seal: Option<(Unit, u32)>,
    /// Nothing from this unit on is read.
    pub(crate) end: Unit,
    /// Of the open segment: what it holds, as nothing on the disk lists it.
    pub(crate) open: Option<Footer>,
    pub(crate) first_seq: u64,
}

/// A verification.
#[derive(Debug)]
pub struct Verify {
    targets: VecDeque<Target>,
    walk: Option<Walk>,
    /// Superblocks that are not read yet.
    superblocks: VecDeque<Unit>,
    /// The read in flight, and the generation of the superblocks before it.
    reading: Option<(Unit, u32, Option<u64>)>,
    /// Single units are read up to this one, as a longer read has failed.
    single_until: Unit,
    findings: Findings,
    done_units: u64,
    all_units: u64,
    segments: u64,
}

impl Verify {
    /// Of all that a log holds now.
    pub(crate) fn new(targets: Vec<Target>, superblocks: &[Unit], findings: Findings) -> Verify {
        let of_target = |target: &Target| u64::from(target.end - target.start);
        Verify {
            all_units: targets.iter().map(of_target).sum::<u64>() + superblocks.len() as u64,
            targets: targets.into(),
            walk: None,
            superblocks: superblocks.to_vec().into(),
            reading: None,
            single_until: 0,
            findings,
            done_units: 0,
            segments: 0,
        }
    }

    /// Units that are read or left out, and all of them.
    pub fn progress(&self) -> (u64, u64) {
        let of_walk = self.walk.as_ref().map_or(0, |walk| walk.units_done());
        (self.done_units + of_walk, self.all_units)
    }

    /// What is done next. After a read it is asked for again when that was handed in.
    pub fn next(&mut self, log: &Log) -> VerifyNext {
        loop {
            // What is retired is no part of the history any more.
            let retired = self.walk.take_if(|walk| !log.holds_segment(walk.target()));
            if let Some(walk) = retired {
                self.note_done(&walk);
            }
            if let Some(walk) = &self.walk {
                let (unit, end) = walk.next();
                let is_single = unit < self.single_until;
                let units = if is_single {
                    1
                } else {
                    READ_UNITS.min(end - unit)
                };
                self.reading = Some((unit, units, None));
                return VerifyNext::Read { unit, units };
            }
            match self.targets.pop_front() {
                Some(target) => self.walk = Some(Walk::begin(target)),
                None => return self.next_superblock(log),
            }
        }
    }

    fn next_superblock(&mut self, log: &Log) -> VerifyNext {
        let Some(unit) = self.superblocks.front() else {
            return VerifyNext::Done;
        };
        // While they are written, what is read may be a part of the old one and of the new one.
        match log.written_superblocks() {
            None => VerifyNext::Wait,
            generation => {
                self.reading = Some((*unit, 1, generation));
                VerifyNext::Read {
                    unit: *unit,
                    units: 1,
                }
            }
        }
    }

    /// The read has ended, with as many bytes as were asked for.
    pub fn take(&mut self, log: &Log, result: Result<&[u8], IoFailed>) {
        let Some((unit, units, generation)) = self.reading.take() else {
            return;
        };
        let bytes = result
            .ok()
            .filter(|bytes| bytes.len() == units as usize * UNIT_BYTES);
        if generation.is_some() {
            return self.take_superblock(log, unit, generation, bytes);
        }
        let Some(mut walk) = self.walk.take() else {
            return;
        };
        // The slot may have been written again while it was read.
        if !log.holds_segment(walk.target()) {
            return self.note_done(&walk);
        }
        if bytes.is_none() && units > 1 {
            self.single_until = unit + units;
            self.walk = Some(walk);
            return;
        }
        let blocks = match bytes {
            Some(bytes) => bytes.chunks(UNIT_BYTES).map(Some).collect(),
            None => vec![None],
        };
        let mut blocks = blocks.into_iter();
        if blocks.any(|block| walk.take(log, block) == Progress::Ended) {
            self.note_done(&walk);
            self.segments += 1;
            walk.end(log, &mut self.findings);
        } else {
            self.walk = Some(walk);
        }
    }

    fn note_done(&mut self, walk: &Walk) {
        let target = walk.target();
        self.done_units += u64::from(target.end - target.start);
    }

    fn take_superblock(
        &mut self,
        log: &Log,
        unit: Unit,
        generation: Option<u64>,
        bytes: Option<&[u8]>,
    ) {
        if log.written_superblocks() != generation {
            // It was written meanwhile: it is read again.
            return;
        }
        self.superblocks.pop_front();
        self.done_units += 1;
        // Of a log that is only read, one may be older than the other.
        let is_good = |read: &Superblock| log.is_read_only() || Some(read.generation) == generation;
        let read = bytes.and_then(|bytes| Superblock::decode(bytes).ok());
        if !read.is_some_and(|read| is_good(&read)) {
            let damage = Damage::of_part(DamagedPart::Superblock, unit);
            self.findings.add(damage.unreadable(bytes.is_none()));
        }
    }

    /// What was found.
    pub fn finish(self) -> Verified {
        self.findings.report(self.segments, self.done_units)
    }
}
