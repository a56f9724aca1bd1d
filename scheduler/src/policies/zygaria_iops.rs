//! `zygaria-iops`: reservations and limits in I/Os per second, kept by token buckets.
//!
//! Source: Wong, Golding, Lin, Becker-Szendy, *Zygaria: Storage Performance as a Managed Resource*,
//! RTAS 2006, in the form in which *Virtualizing Disk Performance* (RTAS 2008) compares itself with
//! it: two buckets per stream, one for its reserved rate and one for its limit; a token is an I/O;
//! at most a second's worth is saved. Among streams with reserve tokens the one whose bucket would
//! overflow first goes; otherwise the one with the least usage of late (moving average over 20
//! slots, weights 0.9^k). A share u is a rate of u times the I/Os per second that the disk is said
//! to do (`nominal_iops`).
//!
//! Not known of the paper, so chosen: the length of a slot (50 ms, so that the average remembers as
//! long as tokens are saved); that buckets are full at first; that a stream may go while its bucket
//! holds more than nothing, rather than a whole token; that usage is divided by the weight (with
//! equal weights, the paper's rule); that requests of one stream go in order of arrival. Requests
//! that are merged into one dispatch cost a token each.
//!
//! Where it fails: the cost of an I/O varies 64-fold, and a token does not. On a disk of 14 ms per
//! random request and 0.22 ms per sequential one, `nominal_iops` must be 70, or random readers
//! cannot have what was promised. Then
//! - half of it reserved to a sequential reader promises 35 I/Os per second, which take 8 ms of
//!   each second. Whether it gets more is not its reservation's doing but the spare rule's, and of
//!   two streams with equal usage *in I/Os* one gets 98 % of the disk's time;
//! - with 10 % reserved, 7 I/Os per second, it may get as many as the random stream, 70: 1000 % of
//!   what it reserved, and 1.5 % of what it does alone;
//! - say 700 I/Os per second, since a better mix does that much, and tokens come faster than the
//!   disk can serve them: every bucket is full, the one that overflowed first goes, and so streams
//!   take turns. Two random streams that reserved 20 % and 80 % get half of the disk each.

use super::tokens::{Bill, Choice, Currency, Source, TokenPools};
use super::{RequestCount, ZygariaIopsConfig, serve};
use crate::ledger::{Account, Ledger};
use crate::policy::{Pick, Policy};
use crate::stream_id::StreamId;
use disktime_units::Nanos;

/// Grains in an I/O: a millionth of an I/O per second brings one in each nanosecond.
const IO: i128 = 1_000_000_000_000_000;

/// The policy.
#[derive(Debug)]
pub(crate) struct ZygariaIops {
    pools: TokenPools,
    count: RequestCount,
    source: Source,
    now: Nanos,
}

impl ZygariaIops {
    pub(crate) fn new(config: ZygariaIopsConfig, nominal_iops: u32) -> ZygariaIops {
        let currency = Currency {
            grains_per_ppm: i128::from(nominal_iops),
            saved: config.saved,
            usage_slot: config.usage_slot,
            stay: config.stay,
        };
        ZygariaIops {
            pools: TokenPools::new(currency),
            count: RequestCount::default(),
            source: Source::Unreserved,
            now: Nanos::ZERO,
        }
    }
}

impl Policy for ZygariaIops {
    fn pick(&mut self, ledger: &mut Ledger, now: Nanos) -> Pick {
        self.now = now;
        match self.pools.choose(ledger, now) {
            Choice::Serve(stream, source) => {
                self.source = source;
                serve(ledger, stream)
            }
            Choice::Sleep(until) => Pick::Sleep { until },
        }
    }

    fn dispatched(&mut self, ledger: &mut Ledger, id: StreamId, _: Account, _: Option<u64>) {
        let requests = self.count.of_dispatch(ledger, id);
        let bill = Bill {
            stream: id,
            source: self.source,
            now: self.now,
            grains: IO * i128::from(requests),
        };
        self.pools.pay(ledger, bill);
    }
}
