//! `sfq-d`: start-time fair queueing with up to D requests outstanding.
//!
//! Source: Jin, Chase, Kaur, *Interposed Proportional Sharing for a Storage Service Utility*,
//! SIGMETRICS 2004, section 4, after Goyal, Vin, Cheng, *Start-time Fair Queuing*, SIGCOMM 1996.
//!
//! ```text
//!   S = max(v, F')    F = S + c / φ    v = S of the last dispatched
//! ```
//!
//! with F' of the stream's previous request. The least S goes while fewer than D are outstanding. φ
//! is the stream's share; streams without one divide what is not reserved by their weights. c is 1
//! per request, or its bytes. When nothing is left to do, v goes to the largest F, so that no
//! stream has to wait for what it had while it was alone.
//!
//! Not from the paper: that shares of a reservation are the weights; the algorithm only knows
//! proportions. Requests of one stream go in order of arrival, and merged ones cost as many as they
//! are.
//!
//! Where it fails: it is fair in what c counts, over any interval, to within D + 1 requests per
//! stream; but time is not what it counts.
//! - A sequential and a random stream with equal shares get equal requests: 0.22 ms against 14 ms
//!   each, 1.5 % of the disk's time against 98.5 %. With c = bytes, and 256 KiB against 4 KiB at a
//!   time, the random stream gets 64 requests for one: 896 ms against 17.
//! - There are no reservations: with five streams active, one with φ = 10 % gets 10 % of whatever
//!   the mix yields, which may be a tenth of what it would yield alone. Nor limits.
//! - With D = 1 every request is another stream's, a seek each. With D larger the disk may reorder,
//!   and the D in flight before a request are what it waits for: 8 of 14 ms are 112 ms.

use super::{RequestCount, SfqConfig, SfqCost, serve, with_requests};
use crate::ledger::{Account, Ledger};
use crate::policy::{FinishedDispatch, Pick, Policy};
use crate::stream_id::{StreamId, StreamMap};
use disktime_units::Nanos;

/// Virtual time of a unit of cost at a share of 100 %, times a million.
const UNIT: u128 = 1_000_000_000_000;

/// Tags of a stream.
#[derive(Debug, Clone, Copy, Default)]
struct Flow {
    /// S of the next request, if one waits.
    start: u128,
    /// F of the last one dispatched.
    finish: u128,
    /// Whether one waits.
    waits: bool,
}

/// The policy.
#[derive(Debug)]
pub(crate) struct SfqD {
    config: SfqConfig,
    flows: StreamMap<Flow>,
    count: RequestCount,
    outstanding: u32,
    /// v.
    now: u128,
    /// The largest F.
    finish_max: u128,
    /// Where the request that was picked last starts.
    start_bytes: Option<u64>,
}

impl SfqD {
    pub(crate) fn new(config: SfqConfig) -> SfqD {
        SfqD {
            config,
            flows: StreamMap::default(),
            count: RequestCount::default(),
            outstanding: 0,
            now: 0,
            finish_max: 0,
            start_bytes: None,
        }
    }

    /// c of the dispatch that was just made.
    fn cost(&self, requests: u64, end_bytes: Option<u64>) -> u128 {
        let bytes = end_bytes
            .zip(self.start_bytes)
            .map_or(0, |(end, start)| end.saturating_sub(start));
        match self.config.cost {
            SfqCost::Requests => u128::from(requests),
            SfqCost::Bytes => u128::from(bytes.max(512)),
        }
    }
}

/// φ in parts per million.
fn share_ppm(ledger: &Ledger, id: StreamId) -> u128 {
    let stream = ledger.stream(id);
    if stream.is_reserved() {
        return u128::try_from(stream.share_ppm()).unwrap_or(1);
    }
    let (mut reserved, mut weights) = (0u128, 0u128);
    for (_, other) in ledger.streams() {
        if other.is_reserved() {
            reserved += u128::try_from(other.share_ppm()).unwrap_or(0);
        } else {
            weights += u128::from(other.weight());
        }
    }
    let rest = 1_000_000u128.saturating_sub(reserved);
    (rest * u128::from(stream.weight()) / weights).max(1)
}

impl Policy for SfqD {
    fn wants_arrivals(&self) -> bool {
        true
    }

    fn queued(&mut self, ledger: &Ledger, _now: Nanos, id: StreamId) {
        if self.outstanding == 0 && ledger.queued() == 1 {
            self.now = self.now.max(self.finish_max);
        }
        let flow = self.flows.get_or_insert_with(id, Flow::default);
        if !flow.waits {
            flow.waits = true;
            flow.start = self.now.max(flow.finish);
        }
    }

    fn pick(&mut self, ledger: &mut Ledger, _now: Nanos) -> Pick {
        let least = with_requests(ledger)
            .filter_map(|id| Some((self.flows.get(id)?.start, id)))
            .min();
        match least {
            Some((_, stream)) if self.outstanding < self.config.depth.max(1) => {
                let next = ledger.stream(stream).queue().peek();
                self.start_bytes = next.and_then(|queued| queued.offset_bytes());
                serve(ledger, stream)
            }
            _ => Pick::Sleep { until: None },
        }
    }

    fn dispatched(&mut self, ledger: &mut Ledger, id: StreamId, _: Account, end: Option<u64>) {
        self.outstanding += 1;
        let requests = self.count.of_dispatch(ledger, id);
        let turn = self.cost(requests, end) * UNIT / share_ppm(ledger, id);
        let flow = self.flows.get_or_insert_with(id, Flow::default);
        self.now = flow.start;
        flow.finish = flow.start + turn;
        // One that waits already arrived when v was at most its predecessor's S.
        flow.start = flow.finish;
        flow.waits = ledger.stream(id).has_queue();
        self.finish_max = self.finish_max.max(flow.finish);
    }

    fn settle(&mut self, ledger: &mut Ledger, _now: Nanos, finished: FinishedDispatch) {
        self.outstanding -= 1;
        ledger.charge(finished.stream, finished.account, finished.measured);
    }
}
