//! What a client reads: looked up, read from log or image, and verified.

use super::Driver;
use disktime_history::{Fetched, Source, UNIT_BYTES, View};
use disktime_random::SplitMix64;

impl Driver {
    /// Reads a whole content piece by piece, each after it was fetched.
    pub(crate) fn read_fetched(
        &mut self,
        view: View,
        random: &mut SplitMix64,
    ) -> Vec<Option<Vec<u8>>> {
        let mut blocks = Vec::new();
        let size = self.log.blocks_of(view).expect("the view is open");
        while (blocks.len() as u64) < size {
            let lba = blocks.len() as u64;
            let left = size - lba;
            let wanted = random.range(1, left.min(90) + 1);
            // A fold makes it necessary to fetch again.
            let run = loop {
                let request = self.request();
                let fetched = self.log.fetch(request, view, lba, wanted);
                if fetched.expect("the view is open") == Fetched::Later {
                    self.finish(request, random).expect("found");
                }
                if let Some(run) = self.log.look_up(view, lba, wanted) {
                    break run;
                }
            };
            assert!((1..=wanted).contains(&run.blocks));
            (lba..lba + run.blocks).for_each(|at| blocks.push(self.read_block(run.source, at)));
        }
        blocks
    }

    fn read_block(&self, source: Source, lba: u64) -> Option<Vec<u8>> {
        let from = lba as usize * UNIT_BYTES;
        match source {
            Source::Zeroes => Some(vec![0; UNIT_BYTES]),
            Source::Image => Some(self.image.bytes[from..from + UNIT_BYTES].to_vec()),
            Source::Log { unit, checksum } => self.read_log(unit, checksum),
            Source::Lost => None,
        }
    }

    pub(super) fn read_log(&self, unit: u32, checksum: u32) -> Option<Vec<u8>> {
        let from = unit as usize * UNIT_BYTES;
        let block = &self.disk.bytes[from..from + UNIT_BYTES];
        self.log
            .verifies(unit, checksum, block)
            .then(|| block.to_vec())
    }

    /// The same, of the newest content, shortly after a revert.
    pub(crate) fn read_now(&mut self) -> Vec<Option<Vec<u8>>> {
        self.read_fetched(View::Now, &mut SplitMix64::new(1))
    }

    /// Reads the whole vdisk; `None` for a block that does not verify.
    pub(crate) fn read(&self, view: View) -> Vec<Option<Vec<u8>>> {
        let mut blocks = Vec::new();
        let size = self.log.blocks_of(view).expect("the view is open");
        while (blocks.len() as u64) < size {
            let lba = blocks.len() as u64;
            let left = size - lba;
            let run = self.log.look_up(view, lba, left).expect("the view is open");
            assert!((1..=left).contains(&run.blocks));
            (lba..lba + run.blocks).for_each(|at| blocks.push(self.read_block(run.source, at)));
        }
        blocks
    }
}
