//! How many requests to read from the device in one turn of the reactor.
//!
//! A read of an empty device costs a system call, and so does each further turn. So a turn reads
//! as many requests as the last turn found. Where requests come one at a time, a second read is
//! tried more and more rarely: at most once in 16 turns. Requests that are left in the device wake
//! the reactor at once.

/// The most requests of one turn, so that the reactor's other connections are served in between.
const REQUESTS_MAX: usize = 64;

/// A second read is tried at least once in this many turns, as a power of two.
const PROBE_INTERVAL_MAX_LOG2: u32 = 4;

/// How many requests to read in the next turn.
#[derive(Debug)]
pub(crate) struct ReadBatchSize {
    requests: usize,
    /// How many turns in a row found that a request was the only one.
    single_turns: u32,
    /// Turns until the next try for a second request.
    turns_until_probe: u32,
}

impl Default for ReadBatchSize {
    fn default() -> ReadBatchSize {
        ReadBatchSize {
            requests: 1,
            single_turns: 0,
            turns_until_probe: 0,
        }
    }
}

impl ReadBatchSize {
    /// How many requests to read in this turn.
    pub(crate) fn requests(&self) -> usize {
        self.requests
    }

    /// The device was empty after `count` requests, fewer than the turn would have read.
    pub(crate) fn ended_after(&mut self, count: usize) {
        self.requests = count.max(1);
        self.single_turns = match count {
            0 | 1 => (self.single_turns + 1).min(PROBE_INTERVAL_MAX_LOG2),
            _ => 0,
        };
        self.turns_until_probe = match self.single_turns {
            0 => 0,
            turns => 1 << turns,
        };
    }

    /// The turn read as many requests as it may; there may be more.
    pub(crate) fn was_full(&mut self) {
        match self.turns_until_probe {
            0 => self.requests = (self.requests * 2).min(REQUESTS_MAX),
            _ => self.turns_until_probe -= 1,
        }
    }
}

#[cfg(test)]
mod tests;
