//! The slack test: which streams may start a request without endangering a deadline.
//!
//! `slack(D) = (D − now)·(1 − U_idle − u_sw) − outstanding − Σ_{e_i ≤ D} (β_i + u_i·(D − e_i))`
//! is the disk time left over before D when everything promised by then has been delivered; U_idle
//! is the share of idle streams, counted as a slower disk, u_sw that of the switching account,
//! `outstanding` the price of what is in flight, (e_i, β_i) the demand of stream i. Between two
//! effective deadlines slack only grows, so it is computed at the e_i alone.
//!
//! A stream may go on its own account iff it has budget and slack(D) ≥ 0 for every D before its own
//! effective deadline: one request of lateness is the price of non-preemption, and W is what the
//! promise allows for it. Spare time may be used iff slack is ≥ 0 everywhere. So one number says
//! which streams are eligible: the first D with slack(D) < 0, here `short_at`.
//!
//! Invariant (argued in docs/design/scheduler.md): with nothing in flight, if slack is
//! negative somewhere, then some stream with requests or in grace is eligible.
//!
//! **How it is computed.** With U(D) and C(D) the sums of u_i and of β_i − u_i·e_i over e_i ≤ D,
//! `slack(D) = D·(R − U(D)) − C(D) − now·R − outstanding`. Demands lie in blocks in order of e; a
//! block keeps its own sums, and the least `D·(a − U(D)) − C(D)` within it for the rate `a` that
//! was left when it was last computed. With another rate a' left, that least value is off by at
//! most (a' − a)·D at one of the block's ends: a bound from below, which is enough for all blocks
//! but those that could be short or hold the minimum; these are computed anew. The answers are
//! exact.
//!
//! **How long it holds.** Whatever happens, the slack at a given D falls no faster than time
//! passes, except for the prices of what is in flight: service on a reserved account lowers it for
//! D before that stream's deadline by what was used, spare service everywhere, ends of periods,
//! wakes, going idle and removals nowhere (in the exact form, of which the one here is a bound from
//! below). Between two D slack grows. So a scan holds for all D from the first that was computed
//! until its least slack has passed; only a stream that wakes with an earlier deadline asks for
//! another.

use super::blocks::{Block, Blocks, Keyed};
use crate::stream_id::StreamId;
use disktime_units::Nanos;
use std::cmp::Reverse;

/// One stream's demand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StreamDemand {
    /// e: effective deadline.
    pub(super) deadline: Nanos,
    pub(super) stream: StreamId,
    /// u.
    pub(super) share_ppm: i64,
    /// β − u·e, where β is the demand at e: what it adds to C.
    pub(super) constant: i128,
    /// Behind its fluid share, up to the time that passes for all: b/u − d in ns. `None`: it has no
    /// request or no budget, so it only counts.
    pub(super) lag: Option<i64>,
}

impl Keyed for StreamDemand {
    type Key = (Nanos, StreamId);

    fn key(&self) -> Self::Key {
        (self.deadline, self.stream)
    }
}

impl StreamDemand {
    /// The demand `budget` at `deadline` of a stream of that share.
    pub(super) fn new(
        stream: StreamId,
        share_ppm: i64,
        deadline: Nanos,
        budget: i128,
        lag: Option<i64>,
    ) -> StreamDemand {
        StreamDemand {
            deadline,
            stream,
            share_ppm,
            constant: budget - product(deadline, share_ppm),
            lag,
        }
    }
}

fn product(time: Nanos, rate_ppm: i64) -> i128 {
    i128::from(time.0) * i128::from(rate_ppm)
}

/// The most behind: lag first, then the lower number.
type MostBehind = Option<(i64, Reverse<StreamId>)>;

/// A block in a few numbers.
#[derive(Debug, Clone, Copy)]
struct BlockSummary {
    first: Nanos,
    last: Nanos,
    share_ppm: i64,
    constant: i128,
    /// a: the rate that was left before this block when `least` was computed.
    rate_ppm: i64,
    least: i128,
    candidates: usize,
    most_behind: MostBehind,
}

/// What slack depends on besides the demands.
#[derive(Debug, Clone, Copy)]
pub(super) struct SlackTerms {
    pub(super) now: Nanos,
    /// R = 1 − U_idle − u_sw.
    pub(super) rate_ppm: i64,
    /// The price of what is in flight, in ppm-nanoseconds.
    pub(super) outstanding: i128,
}

/// The result of a scan.
#[derive(Debug, Clone, Copy)]
pub(super) struct SlackScan {
    /// When.
    pub(super) at: Nanos,
    /// The first D that was computed.
    pub(super) first: Nanos,
    /// The first D with slack(D) < 0; streams with e up to it are eligible. `MAX`: there is none.
    pub(super) short_at: Nanos,
    /// The least slack over all D before `short_at`; too low, but not negative, where several share
    /// that deadline.
    pub(super) slack: i128,
    /// Eligible streams with requests and budget.
    pub(super) candidates: usize,
    /// The one of them most behind: b/u − d.
    pub(super) most_behind: Option<(i64, StreamId)>,
}

impl SlackScan {
    /// Before the first scan.
    pub(super) const NOTHING: SlackScan = SlackScan {
        at: Nanos::ZERO,
        first: Nanos::ZERO,
        short_at: Nanos::MAX,
        slack: -1,
        candidates: 0,
        most_behind: None,
    };

    /// The slack that is there for spare time: negative if there is a shortage.
    pub(super) fn spare(&self) -> i128 {
        if self.short_at == Nanos::MAX {
            self.slack
        } else {
            -1
        }
    }
}

/// The demands of all streams, in order of effective deadline.
#[derive(Debug, Default)]
pub(super) struct SlackIndex {
    demands: Blocks<StreamDemand, BlockSummary>,
}

/// Slack, block by block.
#[derive(Debug, Clone, Copy)]
struct SlackWalk {
    /// R − U so far.
    rate_ppm: i64,
    /// −now·R − outstanding − C so far.
    offset: i128,
}

impl SlackWalk {
    fn new(terms: SlackTerms) -> SlackWalk {
        SlackWalk {
            rate_ppm: terms.rate_ppm,
            offset: -product(terms.now, terms.rate_ppm) - terms.outstanding,
        }
    }

    fn pass(&mut self, summary: &BlockSummary) {
        self.rate_ppm -= summary.share_ppm;
        self.offset -= summary.constant;
    }

    /// Slack at the deadline of `demand`, which is added.
    fn step(&mut self, demand: &StreamDemand) -> i128 {
        self.rate_ppm -= demand.share_ppm;
        self.offset -= demand.constant;
        product(demand.deadline, self.rate_ppm) + self.offset
    }
}

fn summarize(entries: &[StreamDemand], rate_ppm: i64) -> BlockSummary {
    let mut walk = SlackWalk {
        rate_ppm,
        offset: 0,
    };
    let (mut least, mut candidates, mut most_behind) = (i128::MAX, 0, None);
    for demand in entries {
        least = least.min(walk.step(demand));
        if let Some(lag) = demand.lag {
            candidates += 1;
            most_behind = most_behind.max(Some((lag, Reverse(demand.stream))));
        }
    }
    BlockSummary {
        first: entries[0].deadline,
        last: entries[entries.len() - 1].deadline,
        share_ppm: rate_ppm - walk.rate_ppm,
        constant: -walk.offset,
        rate_ppm,
        least,
        candidates,
        most_behind,
    }
}

impl BlockSummary {
    /// The least slack in the block, or less if the rate has changed.
    fn least(&self, walk: SlackWalk) -> i128 {
        let change = walk.rate_ppm - self.rate_ppm;
        let edge = if change >= 0 { self.first } else { self.last };
        self.least + product(edge, change) + walk.offset
    }
}

/// A block's summary, computed anew if its least slack could be below `bound`; if it is not, it may
/// be stated too low, but not below `bound`.
#[inline]
fn summary(
    block: &mut Block<StreamDemand, BlockSummary>,
    walk: SlackWalk,
    bound: i128,
) -> (&BlockSummary, i128) {
    let known = block.summary.as_ref();
    let least = known.map_or(i128::MIN, |known| known.least(walk));
    let is_exact = known.is_some_and(|known| known.rate_ppm == walk.rate_ppm);
    if !is_exact && least < bound {
        block.summary = None;
    }
    let entries = &block.entries;
    let summary = block
        .summary
        .get_or_insert_with(|| summarize(entries, walk.rate_ppm));
    let least = if is_exact || least >= bound {
        least
    } else {
        summary.least + walk.offset
    };
    (summary, least)
}

impl SlackIndex {
    /// Puts a demand in, or changes it: `old` is the key that the stream's last one had.
    pub(super) fn set(&mut self, old: Option<Nanos>, demand: StreamDemand) {
        if old == Some(demand.deadline)
            && let Some(entry) = self.demands.get_mut(demand.key())
        {
            *entry = demand;
        } else {
            if let Some(deadline) = old {
                self.remove(deadline, demand.stream);
            }
            self.demands.insert(demand);
        }
    }

    /// Takes a stream's demand out.
    pub(super) fn remove(&mut self, deadline: Nanos, stream: StreamId) {
        self.demands.remove((deadline, stream));
    }

    /// The first effective deadline.
    fn first_deadline(&self) -> Nanos {
        let first = self.demands.blocks.first();
        first.map_or(Nanos::MAX, |block| block.entries[0].deadline)
    }

    /// Where slack runs out first, and which streams could go before.
    pub(super) fn scan(&mut self, terms: SlackTerms) -> SlackScan {
        let mut walk = SlackWalk::new(terms);
        let mut scan = SlackScan {
            at: terms.now,
            first: self.first_deadline(),
            slack: i128::MAX,
            ..SlackScan::NOTHING
        };
        let mut most_behind: MostBehind = None;
        for index in 0..self.demands.blocks.len() {
            let block = &mut self.demands.blocks[index];
            let (summary, least) = summary(block, walk, scan.slack);
            if least < 0 {
                (scan.short_at, scan.slack) = first_shortage(&block.entries, walk, scan.slack);
                let urgent = self.candidates_from(index, scan.short_at);
                for (lag, stream) in urgent.filter_map(|demand| Some((demand.lag?, demand.stream)))
                {
                    scan.candidates += 1;
                    most_behind = most_behind.max(Some((lag, Reverse(stream))));
                }
                break;
            }
            scan.slack = scan.slack.min(least);
            scan.candidates += summary.candidates;
            most_behind = most_behind.max(summary.most_behind);
            walk.pass(summary);
        }
        scan.most_behind = most_behind.map(|(lag, stream)| (lag, stream.0));
        scan
    }

    /// The least slack over all D before `deadline`.
    pub(super) fn slack_before(&mut self, terms: SlackTerms, deadline: Nanos) -> i128 {
        let mut walk = SlackWalk::new(terms);
        let mut slack = i128::MAX;
        for block in &mut self.demands.blocks {
            if block.entries[0].deadline >= deadline {
                break;
            }
            let is_whole = block
                .entries
                .last()
                .is_some_and(|last| last.deadline < deadline);
            if is_whole {
                let (summary, least) = summary(block, walk, slack);
                slack = slack.min(least);
                walk.pass(summary);
                continue;
            }
            for demand in &block.entries {
                if demand.deadline >= deadline {
                    break;
                }
                slack = slack.min(walk.step(demand));
            }
        }
        slack
    }

    /// All demands whose deadline is not beyond `until`, most urgent first.
    pub(super) fn demands_until(&self, until: Nanos) -> impl Iterator<Item = &StreamDemand> {
        let all = self.demands.blocks.iter().flat_map(|block| &block.entries);
        all.take_while(move |demand| demand.deadline <= until)
    }

    /// Streams with requests and budget whose deadline is not beyond `until`, most urgent first.
    pub(super) fn candidates_until(&self, until: Nanos) -> impl Iterator<Item = &StreamDemand> {
        self.candidates_from(0, until)
    }

    fn candidates_from(&self, block: usize, until: Nanos) -> impl Iterator<Item = &StreamDemand> {
        self.demands.blocks[block..]
            .iter()
            .flat_map(|block| &block.entries)
            .take_while(move |demand| demand.deadline <= until)
            .filter(|demand| demand.lag.is_some())
    }
}

/// The first deadline in these entries at which slack is negative, and the least slack before it,
/// or `slack` if that is less.
fn first_shortage(entries: &[StreamDemand], mut walk: SlackWalk, mut slack: i128) -> (Nanos, i128) {
    for demand in entries {
        let here = walk.step(demand);
        if here < 0 {
            return (demand.deadline, slack);
        }
        slack = slack.min(here);
    }
    (Nanos::MAX, slack)
}

#[cfg(test)]
mod tests;
