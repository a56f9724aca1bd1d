//! Token buckets and the rule by which Zygaria serves from them; the currency is the caller's.
//!
//! A stream has a *reserve* bucket and, if it is limited, a *limit* bucket. Both fill at their
//! rates up to what they bring in the time that may be saved, and are full at first. A stream may
//! be served while its limit bucket holds more than nothing. Among those whose reserve bucket does
//! too, the one whose reserve bucket would overflow first goes (or overflowed first, if it has not
//! been served since); if there is none, the one with the least recent usage, for its weight. What
//! is served in the second way is not taken from the reserve bucket. A bucket may be overdrawn by
//! what one dispatch costs.
//!
//! Tokens are whole numbers of *grains*, so fine that a share in parts per million brings a whole
//! number of them in each nanosecond: nothing is ever rounded.

use super::usage::Usage;
use super::{min_of, with_requests};
use crate::ledger::{Ledger, Stream};
use crate::stream_id::{StreamId, StreamMap};
use disktime_units::Nanos;

/// Tokens that fill at a rate and are capped.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// What was in it when something was last taken out.
    grains: i128,
    /// When that was; `None`: never, so it is full.
    at: Option<Nanos>,
}

impl Bucket {
    const FULL: Bucket = Bucket {
        grains: 0,
        at: None,
    };

    /// What is in it, filling at `rate` grains per ns.
    fn level(&self, now: Nanos, rate: i128, cap: i128) -> i128 {
        self.at.map_or(cap, |at| {
            let passed = i128::from(now.saturating_sub(at).0);
            (self.grains + passed * rate).min(cap)
        })
    }

    fn take(&mut self, now: Nanos, rate: i128, cap: i128, grains: i128) {
        self.grains = self.level(now, rate, cap) - grains;
        self.at = Some(now);
    }

    /// When it overflows, or overflowed.
    fn overflow(&self, rate: i128, cap: i128) -> i128 {
        self.at
            .map_or(0, |at| i128::from(at.0) + (cap - self.grains) / rate)
    }
}

/// What a stream has saved, and what it used of late.
#[derive(Debug, Clone, Copy)]
struct Pool {
    reserve: Bucket,
    limit: Bucket,
    usage: Usage,
}

impl Pool {
    /// Of a stream that nothing was taken from.
    fn full() -> Pool {
        Pool {
            reserve: Bucket::FULL,
            limit: Bucket::FULL,
            usage: Usage::default(),
        }
    }
}

/// What tokens are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Currency {
    /// Grains per ns and part per million of share.
    pub(super) grains_per_ppm: i128,
    /// Time in which a bucket fills.
    pub(super) saved: Nanos,
    /// Length of a slot of the average of usage.
    pub(super) usage_slot: Nanos,
    /// How long a stream with tokens keeps the disk once it has it.
    pub(super) stay: Nanos,
}

impl Currency {
    fn rate(self, share_ppm: i64) -> i128 {
        i128::from(share_ppm) * self.grains_per_ppm
    }

    fn cap(self, rate: i128) -> i128 {
        rate * i128::from(self.saved.0)
    }
}

/// What a dispatch is paid from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Reserve tokens (and limit tokens).
    Reserve,
    /// No reserve tokens (limit tokens only).
    Unreserved,
}

/// What a dispatch costs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bill {
    pub(super) stream: StreamId,
    pub(super) source: Source,
    pub(super) now: Nanos,
    pub(super) grains: i128,
}

/// Which stream may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// This stream.
    Serve(StreamId, Source),
    /// No stream: limits hold back all that have requests, until then at least.
    Sleep(Option<Nanos>),
}

/// The buckets of all streams.
#[derive(Debug)]
pub(super) struct TokenPools {
    currency: Currency,
    pools: StreamMap<Pool>,
    /// The stream that was chosen last, and since when without interruption.
    visit: Option<(StreamId, Nanos)>,
}

impl TokenPools {
    pub(super) fn new(currency: Currency) -> TokenPools {
        TokenPools {
            currency,
            pools: StreamMap::default(),
            visit: None,
        }
    }

    /// Chooses the stream that goes now.
    pub(super) fn choose(&mut self, ledger: &Ledger, now: Nanos) -> Choice {
        let (mut due, mut least_used, mut stays) = (None, None, None);
        let mut released: Option<Nanos> = None;
        for id in with_requests(ledger) {
            let stream = ledger.stream(id);
            if let Some(until) = self.held_until(stream, id, now) {
                released = Some(released.map_or(until, |other| other.min(until)));
                continue;
            }
            if let Some(overflow) = self.overflow(stream, id, now) {
                due = min_of(due, (overflow, id));
                if self.stays_with(id, now) {
                    stays = Some(id);
                }
            }
            let pool = self.pools.get_or_insert_with(id, Pool::full);
            let used = pool.usage.at(now, self.currency.usage_slot);
            let for_weight = used.saturating_mul(1_000) / u128::from(stream.weight());
            least_used = min_of(least_used, (for_weight, id));
        }
        let chosen = stays
            .or(due.map(|(_, id)| id))
            .map(|id| (id, Source::Reserve));
        let chosen = chosen.or(least_used.map(|(_, id)| (id, Source::Unreserved)));
        let Some((id, source)) = chosen else {
            return Choice::Sleep(released);
        };
        if self.visit.is_none_or(|(last, _)| last != id) {
            self.visit = Some((id, now));
        }
        Choice::Serve(id, source)
    }

    /// Whether a stream was chosen last, and not for so long yet that others have a say.
    fn stays_with(&self, id: StreamId, now: Nanos) -> bool {
        self.visit
            .is_some_and(|(last, since)| last == id && now - since < self.currency.stay)
    }

    fn pool(&self, id: StreamId) -> Pool {
        self.pools.get(id).copied().unwrap_or_else(Pool::full)
    }

    /// When the limit bucket of a stream holds something again, if it holds nothing now.
    fn held_until(&self, stream: &Stream, id: StreamId, now: Nanos) -> Option<Nanos> {
        let limit = stream.config().limit?;
        let rate = self.currency.rate(i64::from(limit.share.0));
        let cap = self.currency.cap(rate);
        let level = self.pool(id).limit.level(now, rate, cap);
        if level > 0 {
            return None;
        }
        // The first nanosecond in which it holds more than nothing.
        let wait = (rate - level).checked_div(rate);
        let wait = wait.and_then(|wait| u64::try_from(wait).ok());
        Some(now.saturating_add(Nanos(wait.unwrap_or(u64::MAX))))
    }

    /// When the reserve bucket of a stream overflows, if it holds anything.
    fn overflow(&self, stream: &Stream, id: StreamId, now: Nanos) -> Option<i128> {
        let rate = self.currency.rate(stream.share_ppm());
        let cap = self.currency.cap(rate);
        let bucket = self.pool(id).reserve;
        let holds = rate > 0 && bucket.level(now, rate, cap) > 0;
        holds.then(|| bucket.overflow(rate, cap))
    }

    /// Takes `grains` from where a dispatch of the stream was paid from; negative gives back.
    pub(super) fn pay(&mut self, ledger: &Ledger, bill: Bill) {
        let Bill {
            stream: id,
            source,
            now,
            grains,
        } = bill;
        let stream = ledger.stream(id);
        let currency = self.currency;
        let pool = self.pools.get_or_insert_with(id, Pool::full);
        if source == Source::Reserve {
            let rate = currency.rate(stream.share_ppm());
            pool.reserve.take(now, rate, currency.cap(rate), grains);
        }
        if let Some(limit) = stream.config().limit {
            let rate = currency.rate(i64::from(limit.share.0));
            pool.limit.take(now, rate, currency.cap(rate), grains);
        }
        pool.usage.add(now, currency.usage_slot, grains);
    }
}
