//! What can be read of a scheduler: its streams, counters, and the numbers that its promise is made
//! of.

use super::Scheduler;
use crate::config::{RequestKind, StreamConfig};
use crate::ppm_time::unscaled;
use crate::report::{DiskCounters, OccupancyReading, Slowdown, StreamCounters};
use crate::stream_id::StreamId;
use disktime_units::{Nanos, Share};

impl Scheduler {
    /// The latest time seen.
    pub fn now(&self) -> Nanos {
        self.outside(self.now)
    }

    /// Requests that are queued.
    pub fn queued(&self) -> usize {
        self.ledger.queued()
    }

    /// Dispatches in flight.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// How many streams there are, groups included.
    pub fn stream_count(&self) -> usize {
        self.ledger.stream_count()
    }

    /// The streams, groups included, in the order of their slots.
    pub fn streams(&self) -> impl Iterator<Item = StreamId> + '_ {
        self.ledger.streams().map(|(id, _)| id)
    }

    /// The stream that has this slot now: without removals the one that was added as number `slot`,
    /// from 0.
    pub fn stream_at(&self, slot: usize) -> Option<StreamId> {
        self.ledger.stream_at(slot)
    }

    /// Whether the stream is there: removals of streams that had requests take effect when the last
    /// is done.
    pub fn contains(&self, stream: StreamId) -> bool {
        self.ledger.contains(stream)
    }

    /// Whether the stream is being removed, and has requests (or members) left.
    pub fn is_leaving(&self, stream: StreamId) -> bool {
        self.contains(stream) && self.ledger.stream(stream).is_leaving()
    }

    /// A stream's entitlement, as it is in effect.
    ///
    /// # Panics
    /// If the stream has been removed.
    pub fn stream_config(&self, stream: StreamId) -> StreamConfig {
        self.ledger.check(stream);
        *self.ledger.stream(stream).config()
    }

    /// The entitlement that a stream was given last: in effect already, or as soon as it harms no
    /// other stream.
    ///
    /// # Panics
    /// If the stream has been removed.
    pub fn asked_config(&self, stream: StreamId) -> StreamConfig {
        self.ledger.check(stream);
        self.ledger.stream(stream).asked_config()
    }

    /// A stream's counters at the latest time seen. Requests in flight and an open wait are not in
    /// them yet.
    ///
    /// # Panics
    /// If the stream has been removed.
    pub fn stream_counters(&self, stream: StreamId) -> StreamCounters {
        self.ledger.check(stream);
        self.ledger.as_of_now(stream).counters()
    }

    /// A stream's unspent budget in ns; negative is a debt.
    ///
    /// # Panics
    /// If the stream has been removed.
    pub fn unspent(&self, stream: StreamId) -> i64 {
        self.ledger.check(stream);
        unscaled(self.ledger.as_of_now(stream).budget())
    }

    /// When a stream's current period ends; `None` without a reservation. A period in which it has
    /// no requests is not counted on, so the time may be past.
    ///
    /// # Panics
    /// If the stream has been removed.
    pub fn period_end(&self, stream: StreamId) -> Option<Nanos> {
        self.stream_config(stream).reservation?;
        Some(self.outside(self.ledger.as_of_now(stream).deadline()))
    }

    /// The disk's counters; `busy` includes requests in flight up to `now`.
    pub fn disk_counters(&self, now: Nanos) -> DiskCounters {
        let now = self.inside(now).max(self.now);
        let occupancy = self.ledger.occupancy();
        DiskCounters {
            busy: self.meter.busy(now),
            focused: occupancy.map_or(Nanos::ZERO, |device| device.focused(now)),
            ..*self.ledger.counters()
        }
    }

    /// How full the disk is; `None` where requests do not overlap.
    pub fn occupancy(&self) -> Option<OccupancyReading> {
        self.ledger.occupancy().map(|device| OccupancyReading {
            bound: device.bound(),
            filled: device.filled(),
            most: device.most_filled(),
            drain: device.drain(self.now),
        })
    }

    /// The unspent budget at a period's end beyond which a deadline counts as missed: W, or with
    /// the switching account W + the cap of its credit + one return seek.
    pub fn unspent_bound(&self) -> Nanos {
        Nanos(u64::try_from(self.ledger.unspent_bound()).unwrap_or(0))
    }

    /// The least slack over all deadlines in its exact form, in ns; `i64::MAX` without
    /// reservations. The promise is that it is never less than −W. A pass over all streams that
    /// allocates.
    pub fn least_slack(&self) -> i64 {
        self.ledger.exact_slack().map_or(i64::MAX, unscaled)
    }

    /// Solo time that a stream (or group) received: what it would have needed alone for what was
    /// done. Counted where requests overlap.
    ///
    /// # Panics
    /// If the stream has been removed.
    pub fn solo_time(&self, stream: StreamId) -> Nanos {
        self.ledger.check(stream);
        self.ledger.stream(stream).solo().received()
    }

    /// How long a piece of a discard or zeroing should be, of `least_bytes` to `most_bytes`: it
    /// takes half of W at most by what was measured, unless shorter ones would take as long.
    pub fn piece_bytes(&self, kind: RequestKind, least_bytes: u64, most_bytes: u64) -> u64 {
        self.ledger.piece_bytes(kind, (least_bytes, most_bytes))
    }

    /// What a discard, zeroing or flush of that length was measured to take, at most of late;
    /// `None`: there was none yet.
    pub fn learnt_time(&self, kind: RequestKind, len_bytes: u64) -> Option<Nanos> {
        let learnt = self.ledger.learnt_time(kind, len_bytes);
        learnt.map(|time| time.most)
    }

    /// Time in which a stream (or group) had requests queued or in flight, where requests overlap.
    ///
    /// # Panics
    /// If the stream has been removed.
    pub fn backlogged(&self, stream: StreamId) -> Nanos {
        self.ledger.check(stream);
        let stream = self.ledger.stream(stream);
        stream.solo().backlogged(self.now, stream.is_busy())
    }

    /// What a stream's (or group's) requests take alone compared with their prices, in ppm, where
    /// requests overlap.
    ///
    /// # Panics
    /// If the stream has been removed.
    pub fn price_correction_ppm(&self, stream: StreamId) -> u64 {
        self.ledger.check(stream);
        self.ledger.stream(stream).solo().correction_ppm()
    }

    /// How much slower the disk is than its prices say, where requests overlap: the factors of
    /// latency and of occupancy in ppm, and since when one is above 1.3.
    pub fn slowdown(&self) -> Option<Slowdown> {
        let device = self.ledger.occupancy()?;
        let (latency_ppm, occupancy_ppm, since) = device.speed().factors();
        Some(Slowdown {
            latency_ppm,
            occupancy_ppm,
            since: since?,
        })
    }

    /// The share of the disk that the switching account is filled with.
    pub fn switching_share(&self) -> Share {
        Share(u32::try_from(self.ledger.switching_share_ppm()).unwrap_or(u32::MAX))
    }
}
