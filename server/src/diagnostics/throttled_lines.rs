//! The lines of the log: of each kind (a place in the program that writes one) a burst first, then
//! one per second with the number of those that were left out. So a client that misbehaves as fast
//! as it can does not fill the disk that holds the log. Errors have a longer burst: each vdisk of a
//! disk that fails may have its own, and they come once. After a quiet minute a burst is allowed
//! again. The last line that was left out is kept, and written when its second is over
//! (`left_out.rs`).
//!
//! Not limited: sentences that are always printed and what is said at the start, as they do not
//! depend on what clients do, and lines of the levels debug and trace, which are not kept for long.

use super::left_out::LeftOut;
use super::{ANNOUNCEMENT, SENTENCE};
use disktime_engine::LogThrottle;
use std::fmt;
use std::sync::Arc;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Lines of one kind at once, of the level error.
const ERROR_BURST: u32 = 4096;

/// Formats events, and leaves out those that are too many.
#[derive(Debug)]
pub(super) struct ThrottledLines {
    format: Format<Full>,
    left_out: Arc<LeftOut>,
}

impl ThrottledLines {
    /// What is left out is kept in `left_out`.
    pub(super) fn new(left_out: Arc<LeftOut>) -> ThrottledLines {
        ThrottledLines {
            format: Format::default().with_target(false),
            left_out,
        }
    }
}

/// The limiter of a kind of event.
pub(super) fn throttle(metadata: &Metadata<'_>) -> LogThrottle {
    match *metadata.level() {
        Level::ERROR => LogThrottle::with_burst(ERROR_BURST),
        _ => LogThrottle::default(),
    }
}

/// Whether all events of a kind are written.
fn is_unlimited(metadata: &Metadata<'_>) -> bool {
    let is_said_once = [SENTENCE, ANNOUNCEMENT].contains(&metadata.target());
    is_said_once || *metadata.level() > Level::INFO
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
        let metadata = event.metadata();
        if is_unlimited(metadata) {
            return self.format.format_event(context, writer, event);
        }
        match self.left_out.allow(metadata) {
            Ok(0) => {}
            Ok(count) => super::left_out::write_count(&mut writer, metadata.level(), count)?,
            Err(mut line) => {
                let kept = Writer::new(&mut line);
                let formatted = self.format.format_event(context, kept, event);
                self.left_out.keep(metadata, line);
                return formatted;
            }
        }
        self.format.format_event(context, writer, event)
    }
}
