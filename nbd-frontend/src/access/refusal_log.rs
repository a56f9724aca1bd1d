//! Log lines about refused connections, at most one of a kind per second.

use disktime_engine::LogThrottle;
use disktime_units::Nanos;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Refusals of one kind.
#[derive(Debug)]
pub(super) struct RefusalLog {
    since: Instant,
    throttle: Mutex<LogThrottle>,
}

impl Default for RefusalLog {
    fn default() -> RefusalLog {
        RefusalLog {
            since: Instant::now(),
            throttle: Mutex::new(LogThrottle::with_burst(1)),
        }
    }
}

impl RefusalLog {
    /// Calls `write` if a line is due. Its argument says how many refusals were not logged since
    /// the last line.
    pub(super) fn log(&self, write: impl FnOnce(&str)) {
        let mut throttle = self.throttle.lock().unwrap_or_else(PoisonError::into_inner);
        match throttle.allow(Nanos::from(self.since.elapsed())) {
            None => {}
            Some(0) => write(""),
            Some(count) => write(&format!(" ({count} more were refused meanwhile)")),
        }
    }
}
