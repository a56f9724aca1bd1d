//! `zygaria-util`: reservations and limits in disk time, kept by token buckets.
//!
//! Source: Kaldewey, Wong, Golding, Povzner, Brandt, Maltzahn, *Virtualizing Disk Performance*,
//! RTAS 2008. The scheduler of `zygaria-iops` with disk time as the currency: a dispatch is charged
//! an *estimate* (300 µs if it starts less than 100 sectors after its stream's last request, else
//! 20 ms), and the charge is corrected by the measured time when it completes. A bucket fills at u
//! seconds per second; at most a second's worth is saved. The stream that is served pays for the
//! seek to it.
//!
//! Not known of the paper, so chosen: as for `zygaria-iops`. Further: "after the previous request"
//! is read as after its end, and not before it; a merged dispatch is estimated as its first request
//! and so many sequential ones; if several requests of one stream are outstanding, corrections are
//! made in order of dispatch, which changes nothing in their sum. The paper asks for scheduling so
//! coarse that seeks between streams are few (section 2.2); by what mechanism is not known, so
//! there is none by default. `stay` is one: a stream with tokens keeps the disk for so long.
//!
//! Where it fails: shares come out right, and that was the paper's point; what they cost does not.
//! - *No runs.* Of two backlogged streams the one served has its bucket overflow later than the
//!   other's, so they take turns, request by request. Two sequential streams of 64 KiB requests
//!   with half of a disk of 80 MB/s each get half of its time, and 2 MB/s: 0.8 ms of data for every
//!   16 ms of seek and turn. With one of them random it is 2.5 MB/s. With `stay` = 250 ms both have
//!   more than 35 MB/s.
//! - *No deadlines.* A stream gets u of the time in the long run; in a given second it may get
//!   nothing, if others have saved: a stream with half of the disk that starts after a pause has
//!   all of it for half a second, until its bucket would overflow no earlier than the other's.
//! - *A stream that thinks* between requests is never waited for. It saves tokens meanwhile, but a
//!   bucket that is full takes no more: what it could not use in time is lost.
//! - *The served stream pays the seek.* A neighbour with many short visits makes all others pay for
//!   them.

use super::tokens::{Bill, Choice, Currency, Source, TokenPools};
use super::{RequestCount, ZygariaUtilConfig, serve};
use crate::ledger::{Account, Ledger};
use crate::policy::{FinishedDispatch, Pick, Policy};
use crate::ppm_time::scaled;
use crate::stream_id::{StreamId, StreamMap};
use disktime_units::Nanos;
use std::collections::VecDeque;

/// What a dispatch in flight was charged, and from where.
#[derive(Debug, Clone, Copy)]
struct Estimate {
    source: Source,
    time: Nanos,
}

/// The policy.
#[derive(Debug)]
pub(crate) struct ZygariaUtil {
    config: ZygariaUtilConfig,
    pools: TokenPools,
    count: RequestCount,
    /// Of each stream, in order of dispatch.
    in_flight: StreamMap<VecDeque<Estimate>>,
    /// The stream that was picked last: from where it pays, and what its first request is
    /// estimated to take.
    picked: Estimate,
    now: Nanos,
}

impl ZygariaUtil {
    pub(crate) fn new(config: ZygariaUtilConfig) -> ZygariaUtil {
        let currency = Currency {
            grains_per_ppm: 1,
            saved: config.saved,
            usage_slot: config.usage_slot,
            stay: config.stay,
        };
        ZygariaUtil {
            config,
            pools: TokenPools::new(currency),
            count: RequestCount::default(),
            in_flight: StreamMap::default(),
            picked: Estimate {
                source: Source::Unreserved,
                time: Nanos::ZERO,
            },
            now: Nanos::ZERO,
        }
    }

    /// What the next request of a stream is charged on dispatch.
    fn estimate(&self, ledger: &Ledger, id: StreamId) -> Nanos {
        let stream = ledger.stream(id);
        let next = stream
            .queue()
            .peek()
            .and_then(|queued| queued.offset_bytes());
        let gap = next
            .zip(stream.last_end_bytes())
            .and_then(|(next, last)| next.checked_sub(last));
        match gap {
            Some(gap) if gap < self.config.sequential_gap_bytes => self.config.sequential,
            _ => self.config.random,
        }
    }
}

impl Policy for ZygariaUtil {
    fn pick(&mut self, ledger: &mut Ledger, now: Nanos) -> Pick {
        self.now = now;
        match self.pools.choose(ledger, now) {
            Choice::Serve(stream, source) => {
                let time = self.estimate(ledger, stream);
                self.picked = Estimate { source, time };
                serve(ledger, stream)
            }
            Choice::Sleep(until) => Pick::Sleep { until },
        }
    }

    fn dispatched(&mut self, ledger: &mut Ledger, id: StreamId, _: Account, _: Option<u64>) {
        let followers = self.count.of_dispatch(ledger, id).saturating_sub(1);
        let mut estimate = self.picked;
        estimate.time += Nanos(self.config.sequential.0 * followers);
        let bill = Bill {
            stream: id,
            source: estimate.source,
            now: self.now,
            grains: scaled(estimate.time),
        };
        self.pools.pay(ledger, bill);
        let bound = ledger.config().max_in_flight;
        let in_flight = self
            .in_flight
            .get_or_insert_with(id, || VecDeque::with_capacity(bound));
        in_flight.push_back(estimate);
    }

    fn settle(&mut self, ledger: &mut Ledger, now: Nanos, finished: FinishedDispatch) {
        let id = finished.stream;
        let in_flight = self.in_flight.get_mut(id);
        if let Some(estimate) = in_flight.and_then(VecDeque::pop_front) {
            let correction = Bill {
                stream: id,
                source: estimate.source,
                now,
                grains: scaled(finished.measured) - scaled(estimate.time),
            };
            self.pools.pay(ledger, correction);
        }
        ledger.charge(id, finished.account, finished.measured);
    }
}
