//! Limits how often one kind of log message is written: a burst first, then one per second with
//! the number of messages that were suppressed in between. After a minute without a message the
//! next burst is allowed, so that a few messages after months are all written. So a full or failing
//! disk, or a program that retries for ever, neither fills another disk with its log nor delays the
//! thread that serves other clients.
//!
//! What is not known here: what the messages say.

use disktime_units::Nanos;

/// Messages written without a limit at first, unless the caller chooses another number.
const DEFAULT_BURST: u32 = 32;
const INTERVAL: Nanos = Nanos::from_secs(1);
/// After so long without a message, a burst is allowed again.
const QUIET: Nanos = Nanos::from_secs(60);

/// The limiter of one kind of message.
#[derive(Debug)]
pub struct LogThrottle {
    burst: u32,
    written: u32,
    suppressed: u64,
    /// When one message more is allowed after the burst.
    next: Nanos,
}

impl Default for LogThrottle {
    fn default() -> LogThrottle {
        LogThrottle::with_burst(DEFAULT_BURST)
    }
}

impl LogThrottle {
    /// Allows `burst` messages at once, then one per second; after a quiet minute again.
    pub fn with_burst(burst: u32) -> LogThrottle {
        LogThrottle {
            burst,
            written: 0,
            suppressed: 0,
            next: Nanos::ZERO,
        }
    }

    /// Whether to write a message now; then the number of messages suppressed since the last one.
    /// All times given to one limiter are of one clock.
    pub fn allow(&mut self, now: Nanos) -> Option<u64> {
        if now >= self.next + QUIET {
            self.written = 0;
        }
        if self.written >= self.burst && now < self.next {
            self.suppressed += 1;
            return None;
        }
        self.written = (self.written + 1).min(self.burst);
        self.next = now + INTERVAL;
        Some(std::mem::take(&mut self.suppressed))
    }

    /// When one message more is allowed, if some were suppressed since the last one.
    pub fn due(&self) -> Option<Nanos> {
        (self.suppressed > 0).then_some(self.next)
    }
}

#[cfg(test)]
mod tests;
