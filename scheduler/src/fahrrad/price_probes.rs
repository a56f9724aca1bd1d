//! Probes of prices: for a few requests the disk is one stream's alone, so that it is seen what
//! they take.
//!
//! Where prices are too high, a stream that gets its share by its own books gets less in truth. It
//! is never short, so never alone, and nothing corrects the prices (`price_correction.rs` says
//! which streams' prices are in doubt). A probe holds the other streams back until the disk has
//! run empty of their requests and some of this one have been measured.
//!
//! Invariants: a probe only holds others back, while slack is left everywhere, so no bound depends
//! on it; a shortage ends it. Over a long time probes take one part in [`PARTS`] of the disk's time
//! at most.
//!
//! What is not known here: budgets and charges. A request of a probe is charged as any other.

use crate::ledger::Ledger;
use crate::ppm_time::length;
use crate::stream_id::StreamId;
use disktime_units::Nanos;

/// Probes take one part in so many of all time,
const PARTS: u64 = 128;
/// but so much of it can be taken in advance.
const ADVANCE: Nanos = Nanos::from_millis(40);
/// The longest probe, if that is enough for twice as many requests as the shortest. What it does
/// not measure the next ones do.
const LONGEST: Nanos = Nanos::from_millis(10);
/// A probe shorter than what drains before it and so many requests alone is not worth it.
const REQUESTS_MIN: u64 = 8;

/// Which prices are being probed.
#[derive(Debug, Default)]
pub(super) struct PriceProbes {
    running: Option<Probe>,
    /// Up to then the time for probes is used up.
    used_until: Nanos,
}

#[derive(Debug, Clone, Copy)]
struct Probe {
    stream: StreamId,
    since: Nanos,
    until: Nanos,
}

impl PriceProbes {
    /// The stream that the disk is kept for, and until when.
    pub(super) fn current(&mut self, ledger: &Ledger, now: Nanos) -> Option<(StreamId, Nanos)> {
        let probe = self.running?;
        let stream = ledger.stream(probe.stream);
        let solo = stream.solo();
        let is_held = stream.has_queue() && !stream.has_ready() && stream.in_flight() == 0;
        let comes = !is_held && (stream.is_busy() || now < solo.wait_until());
        if now < probe.until && stream.is_active() && comes && solo.is_doubtful(now) {
            return Some((probe.stream, probe.until));
        }
        self.end(now);
        None
    }

    /// Begins a probe of a stream's prices if they are in doubt, and there is time and slack for
    /// it.
    #[inline]
    pub(super) fn begin(
        &mut self,
        ledger: &Ledger,
        now: Nanos,
        slack: i128,
        id: StreamId,
    ) -> Option<(StreamId, Nanos)> {
        let solo = ledger.stream(id).solo();
        if !solo.is_doubtful(now) || self.used_until > now.saturating_add(in_advance()) {
            return None;
        }
        let drain = ledger.drain(now);
        let (missing, lone) = solo.to_confirm();
        let requests = |count: u64| drain + Nanos(lone.0.saturating_mul(count));
        let wanted = drain + missing + Nanos(missing.0 / 8);
        let wanted = wanted.max(requests(REQUESTS_MIN));
        let longest = LONGEST.max(requests(2 * REQUESTS_MIN));
        let time = wanted.min(longest).min(length(slack / 2));
        if time < requests(REQUESTS_MIN) {
            return None;
        }
        let until = now.saturating_add(time);
        self.running = Some(Probe {
            stream: id,
            since: now,
            until,
        });
        Some((id, until))
    }

    /// The disk is kept for no stream any more.
    #[inline]
    pub(super) fn end(&mut self, now: Nanos) {
        if let Some(probe) = self.running.take() {
            let taken = now.min(probe.until).saturating_sub(probe.since);
            let from = self.used_until.max(probe.since);
            self.used_until = from.saturating_add(Nanos(taken.0.saturating_mul(PARTS)));
        }
    }

    /// A stream is removed.
    pub(super) fn forget(&mut self, id: StreamId) {
        self.running = self.running.filter(|probe| probe.stream != id);
    }
}

/// What may be used in advance, in all time that it is a part of.
fn in_advance() -> Nanos {
    Nanos(ADVANCE.0 * PARTS)
}
