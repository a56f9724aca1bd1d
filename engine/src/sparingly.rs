//! Says what may happen thousands of times a second only as often as anybody would read it: a full or
//! broken disk, or a program that tries again and again, must not fill another disk with its log, nor
//! hold up the thread that serves the others.

use disktime_units::Nanos;

/// Sentences that are said at once, if nothing else is asked for.
const SENTENCES: u32 = 32;
const INTERVAL: Nanos = Nanos::from_secs(1);

/// What may still be said.
#[derive(Debug)]
pub struct Sparingly {
    at_once: u32,
    said: u32,
    unsaid: u64,
    /// When one sentence more is allowed, once all were said.
    next: Nanos,
}

impl Default for Sparingly {
    fn default() -> Sparingly {
        Sparingly::with(SENTENCES)
    }
}

impl Sparingly {
    /// So many sentences are said at once, and one more after each second.
    pub fn with(at_once: u32) -> Sparingly {
        Sparingly {
            at_once,
            said: 0,
            unsaid: 0,
            next: Nanos::ZERO,
        }
    }

    /// Whether to say it now, and how many were passed over before. The times of one value are of one clock.
    pub fn say(&mut self, now: Nanos) -> Option<u64> {
        if self.said >= self.at_once && now < self.next {
            self.unsaid += 1;
            return None;
        }
        self.said = (self.said + 1).min(self.at_once);
        self.next = now + INTERVAL;
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests;
