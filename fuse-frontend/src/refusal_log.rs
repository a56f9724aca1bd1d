//! Logs what was refused and why, at a limited rate.

use disktime_engine::LogThrottle;
use disktime_units::Nanos;
use std::time::Instant;

/// The log of refused operations.
#[derive(Debug)]
pub(crate) struct RefusalLog {
    since: Instant,
    throttle: LogThrottle,
}

impl RefusalLog {
    /// A log without entries.
    pub(crate) fn new() -> RefusalLog {
        RefusalLog {
            since: Instant::now(),
            throttle: LogThrottle::default(),
        }
    }

    /// Logs that the operation `verb` on `name` was refused to a process.
    pub(crate) fn log(&mut self, verb: &str, name: &str, process: u32) {
        let Some(suppressed) = self.throttle.allow(Nanos::from(self.since.elapsed())) else {
            return;
        };
        let reason = match verb {
            "truncate" => {
                "the size of a vdisk is fixed; write without truncating (dd: conv=notrunc, shell: \
                    1<>)"
            }
            _ => {
                "the files are the vdisks of the configuration, and only the configuration \
                    changes them"
            }
        };
        match suppressed {
            0 => tracing::warn!("refused to {verb} {name:?} for process {process}: {reason}"),
            suppressed => tracing::warn!(
                "refused to {verb} {name:?} for process {process} ({suppressed} earlier refusals \
                    were \
                 not logged): {reason}"
            ),
        }
    }
}
