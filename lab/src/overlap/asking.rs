//! A client as it runs: what it asks for next, and when.
//!
//! Invariant: what it draws depends on its own seed and its own answers only, so that it does the
//! same alone and beside others, as far as the times of answers let it.
//!
//! What is not known here: the scheduler and the device.

use super::client::OverlapClient;
use super::device::DeviceRequest;
use disktime_drive_models::Operation;
use disktime_random::SplitMix64;
use disktime_scheduler::{StreamCounters, StreamId};
use disktime_units::Nanos;
use hdrhistogram::Histogram;

/// Space of each client on the disk.
pub(super) const ZONE_BYTES: u64 = 1 << 38;
/// First questions come within this time.
const START: u64 = 5_000;

/// How long the scheduler waits for a client, as the client can work it out.
const THINK_AT_FIRST: Nanos = Nanos::from_micros(20);
const WAIT_MIN: u64 = 100_000;
const WAIT_MAX: u64 = 20_000_000;
/// A client that lingers comes back so long after the wait for it is over.
const TOO_LATE: Nanos = Nanos::from_micros(3);

/// What one stream had.
#[derive(Debug, Clone)]
pub struct StreamResult {
    /// Requests answered in the measured time.
    pub requests: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// What they take of the device's throughput by their prices.
    pub occupancy: Nanos,
    /// From the question to the answer.
    pub latency: Histogram<u64>,
    /// What the scheduler counted in all.
    pub counters: StreamCounters,
}

/// A client.
#[derive(Debug)]
pub(super) struct Asking {
    spec: OverlapClient,
    id: StreamId,
    zone: u64,
    position: u64,
    left_awake: u32,
    outstanding: u32,
    emptied_at: Nanos,
    /// Mean of its gaps, as the scheduler keeps it.
    think: Nanos,
    flush_is_next: bool,
    requests: u64,
    bytes: u64,
    occupancy: Nanos,
    latency: Histogram<u64>,
    rng: SplitMix64,
}

impl Asking {
    pub(super) fn new(spec: OverlapClient, id: StreamId, zone: u64, seed: u64) -> Asking {
        Asking {
            spec,
            id,
            zone,
            position: 0,
            left_awake: 0,
            outstanding: 0,
            emptied_at: Nanos::ZERO,
            think: THINK_AT_FIRST,
            flush_is_next: false,
            requests: 0,
            bytes: 0,
            occupancy: Nanos::ZERO,
            latency: latencies(),
            rng: SplitMix64::new(seed),
        }
    }

    pub(super) fn spec(&self) -> &OverlapClient {
        &self.spec
    }

    pub(super) fn id(&self) -> StreamId {
        self.id
    }

    /// When it first wakes; `None`: it never sleeps.
    pub(super) fn first_wake(&mut self) -> Option<Nanos> {
        let (every, _) = self.spec.wakes?;
        Some(Nanos(self.rng.range(0, every.0)))
    }

    /// When a first question comes.
    pub(super) fn first_question(&mut self) -> Nanos {
        Nanos(self.rng.range(0, START))
    }

    /// It wakes: how many questions come at once, and how long until it wakes again. One that is
    /// still at its last burst does not begin another.
    pub(super) fn wake_up(&mut self) -> (u32, Nanos) {
        let Some((every, count)) = self.spec.wakes else {
            return (0, Nanos::MAX);
        };
        let pause = Nanos(every.0 / 2 + self.rng.range(0, every.0));
        if self.outstanding > 0 || self.left_awake > 0 {
            return (0, pause);
        }
        let at_once = self.spec.depth.min(count);
        self.left_awake = count - at_once;
        (at_once, pause)
    }

    /// Its next request.
    pub(super) fn ask(&mut self, now: Nanos) -> DeviceRequest {
        if self.outstanding == 0 && self.emptied_at > Nanos::ZERO {
            let gap = now.saturating_sub(self.emptied_at).0;
            self.think = Nanos((self.think.0 * 7 + gap) / 8);
        }
        self.outstanding += 1;
        let flush = self.flush_is_next;
        self.flush_is_next = self.spec.flushes && !flush;
        if flush {
            return DeviceRequest {
                tag: 0,
                operation: Operation::Flush,
                sequential: false,
                offset_bytes: self.zone,
                len_bytes: 0,
            };
        }
        let class = match self.spec.other {
            Some((other, percent)) if self.rng.percent(u64::from(percent)) => other,
            _ => self.spec.class,
        };
        let len = u64::from(class.len_bytes);
        let offset = if class.sequential {
            let at = self.position;
            self.position = (at + len) % ZONE_BYTES;
            at
        } else {
            self.rng.range(0, ZONE_BYTES / 4096) * 4096
        };
        DeviceRequest {
            tag: 0,
            operation: class.operation,
            sequential: class.sequential,
            offset_bytes: self.zone + offset,
            len_bytes: len,
        }
    }

    /// One is answered: how long until it asks again.
    pub(super) fn answered(&mut self, now: Nanos, turnaround: Nanos) -> Option<Nanos> {
        self.outstanding -= 1;
        if self.outstanding == 0 {
            self.emptied_at = now;
        }
        if self.spec.wakes.is_some() {
            if self.left_awake == 0 {
                return None;
            }
            self.left_awake -= 1;
        }
        let lingers = u64::from(self.spec.lingers_percent);
        if self.outstanding == 0 && lingers > 0 && self.rng.percent(lingers) {
            let wait = (self.think.0 * 8).clamp(WAIT_MIN, WAIT_MAX);
            return Some(Nanos(wait) + TOO_LATE);
        }
        let turnaround = self.spec.turnaround.unwrap_or(turnaround);
        Some(turnaround + self.think())
    }

    fn think(&mut self) -> Nanos {
        if self.spec.think == Nanos::ZERO {
            return Nanos::ZERO;
        }
        self.rng.exponential(self.spec.think)
    }

    /// Counts an answer.
    pub(super) fn note(&mut self, latency: Nanos, bytes: u64, occupancy: Nanos) {
        self.requests += 1;
        self.bytes += bytes;
        self.occupancy += occupancy;
        self.latency.saturating_record(latency.0);
    }

    pub(super) fn result(&self, counters: StreamCounters) -> StreamResult {
        StreamResult {
            requests: self.requests,
            bytes: self.bytes,
            occupancy: self.occupancy,
            latency: self.latency.clone(),
            counters,
        }
    }
}

/// Latencies up to 100 s.
fn latencies() -> Histogram<u64> {
    Histogram::new_with_max(100_000_000_000, 3).expect("three digits of 100 s are supported")
}
