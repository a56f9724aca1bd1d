//! A seeded load of writes and flushes for a crash test. It does no I/O and reads no clock.

use crate::stamps::{FlushTicket, StampChecker, WriteTicket};
use disktime_random::Random;

/// What a [`StampLoad`] does next.
#[derive(Debug, PartialEq, Eq)]
pub enum StampAction {
    /// Write these blocks, filled by [`StampChecker::fill`].
    Write {
        /// To be passed to the checker when the write is completed.
        ticket: WriteTicket,
        /// Whether the write uses FUA.
        fua: bool,
    },
    /// Flush.
    Flush(FlushTicket),
}

/// A seeded load of writes and flushes for a [`StampChecker`].
#[derive(Debug)]
pub struct StampLoad {
    random: Random,
    blocks_most: u64,
}

impl StampLoad {
    /// Writes of 1 to `blocks_most` blocks; about every sixteenth action is a flush, and about
    /// every sixteenth write uses FUA.
    pub fn new(seed: u64, blocks_most: u64) -> StampLoad {
        StampLoad {
            random: Random::labelled(seed, "stamps"),
            blocks_most: blocks_most.max(1),
        }
    }

    /// The next action, or `None` if each of eight drawn ranges has a write in flight: wait for a
    /// completion then.
    pub fn next_action(&mut self, checker: &mut StampChecker) -> Option<StampAction> {
        if self.random.below(16) == 0 {
            return Some(StampAction::Flush(checker.begin_flush()));
        }
        let fua = self.random.below(16) == 0;
        (0..8).find_map(|_| {
            let blocks = (1 + self.random.below(self.blocks_most)).min(checker.blocks());
            let first_block = self.random.below(checker.blocks() - blocks + 1);
            let ticket = checker.begin_write(first_block, blocks)?;
            Some(StampAction::Write { ticket, fua })
        })
    }
}
