//! What a verification found.

use crate::format::{Seq, Unit};

/// Findings that are listed; further ones are counted.
pub(super) const DAMAGES_MAX: usize = 1000;

/// Which part of a log is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DamagedPart {
    /// A superblock; the other one says the same.
    Superblock,
    /// The header of a segment; its neighbours say the same.
    SegmentHeader,
    /// The header of a batch.
    BatchHeader {
        /// The footer of its segment is whole and says the same. A segment that is written has none
        /// before it is full: until then the header is lost with the next start.
        is_listed: bool,
    },
    /// Data that clients wrote.
    Data,
    /// The tables of a checkpoint.
    Checkpoint,
    /// The SEAL of a segment or a page of its footer, which is made anew from the batches.
    Footer,
    /// Not the log: blocks of the image that rotted in the log before they could be folded.
    LostBlocks,
}

/// One place that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Which part.
    pub part: DamagedPart,
    /// Where in the log; of lost blocks nothing.
    pub unit: Unit,
    /// How many units.
    pub units: u32,
    /// It cannot be read; else it was read and is something else.
    pub is_unreadable: bool,
    /// What was written there: first and last seq.
    pub seqs: Option<(Seq, Seq)>,
    /// When, in nanoseconds since 1970.
    pub time_ns: Option<u64>,
    /// The blocks of the vdisk that were written there, as runs: first block, and how many.
    pub blocks: Vec<(u64, u64)>,
    /// Some of them are the newest content.
    pub is_newest: bool,
}

impl Damage {
    pub(super) fn of_part(part: DamagedPart, unit: Unit) -> Damage {
        Damage {
            part,
            unit,
            units: 1,
            is_unreadable: false,
            seqs: None,
            time_ns: None,
            blocks: Vec::new(),
            is_newest: false,
        }
    }

    pub(super) fn unreadable(self, is_unreadable: bool) -> Damage {
        Damage {
            is_unreadable,
            ..self
        }
    }

    /// Whether reads fail, or will, as of data; else it is there a second time.
    pub fn loses_data(&self) -> bool {
        match self.part {
            DamagedPart::Data | DamagedPart::LostBlocks => true,
            DamagedPart::BatchHeader { is_listed } => !is_listed,
            _ => false,
        }
    }

    /// Takes in what lies directly behind it; whether it does.
    fn join(&mut self, next: &Damage) -> bool {
        let follows = self.part == next.part
            && matches!(self.part, DamagedPart::Data)
            && self.unit + self.units == next.unit
            && self.time_ns == next.time_ns
            && self.is_unreadable == next.is_unreadable;
        if !follows {
            return false;
        }
        self.units += next.units;
        self.is_newest |= next.is_newest;
        self.seqs = match (self.seqs, next.seqs) {
            (Some((first, _)), Some((_, last))) => Some((first, last)),
            _ => None,
        };
        for run in &next.blocks {
            add_block_run(&mut self.blocks, *run);
        }
        true
    }
}

/// Adds a run of blocks, to the last one if it lies directly behind it.
pub(super) fn add_block_run(runs: &mut Vec<(u64, u64)>, (first, blocks): (u64, u64)) {
    match runs.last_mut() {
        Some(last) if last.0 + last.1 == first => last.1 += blocks,
        _ => runs.push((first, blocks)),
    }
}

/// What all of a log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Segments that were read to their end.
    pub segments: u64,
    /// Units that were read.
    pub units: u64,
    /// What is damaged, in the order in which it was written.
    pub damages: Vec<Damage>,
    /// So many more are not listed.
    pub unlisted: u64,
}

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    damages: Vec<Damage>,
    unlisted: u64,
}

impl Findings {
    /// Blocks that are known to be lost.
    pub(crate) fn of_lost(blocks: impl Iterator<Item = (u64, u64)>) -> Findings {
        let mut findings = Findings::default();
        for run in blocks {
            let mut damage = Damage::of_part(DamagedPart::LostBlocks, 0);
            (damage.units, damage.blocks) = (0, vec![run]);
            findings.add(damage);
        }
        findings
    }

    pub(super) fn add(&mut self, damage: Damage) {
        if let Some(last) = self.damages.last_mut()
            && last.join(&damage)
        {
            return;
        }
        match self.damages.len() < DAMAGES_MAX {
            true => self.damages.push(damage),
            false => self.unlisted += 1,
        }
    }

    /// Of a segment that was read to its end.
    pub(super) fn append(&mut self, of_segment: Findings) {
        self.unlisted += of_segment.unlisted;
        for damage in of_segment.damages {
            self.add(damage);
        }
    }

    pub(super) fn damages_mut(&mut self) -> &mut [Damage] {
        &mut self.damages
    }

    pub(super) fn report(self, segments: u64, units: u64) -> Verified {
        Verified {
            segments,
            units,
            damages: self.damages,
            unlisted: self.unlisted,
        }
    }
}
