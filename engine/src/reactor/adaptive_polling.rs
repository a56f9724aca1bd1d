//! Whether a connection is looked at by the clock instead of being woken for by its socket.
//!
//! A client that sends each request by itself to a server that answers at once has a wake-up for
//! nearly every request: its own system call pays for waking us, and we for being woken, and both are
//! more than the request. Not to be woken for, but to look every few microseconds, lets such a client
//! send as fast as it can, and brings many requests per look. For a client that waits for each answer it
//! would be a delay and nothing else; and from here nobody sees what a client still has to send. So it
//! is tried: for a moment now and then, and kept as long as it is faster.
//!
//! Invariants: a client that waits for its answer loses [`FRUITLESS_LOOKS`] times [`DELAY`] per trial, and
//! trials that fail come twice as far apart each, up to [`LONGEST_BACK_OFF`]. Other connections are woken for as ever.
//!
//! What is not known here: sockets, clocks.

use disktime_units::Nanos;

/// Between two looks. Timers may add as much again, and more.
const DELAY: Nanos = Nanos::from_micros(20);
/// What is compared is what came in that time.
const WINDOW: Nanos = Nanos::from_millis(4);
/// A look that brings fewer requests than that was not worth waiting for...
const FEWEST: u32 = 4;
/// ...but the client may have had no processor; so many in a row end it.
const FRUITLESS_LOOKS: u32 = 3;
/// A client that sends so many at a time needs no help.
const CROWD: u32 = 4;
/// Of so many reads at least one has to have brought two requests.
const READS_PER_PAIR: u32 = 16;
/// Fewer requests per second are not worth a trial.
const LEAST_RATE: u64 = 30_000;
/// Faster by that much is faster: in percent of before.
const FASTER_PERCENT: u64 = 105;
/// How long it is kept before it has to show again that it is faster.
const STAY: Nanos = Nanos::from_millis(250);
const SHORTEST_BACK_OFF: Nanos = Nanos::from_millis(10);
const LONGEST_BACK_OFF: Nanos = Nanos::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The socket wakes us.
    Woken,
    /// We look; so many requests per second came when we were woken.
    Trial { before: u64 },
    /// We look, and it is faster.
    Kept { until: Nanos },
}

/// What came since a point in time.
#[derive(Debug, Clone, Copy, Default)]
struct Window {
    since: Nanos,
    requests: u32,
    reads: u32,
}

impl Window {
    /// Whether more than one request is under way, but few come at a time.
    fn is_promising(&self) -> bool {
        let pairs = self.requests.saturating_sub(self.reads);
        pairs > self.reads / READS_PER_PAIR && self.requests < self.reads.saturating_mul(CROWD)
    }
}

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Gathering {
    mode: Mode,
    window: Window,
    /// The next look; `None` while it is being taken.
    look_at: Option<Nanos>,
    /// Looks in a row that brought few.
    fruitless: u32,
    /// No trial before that.
    not_before: Nanos,
    back_off: Nanos,
}

impl Default for Gathering {
    fn default() -> Gathering {
        Gathering {
            mode: Mode::Woken,
            window: Window::default(),
            look_at: None,
            fruitless: 0,
            not_before: Nanos::ZERO,
            back_off: SHORTEST_BACK_OFF,
        }
    }
}

impl Gathering {
    /// Whether the connection is looked at by the clock.
    pub(super) fn is_on(&self) -> bool {
        self.mode != Mode::Woken
    }

    /// The next look, put on the clock if it is not there yet.
    pub(super) fn next_look(&mut self, now: Nanos) -> Nanos {
        *self.look_at.get_or_insert(now + DELAY)
    }

    /// Whether it is time to look; then that is what the next [`Gathering::came`] tells of.
    pub(super) fn is_due(&mut self, now: Nanos) -> bool {
        self.is_on() && self.look_at.take_if(|look_at| *look_at <= now).is_some()
    }

    /// So many requests came in so many reads of the socket; `looked`: because it was time to.
    pub(super) fn came(&mut self, now: Nanos, looked: bool, requests: u32, reads: u32) {
        self.window.requests += requests;
        self.window.reads += reads;
        if self.is_on() && looked {
            self.fruitless = if requests < FEWEST {
                self.fruitless + 1
            } else {
                0
            };
            if self.fruitless == FRUITLESS_LOOKS {
                self.stop(now);
                return;
            }
        }
        let elapsed = now.saturating_sub(self.window.since);
        if elapsed < WINDOW {
            return;
        }
        let fresh = Window {
            since: now,
            ..Window::default()
        };
        let window = std::mem::replace(&mut self.window, fresh);
        let rate = u64::from(window.requests) * 1_000_000_000 / elapsed.0;
        match self.mode {
            Mode::Woken => {
                if now >= self.not_before && rate >= LEAST_RATE && window.is_promising() {
                    self.mode = Mode::Trial { before: rate };
                }
            }
            Mode::Trial { before } if rate * 100 >= before * FASTER_PERCENT => {
                self.mode = Mode::Kept { until: now + STAY };
                self.back_off = SHORTEST_BACK_OFF;
            }
            Mode::Trial { .. } => self.stop(now),
            Mode::Kept { until } if now >= until => self.wake_again(now),
            Mode::Kept { .. } => {}
        }
    }

    /// The socket wakes us again, and from now on always.
    pub(super) fn end(&mut self) {
        self.not_before = Nanos(u64::MAX);
        self.wake_again(self.window.since);
    }

    /// The socket wakes us again, and for a while there is no trial.
    fn stop(&mut self, now: Nanos) {
        self.not_before = now + self.back_off;
        self.back_off = (self.back_off + self.back_off).min(LONGEST_BACK_OFF);
        self.wake_again(now);
    }

    fn wake_again(&mut self, now: Nanos) {
        self.mode = Mode::Woken;
        self.look_at = None;
        self.fruitless = 0;
        self.window = Window {
            since: now,
            ..Window::default()
        };
    }
}

#[cfg(test)]
mod tests;
