//! A step of the stop: waited for during a bounded time, and named when it takes long.

use crate::diagnostics::print_sentence;
use std::fmt::Display;
use std::time::Duration;
use tokio::time::timeout;

/// A step that takes longer is named on standard error.
const NOTICE_TIME: Duration = Duration::from_secs(3);

/// How long a disk may take to drain, to flush and to close. A supervisor's own limit is usually
/// longer (systemd: 90 s).
pub(crate) const DISK_TIME: Duration = Duration::from_secs(60);
/// How long any other step may take.
pub(crate) const STEP_TIME: Duration = Duration::from_secs(20);

/// Waits for a step; `None` when it takes longer than `limit`.
pub(crate) async fn within<T>(
    limit: Duration,
    what: impl Display,
    step: impl Future<Output = T>,
) -> Option<T> {
    tokio::pin!(step);
    let first = limit.min(NOTICE_TIME);
    if let Ok(done) = timeout(first, &mut step).await {
        return Some(done);
    }
    let seconds = limit.as_secs_f64().round();
    print_sentence(format_args!(
        "the stop waits for {what}, at most {seconds} s; a second signal ends it at once"
    ));
    timeout(limit - first, &mut step).await.ok()
}

#[cfg(test)]
mod tests;
