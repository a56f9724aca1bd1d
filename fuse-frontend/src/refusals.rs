//! Says in the log what was refused and why.

use disktime_engine::LogThrottle;
use disktime_units::Nanos;
use std::time::Instant;

/// What may still be said.
#[derive(Debug)]
pub(crate) struct Refusals {
    since: Instant,
    throttle: LogThrottle,
}

impl Refusals {
    /// Nothing was refused yet.
    pub(crate) fn new() -> Refusals {
        Refusals {
            since: Instant::now(),
            throttle: LogThrottle::default(),
        }
    }

    /// Says that a process was refused to do something with a name.
    pub(crate) fn say(&mut self, verb: &str, name: &str, process: u32) {
        let Some(unsaid) = self.throttle.allow(Nanos::from(self.since.elapsed())) else {
            return;
        };
        let reason = match verb {
            "truncate" => {
                "a vdisk keeps its size; write without truncating (dd: conv=notrunc, shell: 1<>)"
            }
            _ => "the files are the vdisks of the configuration, and only that changes them",
        };
        match unsaid {
            0 => tracing::warn!("refused to {verb} {name:?} for process {process}: {reason}"),
            unsaid => tracing::warn!(
                "refused to {verb} {name:?} for process {process}, and {unsaid} times something \
                 that was not logged: {reason}"
            ),
        }
    }
}
