//! When a fold that failed is tried again: after 1 s, then after twice as long each time, up to a
//! minute.
//!
//! Not known here: what a fold is, and clocks: it counts the ticks of the histories, which come
//! once a second.

use disktime_engine::IoError;

/// Ticks between two tries, at most.
const TICKS_MAX: u32 = 60;

/// Folds that failed one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FoldRetry {
    failures: u32,
    ticks_left: u32,
    why: Option<IoError>,
}

impl FoldRetry {
    /// One more has failed; `why`: what its disk answered, `None` if the log is damaged.
    pub(super) fn after(before: Option<FoldRetry>, why: Option<IoError>) -> FoldRetry {
        let failures = before.map_or(0, |before| before.failures).saturating_add(1);
        FoldRetry {
            failures,
            ticks_left: 1_u32
                .checked_shl(failures - 1)
                .map_or(TICKS_MAX, |ticks| ticks.min(TICKS_MAX)),
            why,
        }
    }

    /// A second has passed; whether the fold is to be tried again now.
    pub(super) fn tick(&mut self) -> bool {
        self.ticks_left = self.ticks_left.saturating_sub(1);
        self.ticks_left == 0
    }

    /// What is wrong, for people.
    pub(super) fn problem(&self) -> String {
        let cause = match self.why {
            Some(IoError::NoSpace) => "there is no space on the disk",
            Some(_) => "the disk failed",
            None => "a part of the log is damaged",
        };
        let times = match self.failures {
            1 => "once".to_owned(),
            failures => format!("{failures} times"),
        };
        let next = self.ticks_left.max(1);
        format!(
            "the oldest moments could not be moved into the vdisk's own space ({cause}, {times}); \
             tried again in {next} s"
        )
    }
}

#[cfg(test)]
mod tests;
