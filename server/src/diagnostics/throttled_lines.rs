//! The lines of the log: of each kind (a place in the program that writes one) a burst first, then
//! one per second with the number of those that were left out. So a client that misbehaves as fast
//! as it can does not fill the disk that holds the log. Errors have a longer burst: each vdisk of a
//! disk that fails may have its own, and they come once. After a quiet minute a burst is allowed
//! again.
//!
//! Not limited: sentences that are always printed and what is said at the start, as they do not
//! depend on what clients do, and lines of the levels debug and trace, which are not kept for long.

use super::{ANNOUNCEMENT, SENTENCE};
use disktime_engine::LogThrottle;
use disktime_units::Nanos;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;
use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Lines of one kind at once, of the level error.
const ERROR_BURST: u32 = 4096;

/// Formats events, and drops those that are too many.
#[derive(Debug)]
pub(super) struct ThrottledLines {
    format: Format<Full>,
    since: Instant,
    kinds: Mutex<HashMap<Identifier, LogThrottle>>,
}

impl Default for ThrottledLines {
    fn default() -> ThrottledLines {
        ThrottledLines {
            format: Format::default().with_target(false),
            since: Instant::now(),
            kinds: Mutex::default(),
        }
    }
}

impl ThrottledLines {
    /// Whether to write an event; then how many of its kind were left out since the last one.
    fn allow(&self, event: &Event<'_>) -> Option<u64> {
        let metadata = event.metadata();
        let is_unlimited = [SENTENCE, ANNOUNCEMENT].contains(&metadata.target());
        if is_unlimited || *metadata.level() > Level::INFO {
            return Some(0);
        }
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let throttle =
            kinds
                .entry(metadata.callsite())
                .or_insert_with(|| match *metadata.level() {
                    Level::ERROR => LogThrottle::with_burst(ERROR_BURST),
                    _ => LogThrottle::default(),
                });
        throttle.allow(Nanos::from(self.since.elapsed()))
    }
}

impl<S, N> FormatEvent<S, N> for ThrottledLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        match self.allow(event) {
            None => return Ok(()),
            Some(0) => {}
            Some(count) => {
                SystemTime.format_time(&mut writer)?;
                let level = event.metadata().level();
                writeln!(
                    writer,
                    " {level:>5} {count} lines like the next one were left out"
                )?;
            }
        }
        self.format.format_event(context, writer, event)
    }
}
