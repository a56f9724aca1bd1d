//! What was learnt of the client behind a stream: how long it thinks, whether waiting for it pays,
//! whether it asks by a clock, and what its requests take compared with what was estimated.
//!
//! Everything is a moving average or a small count in whole numbers. What is not known: think times
//! that depend on what was read. The decisions made of these are in `fahrrad/anticipation.rs` and
//! `fahrrad/switching.rs`.

use crate::ppm_time::proportion;
use disktime_units::Nanos;

/// A new observation counts for one part in this many of the moving averages of waiting.
const MEMORY: u64 = 8;
/// Think times beyond this are pauses, and are not learnt.
const PAUSE: Nanos = Nanos::from_secs(1);
/// Below this hit rate a stream is not waited for,
const HIT_RATE_MIN_PPM: u32 = 300_000;
/// except at one opportunity in this many.
const RETRY_EVERY: u32 = 50;
/// This often in a row, requests came while none was answered: the client goes by a clock.
const UNPROMPTED: u8 = 2;
/// The count goes no higher, so that it can fall again.
const UNPROMPTED_MAX: u8 = 4;
/// Fewer queued requests do not show whether a client goes by a clock.
const QUEUE_MIN: usize = 2;
/// A new measurement counts for one part in this many of a ratio's moving average.
const RATIO_MEMORY: u64 = 16;
/// Bounds of one measured ratio, in ppm: beyond them something else happened (an error, a hiccup).
const RATIO_RANGE_PPM: (u64, u64) = (100_000, 4_000_000);
/// The same for requests that continue a run, which the drive may have read ahead.
const SEQUENTIAL_RATIO_RANGE_PPM: (u64, u64) = (1_000, 4_000_000);

/// The estimates of one stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientEstimates {
    /// Moving average of the time between a completion that emptied its queue and the next arrival.
    think: Nanos,
    /// Moving average of "it came back while it was waited for", in ppm.
    hit_rate_ppm: u32,
    /// Opportunities to wait that were passed up since the last try.
    waits_skipped: u32,
    /// How often of late its requests came without being answered, up to a few.
    unprompted: u8,
    /// A wait since its last completion was in vain, or was not begun.
    gave_up: bool,
    /// Moving average of measured over estimated service for its own non-sequential requests, ppm.
    random_ratio_ppm: u64,
    /// The same for requests that continue the stream's last one.
    sequential_ratio_ppm: u64,
}

impl Default for ClientEstimates {
    fn default() -> ClientEstimates {
        ClientEstimates {
            think: Nanos::from_millis(1),
            hit_rate_ppm: 1_000_000,
            waits_skipped: 0,
            unprompted: 0,
            gave_up: false,
            random_ratio_ppm: 1_000_000,
            sequential_ratio_ppm: 1_000_000,
        }
    }
}

impl ClientEstimates {
    /// Mean think time.
    pub(crate) fn think(&self) -> Nanos {
        self.think
    }

    /// Whether a wait since its last completion was in vain, or the client goes by a clock.
    pub(crate) fn rules_waiting_out(&self) -> bool {
        self.gave_up || self.unprompted >= UNPROMPTED
    }

    /// The client did not come while it was waited for.
    pub(crate) fn wait_was_in_vain(&mut self) {
        self.gave_up = true;
        self.hit_rate_ppm -= self.hit_rate_ppm / MEMORY as u32;
    }

    /// Whether to wait this time: yes where waiting has paid, else now and then to try again.
    pub(crate) fn try_waiting(&mut self) -> bool {
        if self.hit_rate_ppm >= HIT_RATE_MIN_PPM {
            return true;
        }
        self.waits_skipped += 1;
        if self.waits_skipped < RETRY_EVERY {
            self.gave_up = true;
            return false;
        }
        self.waits_skipped = 0;
        self.hit_rate_ppm = HIT_RATE_MIN_PPM;
        true
    }

    /// A request of the stream is done: the next wait is another one.
    pub(crate) fn request_completed(&mut self) {
        self.gave_up = false;
    }

    /// A request came for the stream, which had none, after the client thought for so long.
    pub(crate) fn request_came(&mut self, think: Nanos, was_waited_for: bool) {
        if think <= PAUSE {
            self.think = Nanos((self.think.0 * (MEMORY - 1) + think.0) / MEMORY);
        }
        if was_waited_for {
            self.hit_rate_ppm += (1_000_000 - self.hit_rate_ppm) / MEMORY as u32;
        }
    }

    /// The disk comes back to the stream after having been `away`. Its last request came `quiet`
    /// ago, and `queued` wait. Did requests go on coming meanwhile? A client that sends the next
    /// request when it has an answer sends none after the first moments; one that goes by a clock
    /// did until now.
    pub(crate) fn disk_came_back(&mut self, away: Nanos, quiet: Nanos, queued: usize) {
        if quiet.0.saturating_mul(4) >= away.0 {
            self.unprompted = self.unprompted.saturating_sub(1);
        } else if queued >= QUEUE_MIN {
            self.unprompted = (self.unprompted + 1).min(UNPROMPTED_MAX);
        }
    }

    /// Corrects an estimate by what requests of its kind took.
    pub(crate) fn correct(&self, estimate: Nanos, sequential: bool) -> Nanos {
        let ratio = if sequential {
            self.sequential_ratio_ppm
        } else {
            self.random_ratio_ppm
        };
        Nanos(proportion(estimate.0, ratio, 1_000_000))
    }

    /// A request was estimated to take so long, and took so long.
    pub(crate) fn learn_service(&mut self, estimate: Nanos, measured: Nanos, sequential: bool) {
        let (known, (least, most)) = if sequential {
            (&mut self.sequential_ratio_ppm, SEQUENTIAL_RATIO_RANGE_PPM)
        } else {
            (&mut self.random_ratio_ppm, RATIO_RANGE_PPM)
        };
        let ratio = proportion(measured.0, 1_000_000, estimate.0).clamp(least, most);
        *known = (*known * (RATIO_MEMORY - 1) + ratio) / RATIO_MEMORY;
    }
}
