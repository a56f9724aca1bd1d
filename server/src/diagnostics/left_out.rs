//! The lines of the log that were left out: how many of each kind, and the last one, which is
//! written when another line of its kind would be allowed, or when the program ends. Without it the
//! last thing that went wrong would be in no log.
//!
//! Invariants: of a kind one line is kept, so memory is bounded by the program's size; a line that
//! was kept is written at most once; no thread waits for standard error while it holds the lock.

use super::throttled_lines::throttle;
use disktime_engine::LogThrottle;
use disktime_units::Nanos;
use std::collections::HashMap;
use std::fmt;
use std::io::Write as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tracing::callsite::Identifier;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};

/// What was left out of each kind.
#[derive(Debug)]
pub(super) struct LeftOut {
    since: Instant,
    kinds: Mutex<HashMap<Identifier, Kind>>,
    /// The first line of a kind was left out.
    is_new: Condvar,
}

#[derive(Debug)]
struct Kind {
    level: Level,
    throttle: LogThrottle,
    /// The last line; empty if none was left out since one was written.
    last: String,
}

impl Default for LeftOut {
    fn default() -> LeftOut {
        LeftOut {
            since: Instant::now(),
            kinds: Mutex::default(),
            is_new: Condvar::new(),
        }
    }
}

impl LeftOut {
    /// Whether to write a line now; then how many of its kind were left out since the last one,
    /// else memory for the line, to be kept.
    pub(super) fn allow(&self, metadata: &Metadata<'_>) -> Result<u64, String> {
        let now = self.now();
        let mut kinds = self.lock();
        let kind = kinds.entry(metadata.callsite()).or_insert_with(|| Kind {
            level: *metadata.level(),
            throttle: throttle(metadata),
            last: String::new(),
        });
        let allowed = kind.throttle.allow(now);
        let mut last = std::mem::take(&mut kind.last);
        last.clear();
        match allowed {
            Some(count) => {
                kind.last = last;
                Ok(count)
            }
            None => Err(last),
        }
    }

    /// Keeps a line that was left out.
    pub(super) fn keep(&self, metadata: &Metadata<'_>, line: String) {
        if let Some(kind) = self.lock().get_mut(&metadata.callsite()) {
            kind.last = line;
        }
        self.is_new.notify_one();
    }

    /// Writes what was kept whenever a line of its kind is allowed again, on a thread of its own,
    /// which sleeps while there is nothing.
    pub(super) fn write_in_time(self: &Arc<LeftOut>) {
        let left_out = Arc::clone(self);
        let run = move || {
            let mut kinds = left_out.lock();
            loop {
                let text = due_text(&mut kinds, left_out.now());
                if !text.is_empty() {
                    drop(kinds);
                    print(&text);
                    kinds = left_out.lock();
                    continue;
                }
                kinds = left_out.sleep(kinds);
            }
        };
        // Without it the lines are written at the end.
        let _ = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(run);
    }

    /// Writes all that was kept: the program ends.
    pub(super) fn write_all(&self) {
        let text = due_text(&mut self.lock(), Nanos::MAX);
        print(&text);
    }

    /// Until the next line is due, or one is kept.
    fn sleep<'a>(&self, kinds: MutexGuard<'a, Kinds>) -> MutexGuard<'a, Kinds> {
        let next = kinds.values().filter_map(Kind::due).min();
        let Some(next) = next else {
            let woken = self.is_new.wait(kinds);
            return woken.unwrap_or_else(PoisonError::into_inner);
        };
        let left = Duration::from_nanos(next.saturating_sub(self.now()).0);
        let woken = self.is_new.wait_timeout(kinds, left);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }

    fn now(&self) -> Nanos {
        Nanos::from(self.since.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, Kinds> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Kinds = HashMap<Identifier, Kind>;

impl Kind {
    /// When its last line is to be written.
    fn due(&self) -> Option<Nanos> {
        self.throttle.due().filter(|_| !self.last.is_empty())
    }
}

/// The lines that are due by `now`, each with the number of those before it.
fn due_text(kinds: &mut Kinds, now: Nanos) -> String {
    let mut text = String::new();
    for kind in kinds.values_mut() {
        let Some(due) = kind.due().filter(|due| *due <= now) else {
            continue;
        };
        // The one that is kept is not left out any more.
        let others = kind.throttle.allow(due).unwrap_or(1).saturating_sub(1);
        if others > 0 {
            // Memory is all that it needs.
            let _ = write_count(&mut Writer::new(&mut text), &kind.level, others);
        }
        text.push_str(&kind.last);
        kind.last.clear();
    }
    text
}

/// Writes the line that says how many were left out.
pub(super) fn write_count(writer: &mut Writer<'_>, level: &Level, count: u64) -> fmt::Result {
    SystemTime.format_time(writer)?;
    writeln!(
        writer,
        " {level:>5} {count} lines like the next one were left out"
    )
}

fn print(text: &str) {
    // A failure has no other place to be reported.
    let _ = std::io::stderr().write_all(text.as_bytes());
}
