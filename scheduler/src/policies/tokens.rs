//! Token buckets and the rule by which Zygaria serves from them; the currency is the caller's.
//!
//! A stream has a *reserve* bucket and, if it is limited, a *limit* bucket. Both fill at their
//! rates up to what they bring in the time that may be saved, and are full at first. A stream may
//! be served while its limit bucket holds more than nothing. Among those whose reserve bucket does
//! too, the one whose reserve bucket would overflow first goes; if there is none, the one with the
//! least recent usage, for its weight. What is served in the second way is not taken from the
//! reserve bucket. A bucket may be overdrawn by what one dispatch costs.
//!
//! Tokens are whole numbers of *grains*, so fine that a share in parts per million brings a whole
//! number of them in each nanosecond: nothing is ever rounded.

use super::usage::Usage;
use super::{min_of, with_requests};
use crate::config::StreamId;
use crate::ledger::Ledger;
use crate::stream::Stream;
use disktime_units::Nanos;

/// Tokens that fill at a rate and are capped.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    grains: i128,
    /// When it was last looked at; `None`: never, so it is full.
    at: Option<Nanos>,
}

impl Bucket {
    const FULL: Bucket = Bucket {
        grains: 0,
        at: None,
    };

    /// Lets in what came since the last look, at `rate` grains per ns.
    fn fill(&mut self, now: Nanos, rate: i128, cap: i128) {
        self.grains = match self.at {
            None => cap,
            Some(at) => {
                let passed = i128::from(now.saturating_sub(at).0);
                (self.grains + passed * rate).min(cap)
            }
        };
        self.at = Some(now);
    }
}

/// What a stream has saved, and what it used of late.
#[derive(Debug, Clone, Copy)]
struct Pool {
    reserve: Bucket,
    limit: Bucket,
    usage: Usage,
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
    /// Nobody's (and limit tokens).
    Unreserved,
}

/// Who may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Choice {
    /// This stream.
    Serve(StreamId, Source),
    /// Nobody: limits hold back all who have requests, until then at least.
    Sleep(Option<Nanos>),
}

/// The buckets of all streams.
#[derive(Debug)]
pub(super) struct TokenPools {
    currency: Currency,
    pools: Vec<Pool>,
}

impl TokenPools {
    pub(super) fn new(currency: Currency) -> TokenPools {
        TokenPools {
            currency,
            pools: Vec::new(),
        }
    }

    /// Who may go now.
    pub(super) fn choose(&mut self, ledger: &Ledger, now: Nanos) -> Choice {
        if self.pools.len() < ledger.streams.len() {
            let pool = Pool {
                reserve: Bucket::FULL,
                limit: Bucket::FULL,
                usage: Usage::default(),
            };
            self.pools.resize(ledger.streams.len(), pool);
        }
        let (mut due, mut least_used) = (None, None);
        let mut released: Option<Nanos> = None;
        for id in with_requests(ledger) {
            let stream = ledger.stream(id);
            if let Some(until) = self.held_until(stream, id, now) {
                released = Some(released.map_or(until, |other| other.min(until)));
                continue;
            }
            if let Some(overflow) = self.overflow(stream, id, now) {
                due = min_of(due, (overflow, id));
            }
            let usage = &mut self.pools[id.0 as usize].usage;
            let used = usage.at(now, self.currency.usage_slot);
            let for_weight = used.saturating_mul(1_000) / u128::from(stream.config.weight);
            least_used = min_of(least_used, (for_weight, id));
        }
        match (due, least_used) {
            (Some((_, id)), _) => Choice::Serve(id, Source::Reserve),
            (None, Some((_, id))) => Choice::Serve(id, Source::Unreserved),
            (None, None) => Choice::Sleep(released),
        }
    }

    /// When the limit bucket of a stream holds something again, if it holds nothing now.
    fn held_until(&mut self, stream: &Stream, id: StreamId, now: Nanos) -> Option<Nanos> {
        let limit = stream.config.limit?;
        let rate = self.currency.rate(i64::from(limit.share.0));
        let cap = self.currency.cap(rate);
        let bucket = &mut self.pools[id.0 as usize].limit;
        bucket.fill(now, rate, cap);
        if bucket.grains > 0 {
            return None;
        }
        let wait = (1 - bucket.grains + rate - 1).checked_div(rate);
        let wait = wait.and_then(|wait| u64::try_from(wait).ok());
        Some(now.saturating_add(Nanos(wait.unwrap_or(u64::MAX))))
    }

    /// How long until the reserve bucket of a stream overflows, if it holds anything.
    fn overflow(&mut self, stream: &Stream, id: StreamId, now: Nanos) -> Option<i128> {
        let rate = self.currency.rate(stream.share_ppm());
        let cap = self.currency.cap(rate);
        let bucket = &mut self.pools[id.0 as usize].reserve;
        bucket.fill(now, rate, cap);
        if rate == 0 || bucket.grains <= 0 {
            return None;
        }
        Some((cap - bucket.grains) / rate)
    }

    /// Takes `grains` from where a dispatch of the stream was paid from; negative gives back.
    pub(super) fn pay(&mut self, id: StreamId, source: Source, now: Nanos, grains: i128) {
        let slot = self.currency.usage_slot;
        let pool = &mut self.pools[id.0 as usize];
        if source == Source::Reserve {
            pool.reserve.grains -= grains;
        }
        pool.limit.grains -= grains;
        pool.usage.add(now, slot, grains);
    }
}
