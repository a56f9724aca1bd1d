//! Says what may happen thousands of times a second only as often as anybody would read it: a full or
//! broken disk must not fill another one with its log, nor hold up its thread by that.

use disktime_units::Nanos;

/// Sentences that are said at once, and one more after each interval.
const SENTENCES: u32 = 32;
const INTERVAL: Nanos = Nanos::from_secs(1);

/// What may still be said.
#[derive(Debug, Default)]
pub(crate) struct Sparingly {
    said: u32,
    unsaid: u64,
    /// When one sentence more is allowed, once all were said.
    next: Nanos,
}

impl Sparingly {
    /// Whether to say it now, and how many were passed over before.
    pub fn say(&mut self, now: Nanos) -> Option<u64> {
        if self.said >= SENTENCES && now < self.next {
            self.unsaid += 1;
            return None;
        }
        self.said = (self.said + 1).min(SENTENCES);
        self.next = now + INTERVAL;
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_for_ever_is_said_once_a_second_with_its_number() {
        let mut sparingly = Sparingly::default();
        let start = Nanos::from_secs(7);
        let first = (0..1000).filter_map(|_| sparingly.say(start));
        assert_eq!(first.collect::<Vec<_>>(), [0; SENTENCES as usize]);
        let steps = (0..3000).map(|step| start + Nanos::from_millis(step));
        let later: Vec<u64> = steps.filter_map(|now| sparingly.say(now)).collect();
        assert_eq!(later, [968 + 1000, 999]);
    }
}
