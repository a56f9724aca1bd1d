//! Says in the log what was refused and why, but not more than anybody would read: a program that
//! tries again and again must not fill a disk with its log.

use std::time::{Duration, Instant};

/// Sentences that are said at once, and one more after each interval.
const SENTENCES: u32 = 32;
const INTERVAL: Duration = Duration::from_secs(1);

/// What may still be said.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    said: u32,
    unsaid: u64,
    /// When one sentence more is allowed, once all were said.
    next: Option<Instant>,
}

impl Refusals {
    /// Says that a process was refused to do something with a name.
    pub(crate) fn say(&mut self, verb: &str, name: &str, process: u32) {
        if !self.may_say(Instant::now()) {
            self.unsaid += 1;
            return;
        }
        let reason = match verb {
            "truncate" => {
                "a vdisk keeps its size; write without truncating (dd: conv=notrunc, shell: 1<>)"
            }
            _ => "the files are the vdisks of the configuration, and only that changes them",
        };
        match std::mem::take(&mut self.unsaid) {
            0 => tracing::warn!("refused to {verb} {name:?} for process {process}: {reason}"),
            unsaid => tracing::warn!(
                "refused to {verb} {name:?} for process {process}, and {unsaid} times something \
                 that was not logged: {reason}"
            ),
        }
    }

    fn may_say(&mut self, now: Instant) -> bool {
        if self.said < SENTENCES {
            self.said += 1;
            self.next = Some(now + INTERVAL);
            return true;
        }
        let may = self.next.is_none_or(|next| now >= next);
        if may {
            self.next = Some(now + INTERVAL);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_tries_for_ever_gets_one_sentence_a_second() {
        let mut refusals = Refusals::default();
        let start = Instant::now();
        let first = (0..1000).filter(|_| refusals.may_say(start)).count();
        assert_eq!(first, SENTENCES as usize);
        let seconds = (0..10_000).map(|step| start + Duration::from_millis(step));
        assert_eq!(seconds.filter(|now| refusals.may_say(*now)).count(), 9);
    }
}
