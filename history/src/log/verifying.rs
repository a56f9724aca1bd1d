//! What a verification looks at in a log that goes on.

use super::Log;
use crate::format::SUPERBLOCK_UNITS;
use crate::format::checks::Checks;
use crate::steps::Failure;
use crate::verify::{Findings, Target, Verify};

impl Log {
    /// Begins to verify all that the log holds now.
    ///
    /// # Errors
    /// [`Failure::NotOpen`].
    pub fn verify(&self) -> Result<Verify, Failure> {
        self.check_readable()?;
        let sealed = self.segments.sealed().map(|row| {
            let start = self.geometry.slot_start(row.slot);
            let slot_end = start + self.geometry.slot_units;
            // What is cut has no SEAL: it ends there.
            let end = row.seal.filter(|_| row.is_cut).map(|(unit, _)| unit);
            Target {
                id: row.id,
                slot: row.slot,
                start,
                seal: row.seal.filter(|_| !row.is_cut),
                end: end.unwrap_or(slot_end),
                open: None,
                first_seq: row.seqs[0],
            }
        });
        let open = self.segments.open().and_then(|open| {
            Some(Target {
                id: open.id,
                slot: open.slot,
                start: self.geometry.slot_start(open.slot),
                seal: None,
                end: open.published_end()?,
                open: Some(open.footer.clone()),
                first_seq: open.first_seq,
            })
        });
        let lost = self.lost_blocks.rows();
        let lost = lost.iter().map(|row| (row.lba, u64::from(row.blocks)));
        // Of one that is deferred nothing is on a disk.
        let superblocks = match self.is_unwritten() {
            true => &[][..],
            false => &SUPERBLOCK_UNITS,
        };
        Ok(Verify::new(
            sealed.chain(open).collect(),
            superblocks,
            Findings::of_lost(lost),
        ))
    }

    /// Whether a segment still lies where it lay.
    pub(crate) fn holds_segment(&self, target: &Target) -> bool {
        self.segments.id_in_slot(target.slot) == target.id
    }

    /// The generation of the superblocks, unless they are being written.
    pub(crate) fn written_superblocks(&self) -> Option<u64> {
        let is_writing = self.superblocks.are_written() && self.broken().is_none();
        (!is_writing).then_some(self.superblock.generation)
    }

    pub(crate) fn checks(&self) -> &Checks {
        &self.checks
    }
}
