//! Whether a connection is polled at short intervals instead of waiting for its socket's events.
//!
//! A client that sends each request by itself to a server that answers at once causes a wake-up for
//! nearly every request: its system call pays for waking the server, the server pays for being
//! woken, and both cost more than the request. Polling every few microseconds lets such a client
//! send as fast as it can and finds many requests at a time. For a client that waits for each
//! answer polling only adds delay, and the server cannot see what a client still has to send. So
//! polling is tried for a short time now and then, and kept as long as it brings more requests.
//!
//! Invariants: a client that waits for its answer loses at most [`FRUITLESS_POLLS_MAX`] times
//! [`POLL_INTERVAL`] per trial, and failed trials come twice as far apart each time, up to
//! [`BACK_OFF_MAX`]. Other connections are not affected.
//!
//! What is not known here: sockets, clocks.

use disktime_units::Nanos;

/// Between two polls. Timers may add as much again, and more.
const POLL_INTERVAL: Nanos = Nanos::from_micros(20);
/// Request rates are compared over this time.
const WINDOW: Nanos = Nanos::from_millis(4);
/// A poll that finds fewer requests than this is fruitless...
const REQUESTS_PER_POLL_MIN: u32 = 4;
/// ...but the client may not have had a processor; so many in a row end the polling.
const FRUITLESS_POLLS_MAX: u32 = 3;
/// A client whose reads bring this many requests each batches them itself and needs no polling.
const BATCHED_REQUESTS: u32 = 4;
/// A trial needs at least one read with two requests among so many reads.
const READS_PER_PAIR: u32 = 16;
/// A trial needs at least this many requests per second.
const RATE_MIN: u64 = 30_000;
/// Polling is kept if the rate is at least this many per cent of the rate before.
const KEEP_PERCENT: u64 = 105;
/// How long polling is kept before it has to be compared again.
const KEEP_TIME: Nanos = Nanos::from_millis(250);
const BACK_OFF_MIN: Nanos = Nanos::from_millis(10);
const BACK_OFF_MAX: Nanos = Nanos::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PollingMode {
    /// The socket's events wake the reactor.
    Events,
    /// Polled, to compare with the requests per second that came with events.
    Trial { rate_before: u64 },
    /// Polled, because that was faster.
    Kept { until: Nanos },
}

/// What came since a point in time.
#[derive(Debug, Clone, Copy, Default)]
struct RateWindow {
    since: Nanos,
    requests: u32,
    reads: u32,
}

impl RateWindow {
    /// Whether more than one request is in flight at times, but few come at a time.
    fn is_promising(&self) -> bool {
        let pairs = self.requests.saturating_sub(self.reads);
        let batched = self.reads.saturating_mul(BATCHED_REQUESTS);
        pairs > self.reads / READS_PER_PAIR && self.requests < batched
    }
}

/// The polling state of one connection.
#[derive(Debug)]
pub(super) struct AdaptivePolling {
    mode: PollingMode,
    window: RateWindow,
    /// When the next poll is due; `None` while none is scheduled.
    poll_at: Option<Nanos>,
    /// Fruitless polls in a row.
    fruitless: u32,
    /// No trial before this time.
    not_before: Nanos,
    back_off: Nanos,
}

impl Default for AdaptivePolling {
    fn default() -> AdaptivePolling {
        AdaptivePolling {
            mode: PollingMode::Events,
            window: RateWindow::default(),
            poll_at: None,
            fruitless: 0,
            not_before: Nanos::ZERO,
            back_off: BACK_OFF_MIN,
        }
    }
}

impl AdaptivePolling {
    /// Whether the connection is polled now.
    pub(super) fn is_on(&self) -> bool {
        self.mode != PollingMode::Events
    }

    /// When the next poll is due; schedules one if none is.
    pub(super) fn next_poll(&mut self, now: Nanos) -> Nanos {
        *self.poll_at.get_or_insert(now + POLL_INTERVAL)
    }

    /// Whether a poll is due; it is taken then, and its result goes to the next
    /// [`AdaptivePolling::record`].
    pub(super) fn take_due(&mut self, now: Nanos) -> bool {
        self.is_on() && self.poll_at.take_if(|poll_at| *poll_at <= now).is_some()
    }

    /// Counts the requests that came in so many reads of the socket; `polled`: because a poll was
    /// due.
    pub(super) fn record(&mut self, now: Nanos, polled: bool, requests: u32, reads: u32) {
        self.window.requests += requests;
        self.window.reads += reads;
        if self.is_on() && polled {
            self.fruitless = if requests < REQUESTS_PER_POLL_MIN {
                self.fruitless + 1
            } else {
                0
            };
            if self.fruitless == FRUITLESS_POLLS_MAX {
                self.back_off(now);
                return;
            }
        }
        let elapsed = now.saturating_sub(self.window.since);
        if elapsed >= WINDOW {
            self.compare(now, elapsed);
        }
    }

    /// Decides at the end of a window.
    fn compare(&mut self, now: Nanos, elapsed: Nanos) {
        let fresh = RateWindow {
            since: now,
            ..RateWindow::default()
        };
        let window = std::mem::replace(&mut self.window, fresh);
        let rate = u64::from(window.requests) * 1_000_000_000 / elapsed.0;
        match self.mode {
            PollingMode::Events => {
                if now >= self.not_before && rate >= RATE_MIN && window.is_promising() {
                    self.mode = PollingMode::Trial { rate_before: rate };
                }
            }
            PollingMode::Trial { rate_before } if rate * 100 >= rate_before * KEEP_PERCENT => {
                let until = now + KEEP_TIME;
                self.mode = PollingMode::Kept { until };
                self.back_off = BACK_OFF_MIN;
            }
            PollingMode::Trial { .. } => self.back_off(now),
            PollingMode::Kept { until } if now >= until => self.wait_for_events(now),
            PollingMode::Kept { .. } => {}
        }
    }

    /// Back to the socket's events, for good.
    pub(super) fn disable(&mut self) {
        self.not_before = Nanos(u64::MAX);
        self.wait_for_events(self.window.since);
    }

    /// Back to the socket's events, without a trial for a while.
    fn back_off(&mut self, now: Nanos) {
        self.not_before = now + self.back_off;
        self.back_off = (self.back_off + self.back_off).min(BACK_OFF_MAX);
        self.wait_for_events(now);
    }

    fn wait_for_events(&mut self, now: Nanos) {
        self.mode = PollingMode::Events;
        self.poll_at = None;
        self.fruitless = 0;
        self.window = RateWindow {
            since: now,
            ..RateWindow::default()
        };
    }
}

#[cfg(test)]
mod tests;
