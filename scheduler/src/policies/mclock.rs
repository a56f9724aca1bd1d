//! `mclock`: three tags per request, for reservation, limit and weight, in I/Os.
//!
//! Source: Gulati, Merchant, Varman, *mClock: Handling Throughput Variability for Hypervisor IO
//! Scheduling*, OSDI 2010, algorithm 1. A request that arrives at t gets the tags
//!
//! ```text
//!   R = max(t, R' + 1/r)    L = max(t, L' + 1/l)    P = max(v, P' + 1/w)
//! ```
//!
//! where R', L', P' are those of its stream's previous request. *Constraint-based*: if some R ≤
//! now, the least R goes. *Weight-based*: otherwise, of the streams with L ≤ now, the least P goes,
//! and the stream's R tags move back by 1/r, so that service by weight does not count as reserved.
//! r is u times the I/Os per second that the disk is said to do (`nominal_iops`), l the same of the
//! limit.
//!
//! Where this differs from the paper: there, P tags are in real time, and when a stream wakes, all
//! others' are moved so that the least of them is now. Here they are in a time of their own, whose
//! present v is the least tag of those that wait: the same order. The length of 1/w in it is
//! arbitrary, so shares by weight do not depend on how fast the disk is. Requests of one stream go
//! in order of arrival; those merged into one dispatch use up a tag each. The paper's cost of large
//! requests is left out: every request costs one.
//!
//! Where it fails: the tags count I/Os, and a disk's I/Os differ 64-fold in time.
//! - A disk of 14 ms per random and 0.22 ms per sequential request can promise 71 I/Os per second.
//!   A sequential reader that reserves half of the disk is promised 35 a second, 8 ms of its 500;
//!   the other 490 ms are up to the weights, also in I/Os: of two streams with equal weights, one
//!   random and one sequential, each gets 70 a second, 16 ms against 984.
//! - Promise more than the disk does at its worst, and in bad seconds every R is in the past. New
//!   requests then have R = their time of arrival: first come, first served. 50 and 100 a second
//!   promised on a disk that does 71 come out as 36 and 36 if both have four requests outstanding;
//!   limits and weights mean nothing, since constraint-based service asks for neither.
//! - Every request is a decision of its own: two streams that both read sequentially change places
//!   with each of them. 0.8 ms of data costs 16 ms of seek and turn.
//! - Nothing can be saved, and nothing is caught up: a stream that comes back from a pause starts
//!   at now, and is never waited for.

use super::{RequestCount, min_of, serve, with_requests};
use crate::ledger::{Account, Ledger, Stream};
use crate::policy::{Pick, Policy};
use crate::stream_id::{StreamId, StreamMap};
use disktime_units::Nanos;
use std::collections::VecDeque;

/// A share in parts per million of one I/O per second brings an I/O in so many nanoseconds.
const NANOS_TIMES_MILLION: i128 = 1_000_000_000_000_000;
/// 1/w for a weight of one.
const WEIGHT_TURN: i128 = 1_000_000_000_000;
/// A tag that never comes.
const NEVER: i128 = i128::MAX;

/// The tags of a request. R is kept with what had been given back to its stream when it was made,
/// so that giving back later moves all of a stream's at once.
#[derive(Debug, Clone, Copy)]
struct Tags {
    reservation: i128,
    limit: i128,
    weight: i128,
}

/// A stream by the tag that counts.
type Candidate = (i128, StreamId);

/// Where a stream's tags have got to.
#[derive(Debug, Default)]
struct Clock {
    waiting: VecDeque<Tags>,
    /// The last tags made. Before the first, all are 0 less one turn.
    last: Option<Tags>,
    /// R given back for service by weight.
    given_back: i128,
}

impl Clock {
    fn reservation(&self) -> Option<i128> {
        let tags = self.waiting.front()?;
        Some(if tags.reservation == NEVER {
            NEVER
        } else {
            tags.reservation - self.given_back
        })
    }
}

/// The policy.
#[derive(Debug)]
pub(crate) struct Mclock {
    nominal_iops: i128,
    clocks: StreamMap<Clock>,
    count: RequestCount,
    /// v.
    weight_now: i128,
    /// Whether the stream that was picked last is served by weight.
    by_weight: bool,
}

/// Nanoseconds from one I/O to the next, if there are any.
fn turn(share_ppm: i64, nominal_iops: i128) -> Option<i128> {
    let rate = i128::from(share_ppm) * nominal_iops;
    (rate > 0).then(|| (NANOS_TIMES_MILLION + rate - 1) / rate)
}

impl Mclock {
    pub(crate) fn new(nominal_iops: u32) -> Mclock {
        Mclock {
            nominal_iops: i128::from(nominal_iops),
            clocks: StreamMap::default(),
            count: RequestCount::default(),
            weight_now: 0,
            by_weight: false,
        }
    }

    /// The tags of a stream's oldest request.
    fn front(&self, id: StreamId) -> Option<&Tags> {
        self.clocks.get(id)?.waiting.front()
    }

    fn reservation_turn(&self, stream: &Stream) -> Option<i128> {
        turn(stream.share_ppm(), self.nominal_iops)
    }

    /// The tags of a request that arrives now.
    fn tags(&self, stream: &Stream, clock: &Clock, now: Nanos) -> Tags {
        let now = i128::from(now.0);
        let after = |last: Option<i128>, turn: i128, now: i128| {
            last.filter(|last| *last != NEVER)
                .map_or(now, |last| now.max(last + turn))
        };
        let reservation = match self.reservation_turn(stream) {
            None => NEVER,
            Some(turn) => {
                let last = clock.last.map(|tags| tags.reservation);
                after(last, turn, now + clock.given_back)
            }
        };
        let limit = match stream.config().limit {
            None => i128::MIN,
            Some(limit) => match turn(i64::from(limit.share.0), self.nominal_iops) {
                None => NEVER,
                Some(turn) => after(clock.last.map(|tags| tags.limit), turn, now),
            },
        };
        let turn = WEIGHT_TURN / i128::from(stream.weight());
        let weight = after(clock.last.map(|tags| tags.weight), turn, self.weight_now);
        Tags {
            reservation,
            limit,
            weight,
        }
    }
}

impl Policy for Mclock {
    fn wants_arrivals(&self) -> bool {
        true
    }

    fn queued(&mut self, ledger: &Ledger, now: Nanos, id: StreamId) {
        self.clocks.get_or_insert_with(id, Clock::default);
        if self.front(id).is_none() {
            let fronts = with_requests(ledger)
                .filter_map(|id| self.front(id))
                .map(|tags| tags.weight);
            self.weight_now = self.weight_now.max(fronts.min().unwrap_or(i128::MIN));
        }
        let Some(clock) = self.clocks.get(id) else {
            return;
        };
        let tags = self.tags(ledger.stream(id), clock, now);
        let clock = self.clocks.get_or_insert_with(id, Clock::default);
        clock.waiting.push_back(tags);
        clock.last = Some(tags);
    }

    fn pick(&mut self, ledger: &mut Ledger, now: Nanos) -> Pick {
        let (mut due, mut light): (Option<Candidate>, Option<Candidate>) = (None, None);
        let mut wake = NEVER;
        let time = i128::from(now.0);
        for id in with_requests(ledger) {
            let reservation = self.clocks.get(id).and_then(Clock::reservation);
            let Some((tags, reservation)) = self.front(id).zip(reservation) else {
                continue;
            };
            if reservation <= time {
                due = min_of(due, (reservation, id));
            }
            if tags.limit <= time {
                light = min_of(light, (tags.weight, id));
            }
            wake = wake.min(reservation).min(tags.limit);
        }
        self.by_weight = due.is_none();
        match due.or(light) {
            Some((_, stream)) => serve(ledger, stream),
            None => Pick::Sleep {
                until: u64::try_from(wake).ok().map(Nanos),
            },
        }
    }

    fn dispatched(&mut self, ledger: &mut Ledger, id: StreamId, _: Account, _: Option<u64>) {
        let requests = self.count.of_dispatch(ledger, id);
        let turn = self.reservation_turn(ledger.stream(id)).unwrap_or(0);
        let clock = self.clocks.get_or_insert_with(id, Clock::default);
        for _ in 0..requests {
            if let Some(tags) = clock.waiting.pop_front()
                && ledger.queued() == 0
            {
                self.weight_now = self.weight_now.max(tags.weight);
            }
        }
        if self.by_weight {
            clock.given_back += turn * i128::from(requests);
        }
    }
}
